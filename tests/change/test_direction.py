"""Direction of a change: that of the test which decides, zeros have none; several biomarkers, other tests beside it."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from biomarkers.change.measure import measure_change
from biomarkers.change.result import Change
from biomarkers.core.errors import UsageError
from biomarkers.stats.paired import paired_t, signed_rank
from biomarkers.stats.paired_family import signed_rank_family


def _table(after: dict[str, list[float]], *, before: float = 5.0) -> pd.DataFrame:
    n = len(next(iter(after.values())))
    one = pd.DataFrame(
        {"patient": [f"P{i:03d}" for i in range(n)], "timepoint": "baseline"} | dict.fromkeys(after, before)
    )
    two = one.assign(timepoint="on_treatment", **{name: before + np.array(values) for name, values in after.items()})
    return pd.concat([one, two], ignore_index=True)


def _measure(changes: list[float], **options: object) -> Change:
    return measure_change(_table({"x": changes}), levels=["x"], **options)  # type: ignore[arg-type]


def test_few_who_rise_among_many_unchanged_are_an_increase(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "faults" / "stats" / "wrong_direction.csv")
    row = measure_change(table, levels=["x"]).table.iloc[0]
    assert (row["verdict"], row["direction"]) == ("increased", "up")
    assert (row["rose"], row["fell"], row["unchanged"]) == (6, 0, 24)
    assert row["p"] == pytest.approx(2 / 2**6)
    assert "24 of 30 pairs did not change" in row["note"]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("unchanged", [0, 1, 7, 24, 60])
@pytest.mark.parametrize("scale", ["linear", "log2", "percent"])
def test_direction_is_that_of_the_changes(sign: int, unchanged: int, scale: str) -> None:
    changes = [sign * step for step in (0.5, 1.0, 1.0, 2.0, 2.5, 3.0, 4.0)] + [0.0] * unchanged
    found = _measure(changes, scale=scale)
    row = found.table.iloc[0]
    assert row["verdict"] == ("increased" if sign > 0 else "decreased")
    assert (row["rose"], row["fell"]) == ((7, 0) if sign > 0 else (0, 7))
    assert f"{unchanged} unchanged" in found.explain()


@pytest.mark.slow
def test_significant_changes_of_one_sign_never_get_the_other() -> None:
    """Simulated: 0-80% unchanged, all others of one sign, levels with decimals; the whole path of a table."""
    rng = np.random.default_rng(4)
    wrong = significant = 0
    for _ in range(3):
        changes = {}
        signs = rng.choice([-1, 1], 12)
        for at, sign in enumerate(signs):
            size = np.round(rng.exponential(1.0, 40) + 0.1, 1)
            size[rng.random(40) < rng.uniform(0, 0.8)] = 0
            changes[f"b{at}"] = list(sign * size)
        found = measure_change(_table(changes, before=50.0), levels=list(changes), scale="log2").table
        told = np.where(found["verdict"] == "increased", 1, np.where(found["verdict"] == "decreased", -1, 0))
        significant += int((told != 0).sum())
        wrong += int(((told != 0) & (told != signs)).sum())
    assert significant > 25
    assert wrong == 0


def test_an_estimate_of_the_other_sign_is_told() -> None:
    # many fall a little, fewer rise by much: signed ranks go up, pairwise means with the unchanged go down
    changes = [-0.1 - 0.001 * i for i in range(14)] + [3.0 + 0.01 * i for i in range(13)] + [0.0] * 40
    row = _measure(changes, scale="log2", alpha=0.3).table.iloc[0]
    assert row["direction"] == "up"
    assert row["hl_change"] < 0 or row["ci_low"] <= 0 <= row["ci_high"]
    assert row["note"]


def test_all_unchanged_is_not_testable_with_a_reason() -> None:
    row = _measure([0.0] * 12).table.iloc[0]
    assert (row["verdict"], row["reason"]) == ("not_testable", "none of 12 pairs changed: nothing can be tested")
    assert row["direction"] == ""


def test_five_changes_cannot_be_significant_and_it_is_said() -> None:
    row = _measure([1.0, 2.0, 3.0, 4.0, 5.0] + [0.0] * 20).table.iloc[0]
    assert row["verdict"] == "no change shown"
    assert "only 5 of 25 pairs changed" in row["note"]


def test_pratt_stands_beside_wilcoxon() -> None:
    changes = np.array([0.0] * 6 + [1.0, 2.0, -0.5, 3.0, 1.5, 2.5, 4.0, -1.0])
    found = _measure(list(changes), scale="log2")
    assert found.table["p"].iloc[0] == pytest.approx(signed_rank(changes).p)
    assert found.table["p_pratt"].iloc[0] == pytest.approx(signed_rank(changes, zeros="pratt").p)
    rows = found.statistics.set_index("statistic")
    assert rows.loc["Hodges-Lehmann change, changed pairs only", "n"] == 8
    assert rows.loc["Hodges-Lehmann change", "n"] == 14


def test_paired_t_agrees_with_scipy() -> None:
    changes = np.random.default_rng(3).normal(0.4, 1, 17)
    estimate, test = paired_t(changes)
    wanted = scipy_stats.ttest_1samp(changes, 0)
    assert test.p == pytest.approx(wanted.pvalue)
    np.testing.assert_allclose((estimate.low, estimate.high), wanted.confidence_interval(0.95))
    row = _measure(list(changes), scale="log2").table.iloc[0]
    assert row["p_paired_t"] == pytest.approx(wanted.pvalue)
    assert math.isnan(paired_t([1.0])[1].p)
    assert paired_t([2.0, 2.0])[1].note


# -- several biomarkers ---


def _by_enumeration(differences: np.ndarray) -> np.ndarray:
    """Step-down maxima over every sign pattern, written out."""
    n, m = differences.shape
    scores = np.zeros((n, m))
    for j in range(m):
        used = np.flatnonzero(~np.isnan(differences[:, j]) & (differences[:, j] != 0))
        ranks = scipy_stats.rankdata(np.abs(differences[used, j]))
        scores[used, j] = np.sign(differences[used, j]) * ranks
    z = np.abs(scores.sum(axis=0)) / np.sqrt((scores**2).sum(axis=0))
    order = np.argsort(-z, kind="stable")
    flips = np.array(list(product((-1, 1), repeat=n)))
    every = np.abs(flips @ scores) / np.sqrt((scores**2).sum(axis=0))
    p = np.array([(every[:, order[k:]].max(axis=1) >= z[order[k]] - 1e-9).mean() for k in range(m)])
    made = np.empty(m)
    made[order] = np.maximum.accumulate(p)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_max_t_is_that_of_every_sign_pattern(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shared = rng.normal(0.5, 1, (9, 1))
    differences = np.round(shared + rng.normal(0, 1, (9, 4)), 1)
    differences[rng.random((9, 4)) < 0.15] = np.nan
    found = signed_rank_family(differences)
    assert found.exact
    np.testing.assert_allclose(found.p_step_down, _by_enumeration(differences), atol=1e-12)
    drawn = signed_rank_family(np.vstack([differences, np.full((6, 4), np.nan)]), n_flips=20_000, rng=1)
    assert not drawn.exact
    np.testing.assert_allclose(drawn.p_step_down, found.p_step_down, atol=0.015)


def test_max_t_beside_holm_and_chosen() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(0.45, 1, 30)
    changes = {f"b{i}": list(shared + rng.normal(0, 0.2, 30)) for i in range(4)}
    table, names = _table(changes, before=20.0), list(changes)
    holm = measure_change(table, levels=names, scale="log2")
    chosen = measure_change(table, levels=names, scale="log2", adjustment="max-t")
    assert (holm.table["p_max_t"] <= holm.table["p_adjusted"] + 0.01).all(), "alike biomarkers cost little jointly"
    assert holm.table["p_max_t"].max() < 0.5 * holm.table["p_adjusted"].max()
    pd.testing.assert_series_equal(chosen.table["p_adjusted"], holm.table["p_max_t"], check_names=False)
    assert "maximum" in chosen.settings["adjustment"]
    with pytest.raises(UsageError, match="unknown adjustment"):
        measure_change(table, levels=names, scale="log2", adjustment="maxt")  # type: ignore[arg-type]


# -- three visits ---


def test_a_model_over_every_visit_says_when_it_disagrees() -> None:
    rng = np.random.default_rng(8)
    n = 26
    base = rng.normal(6, 1, n)
    visits = {
        "baseline": base + rng.normal(0, 0.3, n),
        "c2": base + 0.5 + rng.normal(0, 0.3, n),
        "on_treatment": base + 0.5 + rng.normal(0, 0.3, n),
    }
    parts = [
        pd.DataFrame({"patient": [f"P{i}" for i in range(n)], "timepoint": point, "x": values})
        for point, values in visits.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    alike = measure_change(table, levels=["x"], scale="log2")
    row = alike.statistics.set_index("statistic").loc["mixed-model change, every visit"]
    assert row["value"] == pytest.approx(alike.pairs["change"].mean(), abs=0.05)
    assert "3 visits" in row["method"]
    assert not any("every visit finds" in note or "does not find a change" in note for note in alike.notes)
    # five pairs are left: the paired test cannot be significant, the model still uses every other sample
    late = (table["timepoint"] == "on_treatment") & (table["patient"].str[1:].astype(int) >= 5)
    told = measure_change(table[~late], levels=["x"], scale="log2")
    paired = told.table["p"].iloc[0]
    model = told.statistics.set_index("statistic").loc["mixed-model change, every visit", "p"]
    assert model <= 0.05 < paired, "what the test is about"
    assert any("mixed model over every visit finds a change" in note for note in told.notes)
    assert any("only the mixed model over every visit uses them" in note for note in told.notes)
