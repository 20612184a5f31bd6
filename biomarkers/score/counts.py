"""How each score is counted: a numerator and a denominator from a tally, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from biomarkers.core.words import plural
from biomarkers.score import formulas
from biomarkers.score.intervals import poisson, sum_interval, weighted_poisson, wilson
from biomarkers.score.tally import Tally

Interval = tuple[float, float]


@dataclass(frozen=True)
class Count:
    """A score's numerator and denominator, or why there is none; ``note`` stands beside an evaluable value.

    ``value`` is that of a rule on several counts, whose numerator and denominator are those of its leading part.
    """

    numerator: float | None
    denominator: float | None
    problem: str = ""
    note: str = ""
    interval: Interval | None = None
    value: float | None = None


def _least(counts: Tally, name: str) -> int:
    return counts.assay.min_cells.get(name, 0)


def _tumor_problem(counts: Tally, name: str) -> str:
    if counts.n_cells == 0:
        return "no cells"
    if counts.n_classified == 0:
        return "cell classes unknown: give annotations or a classifier, or assume tumor"
    if counts.n_tumor == 0:
        return "no tumor cells"
    if counts.n_tumor < _least(counts, name):
        return f"{plural(counts.n_tumor, 'tumor cell')}, at least {_least(counts, name)} needed"
    return ""


def _immune_problem(counts: Tally) -> str:
    return "" if counts.immune_known else "immune cells not told apart: a classifier or annotated immune cells needed"


def tumor_share(name: str) -> Callable[[Tally], Count]:
    """Count stained tumor cells among all tumor cells."""

    def count(counts: Tally) -> Count:
        unknown = counts.n_classified == 0
        numerator, denominator = (None, None) if unknown else (counts.tumor_positive, counts.n_tumor)
        return Count(numerator, denominator, problem=_tumor_problem(counts, name))

    return count


def cps(name: str, *, cap: float | None) -> Callable[[Tally], Count]:
    """Count stained tumor and immune cells per tumor cell, with the interval of their sum."""

    def count(counts: Tally) -> Count:
        problem = _tumor_problem(counts, name) or _immune_problem(counts)
        if counts.n_classified == 0 or not counts.immune_known:
            return Count(None, None, problem=problem)
        both = counts.tumor_positive + counts.immune_positive
        if problem:
            return Count(both, counts.n_tumor, problem=problem)
        interval = combined_interval(counts.tumor_positive, counts.immune_positive, counts.n_tumor, cap=cap)
        note = ""
        if counts.immune_out_of_reach:
            far = plural(counts.immune_out_of_reach, "stained immune cell")
            note = f"{far} farther than {counts.assay.immune_reach_um:g} um from tumor not counted"
        return Count(both, counts.n_tumor, note=note, interval=interval)

    return count


def combined_interval(tumor_positive: float, immune_positive: float, n_tumor: float, *, cap: float | None) -> Interval:
    """Interval of the CPS: Wilson for the tumour cells' share, Poisson for immune cells per tumour cell, summed."""
    share = wilson(tumor_positive, n_tumor)
    immune = poisson(immune_positive)
    low, high = sum_interval(
        (tumor_positive / n_tumor, *share),
        (immune_positive / n_tumor, immune[0] / n_tumor, immune[1] / n_tumor),
    )
    low, high = 100 * max(0.0, low), 100 * high
    return (low, high) if cap is None else (min(cap, low), min(cap, high))


def immune_area(counts: Tally) -> Count:
    """Count the area of stained immune cells in that of the tumor."""
    problem = "no cells" if counts.n_cells == 0 else ""
    if not problem and counts.n_classified == 0:
        problem = "cell classes unknown: give annotations or a classifier"
    problem = problem or _immune_problem(counts)
    if problem:
        return Count(None, None, problem=problem)
    area_mm2 = counts.immune_area_um2 / 1e6
    if not counts.tumor_mm2:
        return Count(area_mm2, None, problem="no tumor area")
    unit = counts.tumor_mm2 * 1e6
    low, high = weighted_poisson(counts.immune_area_um2, counts.immune_area_squares, counts.immune_area_largest)
    return Count(area_mm2, counts.tumor_mm2, interval=(100 * low / unit, min(100.0, 100 * high / unit)))


def in_tumor(part: Callable[[Tally], float]) -> Callable[[Tally], Count]:
    """Area of some cells as a share of the tumour area."""

    def count(counts: Tally) -> Count:
        told = immune_area(counts)
        if told.numerator is None:
            return told
        return Count(part(counts) / 1e6, told.denominator, problem=told.problem)

    return count


def immune_stained(counts: Tally) -> Count:
    """Count the area of stained immune cells in that of all immune cells."""
    told = immune_area(counts)
    if told.numerator is None:
        return told
    problem = "" if counts.immune_all_area_um2 else "no immune cells in or next to tumor"
    return Count(told.numerator, counts.immune_all_area_um2 / 1e6, problem=problem)


def urothelial(counts: Tally) -> Count:
    """High by its tumour cells alone, or by its immune cells where those are known."""
    cells = tumor_share("urothelial_high")(counts)
    if cells.problem:
        return cells
    tc = 100 * counts.tumor_positive / counts.n_tumor
    area, stained = in_tumor(lambda own: own.immune_all_area_um2)(counts), immune_stained(counts)
    high = formulas.urothelial_high(tc, _share_of(area), _share_of(stained))
    problem = area.problem if not high else ""
    return Count(cells.numerator, cells.denominator, problem=problem, value=float(high))


def _share_of(count: Count) -> float:
    if count.problem or not count.denominator or count.numerator is None:
        return 0.0
    return formulas.percent(count.numerator, count.denominator)


def _scored_problem(counts: Tally, name: str) -> str:
    if counts.n_scored == 0:
        return "no cells" if counts.any_class else f"no {counts.assay.scored_class} cells"
    least = _least(counts, name)
    what = "cell" if counts.any_class else f"{counts.assay.scored_class} cell"
    return f"{plural(counts.n_scored, what)}, at least {least} needed" if counts.n_scored < least else ""


def _scored_note(counts: Tally) -> str:
    if counts.any_class and counts.assay.scored_class != "any":
        what = "cell classes unknown" if counts.n_classified == 0 else f"{counts.assay.scored_class}s not told apart"
        return f"{what}: cells of any class counted"
    return ""


def h_score(counts: Tally) -> Count:
    """Count the bins of the scored cells, each by its own weight."""
    return Count(
        counts.weighted_bins, counts.n_scored, problem=_scored_problem(counts, "h_score"), note=_scored_note(counts)
    )


def scored_share(name: str) -> Callable[[Tally], Count]:
    """Count positive cells among the scored cells."""

    def count(counts: Tally) -> Count:
        return Count(
            counts.scored_positive, counts.n_scored, problem=_scored_problem(counts, name), note=_scored_note(counts)
        )

    return count


def stained_share(counts: Tally) -> Count:
    """Count scored cells of which anything is stained."""
    if counts.scored_stained is None:
        return Count(None, counts.n_scored, problem="what of each cell is stained was not told")
    return Count(
        counts.scored_stained,
        counts.n_scored,
        problem=_scored_problem(counts, "positive_fraction"),
        note=_scored_note(counts),
    )


def density(number: Callable[[Tally], int]) -> Callable[[Tally], Count]:
    """Count some cells per area of tissue."""

    def count(counts: Tally) -> Count:
        if not counts.tissue_mm2:
            return Count(number(counts), counts.tissue_mm2, problem="no tissue area")
        note = _scored_note(counts) if counts.assay.scored_class == "lymphocyte" else ""
        return Count(number(counts), counts.tissue_mm2, note=note)

    return count


def high_share(counts: Tally) -> Count:
    """Count the scored cells of bin 3+."""
    return Count(
        counts.scored_bins[3],
        counts.n_scored,
        problem=_scored_problem(counts, "high_fraction"),
        note=_scored_note(counts),
    )


def stained_area(counts: Tally) -> Count:
    """Count the area of stained pixels in that of the tissue."""
    if not counts.tissue_mm2:
        return Count(counts.stained_mm2, counts.tissue_mm2, problem="no tissue area")
    if counts.stained_mm2 is None:
        return Count(None, counts.tissue_mm2, problem="no map of stained pixels")
    return Count(counts.stained_mm2, counts.tissue_mm2)


def mean_od(counts: Tally) -> Count:
    """Sum the optical density of the scored cells."""
    return Count(
        counts.od_sum, counts.n_scored, problem=_scored_problem(counts, "mean_dab_od"), note=_scored_note(counts)
    )
