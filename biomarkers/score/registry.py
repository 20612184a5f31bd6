"""Every score with its definition, unit, range and source, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from biomarkers.score import formulas
from biomarkers.score.intervals import poisson, sum_interval, weighted_poisson, wilson
from biomarkers.score.tally import Tally, plural

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True)
class Score:
    """One score: what it is, and the functions that count it and turn counts into a value.

    ``value`` and ``interval`` take (numerator, denominator), so that counts of several regions can be summed first;
    both are None for ordinal scores, which :mod:`biomarkers.score.pool` makes from the counts of other scores.
    """

    name: str
    title: str
    definition: str
    unit: str
    low: float
    high: float | None
    source: str
    count: Callable[[Tally], Count]
    value: Callable[[float, float], float] | None = None
    interval: Callable[[float, float], Interval] | None = None
    interval_method: str = "none"


def score_table() -> pd.DataFrame:
    """Tabulate every score: name, title, definition, unit, range, interval, source.

    Examples
    --------
    >>> score_table().set_index("score").loc["h_score", "range"]
    '0-300'
    """
    import pandas as pd

    rows = [
        {
            "score": score.name,
            "title": score.title,
            "definition": score.definition,
            "unit": score.unit,
            "range": f"{score.low:g}-{score.high:g}" if score.high is not None else f"{score.low:g} and up",
            "interval": score.interval_method,
            "source": score.source,
        }
        for score in SCORES.values()
    ]
    return pd.DataFrame(rows)


# -- counting ---


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


def _tumor_share(name: str) -> Callable[[Tally], Count]:
    def count(counts: Tally) -> Count:
        unknown = counts.n_classified == 0
        numerator, denominator = (None, None) if unknown else (counts.tumor_positive, counts.n_tumor)
        return Count(numerator, denominator, problem=_tumor_problem(counts, name))

    return count


def _cps(name: str, *, cap: float | None) -> Callable[[Tally], Count]:
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


def _immune_area(counts: Tally) -> Count:
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


def _in_tumor(part: Callable[[Tally], float]) -> Callable[[Tally], Count]:
    """Area of some cells as a share of the tumour area."""

    def count(counts: Tally) -> Count:
        told = _immune_area(counts)
        if told.numerator is None:
            return told
        return Count(part(counts) / 1e6, told.denominator, problem=told.problem)

    return count


def _immune_stained(counts: Tally) -> Count:
    told = _immune_area(counts)
    if told.numerator is None:
        return told
    problem = "" if counts.immune_all_area_um2 else "no immune cells in or next to tumor"
    return Count(told.numerator, counts.immune_all_area_um2 / 1e6, problem=problem)


def _urothelial(counts: Tally) -> Count:
    """High by its tumour cells alone, or by its immune cells where those are known."""
    cells = _tumor_share("urothelial_high")(counts)
    if cells.problem:
        return cells
    tc = 100 * counts.tumor_positive / counts.n_tumor
    area, stained = _in_tumor(lambda own: own.immune_all_area_um2)(counts), _immune_stained(counts)
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


def _h_score(counts: Tally) -> Count:
    return Count(
        counts.weighted_bins, counts.n_scored, problem=_scored_problem(counts, "h_score"), note=_scored_note(counts)
    )


def _scored_share(name: str) -> Callable[[Tally], Count]:
    def count(counts: Tally) -> Count:
        return Count(
            counts.scored_positive, counts.n_scored, problem=_scored_problem(counts, name), note=_scored_note(counts)
        )

    return count


def _density(number: Callable[[Tally], int]) -> Callable[[Tally], Count]:
    def count(counts: Tally) -> Count:
        if not counts.tissue_mm2:
            return Count(number(counts), counts.tissue_mm2, problem="no tissue area")
        note = _scored_note(counts) if counts.assay.scored_class == "lymphocyte" else ""
        return Count(number(counts), counts.tissue_mm2, note=note)

    return count


def _high_share(counts: Tally) -> Count:
    return Count(
        counts.scored_bins[3],
        counts.n_scored,
        problem=_scored_problem(counts, "high_fraction"),
        note=_scored_note(counts),
    )


def _stained_area(counts: Tally) -> Count:
    if not counts.tissue_mm2:
        return Count(counts.stained_mm2, counts.tissue_mm2, problem="no tissue area")
    if counts.stained_mm2 is None:
        return Count(None, counts.tissue_mm2, problem="no map of stained pixels")
    return Count(counts.stained_mm2, counts.tissue_mm2)


def _mean_od(counts: Tally) -> Count:
    return Count(
        counts.od_sum, counts.n_scored, problem=_scored_problem(counts, "mean_dab_od"), note=_scored_note(counts)
    )


_POSITIVE_TC = "tumor cells with partial or complete membrane staining of any intensity (>= 1+)"
_WILSON = "Wilson"

SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            name="tps",
            title="Tumor proportion score",
            definition=f"100 x {_POSITIVE_TC} / viable tumor cells; cytoplasmic staining does not count",
            unit="%",
            low=0,
            high=100,
            source="PD-L1 IHC 22C3 pharmDx interpretation manual, NSCLC",
            count=_tumor_share("tps"),
            value=formulas.percent,
            interval=formulas.percent_interval,
            interval_method=_WILSON,
        ),
        Score(
            name="cps",
            title="Combined positive score",
            definition="min(100, 100 x (stained tumor cells + stained lymphocytes and macrophages in or next to tumor)"
            " / viable tumor cells)",
            unit="score",
            low=0,
            high=100,
            source="PD-L1 IHC 22C3 pharmDx interpretation manual; Kulangara 2019, Arch Pathol Lab Med 143:330",
            count=_cps("cps", cap=100.0),
            value=formulas.combined_positive,
            interval_method="MOVER of Wilson (tumor) and Poisson (immune)",
        ),
        Score(
            name="cps_uncapped",
            title="Combined positive score before its cap",
            definition="the CPS without its upper bound of 100",
            unit="score",
            low=0,
            high=None,
            source="as cps",
            count=_cps("cps_uncapped", cap=None),
            value=formulas.percent,
            interval_method="MOVER of Wilson (tumor) and Poisson (immune)",
        ),
        Score(
            name="tc_percent",
            title="Stained tumor cells",
            definition=f"100 x {_POSITIVE_TC} / viable tumor cells",
            unit="%",
            low=0,
            high=100,
            source="VENTANA PD-L1 (SP142, SP263) interpretation guides; 73-10: Grote 2020, J Thorac Oncol 15:1306",
            count=_tumor_share("tc_percent"),
            value=formulas.percent,
            interval=formulas.percent_interval,
            interval_method=_WILSON,
        ),
        Score(
            name="ic_percent",
            title="Area of stained immune cells",
            definition="100 x area of stained lymphocytes and macrophages / tumor area (tumor cells with the stroma"
            " between and next to them)",
            unit="%",
            low=0,
            high=100,
            source="VENTANA PD-L1 (SP142) interpretation guide",
            count=_immune_area,
            value=formulas.percent,
            interval_method="Fay-Feuer gamma",
        ),
        Score(
            name="icp_percent",
            title="Area of all immune cells",
            definition="100 x area of lymphocytes and macrophages, stained or not / tumor area (SP263: ICP)",
            unit="%",
            low=0,
            high=100,
            source="VENTANA PD-L1 (SP263) interpretation guide, urothelial carcinoma",
            count=_in_tumor(lambda counts: counts.immune_all_area_um2),
            value=formulas.percent,
            interval_method="none: cell areas of one field are not independent draws",
        ),
        Score(
            name="ic_positive_percent",
            title="Stained share of the immune cells",
            definition="100 x area of stained / area of all lymphocytes and macrophages in or next to tumor"
            " (SP263: IC+)",
            unit="%",
            low=0,
            high=100,
            source="VENTANA PD-L1 (SP263) interpretation guide, urothelial carcinoma",
            count=_immune_stained,
            value=formulas.percent,
            interval_method="none: cell areas of one field are not independent draws",
        ),
        Score(
            name="urothelial_high",
            title="PD-L1 high in urothelial carcinoma",
            definition="1 (high) where tc_percent >= 25, or icp_percent > 1 and ic_positive_percent >= 25, or"
            " icp_percent = 1 (0.5 to 1) and ic_positive_percent = 100; otherwise 0 (not high)",
            unit="score",
            low=0,
            high=1,
            source="VENTANA PD-L1 (SP263) interpretation guide, urothelial carcinoma",
            count=_urothelial,
        ),
        Score(
            name="tap_like",
            title="Tumor area positivity, as a machine reads it",
            definition="100 x area of stained tumor cells and of stained immune cells in or next to tumor / tumor area",
            unit="%",
            low=0,
            high=100,
            source="after TAP (SP263, gastric and oesophageal carcinoma), which pathologists estimate by eye",
            count=_in_tumor(lambda counts: counts.tumor_positive_area_um2 + counts.immune_area_um2),
            value=lambda numerator, denominator: min(100.0, formulas.percent(numerator, denominator)),
            interval_method="none: cell areas of one field are not independent draws",
        ),
        Score(
            name="h_score",
            title="H-score",
            definition="1 x %(1+) + 2 x %(2+) + 3 x %(3+) of the scored cells",
            unit="score",
            low=0,
            high=300,
            source="McCarty 1985, Arch Pathol Lab Med 109:716",
            count=_h_score,
            value=formulas.percent,
            interval=formulas.h_score_interval,
            interval_method="Wilson of H / 300, conservative",
        ),
        Score(
            name="allred",
            title="Allred score",
            definition="share of positive cells (0; < 1/100; < 1/10; < 1/3; <= 2/3; > 2/3 gives 0-5) + rounded mean"
            " intensity of positive cells (1-3)",
            unit="score",
            low=0,
            high=8,
            source="Allred 1998, Mod Pathol 11:155",
            count=_scored_share("allred"),
        ),
        Score(
            name="irs",
            title="Immunoreactive score",
            definition="share of positive cells (0; < 10; 10-50; > 50-80; > 80 % gives 0-4) x rounded mean intensity"
            " of positive cells (1-3)",
            unit="score",
            low=0,
            high=12,
            source="Remmele 1987, Pathologe 8:138",
            count=_scored_share("irs"),
        ),
        Score(
            name="positive_fraction",
            title="Positive fraction",
            definition="positive cells / scored cells, as a share of 1",
            unit="fraction",
            low=0,
            high=1,
            source="Wilson 1927, J Am Stat Assoc 22:209 (interval)",
            count=_scored_share("positive_fraction"),
            value=lambda numerator, denominator: numerator / denominator,
            interval=wilson,
            interval_method=_WILSON,
        ),
        Score(
            name="density_per_mm2",
            title="Density of positive cells",
            definition="positive cells / analysed tissue area; lymphocytes only in lymphocyte assays, otherwise cells"
            " of any class",
            unit="cells/mm2",
            low=0,
            high=None,
            source="Garwood 1936, Biometrika 28:437 (interval)",
            count=_density(lambda counts: counts.countable_positive),
            value=lambda numerator, denominator: numerator / denominator,
            interval=formulas.density_interval,
            interval_method="exact Poisson",
        ),
        Score(
            name="high_fraction",
            title="Strongly positive fraction",
            definition="cells of bin 3+ / scored cells, as a share of 1 (PD-1: the PD-1-high subset)",
            unit="fraction",
            low=0,
            high=1,
            source="Wilson 1927, J Am Stat Assoc 22:209 (interval)",
            count=_high_share,
            value=lambda numerator, denominator: numerator / denominator,
            interval=wilson,
            interval_method=_WILSON,
        ),
        Score(
            name="high_density_per_mm2",
            title="Density of strongly positive cells",
            definition="cells of bin 3+ / analysed tissue area; lymphocytes only in lymphocyte assays",
            unit="cells/mm2",
            low=0,
            high=None,
            source="Garwood 1936, Biometrika 28:437 (interval)",
            count=_density(lambda counts: counts.countable_high),
            value=lambda numerator, denominator: numerator / denominator,
            interval=formulas.density_interval,
            interval_method="exact Poisson",
        ),
        Score(
            name="dab_area_percent",
            title="Stained area",
            definition="100 x area of pixels at or above the 1+ cut / tissue area; not an immune-cell score",
            unit="%",
            low=0,
            high=100,
            source="pixel count over the tissue mask",
            count=_stained_area,
            value=formulas.percent,
            interval_method="none: pixels are not independent",
        ),
        Score(
            name="mean_dab_od",
            title="Mean DAB optical density",
            definition="mean over the scored cells of the optical density (log10) in the assay's compartment",
            unit="OD",
            low=0,
            high=None,
            source="Beer-Lambert, against the slide's own white",
            count=_mean_od,
            value=lambda numerator, denominator: numerator / denominator,
        ),
    )
}
