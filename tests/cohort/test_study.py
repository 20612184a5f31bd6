"""The patients of a study in tables, figures and a report: what is drawn is what is in the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.cohort.join import build_cohort
from biomarkers.cohort.patients import read_patients
from biomarkers.cohort.store import read_cohort, write_cohort
from biomarkers.cohort.summary import summarise_study, times_of, write_study
from biomarkers.core.errors import DataError, UsageError
from biomarkers.plot.cohort_files import save_study_figures
from biomarkers.plot.cohort_flow import plot_flow
from biomarkers.plot.cohort_response import plot_spider, plot_swimmer, plot_waterfall
from biomarkers.plot.cohort_survival import plot_landmark, plot_survival
from biomarkers.report.cohort import write_cohort_report
from tests.cohort.rows_by_hand import level_rows

CLINICAL = pd.DataFrame(
    {
        "patient": ["P1", "P2", "P3", "P4", "<b>P5"],
        "response": ["PR", "SD", "PD", "NE", None],
        "best_change_percent": [-45.0, 0.0, 140.0, np.nan, np.nan],
        "pfs_months": [10.0, 6.0, 2.0, 1.0, np.nan],
        "pfs_event": [0, 1, 1, 1, np.nan],
        "ttr_months": [1.8, np.nan, np.nan, np.nan, np.nan],
    }
)
VISITS = pd.DataFrame(
    {
        "patient": ["P1"] * 3 + ["P3"] * 2,
        "day": [0, 56, 112, 0, 56],
        "sum_mm": [100.0, 60, 55, 50, 120],
        "new_lesion": ["no", "no", "no", "no", "yes"],
    }
)
LEVELS = level_rows({("P1", "baseline"): 1.0, ("P1", "on_treatment"): 2.0, ("P2", "baseline"): 2.0})


def _cohort():  # type: ignore[no-untyped-def]
    return build_cohort(levels=[LEVELS], clinical=CLINICAL, visits=VISITS)


def test_summary_of_a_cohort(tmp_path: Path) -> None:
    found = summarise_study(_cohort(), landmarks=[3])
    assert found.flow.set_index("step")["n"].to_dict() == {
        "enrolled": 5,
        "treated": 5,
        "response evaluable": 3,
        "biopsied": 2,
        "adequate": 2,
        "scored": 2,
        "analysed: CD274 log2_cpm": 2,
        "paired with on_treatment": 1,
    }
    rates = found.endpoints.drop_duplicates("endpoint").set_index("endpoint")
    assert rates.loc["objective response rate", ["n", "events"]].tolist() == [5, 1], "everybody treated counts"
    assert "NE holds 1 patients without a recorded response" in rates.loc["objective response rate", "note"]
    recorded = rates.loc["objective response rate, recorded responses only", ["n", "events"]]
    assert recorded.tolist() == [4, 1], "NE counts, a missing response does not"
    assert found.selection["n"].tolist() == [2, 1]
    assert found.landmarks[["n_responded", "n_not"]].to_numpy().tolist() == [[1, 1]]
    names = {path.name for path in write_study(found, tmp_path)}
    assert {"patients.csv", "endpoints.csv", "visits.csv", "best_responses.csv", "landmarks.csv"} <= names
    assert len(pd.read_csv(tmp_path / "patients.csv")) == 5


@pytest.mark.filterwarnings("error::FutureWarning")
def test_a_cohort_from_disk_has_the_same_summary(tmp_path: Path) -> None:
    fresh = _cohort()
    write_cohort(fresh, tmp_path / "c.h5ad")
    one, other = summarise_study(fresh), summarise_study(read_cohort(tmp_path / "c.h5ad"))
    for name in ("flow", "endpoints", "selection", "best"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_dtype=False)
    figures = [save_study_figures(found, tmp_path / word) for found, word in ((one, "a"), (other, "b"))]
    assert [path.name for path in figures[0]] == [path.name for path in figures[1]]


def test_patients_without_levels_are_a_study_too() -> None:
    found = summarise_study(read_patients(CLINICAL))
    assert found.flow["step"].tolist() == ["enrolled", "treated", "response evaluable"]
    assert found.flow["left_out"].tolist() == [0, 0, 2]
    assert found.selection.empty
    assert found.visits.empty
    with pytest.raises(UsageError, match=r"needs the month of each response; found .*--visits or --lesions"):
        summarise_study(read_patients(CLINICAL.drop(columns="ttr_months")), landmarks=[3])
    with pytest.raises(UsageError, match="needs PFS or OS"):
        summarise_study(read_patients(CLINICAL[["patient", "response", "ttr_months"]]), landmarks=[3])
    with pytest.raises(DataError, match="nobody is left at the landmark"):
        summarise_study(read_patients(CLINICAL), landmarks=[30])


def test_one_patient_is_enough_and_nobody_is_too_few(tmp_path: Path) -> None:
    found = summarise_study(read_patients(CLINICAL.iloc[:1]))
    assert len(save_study_figures(found, tmp_path)) == 4
    assert found.endpoints["n"].tolist()[0] == 1


def test_waterfall_holds_every_measured_patient() -> None:
    ax = plot_waterfall(CLINICAL.set_index("patient"))
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [100, 0, -45], "worst first, and cut at +100%"
    assert "+140" in [text.get_text() for text in ax.texts]
    assert ax.get_xlabel() == "patients (n = 3; 2 without a measurement after baseline)"
    with pytest.raises(UsageError, match="no column 'best_change_percent'"):
        plot_waterfall(CLINICAL.drop(columns="best_change_percent"))


def test_swimmer_and_spider_hold_the_data() -> None:
    ax = plot_swimmer(CLINICAL.set_index("patient"))
    assert [bar.get_width() for bar in ax.patches] == [1, 2, 6, 10]
    marks = {str(line.get_label()): len(np.asarray(line.get_xdata())) for line in ax.lines}
    assert (marks["event"], marks["followed on"]) == (3, 1)
    visits = summarise_study(_cohort()).visits
    spider = plot_spider(visits, responses={"P1": "PR", "P3": "PD"})
    ends = [np.asarray(line.get_ydata())[-1] for line in spider.lines if len(np.asarray(line.get_xdata())) > 2]
    np.testing.assert_allclose(ends[0], -45)
    assert "new lesion" in [text.get_text() for text in spider.get_legend().get_texts()]


def test_curves_write_numbers_at_risk() -> None:
    patients = CLINICAL.set_index("patient")
    ax = plot_survival(patients, endpoint="pfs")
    counts = [int(text.get_text()) for text in ax.texts if text.get_text().isdigit()]
    ticks = np.asarray(ax.get_xticks())
    assert counts == [int((patients["pfs_months"] >= tick).sum()) for tick in ticks]
    assert "n = 4, 3 events" in ax.get_legend().get_texts()[0].get_text()
    later = plot_landmark(patients, endpoint="pfs", at=3)
    assert later.get_xlabel() == "months since the landmark (month 3)"
    assert [text.get_text().split(":")[0] for text in later.get_legend().get_texts()] == [
        "not by month 3",
        "responded by month 3",
    ]
    with pytest.raises(DataError, match="nobody has a time"):
        plot_survival(patients.assign(pfs_months=np.nan, pfs_event=np.nan), endpoint="pfs")


def test_flow_drawn_has_a_box_a_step_and_says_who_left() -> None:
    flow = summarise_study(_cohort()).flow
    texts = [text.get_text().replace("\n", " ") for text in plot_flow(flow).texts]
    for step in flow["step"]:
        assert any(text.startswith(str(step)) for text in texts), step
    assert any("1 not evaluable (NE)" in text for text in texts)


def test_biomarkers_that_lost_the_same_patients_share_a_box() -> None:
    flow = summarise_study(_cohort()).flow
    one = flow[flow["step"].str.startswith("analysed")]
    fewer = one.assign(step="analysed: y", n=1, left_out=1, reason="1 too few cells")
    many = pd.concat([flow, *(one.assign(step=f"analysed: x{i}") for i in range(20)), fewer])
    texts = [text.get_text().replace("\n", " ") for text in plot_flow(many).texts]
    boxes = [text for text in texts if text.startswith("analysed")]
    assert len(boxes) == 2
    assert boxes[0].startswith("analysed: CD274 log2_cpm x0 x1 x2 and 17 more n = 2")
    assert boxes[1].startswith("analysed: y n = 1")
    assert boxes[1].endswith("without: 1 too few cells")


def test_report_is_whole_and_escapes_names(tmp_path: Path) -> None:
    found = summarise_study(_cohort())
    figures = save_study_figures(found, tmp_path / "figures", simulated=True)
    assert {path.name for path in figures} == {
        "00_flow_of_patients.png",
        "01_waterfall.png",
        "02_spider.png",
        "03_swimmer_pfs.png",
        "10_Kaplan-Meier_pfs.png",
    }
    text = write_cohort_report(found, tmp_path / "r.html", figures=tmp_path / "figures", simulated=True).read_text()
    assert "<b>P5" not in text
    assert "&lt;b&gt;P5" in text
    assert "Simulated data" in text
    assert "Research use only" in text
    assert text.count("data:image/png;base64") == 5


def test_times_that_nobody_has_are_not_drawn() -> None:
    patients = read_patients(CLINICAL.assign(os_months=np.nan, os_event=np.nan)).table
    assert times_of(patients) == ["pfs"]


def test_a_whole_study_shows_its_patients(tmp_path: Path) -> None:
    from biomarkers.relate import relate
    from biomarkers.report import write_study_report

    rng = np.random.default_rng(0)
    n = 24
    table = pd.DataFrame(
        {"patient": [f"P{i}" for i in range(n)], "response": ["PR", "SD", "PD"] * 8, "x": rng.normal(size=n)}
    )
    relation = relate(table, levels=["x"], response="response", patient="patient", n_permutations=99)
    summary = summarise_study(read_patients(table))
    text = write_study_report(tmp_path / "r.html", relation=relation, patients=summary).read_text()
    assert "objective response rate" in text
    assert "response evaluable" in text


def test_levels_of_every_visit_are_joined() -> None:
    from biomarkers.plot.cohort_levels import plot_visits

    levels = level_rows({("P1", "baseline"): 1.0, ("P1", "c3d1"): 2.0, ("P1", "progression"): 4.0, ("P2", "c3d1"): 3.0})
    cohort = build_cohort(levels=[levels], clinical=CLINICAL)
    ax = plot_visits(cohort, biomarker="CD274 log2_cpm")
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        "baseline\nn = 1",
        "c3d1\nn = 2",
        "progression\nn = 1",
    ]
    lines = [np.asarray(line.get_ydata()).tolist() for line in ax.lines]
    assert [1.0, 2.0, 4.0] in lines
    assert [2.5] in lines, "the median of C3D1"
    with pytest.raises(UsageError, match="Did you mean 'CD274 log2_cpm'"):
        plot_visits(cohort, biomarker="CD274 log2cpm")


def test_three_visits_are_drawn_and_two_are_pairs(tmp_path: Path) -> None:
    from biomarkers.plot.cohort_files import save_level_figures

    points = ("baseline", "c3d1", "progression")
    levels = level_rows({("P1", point): float(i) for i, point in enumerate(points)})
    made = save_level_figures(build_cohort(levels=[levels], clinical=CLINICAL), tmp_path)
    assert [path.name for path in made] == ["70_CD274-log2-cpm_by_visit.png"]
    assert save_level_figures(_cohort(), tmp_path) == []
