"""Scores of a multiplex panel: phenotyped cells and areas -> tidy rows, and components that are present or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, Thresholds
from biomarkers.core.panel import Panel, PanelScore
from biomarkers.core.rules import is_rule_of_calls
from biomarkers.core.words import plural
from biomarkers.pheno.gates import NO_GATES
from biomarkers.pheno.phenotype import positive_cells, select_cells
from biomarkers.score import formulas
from biomarkers.score.compute import score_frame
from biomarkers.score.counts import combined_interval
from biomarkers.score.gate_moves import GateMove, call_moves, gate_moves, widened
from biomarkers.score.intervals import poisson, wilson
from biomarkers.score.reach import within_reach_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from biomarkers.score.regions import TissueRegions

POSITIVE, NEGATIVE, UNKNOWN = "positive", "negative", "not evaluable"
COMPONENT_COLUMNS: Final = (
    "slide", "region", "component", "score", "value", "ci_low", "ci_high", "cutoff", "sign", "call",
    "certain", "reason",
)  # fmt: skip
_SCORE_OF: Final[Mapping[str, str]] = {
    "density": "density_per_mm2", "fraction": "positive_fraction", "ratio": "ratio", "tps": "tps", "cps": "cps",
    "h_score": "h_score",
}  # fmt: skip
_UNIT_OF: Final[Mapping[str, str]] = {
    "density": "cells/mm2", "fraction": "fraction", "ratio": "ratio", "tps": "%", "cps": "score", "h_score": "score",
}  # fmt: skip
_TAIL = 0.025
_PARTS: Final = ("tumor", "stroma", "margin")


def panel_scores(panel: Panel) -> tuple[PanelScore, ...]:
    """Scores that a panel asks for; densities of its phenotypes and markers when it asks for none."""
    if panel.scores:
        return panel.scores
    found = [PanelScore(name=name, kind="density", cells=f'"{name}"') for name in panel.phenotypes]
    markers = [one.marker for one in panel.channels.values() if one.role == "marker"]
    return (*found, *(PanelScore(name=f"{marker}+", kind="density", cells=f'"{marker}"+') for marker in markers))


def score_multiplex_cells(
    cells: AnnData,
    *,
    panel: Panel,
    slide: str,
    regions: TissueRegions | None = None,
    tissue_mm2: float | Mapping[str, float] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score phenotyped cells of one slide.

    Parameters
    ----------
    cells
        Cells with ``<marker>_positive``, ``<marker>_bin`` and ``phenotype``; those with ``excluded`` true are left out.
    panel
        What is scored.
    slide
        The slide's name, for the rows.
    regions
        Where tissue, tumour, stroma and margin lie. Without them, cells are counted as a whole, and by their
        ``region`` column where that names tumour or stroma.
    tissue_mm2
        Area behind the cells where ``regions`` are unknown (imported tables), of the whole image or by region.

    Returns
    -------
    Score rows (``keys.SCORE_COLUMNS``; ``marker`` is the score's name in the panel), and one row a region of each
    component that has a cut-off: ``call`` is positive, negative or not evaluable, ``certain`` says whether both ends of
    the interval give the same call. Intervals hold the error of counting and that of the gates a score hangs on; a
    score that hangs on a marker without a gate is not evaluable.

    Raises
    ------
    UsageError
        A rule of the panel names what the cells do not have.
    """
    import pandas as pd

    usable = counted_cells(cells)
    stated = dict(tissue_mm2) if isinstance(tissue_mm2, Mapping) else {"all": tissue_mm2}
    moves = list(gate_moves(cells, panel=panel))
    rows, calls = [], []
    places = {name: _where(cells, regions, name) for name in ("all", *_PARTS)}
    for score in panel_scores(panel):
        masks = _selected(cells, score, usable)
        hung = _hung(score, masks, moves)
        for region in score.regions:
            where = places[region]
            if where is None:
                if regions is not None and keys.TUMOR in panel.classes:
                    rows.append(_absent(cells, score, panel, regions, slide=slide, region=region))
                    calls += [_call(score, rows[-1])] if score.cutoff is not None else []
                continue
            area = stated.get(region) if regions is None else regions.area_mm2(region)
            row = _row(score, masks, where & usable, area, slide=slide, region=region)
            error = 0.0 if regions is None else regions.area_error
            row = _with_gates(row, score, masks, hung, where & usable, area, area_error=error)
            rows.append(row)
            if score.cutoff is not None:
                calls.append(_call(score, row))
    return score_frame(rows), pd.DataFrame(calls, columns=list(COMPONENT_COLUMNS))


def _absent(
    cells: AnnData, score: PanelScore, panel: Panel, regions: TissueRegions, *, slide: str, region: str
) -> dict[str, Any]:
    """Make the row of a region that an image does not have, with the reason."""
    hung = [marker for marker in cells.uns.get(NO_GATES, {}) if marker in panel.classes["tumor"]]
    why = f"no gate of {', '.join(hung)} could be told" if hung else regions.source
    return {
        "slide": slide, "region": region, "marker": score.name, "score": _SCORE_OF[score.kind],
        "value": math.nan, "unit": _UNIT_OF[score.kind], "ci_low": math.nan, "ci_high": math.nan,
        "numerator": math.nan, "denominator": math.nan, "status": keys.NOT_EVALUABLE,
        "reason": f"no {region} region: {why}",
    }  # fmt: skip


def counted_cells(cells: AnnData) -> np.ndarray:
    """Which cells are in counts, fractions, distances and functions, (n,): all but those that annotations leave out."""
    if "excluded" not in cells.obs:
        return np.ones(cells.n_obs, dtype=bool)
    return ~cells.obs["excluded"].to_numpy(dtype=bool)


def slide_status(scores: pd.DataFrame, notes: Sequence[str]) -> str:
    """Say how a slide fared: not evaluable where none of its scores is."""
    if len(scores) and not (scores["status"] == keys.OK).any():
        return keys.NOT_EVALUABLE
    return keys.OK_WITH_WARNINGS if notes else keys.OK


def positive_counts(cells: AnnData, marker: str) -> tuple[int | None, float | None, float | None]:
    """Count the positive cells of a marker, and give its share at both ends of the gate's range.

    Returns
    -------
    The number, and the 95% interval of the share: counting and gate together. None where the cells were not called.
    """
    column, usable = keys.positive_column(marker), counted_cells(cells)
    n = int(usable.sum())
    if column not in cells.obs or marker in cells.uns.get(NO_GATES, {}) or not n:
        return (0 if not n else None), None, None
    called = cells.obs[column].to_numpy(dtype=bool)
    positive = int((called & usable).sum())
    ends = []
    for members, flipped in call_moves(cells, marker):
        ends.append(
            int((called & usable).sum() + (flipped & usable[members]).sum() - (called & usable)[members].sum()) / n
        )
    low, high = widened(positive / n, wilson(positive, n), {marker: ends}, most=1.0)
    return positive, low, high


def panel_assay(panel: Panel) -> Assay:
    """Describe a panel as the assay that slide results carry; its cuts stand in the gate table."""
    shown = next((one for one in panel.channels.values() if one.role == "marker"), None)
    return Assay(
        name=panel.name,
        title=f"Multiplex panel {panel.name}",
        marker=shown.marker if shown else panel.nuclei,
        kind="fluorescence",
        compartment=shown.compartment if shown else "nucleus",
        thresholds=Thresholds(dab_od=(0.1, 0.2, 0.3), source="not used: fluorescence is called by the gate table"),
        scores=tuple(dict.fromkeys(_SCORE_OF[score.kind] for score in panel_scores(panel))),
        reference="the panel file",
        note=panel.note,
    )


def ratio_interval(first: float, second: float) -> tuple[float, float]:
    """Give the exact 95% interval of the ratio of two Poisson means, from their counts.

    Given the sum, the first count is binomial with the share ratio / (1 + ratio); Clopper and Pearson's limits of that
    share give those of the ratio. No second count leaves it open above (inf).

    Examples
    --------
    >>> low, high = ratio_interval(10, 20)
    >>> round(low, 3), round(high, 3)
    (0.209, 1.119)
    """
    from scipy.special import betaincinv

    low = 0.0 if first == 0 else float(betaincinv(first, second + 1, _TAIL))
    high = 1.0 if second == 0 else float(betaincinv(first + 1, second, 1 - _TAIL))
    return low / (1 - low) if low < 1 else math.inf, high / (1 - high) if high < 1 else math.inf


def _selected(cells: AnnData, score: PanelScore, usable: np.ndarray | None = None) -> dict[str, Any]:
    """Masks and bins a score counts, over all cells; who is near tumour only where ``usable`` says who counts."""
    found: dict[str, Any] = {}
    if score.cells:
        found["cells"] = _rule(cells, score.cells)
    if score.of:
        found["of"] = _rule(cells, score.of)
    if score.marker:
        found["positive"] = positive_cells(cells, score.marker)
        name = keys.bin_column(score.marker)
        found["bins"] = cells.obs[name].to_numpy() if name in cells.obs else None
    if score.kind == "cps" and usable is not None and keys.X_UM in cells.obs:
        place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float)
        found["near"] = within_reach_of(place, found["of"] & usable, reach_um=score.reach_um)
    return found


def _hung(
    score: PanelScore, masks: Mapping[str, Any], moves: Sequence[GateMove]
) -> list[tuple[GateMove, dict[str, Any]]]:
    """List the moves of gates that change what a score counts, each with the masks that it leads to."""
    hung = []
    for move in moves:
        other = _selected(move.cells, score)
        changed = {}
        for name, values in other.items():
            if values is not None and (values != masks[name][move.members]).any():
                changed[name] = masks[name].copy()
                changed[name][move.members] = values
        if changed:
            hung.append((move, {**masks, **changed}))
    return hung


def _with_gates(
    row: dict[str, Any],
    score: PanelScore,
    masks: Mapping[str, Any],
    hung: Sequence[tuple[GateMove, dict[str, Any]]],
    where: np.ndarray,
    area: float | None,
    *,
    area_error: float = 0.0,
) -> dict[str, Any]:
    """Widen a row's interval by its gates' ranges and its area's, or say that a gate it hangs on could not be told."""
    here = _counted(score, masks, where, area)
    moved: dict[str, list[float]] = {}
    for move, other in hung:
        there = _counted(score, other, where, area)
        if there.numerator == here.numerator and there.denominator == here.denominator:
            continue
        if move.problem:
            reason = f"no gate of {move.marker} could be told ({move.problem})"
            blank = {"value": math.nan, "ci_low": math.nan, "ci_high": math.nan, "numerator": math.nan}
            return {**row, **blank, "status": keys.NOT_EVALUABLE, "reason": reason}
        moved.setdefault(move.marker, []).append(there.value)
    if score.kind == "density" and area_error:
        moved["area"] = [here.value / (1 + 1.96 * area_error), here.value / max(1 - 1.96 * area_error, 0.1)]
    if not moved or row["status"] != keys.OK:
        return row
    most = {"fraction": 1.0, "tps": 100.0, "cps": 100.0, "h_score": 300.0}.get(score.kind, math.inf)
    low, high = widened(row["value"], (row["ci_low"], row["ci_high"]), moved, most=most)
    return {**row, "ci_low": low, "ci_high": high}


def _rule(cells: AnnData, rule: str) -> np.ndarray:
    """Select cells; the name of one of the panel's phenotypes needs no quotes, however many words it has."""
    name = rule.strip()
    named = name in cells.uns.get("phenotypes", {}).get("rules", {}) and not is_rule_of_calls(name)
    return select_cells(cells, f'"{name}"' if named else rule)


def _where(cells: AnnData, regions: TissueRegions | None, region: str) -> np.ndarray | None:
    if regions is not None:
        return regions.members(cells, region) if region in regions.masks else None
    if region == "all":
        return np.ones(cells.n_obs, dtype=bool)
    import pandas as pd

    if keys.REGION not in cells.obs:
        return None
    told = pd.Categorical(cells.obs[keys.REGION].astype("category"))
    codes = [code for code, name in enumerate(told.categories) if str(name).casefold() == region]
    inside = np.isin(told.codes, codes)
    return inside if inside.any() else None


def _row(
    score: PanelScore, found: Mapping[str, Any], where: np.ndarray, area: float | None, *, slide: str, region: str
) -> dict[str, Any]:
    count = _counted(score, found, where, area)
    low, high = (math.nan, math.nan) if count.problem else count.interval
    return {
        "slide": slide, "region": region, "marker": score.name, "score": _SCORE_OF[score.kind],
        "value": math.nan if count.problem else count.value, "unit": _UNIT_OF[score.kind],
        "ci_low": low, "ci_high": high, "numerator": count.numerator,
        "denominator": math.nan if count.denominator is None else count.denominator,
        "status": keys.NOT_EVALUABLE if count.problem else keys.OK, "reason": count.problem or count.note,
    }  # fmt: skip


@dataclass(frozen=True)
class _Count:
    """Numerator, denominator, value, interval of counting, and what is in the way or to be known."""

    numerator: float
    denominator: float | None
    value: float
    interval: tuple[float, float]
    problem: str = ""
    note: str = ""


def _counted(score: PanelScore, found: Mapping[str, Any], where: np.ndarray, area: float | None) -> _Count:
    nothing = (math.nan, math.nan)
    if score.kind == "density":
        n = int((found["cells"] & where).sum())
        if not area:
            return _Count(n, area, math.nan, nothing, "no tissue area")
        low, high = poisson(n)
        return _Count(n, area, n / area, (low / area, high / area))
    base = found["of"] & where
    n_of = int(base.sum())
    if score.kind == "ratio":
        n = int((found["cells"] & where).sum())
        if n_of == 0:
            problem = f"no {_bare(score.of)} cells to divide by ({n} {_bare(score.cells)} cells)"
            return _Count(n, 0, math.nan, nothing, problem)
        return _Count(n, n_of, n / n_of, ratio_interval(n, n_of))
    least = max(1, score.min_cells)
    problem = "" if n_of >= least else f"{n_of} {_bare(score.of)} cells, at least {least} needed"
    if score.kind == "h_score":
        if found["bins"] is None:
            return _Count(math.nan, n_of, math.nan, nothing, "no intensity bins")
        weighted = int(np.asarray(found["bins"])[base].sum())
        interval = formulas.h_score_interval(weighted, max(n_of, 1))
        return _Count(weighted, n_of, 100 * weighted / max(n_of, 1), interval, problem)
    if score.kind == "cps":
        return _combined(score, found, where, base, problem)
    both = base & (found["positive"] if score.kind == "tps" else found["cells"])
    n, unit = int(both.sum()), 100 if score.kind == "tps" else 1
    low, high = wilson(n, n_of) if n_of else nothing
    return _Count(n, n_of, unit * n / max(n_of, 1), (unit * low, unit * high), problem)


def _combined(score: PanelScore, found: Mapping[str, Any], where: np.ndarray, base: np.ndarray, problem: str) -> _Count:
    """Count a CPS: stained tumour cells, and stained immune cells within reach of tumour."""
    n_of = int(base.sum())
    tumor = int((base & found["positive"]).sum())
    immune = found["cells"] & where & ~base & found["positive"]
    near = found.get("near", np.ones(len(immune), dtype=bool))
    far, n = int((immune & ~near).sum()), int((immune & near).sum())
    interval = combined_interval(tumor, n, n_of, cap=100.0) if n_of else (math.nan, math.nan)
    note = (
        f"{plural(far, 'stained immune cell')} farther than {score.reach_um:g} um from tumor not counted" if far else ""
    )
    return _Count(tumor + n, n_of, min(100.0, 100 * (tumor + n) / max(n_of, 1)), interval, problem, note)


def _bare(rule: str) -> str:
    return rule.strip().strip('"')


def _call(score: PanelScore, row: Mapping[str, Any]) -> dict[str, Any]:
    """Say whether a component is present, and whether counting error alone could turn it."""
    cutoff = float(score.cutoff or 0.0)
    shown = {name: row[name] for name in ("slide", "region", "score", "value", "ci_low", "ci_high", "reason")}
    base = {**shown, "component": score.name, "cutoff": cutoff, "sign": score.sign}
    if row["status"] != keys.OK:
        return {**base, "call": UNKNOWN, "certain": False}

    def present(level: float) -> bool:
        return level >= cutoff if score.sign == ">=" else level < cutoff

    certain = present(row["ci_low"]) == present(row["ci_high"])
    reason = "" if certain else f"the interval {row['ci_low']:.3g} to {row['ci_high']:.3g} holds the cut-off"
    return {**base, "call": POSITIVE if present(row["value"]) else NEGATIVE, "certain": certain, "reason": reason}
