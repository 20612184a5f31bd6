"""Paired change: pairs, scales, limits, noise, groups, and the cohort it must reproduce."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.change.measure import measure_change
from biomarkers.change.pairs import add_scaled, make_pairs, scales_of
from biomarkers.change.repeatability import call_changes, repeatability
from biomarkers.change.result import Change
from biomarkers.change.tables import samples_of_table
from biomarkers.cohort.join import build_cohort
from biomarkers.cohort.tables import read_table
from biomarkers.core.errors import DataError, UsageError
from tests.cohort.rows_by_hand import clinical_rows, level_rows, score_rows


def _table(before: list[float | None], after: list[float | None], **columns: list[object]) -> pd.DataFrame:
    n = len(before)
    one = pd.DataFrame({"patient": [f"P{i}" for i in range(n)], "timepoint": "baseline", "x": before, **columns})
    return pd.concat([one, one.assign(timepoint="on_treatment", x=after)], ignore_index=True)


def _measure(table: pd.DataFrame, **options: object) -> Change:
    return measure_change(table, levels=["x"], **options)  # type: ignore[arg-type]


BEFORE, AFTER = [1.0, 3.0, 7.0, 0.0, 15.0, 2.0, 5.0], [3.0, 7.0, 15.0, 1.0, 31.0, 5.0, 11.0]


def test_real_pairs_give_the_published_change(shared_data: Path) -> None:
    table = read_table(shared_data / "cohorts" / "iatlas" / "iatlas_expression_response.csv")
    found = measure_change(
        table[table["Dataset"] == "Riaz 2017"],
        levels=["CD274", "PDCD1"],
        patient="Patient_ID",
        timepoint="treatment_when_collected",
        baseline="Pre",
        on_treatment="Post",
        response="Response",
    )
    rows = found.table.set_index("biomarker")
    assert rows["n_pairs"].tolist() == [43, 43]
    np.testing.assert_allclose(rows["median_change"], [0.500, 1.011], atol=5e-4)
    assert rows.loc["CD274", "p"] == pytest.approx(0.00148, abs=5e-6)
    assert rows.loc["PDCD1", "p"] == pytest.approx(1.07e-5, rel=5e-3)
    assert rows["verdict"].tolist() == ["increased", "increased"]
    asymptotic = found.statistics[found.statistics["statistic"] == "rank sum of the changes, asymptotic"]
    np.testing.assert_allclose(asymptotic["p"], [0.736, 0.283], atol=5e-4)
    assert (rows["p_by_response"] > 0.2).all()
    assert "log2(level + 1)" in found.explain()


def test_change_is_on_log2_of_level_plus_one() -> None:
    found = _measure(_table(BEFORE, AFTER))
    expected = np.log2(np.array(AFTER) + 1) - np.log2(np.array(BEFORE) + 1)
    np.testing.assert_allclose(found.pairs["change"], expected)
    assert found.table["in_words"].iloc[0] == "2.00-fold"
    assert found.settings["scale"] == {"x": "log2 ratio, log2(level + 1)"}


@pytest.mark.parametrize(
    ("scale", "options", "expected"),
    [
        ("log2", {}, 2.0),
        ("linear", {"offset": 0.5}, np.log2(3.5 / 1.5)),
        ("percent", {}, np.log(3.5 / 97.5) - np.log(1.5 / 99.5)),
        ("fraction", {"offset": {"x": 0.1}}, None),
    ],
)
def test_scales(scale: str, options: dict[str, object], expected: float | None) -> None:
    table = _table([1.0] * 6, [3.0] * 6)
    if expected is None:
        with pytest.raises(DataError, match=r"x: a fraction level outside its range; found 3\.0; allowed: 0 to 1"):
            _measure(table, scale=scale, **options)
        return
    np.testing.assert_allclose(_measure(table, scale=scale, **options).pairs["change"], expected)


def test_counts_of_a_cohort_take_half_a_count() -> None:
    clinical = clinical_rows(P1="PR")
    scores = pd.concat([score_rows(("a", 0.0, 0, 200)), score_rows(("b", 10.0, 20, 200))])
    sheet = pd.DataFrame({"sample": ["a", "b"], "patient": ["P1", "P1"], "timepoint": ["baseline", "on_treatment"]})
    found = measure_change(build_cohort(scores=[scores], clinical=clinical, samples=sheet))
    expected = np.log(20.5 / 180.5) - np.log(0.5 / 200.5)
    np.testing.assert_allclose(found.pairs["change"], [expected])
    assert "1/2 count" in found.settings["scale"]["PD-L1 tps"]


def test_an_offset_above_the_levels_is_told() -> None:
    low = _measure(_table([0.01, 0.02, 0.03, 0.01, 0.05, 0.02], [0.02, 0.04, 0.06, 0.02, 0.1, 0.04]))
    assert any("the offset 1 exceeds the median level" in note for note in low.notes)
    assert not any("offset" in note for note in _measure(_table(BEFORE, AFTER)).notes)


def test_a_negative_level_is_no_linear_one() -> None:
    with pytest.raises(DataError, match=r"x: a linear level outside its range; found -1\.0.*say so: --scale log2"):
        _measure(_table([-1.0] * 6, [1.0] * 6))


def test_patients_without_a_partner_are_listed_not_lost() -> None:
    found = _measure(_table([1.0, 2.0, None], [2.0, None, 3.0], BOR=["PR", "SD", "PD"]), response="BOR")
    assert found.pairs["reason"].tolist() == ["", "no on_treatment level", "no baseline level"]
    assert found.table["n_pairs"].tolist() == [1]
    assert found.table["verdict"].tolist() == ["not_testable"]
    assert found.completeness.set_index("response")["with_pair"].to_dict() == {"PR": 1, "SD": 0, "PD": 0}
    assert any("1 of 3 patients have both levels" in note for note in found.notes)


def test_selective_second_biopsies_are_told() -> None:
    n = 24
    after: list[float | None] = [2.0] * 12 + [None] * 12
    found = _measure(_table([1.0] * n, after, BOR=["PR"] * 12 + ["PD"] * 12), response="BOR")
    note = next(note for note in found.notes if "have both levels" in note)
    assert "12 of 24" in note
    assert found.completeness["p_fisher"].iloc[0] < 1e-5


# -- limits ---


def test_levels_below_their_limit_make_bounds() -> None:
    table = _table([0.1, 0.1, 5.0, 5.0, 5.0, 5.0, 5.0], [0.2, 9.0, 0.2, 9.0, 9.0, 9.0, 9.0])
    found = _measure(table, lloq={"x": 1.0}, offset=0.0)
    pairs = found.pairs.set_index("patient")
    assert pairs["bound"].tolist()[:4] == ["both below limit", "at least", "at most", ""]
    assert pairs.loc["P0", "change"] == 0
    # the limit stands in for what is below it, so the change is at least (at most) what is shown
    assert pairs.loc["P1", "change"] == pytest.approx(np.log2(9.0))
    assert pairs.loc["P2", "change"] == pytest.approx(-np.log2(5.0))
    assert pairs.loc["P0", "call"] == "no quantifiable change"
    note = found.statistics.loc[0, "note"]
    assert "1 pairs below the limit at both times: no quantifiable change" in note
    assert "2 changes are bounds" in note


def test_all_pairs_below_their_limit() -> None:
    found = _measure(_table([0.1] * 8, [0.2] * 8), lloq={"x": 1.0})
    assert found.table["verdict"].iloc[0] == "not_testable"
    assert found.table["reason"].iloc[0] == "every pair is below its limit: no quantifiable change"
    assert np.isnan(found.table["p"].iloc[0])


# -- technical noise ---


def _replicates(sd: float, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Duplicates of n samples on the log2 scale."""
    truth = np.repeat(rng.normal(5, 2, n), 2)
    return pd.DataFrame({"sample": np.repeat(np.arange(n), 2), "x": truth + rng.normal(0, sd, 2 * n)})


def test_without_replicates_no_patient_is_called() -> None:
    found = _measure(_table(BEFORE, AFTER))
    assert set(found.pairs["call"]) == {"technical variance unknown: no per-patient call"}
    assert any("technical variance unknown" in note for note in found.notes)
    assert np.isnan(found.table["gate"].iloc[0])


def test_replicates_gate_the_calls() -> None:
    replicates = pd.DataFrame({"sample": np.repeat(np.arange(20), 2), "x": np.tile([4.9, 5.1], 20)})
    table = _table([5.0] * 7, [5.1, 5.2, 5.4, 6.0, 4.0, 5.0, 7.0])
    found = _measure(table, scale="log2", replicates=replicates)
    row = found.table.iloc[0]
    sdw = np.sqrt(0.02)
    assert row["sdw"] == pytest.approx(sdw)
    assert row["gate"] == pytest.approx(2.7718 * sdw, rel=1e-4)
    assert row["gate_low"] < row["gate"] < row["gate_high"]
    calls = found.pairs["call"].tolist()
    assert calls[:5] == ["within technical noise"] * 2 + ["increase", "increase", "decrease"]


def test_few_replicates_say_so() -> None:
    rng = np.random.default_rng(0)
    found = _measure(_table(BEFORE, AFTER), scale="log2", replicates=_replicates(0.1, n=4, rng=rng))
    assert any("4 degrees of freedom only" in note for note in found.notes)
    wider = _measure(_table(BEFORE, AFTER), scale="log2", replicates=_replicates(0.1, n=4, rng=rng), gate="prediction")
    assert wider.settings["gate"] == "prediction"


def test_bad_replicates() -> None:
    once = pd.DataFrame({"sample": ["a", "b"], "x": [1.0, 2.0]})
    with pytest.raises(DataError, match="no sample was measured twice"):
        _measure(_table(BEFORE, AFTER), replicates=once)
    with pytest.raises(DataError, match="all replicates are identical"):
        _measure(_table(BEFORE, AFTER), replicates=pd.DataFrame({"sample": ["a", "a"], "x": [1.0, 1.0]}))
    with pytest.raises(UsageError, match="the replicates hold none of the levels"):
        _measure(_table(BEFORE, AFTER), replicates=once.rename(columns={"x": "y"}))


@pytest.mark.parametrize("sd", [0.1, 0.4])
def test_gate_holds_95_percent_of_null_pairs(sd: float) -> None:
    """2,000 simulated pairs without any true change: 95% +- 2 points stay inside the gate."""
    rng = np.random.default_rng(20)
    truth = rng.normal(5, 2, 2000)
    table = _table(list(truth + rng.normal(0, sd, 2000)), list(truth + rng.normal(0, sd, 2000)))
    samples = samples_of_table(
        table, levels=["x"], patient="patient", timepoint="timepoint", response=None, scale="log2", lloq={}, where="t"
    )
    rows = add_scaled(samples, scales_of(samples, offset=None))
    pairs = make_pairs(rows, baseline="baseline", on_treatment="on_treatment")
    replicates = _replicates(sd, n=200, rng=rng)
    known = repeatability(replicates["sample"], replicates["x"])
    inside = np.mean([call == "within technical noise" for call in call_changes(pairs, known.gate())])
    assert abs(inside - 0.95) <= 0.02


@pytest.mark.slow
def test_gate_with_few_replicates_holds_only_with_the_small_sample_factor() -> None:
    """Five duplicates each time: the coefficient alone calls too many, the prediction gate does not."""
    rng = np.random.default_rng(3)
    inside: dict[str, list[bool]] = {"coefficient": [], "prediction": []}
    for _ in range(1500):
        draws = _replicates(0.3, n=5, rng=rng)
        known = repeatability(draws["sample"], draws["x"])
        change = abs(rng.normal(0, 0.3 * np.sqrt(2)))
        for kind in inside:
            inside[kind].append(change <= known.gate(kind))  # type: ignore[arg-type]
    assert np.mean(inside["coefficient"]) < 0.91
    assert abs(np.mean(inside["prediction"]) - 0.95) <= 0.02


# -- groups ---


def test_change_by_response_at_equal_baseline() -> None:
    rng = np.random.default_rng(5)
    before = rng.normal(5, 1, 40)
    yes = np.arange(40) < 15
    after = before + 0.5 + 1.5 * yes + rng.normal(0, 0.3, 40)
    found = _measure(
        _table(list(before), list(after), BOR=["PR" if flag else "SD" for flag in yes]), scale="log2", response="BOR"
    )
    rows = found.statistics.set_index("statistic")
    effect = rows.loc["difference at equal baseline"]
    assert effect["ci_low"] < 1.5 < effect["ci_high"]
    assert effect["p"] < 1e-6
    assert rows.loc["rank sum of the changes", "p"] < 1e-5
    assert "response = CR 0 + PR 15; no response = SD 25" in found.settings["response"]
    mixed = rows.loc["mixed-model change"]
    assert mixed["value"] == pytest.approx(found.pairs["change"].mean(), abs=1e-4)


def test_ancova_agrees_with_statsmodels() -> None:
    import statsmodels.api as sm

    from biomarkers.change.ancova import response_effect

    rng = np.random.default_rng(7)
    before, yes = rng.normal(0, 1, 30), rng.random(30) < 0.4
    after = 0.5 * before + yes + rng.normal(0, 1, 30)
    fit = sm.OLS(after, np.column_stack([np.ones(30), before, yes])).fit()
    estimate, test = response_effect(before, after, yes)
    np.testing.assert_allclose([estimate.value, estimate.low, estimate.high], [fit.params[2], *fit.conf_int()[2]])
    assert test.p == pytest.approx(fit.pvalues[2])


def test_one_group_only_is_not_compared() -> None:
    found = _measure(_table(BEFORE, AFTER, BOR=["SD"] * 7), response="BOR")
    assert found.statistics["note"].str.contains("only one group has pairs").any()


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=6, max_size=12), st.randoms(use_true_random=False)
)
def test_metamorphic(levels: list[tuple[float, float]], random: object) -> None:
    table = _table([one for one, _ in levels], [two for _, two in levels])
    found = _measure(table).table.iloc[0]
    shuffled = _measure(table.sample(frac=1, random_state=1)).table.iloc[0]
    swapped = _measure(table, baseline="on_treatment", on_treatment="baseline").table.iloc[0]
    for name in ("median_change", "hl_change", "p"):
        np.testing.assert_allclose(shuffled[name], found[name])
    np.testing.assert_allclose(swapped["median_change"], -found["median_change"], atol=1e-12)
    np.testing.assert_allclose(swapped["hl_change"], -found["hl_change"], atol=1e-9)
    np.testing.assert_allclose(swapped["p"], found["p"])


# -- refusals ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "Baseline"}, "no sample at this time point; found 'Baseline'.*Did you mean 'baseline'"),
        ({"on_treatment": "baseline"}, "baseline and on-treatment are the same"),
        ({"patient": "Patient"}, "no column 'Patient'.*Did you mean 'patient'"),
        ({"scale": "log10"}, "unknown scale"),
        ({"offset": -1.0}, "offset must be 0 or more"),
        ({"offset": {"X": 1.0}}, "an offset for a level that is not there; found 'X'.*Did you mean 'x'"),
        ({"lloq": {"y": 1.0}}, "a lower limit for a level that is not there; found 'y'"),
        ({"scale": {"y": "log2"}}, "a scale for a level that is not there"),
        ({"several": "first"}, "no such rule"),
        ({"alpha": 5.0}, "alpha"),
        ({"components": ["x~1"]}, "a cut-off is not understood"),
        ({"components": ["y=1"]}, "no such level"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _measure(_table(BEFORE, AFTER), **options)


def test_two_samples_at_a_time_point_need_a_rule() -> None:
    table = pd.concat([_table(BEFORE, AFTER), _table([3.0], [15.0])], ignore_index=True)
    with pytest.raises(DataError, match=r"patient 'P0', baseline, x: two samples.*--several mean"):
        _measure(table)
    found = _measure(table, several="mean")
    assert found.pairs.set_index("patient").loc["P0", "change"] == pytest.approx(3.0 - 1.5)


def test_a_patient_with_two_responses_stops() -> None:
    table = _table(BEFORE, AFTER, BOR=["PR"] * 7)
    table.loc[9, "BOR"] = "SD"
    with pytest.raises(DataError, match=r"rows 2, 9 .*: patient 'P2' has two responses; found 'PR and SD'"):
        _measure(table, response="BOR")


def test_text_among_levels_names_the_row() -> None:
    table = _table(BEFORE, AFTER).astype({"x": object})
    table.loc[4, "x"] = "<LOD"
    with pytest.raises(DataError, match=r"row 4 .*: column 'x' must hold numbers; found '<LOD'"):
        _measure(table)


# -- masking, result object ---


@pytest.mark.parametrize(
    ("drug", "marker", "warned"),
    [
        ("Atezolizumab", "PD-L1", True),
        ("anti-PD-L1", "PD-L1", True),
        ("nivolumab", "PD-L1", False),
        ("nivolumab", "PD-1", True),
        ("atezolizumab", "CD8", False),
    ],
)
def test_epitope_masking(drug: str, marker: str, warned: bool) -> None:
    scores = pd.concat([score_rows(("a", 1.0, 1, 100), marker=marker), score_rows(("b", 2.0, 2, 100), marker=marker)])
    sheet = pd.DataFrame({"sample": ["a", "b"], "patient": ["P1", "P1"], "timepoint": ["baseline", "on_treatment"]})
    cohort = build_cohort(scores=[scores], clinical=clinical_rows(P1="PR"), samples=sheet)
    notes = measure_change(cohort, drug=drug).notes
    assert any("may mask its epitope" in note for note in notes) is warned


def test_masking_asks_for_the_drug_and_spares_transcripts() -> None:
    scores = pd.concat([score_rows(("a", 1.0, 1, 100)), score_rows(("b", 2.0, 2, 100))])
    sheet = pd.DataFrame({"sample": ["a", "b"], "patient": ["P1", "P1"], "timepoint": ["baseline", "on_treatment"]})
    levels = level_rows({("P1", "baseline"): 1.0, ("P1", "on_treatment"): 2.0})
    cohort = build_cohort(scores=[scores], levels=[levels], clinical=clinical_rows(P1="PR"), samples=sheet)
    asked = [note for note in measure_change(cohort).notes if "was not named" in note]
    assert len(asked) == 1
    assert "PD-L1 tps" in asked[0]
    assert "CD274" not in asked[0]


def test_result_reads_well() -> None:
    found = _measure(_table(BEFORE, AFTER, BOR=["PR", "SD"] * 3 + ["PD"]), response="BOR", components=["x=4"])
    html = found._repr_html_()
    assert "increased" in html
    assert "Research use only" in html
    assert found.verdicts is found.table
    text = found.explain()
    assert "x increased: median change" in text
    assert "became positive" in text
    with pytest.raises(AttributeError):
        found.table = pd.DataFrame()  # type: ignore[misc]


def test_names_are_escaped_in_html() -> None:
    table = _table(BEFORE, AFTER).rename(columns={"x": "<script>"})
    found = measure_change(table, levels=["<script>"])
    assert "<script>" not in found._repr_html_()


def test_many_markers_are_adjusted() -> None:
    table = _table(BEFORE, AFTER)
    table["y"] = table["x"]
    found = measure_change(table, levels=["x", "y"])
    np.testing.assert_allclose(found.table["p_adjusted"], 2 * found.table["p"])
