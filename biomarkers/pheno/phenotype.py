"""Which cells are which: rules such as ``CD3+ CD8+`` or ``CK+ or TFE3+`` over the markers of a cell table.

The grammar stands in :mod:`biomarkers.core.rules`. ``name+`` asks the column ``<name>_positive`` or, in tables made
elsewhere, a phenotype of that very name; a comparison asks the mean over the whole cell, or over the compartment that
it names. What the cells do not have, or have no value for, is an error and never a "no".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.panel import canonical_marker, refuse_names_of_markers
from biomarkers.core.rules import COMPARTMENTS, Call, Comparison, Either, Not, Phenotype, Rule, parse_rule
from biomarkers.seg.channels import MEMBRANE_UPPER

if TYPE_CHECKING:
    from anndata import AnnData

PHENOTYPE: Final = "phenotype"
OTHER: Final = "other"
_CALL = keys.positive_column("")  # what the names of call columns end with
_COMPARE: Final[Mapping[str, Callable[[np.ndarray, float], np.ndarray]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
# compartment -> layers it is read from; the first that is there (None is X, the whole cell)
_LAYERS: Final[Mapping[str, tuple[str | None, ...]]] = {
    "cell": (None,),
    "nucleus": (keys.NUCLEUS_MEAN,),
    "cytoplasm": (keys.CYTOPLASM_MEAN,),
    "membrane": (MEMBRANE_UPPER, keys.MEMBRANE_MEAN),
}


def select_cells(cells: AnnData, rule: str) -> np.ndarray:
    """Say which cells fit a rule.

    Parameters
    ----------
    cells
        Cells with ``<marker>_positive`` columns, or a ``phenotype`` column.
    rule
        For example ``CD3+ CD8+``, ``CK+ or TFE3+``, ``CK+ PD-L1 > 3``, ``!(CD68+ or CK+)``, ``"T cell"``; the grammar
        stands in :mod:`biomarkers.core.rules`.

    Returns
    -------
    (n,) bool.

    Raises
    ------
    UsageError
        The rule is malformed, or names a marker or phenotype that the cells do not have.
    DataError
        The cells have no level in the compartment that a comparison asks for, or some have none (NaN, infinite), or a
        call is missing.

    Examples
    --------
    >>> import anndata, numpy, pandas
    >>> obs = pandas.DataFrame({"CD3_positive": [True, False]}, index=["1", "2"])
    >>> select_cells(anndata.AnnData(numpy.zeros((2, 0)), obs=obs), "!CD3+").tolist()
    [False, True]
    """
    return _selected(cells, parse_rule(rule), rule)


def positive_cells(cells: AnnData, marker: str) -> np.ndarray:
    """Say which cells are called positive for a marker, by its name alone, (n,); errors as :func:`select_cells`."""
    return _called(cells, marker, f"{marker}+")


def assign_phenotypes(cells: AnnData, rules: Mapping[str, str]) -> AnnData:
    """Name each cell by the first rule that it fits.

    Parameters
    ----------
    cells
        Cells with positivity columns; left as they are.
    rules
        Phenotype -> rule, in order of precedence.

    Returns
    -------
    A copy with ``obs["phenotype"]`` (``other`` where no rule fits) and ``uns["phenotypes"]``: the rules, and
    ``conflicts``, a table of how many cells fit two rules at once (``first, second, n_cells``).

    Raises
    ------
    UsageError
        A rule is malformed or names what the cells do not have, or a phenotype has the name of a marker.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> xy = np.array([[0.0, 0.0], [8.0, 0.0], [100.0, 0.0], [108.0, 0.0]])
    >>> obs = pd.DataFrame(
    ...     {"CD8_positive": [True, False, True, False], "CK_positive": [False, True, False, True]},
    ...     index=list("abcd"),
    ... )
    >>> cells = ad.AnnData(obs=obs, obsm={"spatial": xy})
    >>> named = bm.assign_phenotypes(cells, {"T cell": "CD8+ !CK+", "tumor": "CK+"})
    >>> named.obs["phenotype"].tolist()
    ['T cell', 'tumor', 'T cell', 'tumor']
    """
    refuse_names_of_markers(rules, markers=[*_call_columns(cells), *map(str, cells.var_names)], where="phenotypes")
    masks = {name: select_cells(cells, rule) for name, rule in rules.items()}
    listed = list(masks)
    codes = np.full(cells.n_obs, len(listed), dtype=np.int32)
    for code, mask in reversed(list(enumerate(masks.values()))):
        codes[mask] = code
    result = cells.copy()
    result.obs[PHENOTYPE] = pd.Categorical.from_codes(codes, categories=pd.Index([*rules, OTHER]))
    conflicts = pd.DataFrame(
        [
            {"first": first, "second": second, "n_cells": int((masks[first] & masks[second]).sum())}
            for position, first in enumerate(listed)
            for second in listed[position + 1 :]
        ],
        columns=["first", "second", "n_cells"],
    )
    result.uns["phenotypes"] = {"rules": dict(rules), "conflicts": conflicts[conflicts["n_cells"] > 0]}
    return result


def known_phenotypes(cells: AnnData) -> list[str]:
    """Phenotypes that exist, also those that no cell of this image has: of the rules, or of the other images."""
    if PHENOTYPE not in cells.obs:
        return []
    found = {str(name) for name in cells.obs[PHENOTYPE].dropna().unique()}
    found |= set(cells.uns.get("phenotypes", {}).get("rules", {}))
    return sorted(found | set(cells.uns.get("imported", {}).get("phenotypes", ())))


def _selected(cells: AnnData, rule: Rule, text: str) -> np.ndarray:
    if isinstance(rule, Call):
        found = _called(cells, rule.marker, text)
        return found if rule.positive else ~found
    if isinstance(rule, Comparison):
        return _compared(cells, rule, text)
    if isinstance(rule, Phenotype):
        return _of_phenotype(cells, rule.name, text)
    if isinstance(rule, Not):
        return ~_selected(cells, rule.rule, text)
    parts = [_selected(cells, part, text) for part in rule.parts]
    found = np.any(parts, axis=0) if isinstance(rule, Either) else np.all(parts, axis=0)
    return np.asarray(found, dtype=bool)


def _called(cells: AnnData, marker: str, text: str) -> np.ndarray:
    columns = _call_columns(cells)
    name = _same_marker(marker, columns, text)
    if name is not None:
        return _flags(cells, keys.positive_column(name))
    known = known_phenotypes(cells)
    if f"{marker}+" in known:
        return _named(cells, f"{marker}+")
    raise _unknown("marker or phenotype", f"{marker}+", [*columns, *known], text)


def _call_columns(cells: AnnData) -> list[str]:
    """Markers that the cells are called for."""
    return [str(name).removesuffix(_CALL) for name in cells.obs.columns if str(name).endswith(_CALL)]


def _same_marker(name: str, known: Sequence[str], text: str) -> str | None:
    """Find a marker by its very name, else by an alias; None where there is none."""
    if name in known:
        return name
    same = [one for one in known if canonical_marker(one) == canonical_marker(name)]
    if len(same) > 1:
        raise UsageError(
            f"several markers could be {name!r}", where=f"rule {text!r}", seen=same, hint="Use their name."
        )
    return same[0] if same else None


def _flags(cells: AnnData, column: str) -> np.ndarray:
    """Read a call column; a missing call, or a word, is an error: neither is a "yes"."""
    values = cells.obs[column]
    if values.dtype == bool:
        return values.to_numpy()
    wrong = ~values.isin([0, 1, True, False]).to_numpy() | values.isna().to_numpy()
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{int(wrong.sum())} of {cells.n_obs} cells have no call in {column!r}",
            where=f"cell {cells.obs_names[first]}", seen=str(values.iloc[first]), allowed="true or false",
        )  # fmt: skip
    return values.to_numpy(dtype=bool)


def _compared(cells: AnnData, rule: Comparison, text: str) -> np.ndarray:
    names = [str(name) for name in cells.var_names]
    name = _same_marker(rule.marker, names, text)
    if name is None:
        raise _unknown("marker", rule.marker, names, text)
    values = _level(cells, name, rule.compartment)
    wrong = np.ones(cells.n_obs, dtype=bool) if values is None else ~np.isfinite(values)
    if "excluded" in cells.obs:
        wrong &= ~cells.obs["excluded"].to_numpy(dtype=bool)
    if values is None or wrong.any():
        raise _without_level(cells, name, rule, wrong, text)
    with np.errstate(invalid="ignore"):
        return np.asarray(_COMPARE[rule.sign](values, rule.limit), dtype=bool)


def _level(cells: AnnData, name: str, compartment: str) -> np.ndarray | None:
    """Levels of a marker, or None where the cells were not measured there."""
    column = [str(one) for one in cells.var_names].index(name)
    for layer in _LAYERS[compartment]:
        if layer is None or layer in cells.layers:
            values = np.asarray((cells.X if layer is None else cells.layers[layer])[:, column], dtype=float).ravel()
            return None if len(values) and np.isnan(values).all() else values
    return None


def _without_level(cells: AnnData, name: str, rule: Comparison, wrong: np.ndarray, text: str) -> DataError:
    """Say which levels there are where one that a rule asks for is missing."""
    there = [f"{name}:{one}" for one in COMPARTMENTS if _level(cells, name, one) is not None]
    asked = f"{name}:{rule.compartment}"
    if asked not in there:
        what, seen = f"the cells have no level {asked!r}", None
    else:
        values = _level(cells, name, rule.compartment)
        first = int(np.flatnonzero(wrong)[0])
        what = f"{int(wrong.sum())} of {cells.n_obs} cells have no finite level {asked!r}"
        seen = f"{np.nan if values is None else values[first]} in cell {cells.obs_names[first]}"
    hint = f'Write "{there[-1]} {rule.sign} {rule.limit:g}", for example.' if there and asked not in there else None
    return DataError(what, where=f"rule {text!r}", seen=seen, allowed=there or "(none)", hint=hint)


def _of_phenotype(cells: AnnData, name: str, text: str) -> np.ndarray:
    known = known_phenotypes(cells)
    if name not in known:
        markers = [*_call_columns(cells), *map(str, cells.var_names)]
        if canonical_marker(name) in map(canonical_marker, markers):
            hint = f"Write {name}+ or {name}- for its calls."
            raise UsageError("a marker alone is no rule", where=f"rule {text!r}", seen=name, hint=hint)
        raise _unknown("phenotype", name, known, text)
    return _named(cells, name)


def _named(cells: AnnData, phenotype: str) -> np.ndarray:
    """Which cells have a phenotype, by the categories where there are some: many times as fast as by every cell."""
    told = cells.obs[PHENOTYPE]
    if not isinstance(told.dtype, pd.CategoricalDtype):
        return (told.astype(str) == phenotype).to_numpy()
    here = [code for code, name in enumerate(told.cat.categories) if str(name) == phenotype]
    return np.isin(told.cat.codes.to_numpy(), here)


def _unknown(what: str, name: str, known: list[str], text: str) -> UsageError:
    return UsageError(
        f"no such {what} in these cells", where=f"rule {text!r}", seen=name, allowed=known or "(none)",
        hint=did_you_mean(name, known),
    )  # fmt: skip
