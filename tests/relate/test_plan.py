"""A plan holds: what it fixed cannot be changed in the call, and what it did not fix is labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.relate import Relation, relate
from biomarkers.relate.plan import load_plan


def table() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    n = 50
    return pd.DataFrame({
        "bor": np.repeat(["CR", "PR", "SD", "PD"], [5, 15, 10, 20]), "site": np.arange(n) % 2,
        **{name: generator.normal(size=n) for name in "abcd"},
    })  # fmt: skip


def ask(path: Path, **options: Any) -> Relation:
    return relate(table(), response="bor", n_permutations=199, plan=path, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "plan.toml"
    file.write_text(
        'margin = 0.2\nlevels = ["a", "b"]\nendpoints = ["orr", "dcr"]\nstrata = ["site"]\n[cutoffs]\na = [0.0]\n',
        encoding="utf-8",
    )
    return file


def test_a_plan_alone_is_enough(path: Path) -> None:
    found = ask(path)
    assert list(found.verdicts["biomarker"]) == ["a", "b"] * 2
    assert list(found.verdicts["endpoint"]) == ["orr"] * 2 + ["dcr"] * 2
    assert found.settings["strata"] == ["site"]
    assert found.settings["margin"] == 0.2
    assert not found.verdicts["reason"].str.startswith("exploratory").any()


def test_exploratory_markers_do_not_touch_the_planned_family(path: Path) -> None:
    alone = ask(path).verdicts.set_index(["biomarker", "endpoint"])["p_adjusted"]
    more = ask(path, levels=["a", "b", "c", "d"])
    beside = more.verdicts.set_index(["biomarker", "endpoint"])["p_adjusted"]
    pd.testing.assert_series_equal(beside.loc[alone.index], alone)
    notes = " ".join(more.notes)
    assert "planned family of 2 biomarkers" in notes
    assert "exploratory family of 2 biomarkers" in notes


def test_what_is_missing_is_told(path: Path) -> None:
    assert "planned but not analysed: b" in " ".join(ask(path, levels=["a"]).notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"margin": 0.1}, "margin contradicts"),
        ({"alpha": 0.1}, "alpha contradicts"),
        ({"responders": ["CR"]}, "responders contradicts"),
        ({"not_evaluable": "nonresponder"}, "not_evaluable contradicts"),
        ({"strata": ["other"]}, "strata contradicts"),
        ({"cutoffs": {"a": 1.0}}, "cutoffs of 'a'"),
        ({"cutoffs": {"b": 1.0}}, "cutoffs of 'b'"),
        ({"lloq": {"a": 1.0}}, "lloq of 'a'"),
    ],
)
def test_contradictions_stop(path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ask(path, **options)


@pytest.mark.parametrize("options", [{"margin": 0.2}, {"strata": "site"}, {"cutoffs": {"a": [0.0]}}])
def test_saying_the_same_again_is_fine(path: Path, options: dict[str, Any]) -> None:
    assert ask(path, **options).settings["plan_sha256"] == load_plan(path).sha256


@pytest.mark.parametrize(
    "text",
    ['levels = ["a"]\n', 'margin = 0.6\nlevels = ["a"]\n', 'margin = 0.1\nlevels = ["a"]\ncolour = 1\n', "margin = "],
)
def test_broken_plans_stop(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        load_plan(file)
