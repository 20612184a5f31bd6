"""Which cells are which: rules such as ``CD3+ CD8+`` or ``CK+ or TFE3+`` over the markers of a cell table.

    rule   = all { "or" all }
    all    = one { ["and"] one }
    one    = "not" one | "(" rule ")" | name "+" | name "-" | name comparison number | "quoted phenotype"

``name+`` asks the column ``<name>_positive`` or, in tables made elsewhere, a phenotype of that very name; a comparison
asks the mean over the whole cell.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from biomarkers.errors import UsageError, did_you_mean
from biomarkers.keys import positive_column
from biomarkers.panel import canonical_marker

if TYPE_CHECKING:
    from anndata import AnnData

PHENOTYPE: Final = "phenotype"
OTHER: Final = "other"
_TOKEN = re.compile(r"""\s*(?:(>=|<=|>|<)|([()])|"([^"]*)"|'([^']*)'|([^\s()<>"'=]+))""")
_COMPARE: Final[Mapping[str, Callable[[np.ndarray, float], np.ndarray]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def select_cells(cells: AnnData, rule: str) -> np.ndarray:
    """Say which cells fit a rule.

    Parameters
    ----------
    cells
        Cells with ``<marker>_positive`` columns, or a ``phenotype`` column.
    rule
        For example ``CD3+ CD8+``, ``CK+ or TFE3+``, ``CK+ PD-L1 > 3``, ``not (CD68+ or CK+)``, ``"T cell"``.

    Returns
    -------
    (n,) bool.

    Raises
    ------
    UsageError
        The rule is malformed, or names a marker or phenotype that the cells do not have.
    """
    return _Rule(cells, rule).mask()


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
        A rule is malformed or names what the cells do not have.
    """
    masks = {name: select_cells(cells, rule) for name, rule in rules.items()}
    names = np.full(cells.n_obs, OTHER, dtype=object)
    for name, mask in reversed(masks.items()):
        names[mask] = name
    result = cells.copy()
    result.obs[PHENOTYPE] = pd.Categorical(names, categories=[*rules, OTHER])
    listed = list(masks)
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
    found = set(cells.obs[PHENOTYPE].astype(str))
    found |= set(cells.uns.get("phenotypes", {}).get("rules", {}))
    return sorted(found | set(cells.uns.get("imported", {}).get("phenotypes", ())))


class _Rule:
    """A recursive-descent reader of one rule."""

    def __init__(self, cells: AnnData, text: str) -> None:
        self._cells, self._text = cells, text
        self._tokens = _tokens(text)
        self._at = 0

    def mask(self) -> np.ndarray:
        if not self._tokens:
            raise self._wrong("the rule is empty")
        found = self._any()
        if self._at < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._at][1]!r} was not expected")
        return found

    def _any(self) -> np.ndarray:
        found = self._all()
        while self._word("or"):
            found = found | self._all()
        return found

    def _all(self) -> np.ndarray:
        found = self._one()
        while self._word("and") or self._starts_one():
            found = found & self._one()
        return found

    def _one(self) -> np.ndarray:
        if self._word("not"):
            return ~self._one()
        if self._at >= len(self._tokens):
            raise self._wrong("something is missing at its end")
        kind, text = self._tokens[self._at]
        self._at += 1
        if (kind, text) == ("bracket", "("):
            found = self._any()
            if not self._take("bracket", ")"):
                raise self._wrong("a bracket is not closed")
            return found
        if kind == "quoted":
            return self._phenotype(text)
        if kind != "word":
            raise self._wrong(f"{text!r} was not expected")
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "compare":
            return self._comparison(text)
        if text[-1] in "+-" and len(text) > 1:
            found = self._positive(text[:-1])
            return found if text[-1] == "+" else ~found
        return self._phenotype(text)

    def _comparison(self, name: str) -> np.ndarray:
        sign = self._tokens[self._at][1]
        self._at += 1
        try:
            limit = float(self._tokens[self._at][1])
        except (IndexError, ValueError) as error:
            raise self._wrong(f"a number must follow {sign!r}") from error
        self._at += 1
        marker = canonical_marker(name)
        if marker not in self._cells.var_names:
            raise self._unknown("marker", name, list(self._cells.var_names))
        return _COMPARE[sign](np.asarray(self._cells[:, marker].X, dtype=float)[:, 0], limit)

    def _positive(self, name: str) -> np.ndarray:
        obs = self._cells.obs
        for candidate in (name, canonical_marker(name)):
            if positive_column(candidate) in obs:
                return obs[positive_column(candidate)].to_numpy(dtype=bool)
        if f"{name}+" in known_phenotypes(self._cells):
            return (obs[PHENOTYPE].astype(str) == f"{name}+").to_numpy()
        known = [column.removesuffix("_positive") for column in obs.columns if column.endswith("_positive")]
        if PHENOTYPE in obs:
            known += [str(value) for value in obs[PHENOTYPE].unique()]
        raise self._unknown("marker or phenotype", f"{name}+", known)

    def _phenotype(self, name: str) -> np.ndarray:
        if PHENOTYPE not in self._cells.obs:
            raise self._unknown("phenotype", name, [])
        known = known_phenotypes(self._cells)
        if name not in known:
            raise self._unknown("phenotype", name, known)
        return (self._cells.obs[PHENOTYPE].astype(str) == name).to_numpy()

    def _word(self, word: str) -> bool:
        return self._take("word", word)

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _starts_one(self) -> bool:
        if self._at >= len(self._tokens):
            return False
        kind, text = self._tokens[self._at]
        return (kind in ("word", "quoted") and (kind, text) != ("word", "or")) or (kind, text) == ("bracket", "(")

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"cannot read the phenotype rule: {what}", seen=self._text, hint='For example: "CD3+ CD8+".')

    def _unknown(self, what: str, name: str, known: list[str]) -> UsageError:
        return UsageError(
            f"no such {what} in these cells", seen=name, allowed=known or "(none)", hint=did_you_mean(name, known)
        )


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if not found:
            raise UsageError("cannot read the phenotype rule", seen=text, hint=f"at {text[position:].strip()!r}")
        compare, bracket, double, single, word = found.groups()
        kinds = (("compare", compare), ("bracket", bracket), ("quoted", double), ("quoted", single), ("word", word))
        tokens += [(kind, value) for kind, value in kinds if value is not None]
        position = found.end()
    return tokens
