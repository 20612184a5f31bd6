"""Gates as a table: fitted, written down, read back, changed by hand, and put to the cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Compartment
from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.panel import Panel, canonical_marker
from biomarkers.pheno.gate_fit import METHODS, GateFit, fit_gate
from biomarkers.seg.channels import MEMBRANE_UPPER

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

BATCH: Final = "*"  # stands for every slide in a gate table
STEP: Final = "step"  # var: the camera's step in the unit of the levels
NO_GATES: Final = "no_gate"  # uns: marker -> why no gate could be told
GATE_COLUMNS: Final = (
    "slide", "marker", "compartment", "method", "gate", "gate_2", "gate_3", "gate_low", "gate_high", "n_cells",
    "n_positive", "fraction", "fraction_low", "fraction_high", "snr", "flags",
)  # fmt: skip
_NEEDED: Final = ("slide", "marker", "compartment", "gate")
# lower edges of 2+ and 3+, in units of the gate's height above the negative cells
_BIN_STEPS: Final = (2.0, 4.0)
_TILES: Final = 5  # tiles along each side of an image, drawn again as wholes for a gate's range
_LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "nucleus": (keys.NUCLEUS_MEAN,),
    "cytoplasm": (keys.CYTOPLASM_MEAN,),
    "membrane": (MEMBRANE_UPPER, keys.MEMBRANE_MEAN),
}


def gate_values(cells: AnnData, *, marker: str, compartment: Compartment = "cell") -> np.ndarray:
    """Return the level of a marker in its compartment, (n,).

    Parameters
    ----------
    cells
        Measured or imported cells.
    marker
        Its name or an alias.
    compartment
        ``nucleus, cytoplasm, membrane, cell`` or ``membrane_or_cytoplasm`` (the higher of both). A cell without such
        pixels gives its mean over the whole cell.

    Raises
    ------
    DataError
        The cells have no such marker, or no level of it in this compartment (a table without such a column).
    """
    name = known_marker(cells, marker)
    there = refuse_absent(cells, marker=name, compartment=compartment)
    column = [str(one) for one in cells.var_names].index(name)
    whole = np.asarray(cells.X[:, column], dtype=float)
    wanted = _wanted(compartment)
    if compartment == "cell":
        return whole.copy()
    parts = [_layer_values(cells, column, one) for one in wanted if one in there or not cells.n_obs]
    value = np.fmax(*parts) if len(parts) == 2 else parts[0]
    return np.where(np.isfinite(value), value, whole)


def _wanted(compartment: Compartment) -> tuple[str, ...]:
    return ("membrane", "cytoplasm") if compartment == "membrane_or_cytoplasm" else (compartment,)


def refuse_absent(cells: AnnData, *, marker: str, compartment: Compartment) -> tuple[str, ...]:
    """Return the compartments that a marker was measured in, or say that the one that is wanted is not among them.

    Raises
    ------
    DataError
        The cells have no such marker, or no level of it in this compartment.
    """
    name = known_marker(cells, marker)
    there = compartments_there(cells, marker=name)
    if cells.n_obs and not set(_wanted(compartment)) & set(there):
        hint = f"Write compartment = {there[0]!r} in the panel." if there else "Its column holds no number."
        what = f"the cells have no {compartment.replace('_', ' ')} level of {name}"
        raise DataError(what, seen=compartment, allowed=there or "(none)", hint=hint)
    return there


def compartments_there(cells: AnnData, *, marker: str) -> tuple[str, ...]:
    """Compartments that a marker was measured in: those with a number for at least one cell."""
    column = [str(one) for one in cells.var_names].index(known_marker(cells, marker))
    layers = {part: next((one for one in names if one in cells.layers), None) for part, names in _LAYERS.items()}
    found = [part for part, layer in layers.items() if layer and _holds_numbers(cells.layers[layer], column)]
    return ("cell", *found) if _holds_numbers(cells.X, column) else tuple(found)


def _holds_numbers(levels: np.ndarray, column: int) -> bool:
    """Whether a column has a finite number, which mostly its first cells tell."""
    return any(np.isfinite(np.asarray(part[:, column], dtype=float)).any() for part in (levels[:1000], levels[1000:]))


def _layer_values(cells: AnnData, column: int, compartment: str) -> np.ndarray:
    layer = next((one for one in _LAYERS[compartment] if one in cells.layers), None)
    if layer is None:
        return np.full(cells.n_obs, np.nan)
    return np.asarray(cells.layers[layer][:, column], dtype=float)


def known_marker(cells: AnnData, marker: str) -> str:
    """Return the cells' own name of a marker that is named by an alias.

    Raises
    ------
    DataError
        The cells have no such marker.
    """
    names = [str(name) for name in cells.var_names]
    name = marker if marker in names else canonical_marker(marker)
    if name not in names:
        told = cells.uns.get("imported", {})
        empty = [one for one in told.get("empty", ()) if canonical_marker(one) == name or _in_words(marker, one)]
        if empty:
            raise DataError(f"the table's column of {marker} holds no number", where=told.get("file"), seen=empty)
        raise DataError("the cells have no such marker", seen=marker, allowed=names, hint=did_you_mean(marker, names))
    return name


def _in_words(marker: str, column: str) -> bool:
    """Whether a column's name holds a marker's as words of its own (``Cell: CD8 mean``)."""
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(marker)}(?![A-Za-z0-9])", column, re.IGNORECASE) is not None


def fit_gates(
    cells: AnnData | Mapping[str, AnnData],
    *,
    panel: Panel,
    per: str = "image",
    method: str = "valley",
    few_levels: Mapping[str, str] | None = None,
    rng: np.random.Generator | int = 0,
) -> pd.DataFrame:
    """Fit a gate for every marker of a panel.

    Parameters
    ----------
    cells
        Measured cells, of one slide or by slide name.
    panel
        Markers, and the compartment each is read in.
    per
        ``image``: each slide its own gates. ``batch``: one gate a marker from all cells together (needed where a slide
        may hold no positive, or only positive cells).
    method
        ``valley`` or ``mixture``; see :func:`~biomarkers.pheno.gate_fit.fit_gate`.
    few_levels
        Marker -> a flag to hand on (see :attr:`biomarkers.pp.fluorescence.Cleaned.warnings`).
    rng
        Generator or seed of the resampling behind the gates' uncertainty.

    Returns
    -------
    The gate table, ``GATE_COLUMNS``: ``gate`` (NaN where no two populations can be told) with the range ``gate_low``
    to ``gate_high`` of resampled cells and tiles, the share of positive cells at each, ``gate_2`` and ``gate_3`` (lower
    edges of 2+ and 3+: twice and four times the gate's height above the negative cells; change them in the table where
    your assay says otherwise), ``flags``.

    Raises
    ------
    UsageError
        ``per`` or ``method`` is unknown.
    DataError
        The cells lack a marker of the panel.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> rng = np.random.default_rng(0)
    >>> levels = np.where(np.arange(2000) < 400, rng.lognormal(7, 0.3, 2000), rng.normal(0, 20, 2000))
    >>> cells = ad.AnnData(
    ...     levels[:, None],
    ...     obs=pd.DataFrame(index=[str(i) for i in range(2000)]),
    ...     var=pd.DataFrame(index=["CD8"]),
    ... )
    >>> panel = bm.Panel(
    ...     name="p",
    ...     channels={
    ...         "DAPI": {"marker": "DAPI", "role": "nuclei"},
    ...         "CD8": {"marker": "CD8", "compartment": "cell"},
    ...     },
    ... )
    >>> gates = bm.fit_gates(cells, panel=panel)
    >>> gates["marker"].tolist(), bool(50 < gates["gate"][0] < 800)
    (['CD8'], True)
    """
    import pandas as pd

    if per not in ("image", "batch"):
        raise UsageError("gates are per image or per batch", seen=per, allowed=("image", "batch"))
    if method not in METHODS:
        raise UsageError("no such way to gate", seen=method, allowed=METHODS, hint=did_you_mean(method, METHODS))
    slides = dict(cells) if isinstance(cells, Mapping) else {BATCH: cells}
    groups = {BATCH: list(slides.values())} if per == "batch" else {name: [one] for name, one in slides.items()}
    generator = np.random.default_rng(rng)
    rows = []
    for slide, members in groups.items():
        used = [counted_by_gates(one) for one in members]
        tiles = _tiles(members, used)
        for marker, compartment in marker_compartments(panel).items():
            parts = [
                gate_values(one, marker=marker, compartment=compartment)[keep]
                for one, keep in zip(members, used, strict=True)
            ]
            values = np.concatenate(parts)
            step = max(camera_step(one, marker) for one in members)
            fit = fit_gate(values, method=method, tiles=tiles, step=step, rng=generator)
            extra = (few_levels or {}).get(marker, "")
            rows.append(_row(slide, marker, compartment, fit, values, extra))
    return pd.DataFrame(rows, columns=list(GATE_COLUMNS))


def camera_step(cells: AnnData, marker: str) -> float:
    """Give the camera's step of a marker, 0 where it is unknown."""
    if STEP not in cells.var:
        return 0.0
    return float(np.nan_to_num(cells.var[STEP].iloc[list(cells.var_names).index(known_marker(cells, marker))]))


def counted_by_gates(cells: AnnData) -> np.ndarray:
    """Which cells are not left out by annotations, (n,): gates are set on those that are counted."""
    if "excluded" not in cells.obs:
        return np.ones(cells.n_obs, dtype=bool)
    return ~cells.obs["excluded"].to_numpy(dtype=bool)


def _tiles(members: Sequence[AnnData], used: Sequence[np.ndarray]) -> np.ndarray | None:
    """Give the tiles of cells, 5 x 5 an image; None for cells without places."""
    parts = []
    for number, (cells, keep) in enumerate(zip(members, used, strict=True)):
        if keys.SPATIAL not in cells.obsm:
            return None
        place = np.asarray(cells.obsm[keys.SPATIAL], dtype=float)[keep]
        if len(place):
            low, wide = place.min(axis=0), np.maximum(np.ptp(place, axis=0), 1e-9)
            at = np.minimum((_TILES * (place - low) / wide).astype(np.int64), _TILES - 1)
            parts.append(number * _TILES**2 + at[:, 0] * _TILES + at[:, 1])
    return np.concatenate(parts) if parts else None


def marker_compartments(panel: Panel) -> dict[str, Compartment]:
    """Markers of a panel that are gated, with the compartment each is read in."""
    return {one.marker: one.compartment for one in panel.channels.values() if one.role == "marker"}


def apply_gates(cells: AnnData, gates: pd.DataFrame, *, slide: str | None = None) -> AnnData:
    """Call every marker of a gate table.

    Parameters
    ----------
    cells
        Measured or imported cells of one slide.
    gates
        A gate table; a row of this slide wins over one of the batch (``*``).
    slide
        The slide's name; None takes the batch's rows, or those of the only slide.

    Returns
    -------
    A copy with ``<marker>_positive`` (bool) and ``<marker>_bin`` (0-3) in ``obs``, and ``uns["gates"]``. A marker
    without a gate has no positive cell there, and stands with the reason in ``uns["no_gate"]``: scores that hang on it
    are not evaluable.

    Raises
    ------
    DataError
        No row fits this slide, or the cells lack a marker.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> rng = np.random.default_rng(0)
    >>> levels = np.where(np.arange(2000) < 400, rng.lognormal(7, 0.3, 2000), rng.normal(0, 20, 2000))
    >>> cells = ad.AnnData(
    ...     levels[:, None],
    ...     obs=pd.DataFrame(index=[str(i) for i in range(2000)]),
    ...     var=pd.DataFrame(index=["CD8"]),
    ... )
    >>> panel = bm.Panel(
    ...     name="p",
    ...     channels={
    ...         "DAPI": {"marker": "DAPI", "role": "nuclei"},
    ...         "CD8": {"marker": "CD8", "compartment": "cell"},
    ...     },
    ... )
    >>> gates = bm.fit_gates(cells, panel=panel)
    >>> int(bm.apply_gates(cells, gates).obs["CD8_positive"].sum())
    400
    """
    chosen = gates_of_slide(gates, slide)
    chosen["marker"] = [known_marker(cells, str(marker)) for marker in chosen["marker"]]
    if chosen["marker"].duplicated().any():
        seen = chosen.loc[chosen["marker"].duplicated(), "marker"].tolist()
        raise DataError("one marker of a slide has two gates, under two names", where="gate table", seen=seen)
    called = with_own_obs(cells)
    for row in chosen.to_dict("records"):
        values = gate_values(cells, marker=row["marker"], compartment=row["compartment"])
        edges = [row["gate"], row.get("gate_2", np.nan), row.get("gate_3", np.nan)]
        bins = np.zeros(cells.n_obs, dtype=np.int64)
        for edge in edges:
            if np.isfinite(edge):
                bins += np.isfinite(values) & (values >= edge)  # neither a missing nor an infinite level is stained
        called.obs[keys.positive_column(row["marker"])] = bins > 0
        called.obs[keys.bin_column(row["marker"])] = bins
    called.uns[NO_GATES] = {
        str(row["marker"]): str(row.get("flags") or "the gate table leaves it empty")
        for row in chosen.to_dict("records")
        if not np.isfinite(row["gate"])
    }
    called.uns["gates"] = chosen.reset_index(drop=True).astype({"flags": str} if "flags" in chosen else {})
    return called


def with_own_obs(cells: AnnData) -> AnnData:
    """Copy cells but for their levels, which no call changes and which may be large."""
    import anndata as ad

    found = ad.AnnData(cells.X, obs=cells.obs.copy(), var=cells.var.copy(), uns=dict(cells.uns))
    for name, layer in cells.layers.items():
        if name is not None:  # anndata 0.13 lists X as None
            found.layers[name] = layer
    for name, places in cells.obsm.items():
        found.obsm[name] = places
    return found


def write_gates(gates: pd.DataFrame, path: str | Path) -> None:
    """Write a gate table as CSV, to be looked at, changed, and read back by :func:`read_gates`.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> rng = np.random.default_rng(0)
    >>> levels = np.where(np.arange(2000) < 400, rng.lognormal(7, 0.3, 2000), rng.normal(0, 20, 2000))
    >>> cells = ad.AnnData(
    ...     levels[:, None],
    ...     obs=pd.DataFrame(index=[str(i) for i in range(2000)]),
    ...     var=pd.DataFrame(index=["CD8"]),
    ... )
    >>> panel = bm.Panel(
    ...     name="p",
    ...     channels={
    ...         "DAPI": {"marker": "DAPI", "role": "nuclei"},
    ...         "CD8": {"marker": "CD8", "compartment": "cell"},
    ...     },
    ... )
    >>> gates = bm.fit_gates(cells, panel=panel)
    >>> bm.write_gates(gates, "gates.csv")
    >>> len(bm.read_gates("gates.csv"))
    1
    """
    from biomarkers.core.files import write_csv

    write_csv(gates, Path(path))


def read_gates(path: str | Path) -> pd.DataFrame:
    """Read a gate table; ``slide, marker, compartment, gate`` are enough, and ``*`` stands for every slide.

    An empty gate says that no gate could be told: what hangs on the marker is not evaluable.

    Raises
    ------
    UsageError
        There is no such file.
    DataError
        A column is missing, a gate is no number, edges do not rise, or a marker of a slide is there twice.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> rng = np.random.default_rng(0)
    >>> levels = np.where(np.arange(2000) < 400, rng.lognormal(7, 0.3, 2000), rng.normal(0, 20, 2000))
    >>> cells = ad.AnnData(
    ...     levels[:, None],
    ...     obs=pd.DataFrame(index=[str(i) for i in range(2000)]),
    ...     var=pd.DataFrame(index=["CD8"]),
    ... )
    >>> panel = bm.Panel(
    ...     name="p",
    ...     channels={
    ...         "DAPI": {"marker": "DAPI", "role": "nuclei"},
    ...         "CD8": {"marker": "CD8", "compartment": "cell"},
    ...     },
    ... )
    >>> gates = bm.fit_gates(cells, panel=panel)
    >>> bm.write_gates(gates, "gates.csv")
    >>> len(bm.read_gates("gates.csv"))
    1
    """
    import pandas as pd

    where = Path(path)
    if not where.is_file():
        raise UsageError("no such file", where=where)
    try:
        table = pd.read_csv(where, dtype={"slide": str, "marker": str, "compartment": str, "flags": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"cannot be read as a table ({error})", where=where) from error
    return checked_gates(table, where=str(where))


def checked_gates(table: pd.DataFrame, *, where: str = "gate table") -> pd.DataFrame:
    """Return a usable gate table, or say in which row it is not."""
    import pandas as pd

    for column in _NEEDED:
        if column not in table.columns:
            raise DataError(f"the gate table has no column {column!r}", where=where, seen=list(table.columns))
    found = table.copy()
    for column in ("gate", "gate_2", "gate_3"):
        if column in found:
            found[column] = pd.to_numeric(found[column], errors="coerce")
    for number, row in enumerate(found.to_dict("records"), start=2):
        place = f"{where}, row {number} ({row['marker']})"
        written = table["gate"].iloc[number - 2]
        if not np.isfinite(row["gate"]) and not pd.isna(written):
            raise DataError("a gate is no number", where=place, seen=written, hint="Leave it empty for no gate.")
        edges = [row[name] for name in ("gate", "gate_2", "gate_3") if name in row and np.isfinite(row[name])]
        if edges != sorted(set(edges)):
            raise DataError("gates must rise from 1+ to 3+", where=place, seen=edges)
        if row["compartment"] not in (*_LAYERS, "cell", "membrane_or_cytoplasm"):
            raise DataError("no such compartment", where=place, seen=row["compartment"], allowed=(*_LAYERS, "cell"))
    twice = found.duplicated(["slide", "marker"])
    if twice.any():
        first = int(np.flatnonzero(twice)[0])
        seen = found["marker"].iloc[first]
        raise DataError("one marker of a slide has two gates", where=f"{where}, row {first + 2}", seen=seen)
    return found


def gates_of_slide(gates: pd.DataFrame, slide: str | None) -> pd.DataFrame:
    """Choose the rows of a gate table that hold for a slide: its own, and for other markers the batch's (``*``).

    Raises
    ------
    DataError
        The table is not usable, or no row fits this slide.
    """
    gates = checked_gates(gates)
    named = [str(name) for name in gates["slide"].unique()]
    if slide is None and BATCH not in named and len(named) == 1:
        slide = named[0]
    own = gates[gates["slide"] == slide]
    shared = gates[(gates["slide"] == BATCH) & ~gates["marker"].isin(own["marker"])]
    import pandas as pd

    chosen = pd.concat([own, shared])
    if chosen.empty:
        raise DataError("the gate table has no row for this slide", seen=slide, allowed=named)
    return chosen


def _row(
    slide: str, marker: str, compartment: Compartment, fit: GateFit, values: np.ndarray, extra: str
) -> dict[str, object]:
    known = values[np.isfinite(values)]
    height = max(fit.gate - fit.negative, 1e-12) if np.isfinite(fit.gate) else np.nan

    def share(edge: float) -> float:
        return float((known >= edge).mean()) if len(known) and np.isfinite(edge) else np.nan

    return {
        "slide": slide, "marker": marker, "compartment": compartment, "method": fit.method, "gate": fit.gate,
        "gate_2": fit.negative + _BIN_STEPS[0] * height, "gate_3": fit.negative + _BIN_STEPS[1] * height,
        "gate_low": fit.low, "gate_high": fit.high, "n_cells": len(known),
        "n_positive": int((known >= fit.gate).sum()) if np.isfinite(fit.gate) else None, "fraction": share(fit.gate),
        "fraction_low": share(fit.high), "fraction_high": share(fit.low), "snr": fit.snr,
        "flags": "; ".join([*([extra] if extra else []), *fit.flags]),
    }  # fmt: skip


def low_signal(gates: pd.DataFrame) -> Sequence[str]:
    """Markers whose gates are flagged ``low signal``, or that have none."""
    flagged = gates["flags"].astype(str).str.contains("low signal")
    return list(dict.fromkeys(gates.loc[flagged, "marker"].astype(str)))
