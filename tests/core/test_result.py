"""Results print, paste and are kept in one way."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import biomarkers
from biomarkers.core.result import Result, as_text, plain
from biomarkers.datasets import sample_trial


@pytest.fixture(scope="module")
def relation():
    levels = pd.DataFrame({"x": np.arange(20.0), "R": ["CR", "SD"] * 10})
    return biomarkers.relate(levels, levels=["x"], response="R")


def test_a_printed_relation_shows_its_verdicts(relation):
    text = str(relation)
    assert repr(relation) == text
    assert "verdict" in text
    assert relation.verdicts["verdict"][0] in text
    assert "DataFrame" not in text
    assert "flow=" not in text


def test_the_same_protocol_for_every_result(relation):
    power = biomarkers.power(20, n_responders=8, n_simulations=50, n_permutations=99)
    expression = biomarkers.express(sample_trial().expression)
    for result in (relation, power, expression):
        assert isinstance(result, Result)
        assert isinstance(result.table, pd.DataFrame)
        assert "<table" in result._repr_html_()
        assert result.to_markdown().count("\n|") >= 2
        assert result.explain()
        json.dumps(result.to_dict(), allow_nan=False)


def test_markdown_has_one_row_a_verdict_and_no_stray_bar(relation):
    lines = [line for line in relation.to_markdown().splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(relation.verdicts)
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_numbers_as_people_and_programs_read_them():
    table = pd.DataFrame({"p": [0.00012345, np.nan, 123456.0], "n": [1, 2, 3], "s": ["a", None, "c|d"]})
    assert as_text(table).to_numpy().tolist() == [["0.000123", "1", "a"], ["", "2", ""], ["123456", "3", "c|d"]]
    assert plain(table)[1] == {"p": None, "n": 2, "s": None}
    assert plain({"a": (np.bool_(True), np.float32(0.5), float("inf"))}) == {"a": [True, 0.5, None]}
