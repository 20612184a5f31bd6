"""The verdicts on real cohorts, from their tables to the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.relate import relate, relate_counts

BASELINE = "Pre"


@pytest.fixture(scope="module")
def iatlas(shared_data: Path) -> pd.DataFrame:
    table = pd.read_csv(shared_data / "cohorts" / "iatlas" / "iatlas_expression_response.csv", low_memory=False)
    return table[table["treatment_when_collected"] == BASELINE].dropna(subset=["rec"])


def verdicts(table: pd.DataFrame, **options: object) -> pd.DataFrame:
    settings = {"levels": ["CD274", "PDCD1"], "response": "rec", "patient": "Sample_ID", "n_permutations": 9_999}
    found = relate(table, **settings, **options)  # type: ignore[arg-type]
    return found.verdicts.set_index("biomarker")


def test_imvigor210_expression_is_not_dependent(iatlas: pd.DataFrame) -> None:
    found = verdicts(iatlas[iatlas["Dataset"] == "IMVigor210"])
    assert not found["verdict"].str.startswith("dependent").any()
    assert found["auc"].round(3).tolist() == [0.560, 0.529]
    # the permutation test of the same ranks is near the published Mann-Whitney p (.136 and .475)
    np.testing.assert_allclose(found["p_dependence"], [0.136, 0.475], atol=0.03)


@pytest.mark.parametrize(
    ("trial", "n", "responders"), [("Riaz 2017", 49, 10), ("Hugo 2016", 28, 15)], ids=["Riaz", "Hugo"]
)
def test_small_cohorts_are_inconclusive(iatlas: pd.DataFrame, trial: str, n: int, responders: int) -> None:
    found = verdicts(iatlas[iatlas["Dataset"] == trial])
    assert found["verdict"].tolist() == ["inconclusive"] * 2
    assert found["n"].tolist() == [n] * 2
    assert found["n_responders"].tolist() == [responders] * 2
    assert (found["n_needed"] > n).all()


def test_the_response_definition_flips_imvigor210(iatlas: pd.DataFrame) -> None:
    table = iatlas[iatlas["Dataset"] == "IMVigor210"]
    usual, wide = verdicts(table).loc["PDCD1"], verdicts(table, responders=["CR", "PR", "SD"]).loc["PDCD1"]
    assert usual["p_dependence"] > 0.4
    assert wide["p_dependence"] == pytest.approx(0.012, abs=0.004)  # published for SD counted as response


def test_tps_of_lung_cancer_is_dependent(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "cohorts" / "loris" / "nsclc_pdl1_tps_response.csv")
    table = table[(table["cohort"] == "Chowell_test") & (table["CancerType"] == "NSCLC")]
    found = relate(
        table, levels=["PDL1_TPS(%)"], response="Response", responders=["1"], non_responders=["0"],
        patient="SAMPLE_ID", cutoffs={"PDL1_TPS(%)": [1, 50]}, n_permutations=9_999,
    )  # fmt: skip
    row = found.verdicts.iloc[0]
    assert row["verdict"] == "dependent"
    assert row["auc_low95"] > 0.6
    assert row["responders_in_negative"] > 0  # responses occur in the negative stratum all the same


# patients by tumor proportion score: (responders, others). Counted in the table of the lung cancer model that LORIS's
# authors published (Chang TG, et al. Nat Cancer 2024); the cohort: Vanguri RS, et al. Nat Cancer 2022
VANGURI = {
    0: (9, 82), 1: (0, 6), 5: (5, 9), 10: (4, 7), 20: (0, 3), 30: (3, 3), 50: (4, 7), 60: (3, 6), 70: (4, 2),
    75: (0, 1), 80: (6, 14), 90: (6, 4), 95: (9, 4),
}  # fmt: skip


def test_tps_of_another_lung_cohort_is_dependent() -> None:
    rows = [(tps, response) for tps, both in VANGURI.items() for response in (1, 0) for _ in range(both[1 - response])]
    table = pd.DataFrame(rows, columns=["tps", "response"])
    found = relate(
        table, levels=["tps"], response="response", responders=["1"], non_responders=["0"], n_permutations=9_999
    )
    row = found.verdicts.iloc[0]
    assert row[["n", "n_responders"]].tolist() == [201, 53]
    assert row["auc"] == pytest.approx(0.744, abs=5e-4)
    assert row["verdict"] == "dependent"


def test_ic_levels_of_imvigor210(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "cohorts" / "imvigor210" / "clinical.csv")
    table["ic"] = table["IC.Level"].map({"IC0": 0.0, "IC1": 1.0, "IC2+": 2.0})
    found = relate(
        table, levels=["ic"], response="Best.Confirmed.Overall.Response", patient="X", endpoint=["orr", "os"],
        time="os", event="censOS", event_when=1, cutoffs={"ic": 2}, n_permutations=9_999,
    )  # fmt: skip
    rows = found.verdicts.set_index("endpoint")
    assert rows.loc["orr", ["n", "n_responders"]].tolist() == [297, 68]
    assert rows.loc["orr", ["responders_in_negative", "negatives"]].tolist() == [33, 195]
    assert rows["verdict"].tolist() == ["dependent", "dependent"]
    table_rows = found.table.set_index(["endpoint", "method"])
    ratio = table_rows.loc[("os", "Cox, hazard ratio per SD")]
    per_level = np.log(ratio["value"]) / table.dropna(subset=["ic"])["ic"].std(ddof=1)
    assert np.exp(per_level) == pytest.approx(0.7527, abs=5e-4)  # the published hazard ratio of a step of IC


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((9, 23, 1, 18), "dependent"),  # Taube 2014
        ((8, 23, 2, 18), "inconclusive"),
        ((7, 16, 3, 21), "inconclusive"),
        ((43, 241, 14, 180), "dependent"),  # OAK: and weaker than the margin, see below
        ((26, 100, 19, 210), "dependent"),  # IMvigor210 cohort 2
        ((9, 32, 18, 87), None),  # IMvigor210 cohort 1: never dependent
        ((23, 81, 29, 184), "dependent"),  # CheckMate 275
        ((16, 74, 41, 186), "independent_within_margin"),  # KEYNOTE-045, a null
        ((41, 80, 42, 185), "dependent"),  # KEYNOTE-052
        ((12, 82, 0, 16), None),  # KEYNOTE-158, a zero cell: never dependent
        ((0, 13, 8, 54), None),
    ],
)
def test_verdicts_of_published_tables(counts: tuple[int, int, int, int], verdict: str | None) -> None:
    row = relate_counts(*counts, n_permutations=9_999).verdicts.iloc[0]
    assert 0 < row["p_dependence"] <= 1
    if verdict is None:
        assert not str(row["verdict"]).startswith("dependent")
    else:
        assert str(row["verdict"]).removesuffix("_within_margin") == verdict.removesuffix("_within_margin")
