"""Published 2 x 2 tables, real cohorts and digitised survival: the numbers others printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.stats.cox_model import cox
from biomarkers.stats.differences import newcombe_difference, score_difference
from biomarkers.stats.paired import signed_rank
from biomarkers.stats.proportions import clopper_pearson
from biomarkers.stats.ranks import wilcoxon_rank_sum
from biomarkers.stats.roc import auc_delong
from biomarkers.stats.rxc import fisher_rxc
from biomarkers.stats.survival import median_survival
from biomarkers.stats.tables import barnard, boschloo, conditional_odds_ratio, fisher, odds_ratio
from biomarkers.stats.trend import spearman, trend_from_counts


def table(k1: int, n1: int, k2: int, n2: int) -> list[list[int]]:
    return [[k1, n1 - k1], [k2, n2 - k2]]


def printed(value: float, text: str) -> None:
    """Hold a value to a printed number, to the last digit printed."""
    digits = len(text.split(".")[1].split("e")[0]) if "." in text else 0
    unit = 10.0 ** (int(text.split("e")[1]) if "e" in text else 0) * 10.0**-digits
    assert abs(value - float(text)) <= 0.5001 * unit, f"{value} is not {text}"


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((9, 23, 1, 18), "0.02505"),  # Taube 2014, tumour PD-L1
        ((8, 23, 2, 18), "0.1422"),  # immune-infiltrate PD-L1
        ((7, 16, 3, 21), "0.0667"),  # PD-1 on lymphocytes
        ((11, 23, 1, 18), "0.00475"),  # PD-L1 and clinical benefit
        ((43, 241, 14, 180), "0.00368"),  # OAK
        ((26, 100, 19, 210), "2.1e-4"),  # IMvigor210 cohort 2
        ((9, 32, 18, 87), "0.460"),  # IMvigor210 cohort 1
        ((23, 81, 29, 184), "0.0196"),  # CheckMate 275
        ((16, 74, 41, 186), "1.0"),  # KEYNOTE-045, a null
        ((41, 80, 42, 185), "1.1e-5"),  # KEYNOTE-052
        ((15, 88, 9, 73), "0.506"),  # CheckMate 141, three cuts (.50648 and .010549; in circulation as .507, .0106)
        ((12, 54, 12, 107), "0.099"),
        ((12, 43, 12, 118), "0.0105"),
        ((6, 12, 5, 34), "0.0223"),  # CheckMate 012
        ((12, 82, 0, 16), "0.206"),  # KEYNOTE-158, a zero cell
        ((5, 9, 1, 8), "0.1312"),  # the alveolar soft part sarcoma trial, PD-1
        ((0, 13, 8, 54), "0.338"),  # pazopanib: the printed .07 does not reproduce
    ],
)
def test_fisher_of_published_tables(counts: tuple[int, int, int, int], p: str) -> None:
    printed(fisher(table(*counts)).p, p)


def test_odds_ratios_of_taube() -> None:
    printed(odds_ratio(table(9, 23, 1, 18)).value, "10.9")
    printed(odds_ratio(table(7, 16, 3, 21)).value, "4.67")


def test_oak() -> None:
    found = conditional_odds_ratio(table(43, 241, 14, 180))
    printed(found.value, "2.57")
    printed(found.low, "1.32")
    printed(found.high, "5.27")
    difference = newcombe_difference(43, 241, 14, 180)
    for value, text in zip((difference.value, difference.low, difference.high), ("10.1", "3.6", "16.2"), strict=True):
        printed(100 * value, text)


def test_oak_trend_over_three_levels() -> None:
    # the printed 9.5e-6 is the chi-square trend; the exact permutation p of the same scores is 1.17e-5
    counts = ([14, 22, 22], [180, 170, 72])
    printed(trend_from_counts(*counts, method="asymptotic").p, "9.5e-6")
    printed(trend_from_counts(*counts).p, "1.17e-5")


def test_imvigor210_published_rates() -> None:
    rate = clopper_pearson(26, 100)
    printed(100 * rate.low, "17.7")
    printed(100 * rate.high, "35.7")


def test_keynote_045_difference() -> None:
    found = score_difference(16, 74, 41, 186)
    newcombe = newcombe_difference(16, 74, 41, 186)
    printed(100 * found.value, "-0.4")
    # published as (-10.6, 11.5): Newcombe gives -10.6 to 11.5
    printed(100 * newcombe.low, "-10.6")
    printed(100 * newcombe.high, "11.5")


def test_keynote_158_zero_cell() -> None:
    printed(100 * clopper_pearson(12, 82).value, "14.6")
    found = conditional_odds_ratio(table(12, 82, 0, 16))
    assert found.high == float("inf")
    assert found.low < 1
    assert found.note


def test_the_published_sarcoma_trial() -> None:
    pd1 = table(5, 9, 1, 8)
    found = conditional_odds_ratio(pd1)
    printed(odds_ratio(pd1).value, "8.75")
    printed(found.value, "7.63")
    printed(found.low, "0.56")
    assert found.high == pytest.approx(470, rel=0.004)  # R stops its root search at 470; the bound is 471.5
    difference = newcombe_difference(5, 9, 1, 8)
    printed(100 * difference.value, "43.1")
    printed(100 * difference.low, "-2.0")
    printed(100 * difference.high, "70.6")
    printed(100 * clopper_pearson(19, 52).value, "36.5")
    printed(100 * clopper_pearson(19, 52).low, "23.6")
    printed(100 * clopper_pearson(19, 52).high, "51.0")
    printed(fisher_rxc([[5, 3, 1], [1, 7, 0]]).p, "0.0794")  # PR, SD, PD by PD-1


def test_unconditional_tests_depend_on_the_fixed_margin() -> None:
    pd1 = table(5, 9, 1, 8)
    # the figures in circulation fix the response margin (scipy's reading of the table)
    printed(boschloo(pd1, two_sided="doubled", groups="columns").p, "0.090")
    printed(barnard(pd1, groups="columns").p, "0.093")
    # with the groups by marker, as designed
    printed(boschloo(pd1).p, "0.089")
    printed(barnard(pd1).p, "0.069")


@pytest.fixture(scope="module")
def imvigor(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "cohorts" / "imvigor210" / "clinical.csv")


@pytest.fixture(scope="module")
def iatlas(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "cohorts" / "iatlas" / "iatlas_expression_response.csv")


def test_imvigor210_pd_l1_by_response(imvigor: pd.DataFrame) -> None:
    known = imvigor.dropna(subset=["binaryResponse", "IC.Level"])
    assert len(known) == 297
    by_ic = pd.crosstab(known["IC.Level"], known["binaryResponse"])
    assert by_ic.to_numpy()[:, 0].tolist() == [13, 20, 35]
    assert by_ic.sum(axis=1).tolist() == [83, 112, 102]
    printed(fisher_rxc(by_ic).p, "0.003847")
    best = known["Best.Confirmed.Overall.Response"]
    printed(fisher_rxc(pd.crosstab(known["IC.Level"], best == "CR")).p, "0.00185")
    printed(fisher_rxc(pd.crosstab(known["IC.Level"], best == "PR")).p, "0.534")
    with_tc = imvigor.dropna(subset=["binaryResponse", "TC.Level"])
    printed(fisher_rxc(pd.crosstab(with_tc["TC.Level"], with_tc["binaryResponse"])).p, "0.7156")
    high = table(35, 102, 33, 195)
    printed(odds_ratio(high).value, "2.56")
    printed(fisher(high).p, "0.00125")


def test_imvigor210_survival(imvigor: pd.DataFrame) -> None:
    known = imvigor.dropna(subset=["IC.Level"])
    level = known["IC.Level"].map({"IC0": 0.0, "IC1": 1.0, "IC2+": 2.0})
    fit = cox(known["os"], known["censOS"], level.to_numpy())
    assert (fit.n, fit.events) == (347, 232)
    printed(fit.coefficients[0].ratio.value, "0.7527")
    printed(fit.coefficients[0].test.p, "6.2e-4")


def test_imvigor210_rna_against_ihc(shared_data: Path) -> None:
    both = pd.read_csv(shared_data / "cohorts" / "imvigor210" / "imvigor210_IHC_plus_RNA.csv").dropna(
        subset=["IC.Level"]
    )
    assert len(both) == 347
    printed(spearman(both["CD274"], both["IC.Level"].map({"IC0": 0, "IC1": 1, "IC2+": 2})).statistic, "0.531")


@pytest.mark.parametrize(
    ("trial", "gene", "expected", "p"),
    [
        ("IMVigor210", "CD274", ("0.560", "0.484", "0.635"), "0.136"),
        ("IMVigor210", "PDCD1", ("0.529", "0.447", "0.610"), "0.475"),
        ("Riaz 2017", "CD274", ("0.559", "0.340", "0.778"), "0.577"),
        ("Riaz 2017", "PDCD1", ("0.662", "0.471", "0.852"), "0.121"),
        ("Hugo 2016", "CD274", ("0.579", "0.356", "0.803"), None),
    ],
)
def test_expression_by_response(
    iatlas: pd.DataFrame, trial: str, gene: str, expected: tuple[str, str, str], p: str | None
) -> None:
    rows = iatlas[(iatlas["Dataset"] == trial) & (iatlas["treatment_when_collected"] == "Pre")].dropna(subset=["rec"])
    responder = rows["rec"].isin(["CR", "PR"])
    x, y = rows.loc[responder, gene], rows.loc[~responder, gene]
    found = auc_delong(x, y)
    for value, text in zip((found.value, found.low, found.high), expected, strict=True):
        assert value == pytest.approx(float(text), abs=0.00051)
    if p is not None:  # the printed p-values carry the continuity correction
        assert wilcoxon_rank_sum(x, y, method="asymptotic", continuity=True).p == pytest.approx(float(p), abs=0.00051)


def test_change_on_treatment(iatlas: pd.DataFrame) -> None:
    riaz = iatlas[iatlas["Dataset"] == "Riaz 2017"]
    before = riaz[riaz["treatment_when_collected"] == "Pre"].set_index("Patient_ID")
    after = riaz[riaz["treatment_when_collected"] == "Post"].set_index("Patient_ID")
    both = before.index.intersection(after.index)
    assert len(both) == 43
    for gene, median, p in (("CD274", "0.500", "0.00148"), ("PDCD1", "1.011", "1.07e-5")):
        change = np.log2(after.loc[both, gene] + 1) - np.log2(before.loc[both, gene] + 1)
        printed(float(change.median()), median)
        printed(signed_rank(change).p, p)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("Checkmate057_1A", "0.750"),
        ("Checkmate057_1C", "0.915"),
        ("Checkmate017_1", "0.589"),
        ("Checkmate017_2B", "0.618"),
        ("KEYNOTE024_1A", "0.487"),
        ("KEYNOTE024_2", "0.615"),
    ],
)
def test_hazard_ratios_of_digitised_trials(shared_data: Path, name: str, ratio: str) -> None:
    rows = pd.read_csv(shared_data / "cohorts" / "km_ipd" / f"{name}.csv")
    treated = ~rows["arm"].isin(["d1", "chemo"])
    found = cox(rows["time"], rows["event"], treated.to_numpy(float)).coefficients[0].ratio.value
    # CheckMate 057 is .7494, in circulation as .750
    assert found == pytest.approx(float(ratio), abs=0.0011)


def test_median_of_the_treated_arm_by_transform(shared_data: Path) -> None:
    rows = pd.read_csv(shared_data / "cohorts" / "km_ipd" / "Checkmate057_1A.csv")
    arm = rows[rows["arm"] == "nivolumab"]
    medians = {t: median_survival(arm["time"], arm["event"], transform=t) for t in ("plain", "log", "log-log")}
    assert len({m.value for m in medians.values()}) == 1
    assert medians["log-log"].low <= medians["plain"].low <= medians["log"].low
