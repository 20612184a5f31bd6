"""Reports are whole, escaped, and say what they must."""

import re

import numpy as np
import pandas as pd
import pytest

from biomarkers.relate import relate
from biomarkers.report import Figure, write_relation_report, write_study_report
from biomarkers.report.page import as_table, number
from biomarkers.review.gallery import write_review

HOSTILE = "<script>alert('x')</script>&\"PD-L1"


@pytest.fixture(scope="module")
def relation():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        HOSTILE: rng.normal(size=40), "flat": 1.0, "best": np.repeat(["PR", "SD", "PD", "NE"], 10),
    })  # fmt: skip
    return relate(table, levels=[HOSTILE, "flat"], response="best", n_permutations=199)


@pytest.fixture
def figure(tmp_path):
    from PIL import Image

    path = tmp_path / "01_a_figure.png"
    Image.new("RGB", (4, 4)).save(path)
    return path


def test_names_are_escaped_and_nothing_is_fetched(relation, tmp_path, figure):
    text = write_relation_report(relation, tmp_path / "report.html", figures=tmp_path).read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r'(src|href)="(?!data:)', text), "everything is in the file"
    assert "http" not in re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert "a figure" in text


def test_a_report_says_verdict_definition_precision_and_its_use(relation, tmp_path):
    text = write_relation_report(relation, tmp_path / "report.html").read_text()
    for words in ("inconclusive", "not testable", "every patient has the same level", "left out: NE 10"):
        assert words in text
    for words in ("Research use only", "could have shown", "n_permutations", "biomarkers&#34;"):
        assert words in text
    assert "Simulated data" not in text


def test_simulated_data_is_called_simulated(relation, tmp_path):
    path = write_study_report(tmp_path / "report.html", relation=relation, simulated=True)
    assert "Simulated data: every value here is simulated" in path.read_text()


def test_a_study_shows_its_slides_and_flow(relation, tmp_path, figure):
    slides = pd.DataFrame(
        {"slide": ["a", "=b"], "status": ["ok", "failed"], "reason": ["", "<b>no</b>"], "n_cells": [3, None]}
    )
    flow = pd.DataFrame({"step": ["enrolled"], "n": [40]})
    path = write_study_report(
        tmp_path / "report.html", relation=relation, slides=slides, flow=flow, slide_figures=[Figure(figure, "overlay")]
    )
    text = path.read_text()
    assert "2 slides: 1 ok, 1 failed" in text
    assert "enrolled" in text
    assert "<b>no</b>" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (12.0, "12"), (-3.25, "-3.250"), (1234.6, "1235"), (float("inf"), "∞"), (float("nan"), "")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_a_p_value_is_never_written_as_zero():
    assert number(1e-9, p=True) == "1.0e-09"
    assert as_table(pd.DataFrame({"p": [1e-9]})).rows[0][0].text == "1.0e-09"


def test_missing_values_are_empty():
    table = as_table(pd.DataFrame({"a": [None, "x"], "n": pd.array([1, None], dtype="Int64")}))
    assert [cell.text for cell in table.rows[0]] == ["", "1"]
    assert [cell.text for cell in table.rows[1]] == ["x", ""]


def test_the_review_page_shows_every_slide_and_escapes(tmp_path):
    slides = {"slide": ["p1/core", HOSTILE], "status": ["ok", "failed"], "reason": ["", "cannot be read"]}
    pd.DataFrame({**slides, "n_cells": [5, None]}).to_csv(tmp_path / "slides.csv", index=False)
    scores = {"slide": "p1/core", "region": "all", "marker": "PD-L1", "score": "tps", "value": 12.5, "status": "ok"}
    pd.DataFrame([scores]).to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "p1_core.png").write_bytes(b"")
    text = write_review(tmp_path).read_text()
    assert "overlays/p1_core.png" in text
    assert "12.5" in text
    assert "cannot be read" in text
    assert text.count(">cells<") == 1, "of the slide that has some"
    assert text.count("<script>") == 1, "the page's own"


def test_a_folder_without_scores_is_refused(tmp_path, capsys):
    from biomarkers.cli.main import run

    assert run(["review", str(tmp_path)]) == 2
    assert "no scored slides" in capsys.readouterr().err
