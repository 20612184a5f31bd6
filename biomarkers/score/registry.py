"""Every score with its definition, unit, range and source, and the functions that count it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from biomarkers.score import counts, formulas
from biomarkers.score.counts import Count, Interval
from biomarkers.score.intervals import wilson
from biomarkers.score.tally import Tally

if TYPE_CHECKING:
    import pandas as pd


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
            count=counts.tumor_share("tps"),
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
            count=counts.cps("cps", cap=100.0),
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
            count=counts.cps("cps_uncapped", cap=None),
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
            count=counts.tumor_share("tc_percent"),
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
            count=counts.immune_area,
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
            count=counts.in_tumor(lambda own: own.immune_all_area_um2),
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
            count=counts.immune_stained,
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
            count=counts.urothelial,
        ),
        Score(
            name="tap_like",
            title="Tumor area positivity, as a machine reads it",
            definition="100 x area of stained tumor cells and of stained immune cells in or next to tumor / tumor area",
            unit="%",
            low=0,
            high=100,
            source="after TAP (SP263, gastric and oesophageal carcinoma), which pathologists estimate by eye",
            count=counts.in_tumor(lambda own: own.tumor_positive_area_um2 + own.immune_area_um2),
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
            count=counts.h_score,
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
            count=counts.scored_share("allred"),
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
            count=counts.scored_share("irs"),
        ),
        Score(
            name="positive_fraction",
            title="Positive fraction",
            definition="positive cells / scored cells, as a share of 1",
            unit="fraction",
            low=0,
            high=1,
            source="Wilson 1927, J Am Stat Assoc 22:209 (interval)",
            count=counts.scored_share("positive_fraction"),
            value=lambda numerator, denominator: numerator / denominator,
            interval=wilson,
            interval_method=_WILSON,
        ),
        Score(
            name="intensity_percent",
            title="Stained cells, whatever the pattern",
            definition="100 x scored cells whose outline, cytoplasm, nucleus or granules reach the 1+ cut / scored"
            " cells; the reading that does not ask whether the membrane is stained",
            unit="%",
            low=0,
            high=100,
            source="reported beside membrane scores where the pattern is unclear",
            count=counts.stained_share,
            value=formulas.percent,
            interval=formulas.percent_interval,
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
            count=counts.density(lambda own: own.countable_positive),
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
            count=counts.high_share,
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
            count=counts.density(lambda own: own.countable_high),
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
            count=counts.stained_area,
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
            count=counts.mean_od,
            value=lambda numerator, denominator: numerator / denominator,
        ),
    )
}
