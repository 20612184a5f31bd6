"""Scores of a multiplex panel: phenotyped cells and areas -> tidy rows, and components that are present or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers import keys
from biomarkers.cells.phenotype import positive_cells, select_cells
from biomarkers.config import Assay, Thresholds
from biomarkers.panel import Panel, PanelScore
from biomarkers.rules import is_rule_of_calls
from biomarkers.score import formulas
from biomarkers.score.compute import score_frame
from biomarkers.score.counts import combined_interval
from biomarkers.score.intervals import poisson, wilson

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from biomarkers.score.regions import Regions

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
    regions: Regions | None = None,
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
    the counting interval give the same call.

    Raises
    ------
    UsageError
        A rule of the panel names what the cells do not have.
    """
    import pandas as pd

    usable = np.ones(cells.n_obs, dtype=bool)
    if "excluded" in cells.obs:
        usable = ~cells.obs["excluded"].to_numpy(dtype=bool)
    stated = dict(tissue_mm2) if isinstance(tissue_mm2, Mapping) else {"all": tissue_mm2}
    rows, calls = [], []
    for score in panel_scores(panel):
        counted = _selected(cells, score)
        for region in score.regions:
            where = _where(cells, regions, region)
            if where is None:
                continue
            area = stated.get(region) if regions is None else regions.area_mm2(region)
            row = _row(score, counted, where & usable, area, slide=slide, region=region)
            rows.append(row)
            if score.cutoff is not None:
                calls.append(_call(score, row))
    return score_frame(rows), pd.DataFrame(calls, columns=list(COMPONENT_COLUMNS))


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
    (0.209, 1.118)
    """
    from scipy.special import betaincinv

    low = 0.0 if first == 0 else float(betaincinv(first, second + 1, _TAIL))
    high = 1.0 if second == 0 else float(betaincinv(first + 1, second, 1 - _TAIL))
    return low / (1 - low) if low < 1 else math.inf, high / (1 - high) if high < 1 else math.inf


def _selected(cells: AnnData, score: PanelScore) -> dict[str, Any]:
    """Masks and bins a score counts, over all cells."""
    found: dict[str, Any] = {}
    if score.cells:
        found["cells"] = _rule(cells, score.cells)
    if score.of:
        found["of"] = _rule(cells, score.of)
    if score.marker:
        found["positive"] = positive_cells(cells, score.marker)
        name = keys.bin_column(score.marker)
        found["bins"] = cells.obs[name].to_numpy() if name in cells.obs else None
    return found


def _rule(cells: AnnData, rule: str) -> np.ndarray:
    """Select cells; the name of one of the panel's phenotypes needs no quotes, however many words it has."""
    name = rule.strip()
    named = name in cells.uns.get("phenotypes", {}).get("rules", {}) and not is_rule_of_calls(name)
    return select_cells(cells, f'"{name}"' if named else rule)


def _where(cells: AnnData, regions: Regions | None, region: str) -> np.ndarray | None:
    if regions is not None:
        return regions.members(cells, region) if region in regions.masks else None
    if region == "all":
        return np.ones(cells.n_obs, dtype=bool)
    named = cells.obs[keys.REGION].astype(str).str.casefold() if keys.REGION in cells.obs else None
    if named is None or not (named == region).any():
        return None
    return (named == region).to_numpy()


def _row(
    score: PanelScore, found: Mapping[str, Any], where: np.ndarray, area: float | None, *, slide: str, region: str
) -> dict[str, Any]:
    numerator, denominator, value, interval, problem = _counted(score, found, where, area)
    blank = (math.nan, math.nan)
    return {
        "slide": slide, "region": region, "marker": score.name, "score": _SCORE_OF[score.kind],
        "value": math.nan if problem else value, "unit": _UNIT_OF[score.kind],
        "ci_low": (blank if problem else interval)[0], "ci_high": (blank if problem else interval)[1],
        "numerator": numerator, "denominator": math.nan if denominator is None else denominator,
        "status": keys.NOT_EVALUABLE if problem else keys.OK, "reason": problem,
    }  # fmt: skip


def _counted(
    score: PanelScore, found: Mapping[str, Any], where: np.ndarray, area: float | None
) -> tuple[float, float | None, float, tuple[float, float], str]:
    """Numerator, denominator, value, interval and what is in the way."""
    nothing = (math.nan, math.nan)
    if score.kind == "density":
        n = int((found["cells"] & where).sum())
        if not area:
            return n, area, math.nan, nothing, "no tissue area"
        low, high = poisson(n)
        return n, area, n / area, (low / area, high / area), ""
    base = found["of"] & where
    n_of = int(base.sum())
    if score.kind == "ratio":
        n = int((found["cells"] & where).sum())
        if n_of == 0:
            return n, 0, math.nan, nothing, f"no {_bare(score.of)} cells to divide by ({n} {_bare(score.cells)} cells)"
        return n, n_of, n / n_of, ratio_interval(n, n_of), ""
    least = max(1, score.min_cells)
    problem = "" if n_of >= least else f"{n_of} {_bare(score.of)} cells, at least {least} needed"
    if score.kind == "h_score":
        if found["bins"] is None:
            return math.nan, n_of, math.nan, nothing, "no intensity bins"
        weighted = int(np.asarray(found["bins"])[base].sum())
        return weighted, n_of, 100 * weighted / max(n_of, 1), formulas.h_score_interval(weighted, max(n_of, 1)), problem
    if score.kind == "cps":
        tumor = int((base & found["positive"]).sum())
        immune = int((found["cells"] & where & ~base & found["positive"]).sum())
        interval = combined_interval(tumor, immune, n_of, cap=100.0) if n_of else nothing
        return tumor + immune, n_of, min(100.0, 100 * (tumor + immune) / max(n_of, 1)), interval, problem
    both = base & (found["positive"] if score.kind == "tps" else found["cells"])
    n, unit = int(both.sum()), 100 if score.kind == "tps" else 1
    low, high = wilson(n, n_of) if n_of else nothing
    return n, n_of, unit * n / max(n_of, 1), (unit * low, unit * high), problem


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
