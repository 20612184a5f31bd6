"""A pattern that bends: the AUC of the distance from the middle has to lie inside the margin as the AUC does."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from biomarkers.relate import relate
from biomarkers.relate.families import Family
from biomarkers.relate.folded import folded_auc
from biomarkers.relate.power import power
from biomarkers.relate.power_search import needed
from biomarkers.relate.power_statistics import permuted_p, rank_statistics
from biomarkers.relate.verdict import decide, smallest_margin
from biomarkers.stats.permutation_marginal import marginal_permutation
from biomarkers.stats.results import Estimate
from biomarkers.stats.roc import auc_logit_delong
from biomarkers.stats.spread import ansari_bradley, folded_ranks


def test_by_hand() -> None:
    level, responder = np.array([1.0, 2, 3, 4, 5]), np.array([True, False, True, False, False])
    assert folded_ranks(level).tolist() == [2, 1, 0, 1, 2]
    found = folded_auc(level, responder, None, confidence=0.9)
    assert found is not None
    # responders lie 2 and 0 from the middle, others 1, 1, 2: 2 lies above two and ties with one, 0 above none
    assert found.value == pytest.approx(2.5 / 6)
    stretched = folded_auc(np.exp(level), responder, None, confidence=0.9)
    turned = folded_auc(-level, responder, None, confidence=0.9)
    assert found == stretched == turned


def test_two_values_cannot_bend() -> None:
    level, responder = np.repeat([0.0, 1.0], [30, 22]), np.arange(52) % 3 == 0
    assert folded_auc(level, responder, None, confidence=0.9) is None
    row = relate(
        pd.DataFrame({"x": level, "r": np.where(responder, "y", "n")}), levels=["x"], response="r", responders=["y"],
        non_responders=["n"], margin=0.2, n_permutations=199,
    ).verdicts.iloc[0]  # fmt: skip
    assert row["verdict"] == "independent_within_margin"
    assert row[["auc_spread", "auc_spread_low90", "auc_spread_high90"]].isna().all()


def test_strata_are_folded_one_by_one_and_pooled() -> None:
    generator = np.random.default_rng(2)
    level, responder, site = generator.normal(size=60), np.arange(60) % 3 == 0, np.arange(60) < 24
    parts = [folded_auc(level[here], responder[here], None, confidence=0.9) for here in (site, ~site)]
    weights = [8 * 16 / 25, 12 * 24 / 37]  # n1 n2 / (n1 + n2 + 1)
    both = folded_auc(level + 100.0 * site, responder, site, confidence=0.9)
    assert both is not None
    assert both.value == pytest.approx(np.average([one.value for one in parts if one], weights=weights))
    alone = folded_auc(np.where(site, level > 0, level), responder, site, confidence=0.9)
    assert alone is not None, "a stratum of two values says nothing of a bend, the other does"
    assert parts[1] is not None
    assert alone.value == pytest.approx(parts[1].value)


def test_the_statistic_is_that_of_ansari_and_bradley() -> None:
    """Without ties both are one number: z turns over, since near the middle is positive there."""
    generator, responder = np.random.default_rng(4), np.arange(52) < 19
    pairs = []
    for _ in range(20):
        level = generator.normal(size=52)
        found = folded_auc(level, responder, None, confidence=0.9)
        assert found is not None
        pairs.append((found.value - 0.5, ansari_bradley(level, responder).statistic))
    slopes = [z / gap for gap, z in pairs]
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-9)
    assert slopes[0] < 0


@pytest.mark.parametrize(("in_the_middle", "verdict"), [(7, "independent"), (9, "bends"), (10, "bends")])
def test_a_bend_that_no_test_sees_takes_independence_away(in_the_middle: int, verdict: str) -> None:
    """Response spread evenly within each third: 41% of 17 in the middle are called independent, 53 and 59% are not."""
    outer, responder = 19 - in_the_middle, np.zeros(52, dtype=bool)
    for low, high, count in ((0, 17, outer // 2), (17, 35, in_the_middle), (35, 52, outer - outer // 2)):
        responder[np.round(np.linspace(low, high - 1, count)).astype(int)] = True
    table = pd.DataFrame({"x": np.arange(52.0), "r": np.where(responder, "y", "n")})
    found = relate(
        table, levels=["x"], response="r", responders=["y"], non_responders=["n"], margin=0.2, n_permutations=999
    )
    row = found.verdicts.iloc[0]
    assert row["p_spread"] > 0.1
    assert row["p_omnibus"] > 0.1
    assert 0.3 < row["auc_low90"] < row["auc_high90"] < 0.7
    if verdict == "independent":
        assert row["verdict"] == "independent_within_margin"
        assert "distance from the middle" in found.explain()
        assert row["smallest_margin"] < 0.2
        return
    assert row["verdict"] == "inconclusive"
    assert "a pattern that bends is not excluded: AUC of the distance from the middle" in row["reason"]
    assert f"{row['auc_spread_low90']:.2f}".replace("0.", ".", 1) in row["reason"]
    assert "A pattern that bends" in found.explain()
    assert row["smallest_margin"] == pytest.approx(0.5 - row["auc_spread_low90"])
    assert row["smallest_margin"] > 0.2


def test_the_rule_holds_both_to_one_margin() -> None:
    def verdict(low: float, high: float) -> str:
        level, folded = (Estimate((a + b) / 2, a, b, 0.9, 52, "") for a, b in ((0.4, 0.6), (low, high)))
        return decide(
            p_dependence=0.6, p_omnibus=0.6, p_spread=0.6, ci90=level, folded90=folded, margin=0.15, alpha=0.05
        ).verdict

    assert verdict(0.36, 0.64) == "independent_within_margin"
    assert verdict(0.34, 0.60) == verdict(0.40, 0.66) == "inconclusive"
    narrow, wide = Estimate(0.5, 0.4, 0.6, 0.9, 52, ""), Estimate(0.4, 0.28, 0.52, 0.9, 52, "")
    assert smallest_margin(narrow) == pytest.approx(0.10)
    assert smallest_margin(narrow, wide) == pytest.approx(0.22)


@pytest.mark.parametrize("kind", ["no ties", "four values", "tied at the bottom"])
def test_statistics_of_many_cohorts_are_those_of_one(kind: str) -> None:
    levels = np.random.default_rng(5).normal(size=(30, 40))
    levels = {"no ties": levels, "four values": np.round(levels), "tied at the bottom": np.maximum(levels, 0.3)}[kind]
    seen = rank_statistics(levels, 11)
    low, high = seen.limits(1.6448536269514722)
    one = [auc_logit_delong(column[:11], column[11:], level=0.9) for column in levels.T]
    np.testing.assert_allclose(seen.theta, [found.value for found in one], rtol=1e-12)
    np.testing.assert_allclose(low, [found.low for found in one], rtol=1e-9)
    np.testing.assert_allclose(high, [found.high for found in one], rtol=1e-9)
    assert seen.distinct.tolist() == [len(np.unique(column)) for column in levels.T]


def test_cohorts_are_left_only_when_p_is_known_to_lie_above_alpha() -> None:
    generator = np.random.default_rng(6)
    levels = generator.normal(size=(30, 60))
    levels[:11] += np.linspace(0, 1.5, 60)
    levels[:, 7] = 3.0
    exact = marginal_permutation(levels, np.arange(30) < 11, n_permutations=9_999, rng=1)
    found = permuted_p(levels, 11, n_permutations=1_999, alpha=0.05, rng=2)
    assert np.isnan(found[0][7])
    for mine, theirs in zip(found, (exact.p, exact.p_energy), strict=True):
        far = ~np.isnan(theirs) & (np.abs(theirs - 0.05) > 3.5 * math.sqrt(0.05 * 0.95 / 1999))
        assert ((mine <= 0.05) == (theirs <= 0.05))[far].all()
        low = far & (theirs < 0.05)
        assert low.sum() > 5
        np.testing.assert_allclose(mine[low], theirs[low], atol=0.02)
        assert (mine[far & (theirs > 0.05)] <= theirs[far & (theirs > 0.05)] + 0.05).all()


def test_levels_that_bend_by_themselves_have_no_size_at_which_independence_is_shown() -> None:
    seed = np.random.SeedSequence(0)
    assert math.isnan(needed(Family("unequal-variance"), 0.36, margin=0.2, alpha=0.05, seed=seed))
    told = power(
        40, n_responders=15, thetas=(0.5,), margins=(0.2,), levels="unequal-variance", n_simulations=20,
        n_permutations=99,
    )  # fmt: skip
    assert "80% is not reached at any size" in told.explain()
