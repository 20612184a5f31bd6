"""Strata: the answer rests on comparisons within each stratum, whatever the end point."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.relate import relate
from biomarkers.relate.permuted import binary_tests
from biomarkers.stats.permutation_association import association_permutation, distance_covariance_permutation
from biomarkers.stats.rank_concordance import concordance, somers_d
from biomarkers.stats.tables import common_odds_ratio, fisher_stratified

ENDS = ("recist", "best_change", "os")


def confounded(n: int = 60) -> pd.DataFrame:
    """Level and outcome both follow the site; within a site they run against each other or not at all."""
    generator = np.random.default_rng(8)
    site = np.repeat(["one", "two"], n)
    good = np.concatenate([np.arange(n) < 0.15 * n, np.arange(n) < 0.85 * n])
    return pd.DataFrame({
        "bor": np.where(good, "PR", np.where(np.arange(2 * n) % 2, "SD", "PD")),
        "level": np.where(site == "two", 3.0, 0.0) + generator.normal(size=2 * n),
        "change": np.where(site == "two", -60.0, 20.0) + 5 * generator.normal(size=2 * n),
        "months": np.where(site == "two", 30.0, 5.0) * generator.exponential(size=2 * n) + 0.1,
        "dead": (generator.random(2 * n) < 0.8).astype(int),
        "site": site,
    })  # fmt: skip


@pytest.mark.parametrize("endpoint", ENDS)
def test_confounding_is_seen_at_every_end_point(endpoint: str) -> None:
    asked = {
        "levels": ["level"], "response": "bor", "endpoint": endpoint, "best_change": "change", "n_permutations": 499,
    }  # fmt: skip
    if endpoint == "os":
        asked |= {"time": "months", "event": "dead"}
    crude = relate(confounded(), **asked)  # type: ignore[arg-type]
    held = relate(confounded(), strata="site", **asked)  # type: ignore[arg-type]
    assert crude.verdicts["verdict"].item() == "dependent"
    assert held.verdicts["verdict"].item() == "inconclusive"
    assert "confounding by stratum" in held.verdicts["reason"].item()
    methods = held.table["method"]
    assert methods.str.startswith("stratum ").sum() == 2
    assert methods.str.contains("Cochran's Q").sum() == 1
    assert methods.str.contains("within strata").any()


def test_strata_that_disagree_are_told() -> None:
    generator = np.random.default_rng(0)
    yes = np.tile(np.arange(60) < 25, 2)
    way = np.repeat([1.0, -1.0], 60)
    table = pd.DataFrame({
        "bor": np.where(yes, "PR", "PD"), "level": generator.normal(size=120) + 1.5 * way * yes,
        "site": np.repeat(["up", "down"], 60),
    })  # fmt: skip
    found = relate(table, levels=["level"], response="bor", strata="site", n_permutations=499)
    assert "strata differ" in found.verdicts["reason"].item()
    assert found.verdicts["verdict"].item() != "independent_within_margin"


def test_opposite_strata_are_not_independence() -> None:
    """Strata that mirror each other: the pooled AUC is one half, and yet response depends on the level in each."""
    yes = np.arange(400) < 160
    level = np.random.default_rng(1).normal(size=400) + 0.4 * yes
    table = pd.DataFrame({
        "bor": np.tile(np.where(yes, "PR", "PD"), 2), "level": np.concatenate([level, -level]),
        "site": np.repeat(["up", "down"], 400),
    })  # fmt: skip
    row = relate(table, levels=["level"], response="bor", strata="site", n_permutations=199).verdicts.iloc[0]
    assert row["auc"] == pytest.approx(0.5)
    assert 0.35 < row["auc_low90"] < row["auc_high90"] < 0.65
    assert row["verdict"] == "inconclusive"
    assert "strata do not tell one story" in row["reason"]


def test_simpsons_paradox_is_named() -> None:
    """Within each site responders have the lower level, over both sites the higher one."""
    generator = np.random.default_rng(3)
    site = np.repeat([0, 1], 80)
    yes = np.concatenate([np.arange(80) < 10, np.arange(80) < 70])
    level = 4.0 * site - 1.5 * yes + generator.normal(size=160)
    table = pd.DataFrame({"bor": np.where(yes, "PR", "PD"), "level": level, "site": site})
    found = relate(table, levels=["level"], response="bor", strata="site", n_permutations=499)
    assert "Simpson's paradox" in found.verdicts["reason"].item()
    assert found.verdicts["auc"].item() < 0.5


def test_one_stratum_is_no_stratum() -> None:
    table = confounded()
    table["all"] = "x"
    asked = {"levels": ["level"], "response": "bor", "endpoint": ["orr", *ENDS], "best_change": "change"}
    asked |= {"time": "months", "event": "dead", "n_permutations": 199}
    plain = relate(table, **asked).verdicts  # type: ignore[arg-type]
    one = relate(table, strata="all", **asked).verdicts  # type: ignore[arg-type]
    np.testing.assert_allclose(one["auc"], plain["auc"], rtol=1e-12)
    for column in ("concordance", "concordance_low95"):
        np.testing.assert_allclose(one[column], plain[column], rtol=1e-12)
    graded = plain["endpoint"] != "orr"
    assert plain["concordance_low95"][graded].notna().all()


def test_a_stratum_far_away_changes_nothing() -> None:
    """Shift all levels and times of one site: comparisons within sites do not move."""
    table = confounded()
    moved = table.assign(level=table["level"] + 100.0 * (table["site"] == "two"))
    asked = {"levels": ["level"], "response": "bor", "endpoint": ["orr", *ENDS], "best_change": "change"}
    asked |= {"time": "months", "event": "dead", "strata": "site", "n_permutations": 199}
    one, two = (relate(frame, **asked).verdicts for frame in (table, moved))  # type: ignore[arg-type]
    for column in ("auc", "auc_low95", "concordance", "concordance_low95", "p_dependence", "p_omnibus"):
        np.testing.assert_allclose(one[column], two[column], rtol=1e-12)


def _all_within(x: np.ndarray, y: np.ndarray, block: np.ndarray) -> float:
    """Exact p over every arrangement within strata."""
    x, y = x.astype(float), y.astype(float)
    for code in np.unique(block):
        x[block == code] -= x[block == code].mean()
        y[block == code] -= y[block == code].mean()
    places = [list(itertools.permutations(np.flatnonzero(block == code))) for code in np.unique(block)]
    orders = [np.concatenate(parts) for parts in itertools.product(*places)]
    start = np.concatenate([np.flatnonzero(block == code) for code in np.unique(block)])
    seen = abs(x @ y)
    return float(np.mean([abs(x[start] @ y[order]) >= seen - 1e-9 for order in orders]))


def test_permutation_within_strata_is_every_arrangement_within_strata() -> None:
    x = np.array([1.0, 2, 3, 4, 9, 7, 8, 5])
    y = np.array([2.0, 1, 4, 3, 1, 5, 4, 0])
    block = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    exact = _all_within(x, y, block)
    found = association_permutation(x, y, strata=block, n_permutations=20_000, rng=1)
    assert abs(found.p - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_patients_is_nothing_within_strata(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n = 14
    x, y = generator.integers(0, 5, n).astype(float), generator.normal(size=n)
    block, order = generator.integers(0, 3, n), generator.permutation(n)
    for test in (association_permutation, distance_covariance_permutation):
        one = test(x, y, strata=block, n_permutations=99, rng=0)
        two = test(x[order], y[order], strata=block[order], n_permutations=99, rng=0)
        assert one.p == two.p or np.isnan(one.p) == np.isnan(two.p) is True


def test_concordance_within_strata_is_a_mean_over_pairs() -> None:
    generator = np.random.default_rng(5)
    x, y, block = generator.normal(size=30), generator.integers(0, 3, 30), generator.integers(0, 2, 30)
    pairs, agree = 0, 0.0
    for i, j in itertools.combinations(range(30), 2):
        if block[i] == block[j] and y[i] != y[j]:
            pairs += 1
            agree += np.sign((x[i] - x[j]) * (y[i] - y[j]))
    assert somers_d(x, y, strata=block).value == pytest.approx(agree / pairs)
    time, event = generator.exponential(size=30), generator.random(30) < 0.7
    halves = [concordance(x[block == b], time[block == b], event[block == b]).value for b in (0, 1)]
    together = concordance(x, time, event, strata=block).value
    assert min(halves) - 1e-12 <= together <= max(halves) + 1e-12


def test_errors_hold_when_labels_are_shuffled_within_strata() -> None:
    """Level and response rate both follow the stratum; within it three markers are noise."""
    generator = np.random.default_rng(5)
    n, runs = 48, 250
    strata = np.repeat(["a", "b", "c"], n // 3)
    yes = np.concatenate([np.arange(n // 3) < k for k in (3, 8, 12)])
    alone, family, graded = [], [], []
    for run in range(runs):
        levels = generator.normal(size=(n, 3)) + 2.0 * np.repeat([0, 1, 2], n // 3)[:, None]
        tests = binary_tests(levels, yes, strata=strata, n_permutations=199, seed=run)
        alone.append(tests.p[0])
        family.append(tests.p_adjusted.min())
        graded.append(association_permutation(levels[:, 0], levels[:, 1], strata=strata, n_permutations=199, rng=run).p)
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    for p in (alone, family, graded):
        assert np.mean(np.array(p) <= 0.05) <= most
        assert 0.4 < np.mean(np.array(p) <= 0.5) < 0.6


def test_a_fixed_cut_has_its_common_odds_ratio_within_strata() -> None:
    generator = np.random.default_rng(12)
    n = 60
    table = pd.DataFrame({
        "level": generator.integers(0, 4, n).astype(float),
        "BOR": np.where(generator.random(n) < 0.4, "PR", "SD"),
        "site": np.where(np.arange(n) < 2, "tiny", np.where(np.arange(n) % 2, "a", "b")),
    })  # fmt: skip
    table.loc[:1, "BOR"] = "SD"  # this site tells nothing
    found = relate(
        table, levels=["level"], response="BOR", strata="site", cutoffs={"level": 2}, n_permutations=99
    ).table.set_index("method")
    known = table[table["site"] != "tiny"]
    blocks = [
        [[int((((part["level"] >= 2) == high) & (part["BOR"] == word)).sum()) for word in ("PR", "SD")]
         for high in (True, False)]
        for _, part in known.groupby("site")
    ]  # fmt: skip
    ratio, row = common_odds_ratio(blocks), found.loc["common odds ratio within strata, exact interval"]
    assert (row["value"], row["ci_low"], row["ci_high"]) == (ratio.value, ratio.low, ratio.high)
    assert "2 of 3 strata tell" in row["note"]
    assert found.loc["Fisher exact within strata, two-sided", "p"] == fisher_stratified(blocks).p


def test_complete_separation_within_strata_has_an_interval_that_fits_its_test() -> None:
    # two strata of 6 and 8: variance under the null (6 + 8 + 1) / (12 * 48) = .026 each, half of it pooled
    table = pd.DataFrame({
        "bor": (["PR"] * 6 + ["PD"] * 8) * 2, "site": ["a"] * 14 + ["b"] * 14,
        "x": [*np.arange(8.0, 14), *np.arange(8.0), *np.arange(108.0, 114), *np.arange(100.0, 108)],
    })  # fmt: skip
    row = relate(table, levels=["x"], response="bor", strata="site", n_permutations=999).verdicts.iloc[0]
    assert row["verdict"] == "dependent"
    assert row["auc"] == 1
    assert row["auc_low95"] == pytest.approx(1 - 1.959964 * (15 / 576 / 2) ** 0.5, abs=1e-4)
