"""The join: exact identifiers, one row a patient and time point, and both sides' leftovers on the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from biomarkers.cohort.columns import ColumnMap
from biomarkers.cohort.flow import biopsy_selection
from biomarkers.cohort.join import build_cohort
from biomarkers.cohort.store import flow_of, patients_of, read_cohort, write_cohort
from biomarkers.cohort.summary import summarise_study
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from tests.cohort.rows_by_hand import clinical_rows, level_rows, score_rows

CLINICAL = clinical_rows(P1="PR", P2="SD", P3="NE")
LEVELS = level_rows({("P1", "baseline"): 3.0, ("P1", "on_treatment"): 4.0, ("P2", "baseline"): 1.0})


def test_scores_and_levels_stand_side_by_side() -> None:
    scores = score_rows(("P1", 10.0, 100, 1000), ("P2", None, 5, 60))
    cohort = build_cohort(scores=[scores], levels=[LEVELS], clinical=CLINICAL)
    assert list(cohort.obs_names) == ["P1|baseline", "P1|on_treatment", "P2|baseline"]
    assert list(cohort.var_names) == ["PD-L1 tps", "CD274 log2_cpm"]
    assert list(cohort.var.columns) == list(keys.VAR_COLUMNS)
    assert cohort.var["scale"].tolist() == ["percent", "log2"]
    np.testing.assert_array_equal(cohort.X[:, 1], [3.0, 4.0, 1.0])
    assert np.isnan(cohort.X[2, 0])
    assert cohort.layers["numerator"][0, 0] == 100
    assert cohort.obs["response"].tolist() == ["PR", "PR", "SD"]
    assert cohort.uns["not_evaluable"]["reason"].tolist() == ["too few tumor cells"]


def test_order_of_rows_does_not_matter() -> None:
    one = build_cohort(levels=[LEVELS], clinical=CLINICAL)
    other = build_cohort(levels=[LEVELS.iloc[::-1]], clinical=CLINICAL)
    pd.testing.assert_frame_equal(one.to_df(), other.to_df())
    pd.testing.assert_frame_equal(one.obs, other.obs)


def test_look_alikes_are_listed_and_never_joined() -> None:
    levels = level_rows({("P1", "baseline"): 1.0, ("p-2", "baseline"): 2.0, ("X9", "baseline"): 3.0})
    with pytest.warns(UserWarning, match="'p-2' resembles 'P2'"):
        cohort = build_cohort(levels=[levels], clinical=CLINICAL)
    assert cohort.obs["patient"].tolist() == ["P1"]
    unmatched = cohort.uns["unmatched"].set_index(["side", "id"])["resembles"].to_dict()
    assert unmatched == {
        ("measured", "p-2"): "P2",
        ("measured", "X9"): "",
        ("clinical", "P2"): "p-2",
        ("clinical", "P3"): "",
    }


def test_nothing_in_common_says_what_both_sides_look_like() -> None:
    levels = level_rows({("p01", "baseline"): 1.0})
    with pytest.raises(DataError, match=r"no patient in common; found 'p01'; allowed: P1, P2, P3.*resembles 'P1'"):
        build_cohort(levels=[levels], clinical=CLINICAL)


def test_conflicting_duplicates_stop_with_both_rows() -> None:
    twice = pd.concat([CLINICAL, clinical_rows(P1="SD")], ignore_index=True)
    with pytest.raises(DataError, match=r"row 0 .* and row 3 .*: patient 'P1' stands twice.*found 'PR and SD'"):
        build_cohort(levels=[LEVELS], clinical=twice)


def test_identical_duplicates_are_one_with_a_note() -> None:
    twice = pd.concat([CLINICAL, CLINICAL.iloc[:1]], ignore_index=True)
    cohort = build_cohort(levels=[LEVELS], clinical=twice)
    assert len(patients_of(cohort)) == 3
    assert "1 identical repeated rows" in " ".join(cohort.uns["notes"])


def test_two_baseline_samples_need_a_rule() -> None:
    scores = score_rows(("a", 10.0, 10, 100), ("b", 40.0, 360, 900))
    sheet = pd.DataFrame({"sample": ["a", "b"], "patient": ["P1", "P1"], "sample_day": [-20, -3]})
    with pytest.raises(DataError, match=r"patient 'P1', baseline, PD-L1 tps: two samples.*found 'a, b'.*--several"):
        build_cohort(scores=[scores], clinical=CLINICAL, samples=sheet)
    values = {
        rule: build_cohort(scores=[scores], clinical=CLINICAL, samples=sheet, several=rule).X[0, 0]  # type: ignore[arg-type]
        for rule in ("pool", "mean", "max", "earliest", "latest")
    }
    # pooled: (10 + 360) / (100 + 900), not the mean of 10 and 40
    assert values == {"pool": 37.0, "mean": 25.0, "max": 40.0, "earliest": 10.0, "latest": 40.0}


def test_levels_without_counts_get_a_mean_and_it_is_said() -> None:
    levels = pd.concat([LEVELS, LEVELS.assign(sample=LEVELS["sample"] + "b")])
    made = build_cohort(levels=[levels], clinical=CLINICAL, several="pool")
    once = build_cohort(levels=[LEVELS], clinical=CLINICAL)
    assert np.allclose(made.X, once.X, equal_nan=True)  # two samples of one value each
    assert all("mean of the samples: it has no counts" in rule for rule in made.uns["pooling"].values())
    with pytest.raises(DataError, match="cannot be ordered in time"):
        build_cohort(levels=[levels], clinical=CLINICAL, several="latest")
    with pytest.raises(UsageError, match="no such rule"):
        build_cohort(levels=[levels], clinical=CLINICAL, several="best")  # type: ignore[arg-type]


def test_same_result_given_twice_stops() -> None:
    with pytest.raises(DataError, match="stands twice"):
        build_cohort(levels=[pd.concat([LEVELS, LEVELS])], clinical=CLINICAL)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"first_dose": ["2024-02-01", "2024-02-01"], "sample_date": ["2024-02-02", "2024-01-20"]}, "day 2"),
        ({"sample_day": [15, -3]}, "day 15"),
    ],
)
def test_on_treatment_sample_labelled_baseline(columns: dict[str, list[object]], message: str) -> None:
    clinical = pd.DataFrame(
        {"patient": ["P1", "P2"], "response": ["PR", "SD"], "sample": ["s1", "s2"], "timepoint": ["baseline"] * 2}
        | columns
    )
    with pytest.raises(DataError, match="a sample labelled baseline was taken after the first dose") as caught:
        build_cohort(levels=[LEVELS.assign(patient=np.nan)], clinical=clinical)
    assert message in str(caught.value)
    assert "baseline means before the first dose" in str(caught.value)


def test_sample_labelled_on_treatment_before_first_dose() -> None:
    sheet = pd.DataFrame(
        {"sample": ["P1-on_treatment"], "patient": ["P1"], "timepoint": ["On treatment"], "sample_day": [-5]}
    )
    with pytest.raises(DataError, match="labelled on treatment was taken before the first dose"):
        build_cohort(levels=[LEVELS], clinical=CLINICAL, samples=sheet)


def test_sample_sheet_and_results_must_agree() -> None:
    sheet = pd.DataFrame({"sample": ["P1-baseline"], "patient": ["P2"]})
    with pytest.raises(DataError, match="sample 'P1-baseline' has two values of 'patient'"):
        build_cohort(levels=[LEVELS], clinical=CLINICAL, samples=sheet)


def test_time_points_are_spelled_one_way_and_renamed() -> None:
    levels = level_rows({("P1", "Pre"): 1.0, ("P1", "C3D1"): 2.0})
    cohort = build_cohort(levels=[levels], clinical=CLINICAL, baseline="PRE ")
    assert cohort.obs["timepoint"].tolist() == ["pre", "c3d1"]
    assert cohort.uns["flow"].set_index("step").loc["biopsied", "n"] == 1
    for new in ("baseline", "Baseline"):
        columns = ColumnMap(timepoints={"pre": new, "C3D1": "On treatment"})
        cohort = build_cohort(levels=[levels], clinical=CLINICAL, columns=columns)
        assert cohort.obs["timepoint"].tolist() == ["baseline", "on_treatment"]


def test_a_cohort_without_its_baseline_stops() -> None:
    levels = level_rows({("P1", "Pre"): 1.0, ("P1", "C3D1"): 2.0})
    with pytest.raises(
        UsageError, match=r"no sample is of the time point.*allowed: pre, c3d1.*--rename 'pre=baseline'"
    ):
        build_cohort(levels=[levels], clinical=CLINICAL)


def test_untimed_samples_are_counted() -> None:
    cohort = build_cohort(levels=[LEVELS.iloc[[0, 2]].drop(columns="timepoint")], clinical=CLINICAL)
    assert "2 samples without a time point were taken as 'baseline'" in cohort.uns["notes"]


def test_levels_below_their_limit_are_censored_there() -> None:
    columns = ColumnMap(lloq={"CD274 log2_cpm": 2.0})
    cohort = build_cohort(levels=[LEVELS], clinical=CLINICAL, columns=columns)
    np.testing.assert_array_equal(cohort.X[:, 0], [3.0, 4.0, 2.0])
    np.testing.assert_array_equal(cohort.layers["censored"][:, 0], [False, False, True])
    assert cohort.var["lloq"].tolist() == [2.0]
    with pytest.raises(UsageError, match="Did you mean 'CD274 log2_cpm'"):
        build_cohort(levels=[LEVELS], clinical=CLINICAL, columns=ColumnMap(lloq={"CD274 log2cpm": 2.0}))


def test_two_assays_of_one_marker_get_two_columns() -> None:
    one, other = score_rows(("P1", 1.0, 1, 100)), score_rows(("P1", 5.0, 5, 100))
    cohort = build_cohort(scores=[one.assign(assay="22c3"), other.assign(assay="sp263")], clinical=CLINICAL)
    assert list(cohort.var_names) == ["PD-L1 tps (22c3)", "PD-L1 tps (sp263)"]


def test_one_biomarker_in_two_units_stops() -> None:
    levels = pd.concat([LEVELS.iloc[:1], LEVELS.iloc[2:].assign(unit="TPM")])
    with pytest.raises(DataError, match=r"CD274 log2_cpm: one biomarker in two units; found 'TPM, log2\(CPM\+1\)'"):
        build_cohort(levels=[levels], clinical=CLINICAL)


@pytest.mark.parametrize(
    ("times", "events", "message"),
    [
        ([-1.0, 2.0], [1, 0], "row 0 .*: column 'T' holds a negative time; found -1.0"),
        ([1.0, "soon"], [1, 0], "row 1 .*: column 'T' must hold numbers; found 'soon'"),
        ([1.0, None], [1, 0], "row 1 .*: time 'T' and event 'E' must stand together"),
        (
            [1.0, 2.0],
            ["dead", "alive"],
            "no cell of 'E' has a value that means the event happened; found 'alive, dead'",
        ),
        ([1.0, 2.0], ["2", "1"], None),
        ([1.0, 2.0, 3.0], [1, 0, 2], "more than two values"),
    ],
)
def test_event_polarity_and_units_are_explicit(times: list[object], events: list[object], message: str | None) -> None:
    clinical = pd.DataFrame({"patient": [f"P{i}" for i in range(1, len(times) + 1)], "T": times, "E": events})
    columns = ColumnMap.model_validate(
        {"endpoints": {"os": {"time": "T", "event": "E", "event_when": ["1"], "unit": "years"}}}
    )
    if message is None:
        cohort = build_cohort(levels=[LEVELS], clinical=clinical, columns=columns)
        assert cohort.obs["os_event"].tolist() == [0.0, 0.0, 1.0]
        assert cohort.obs["os_months"].tolist() == [12.0, 12.0, 24.0]
        return
    with pytest.raises((DataError, UsageError), match=message):
        build_cohort(levels=[LEVELS], clinical=clinical, columns=columns)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (43831, "serial number.*2020-01-01"),
        ("03/04/2020", "can be read two ways"),
        ("31/04/2020", "without a stated order"),
        ("2020-02-31", "there is no such date"),
        ("soon", "no date"),
        ("31-Mar-24", "no date.*two digits"),
        ("March 2024", "no date.*without its day"),
        ("31-Mai-2024", "no date"),
        ("31-Feb-2024", "there is no such date"),
    ],
)
def test_dates_that_stop(cell: object, message: str) -> None:
    clinical = CLINICAL.assign(first_dose=[cell, None, None])
    with pytest.raises(DataError, match=message):
        build_cohort(levels=[LEVELS], clinical=clinical)


@pytest.mark.parametrize(
    "cell", ["2020-03-31", "2020/03/31", "31-Mar-2020", "31 March 2020", "31MAR2020", "Mar 31, 2020", "31.03.2020"]
)
def test_dates_that_read_one_way(cell: str) -> None:
    cohort = build_cohort(levels=[LEVELS], clinical=CLINICAL.assign(first_dose=[cell, None, None]))
    assert str(cohort.uns["patients"]["first_dose"].iloc[0]).startswith("2020-03-31")


@pytest.mark.parametrize("events", [["dead", "alive", "dead"], [1, 2, 2], [2, 2, 2], ["yes", "no", "no"]])
def test_a_name_alone_does_not_tell_the_polarity(events: list[object]) -> None:
    """R's survival writes 2 for dead, other programs 1: found by its name, an event column must hold 0 and 1."""
    clinical = CLINICAL.assign(os_months=[1.0, 2.0, 3.0], os_event=events)
    with pytest.raises(UsageError, match=r"not said which value of 'os_event' means.*--endpoint os=os_months:os_event"):
        build_cohort(levels=[LEVELS], clinical=clinical)
    said = {"time": "os_months", "event": "os_event", "event_when": [str(events[0])], "unit": "months"}
    for name in ("os", "survival"):
        columns = ColumnMap.model_validate({"endpoints": {name: said}})
        cohort = build_cohort(levels=[LEVELS], clinical=clinical, columns=columns)
        assert cohort.uns["patients"][f"{name}_event"].sum() == sum(event == events[0] for event in events)


def test_a_polarity_read_from_a_name_is_told() -> None:
    clinical = CLINICAL.assign(os_months=[1.0, 2.0, 3.0], os_event=[1, 0, 1])
    notes = build_cohort(levels=[LEVELS], clinical=clinical).uns["notes"]
    assert "clinical table: os_event = 1 counts as an event of OS, os_months in months" in notes


def test_look_alikes_within_the_clinical_table_stop_until_they_are_told_apart() -> None:
    clinical = clinical_rows(P1="PR", P2="SD", **{"p-01": "PD"})
    with pytest.raises(DataError, match="'P1' and 'p-01'"):
        build_cohort(levels=[LEVELS], clinical=clinical)
    distinct = ColumnMap(look_alikes="distinct")
    notes = build_cohort(levels=[LEVELS], clinical=clinical, columns=distinct).uns["notes"]
    assert any("count as different patients: 'P1' and 'p-01'" in note for note in notes)


def test_nobody_untreated_counts_in_an_end_point() -> None:
    clinical = clinical_rows(P1="PR", P2="SD", P3="PD").assign(
        treated=["yes", "yes", "no"], os_months=[1.0, 2.0, 3.0], os_event=[1, 0, 1]
    )
    cohort = build_cohort(levels=[LEVELS], clinical=clinical)
    found = summarise_study(cohort).endpoints.drop_duplicates("endpoint").set_index("endpoint")
    assert found["n"].to_dict() == {
        "objective response rate": 2, "disease control rate": 2, "OS": 2, "follow-up (OS)": 2
    }  # fmt: skip
    assert biopsy_selection(cohort)["n"].sum() == 2
    told = next(note for note in cohort.uns["notes"] if "not treated" in note)
    assert told.startswith("clinical table: 1 patient was not treated and counts in no end point")
    assert told.endswith("a response is recorded all the same for P3")


def test_a_clinical_table_without_a_response_says_so() -> None:
    notes = build_cohort(levels=[LEVELS], clinical=CLINICAL.drop(columns="response")).uns["notes"]
    assert any("no column of the best overall response was found; --response" in note for note in notes)


def test_a_baseline_by_another_name_is_held_to_its_date() -> None:
    sheet = pd.DataFrame({"sample": ["P1-Pre"], "patient": ["P1"], "timepoint": ["Pre"], "sample_day": [22]})
    with pytest.raises(DataError, match=r"a sample labelled pre was taken after the first dose.*day 22"):
        build_cohort(levels=[level_rows({("P1", "Pre"): 1.0})], clinical=CLINICAL, samples=sheet, baseline="Pre")


def test_flow_counts_everybody_by_response() -> None:
    clinical = clinical_rows(P1="PR", P2="SD", P3="NE", P4="CR", P5="PD").assign(treated=["yes"] * 4 + ["no"])
    scores = score_rows(("P1", 10.0, 100, 1000), ("P2", None, 5, 60))
    flow = flow_of(build_cohort(scores=[scores], clinical=clinical)).set_index("step")
    assert flow["n"].to_dict() == {
        "enrolled": 5,
        "treated": 4,
        "response evaluable": 3,
        "biopsied": 2,
        "adequate": 2,
        "scored": 1,
        "analysed: PD-L1 tps": 1,
    }
    assert flow.loc["biopsied", ["CR", "PR", "SD"]].tolist() == [0, 1, 1]
    assert flow.loc["scored", "reason"] == "1 too few tumor cells"
    assert (flow[[*keys.RESPONSES, "missing"]].sum(axis=1) == flow["n"]).all()
    parents = flow[flow["of"] != ""]
    assert (parents["n"] + parents["left_out"] == flow["n"].loc[parents["of"]].to_numpy()).all()


def test_response_rates_with_and_without_biopsy() -> None:
    # the published trial: 8 of 19 with a biopsy, 11 of 33 without
    responses = ["PR"] * 8 + ["SD"] * 11 + ["PR"] * 11 + ["SD"] * 22
    clinical = clinical_rows(**{f"P{i}": word for i, word in enumerate(responses)})
    levels = level_rows({(f"P{i}", "baseline"): float(i) for i in range(19)})
    found = biopsy_selection(build_cohort(levels=[levels], clinical=clinical)).set_index("group")
    assert found["responders"].tolist() == [8, 11]
    assert found["n"].tolist() == [19, 33]
    assert found["rate"].tolist() == pytest.approx([8 / 19, 11 / 33])
    assert 0.5 < found["p_fisher"].iloc[0] < 0.7


def test_a_cohort_comes_back_from_disk(tmp_path: Path) -> None:
    cohort = build_cohort(levels=[LEVELS], clinical=CLINICAL.assign(first_dose=["2024-01-01", None, "2024-02-01"]))
    write_cohort(cohort, tmp_path / "c.h5ad")
    back = read_cohort(tmp_path / "c.h5ad")
    # text indices come back as the text of the pandas that reads them
    np.testing.assert_array_equal(back.to_df(), cohort.to_df())
    assert list(back.obs_names) == list(cohort.obs_names)
    assert list(back.var_names) == list(cohort.var_names)
    assert back.obs["response"].tolist() == cohort.obs["response"].tolist()
    assert flow_of(back).equals(flow_of(cohort))
    assert patients_of(back)["first_dose"].tolist()[::2] == ["2024-01-01", "2024-02-01"]
    assert back.uns["notes"] == cohort.uns["notes"]
    assert (tmp_path / "flow.csv").read_text().startswith("step,of,n,CR,PR,SD,PD,NE,missing")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_h5ad_that_is_no_cohort(tmp_path: Path) -> None:
    import anndata

    names = pd.DataFrame(index=pd.Index(["a", "b"], dtype=object))
    anndata.AnnData(np.zeros((2, 2)), obs=names, var=names).write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(DataError, match="no cohort"):
        read_cohort(tmp_path / "m.h5ad")
    (tmp_path / "text.h5ad").write_text("no")
    with pytest.raises(DataError, match="not a readable h5ad"):
        read_cohort(tmp_path / "text.h5ad")
    with pytest.raises(UsageError, match="no such cohort"):
        read_cohort(tmp_path / "absent.h5ad")


def _another_kind(stream: h5py.File) -> None:
    stream["X"].attrs["encoding-type"] = "csr_matrix"


def _no_kind(stream: h5py.File) -> None:
    del stream["var"].attrs["encoding-type"]


def _no_index(stream: h5py.File) -> None:
    del stream["obs"][stream["obs"].attrs["_index"]]


@pytest.mark.parametrize("harm", [_another_kind, _no_kind, _no_index])
def test_a_cohort_that_was_damaged_is_refused(tmp_path: Path, harm: Callable[[h5py.File], None]) -> None:
    path = write_cohort(build_cohort(levels=[LEVELS], clinical=CLINICAL), tmp_path / "c.h5ad")
    with h5py.File(path, "r+") as stream:
        harm(stream)
    with pytest.raises(DataError, match="not a readable h5ad"):
        read_cohort(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.98])
def test_a_cohort_that_was_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_cohort(build_cohort(levels=[LEVELS], clinical=CLINICAL), tmp_path / "c.h5ad")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="not a readable h5ad"):
        read_cohort(path)


def test_h5ad_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5ad", "w") as stream:
        stream["obs"] = h5py.ExternalLink("/etc/other.h5", "/data")
    with pytest.raises(DataError, match="links to another file"):
        read_cohort(tmp_path / "x.h5ad")


def test_folder_of_scores(tmp_path: Path) -> None:
    score_rows(("s1", 10.0, 100, 1000), ("s2", None, 5, 60)).to_csv(tmp_path / "scores.csv", index=False)
    pd.DataFrame(
        {
            "slide": ["s1", "s2", "s3"],
            "status": ["ok", "not_evaluable", "failed"],
            "reason": ["", "too few tumor cells", "cannot decode"],
            "patient": ["P1", "P2", "P3"],
            "timepoint": ["baseline"] * 3,
        }
    ).to_csv(tmp_path / "slides.csv", index=False)
    cohort = build_cohort(scores=[tmp_path], clinical=clinical_rows(P1="PR", P2="SD", P3="PD"))
    assert cohort.obs["patient"].tolist() == ["P1", "P2", "P3"]
    assert flow_of(cohort).set_index("step").loc["adequate", "reason"] == "1 cannot decode"
    with pytest.raises(UsageError, match=r"no scores\.csv here"):
        build_cohort(scores=[tmp_path / "nope"], clinical=CLINICAL)
    with pytest.raises(UsageError, match="no levels were given"):
        build_cohort(clinical=CLINICAL)
