"""Assays and settings: what is shipped, and what is refused."""

from __future__ import annotations

import pytest

from biomarkers.core.config import Assay, assay_names, load_assay, parse
from biomarkers.core.errors import UsageError
from biomarkers.core.keys import CELL_CLASSES


def test_the_shipped_assays():
    assert set(assay_names()) == {"22c3", "28-8", "sp142", "sp263", "73-10", "pd-1", "h-dab-nuclear", "h-dab-membrane"}


@pytest.mark.parametrize("name", assay_names())
def test_each_assay_is_whole(name):
    assay = load_assay(name)
    assert assay.name == name
    assert assay.reference
    assert assay.thresholds.source
    assert assay.scored_class in (*CELL_CLASSES, "any")


def test_names_ignore_case_and_suggest():
    assert load_assay("22C3") == load_assay("22c3")
    with pytest.raises(UsageError, match="Did you mean 'sp142'"):
        load_assay("sp143")


def test_an_assay_of_ones_own(tmp_path):
    values = load_assay("22c3").model_dump(exclude_none=True)
    import tomli_w

    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps({**values, "name": "mine"}))
    assert load_assay(path).name == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": {}}, "Did you mean 'cutoffs'"),
        ({"compartment": "wall"}, "compartment"),
        ({"cutoffs": {"tps": (50, 1)}}, "must rise"),
        ({"min_cells": {"irs": 3}}, "not among the assay's scores"),
        ({"min_cells": {"tps": -1}}, "min_cells"),
        ({"thresholds": {"dab_od": (0.3, 0.2, 0.5), "source": "x"}}, "must rise"),
        ({"thresholds": {"dab_od": (0.1, 0.2, 0.5)}}, "source"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        parse(Assay, {**load_assay("22c3").model_dump(), **change}, where="mine.toml")
