"""Measurement error: closed forms, the boundary, misclassification, simulation-extrapolation, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats import (
    Estimate,
    ReliabilityEstimate,
    attenuated_auc,
    clopper_pearson,
    correct_misclassification,
    corrected_auc,
    error_reliability,
    miettinen_nurminen,
    one_way_reliability,
    simex,
    smallest_reliability,
    spearman_brown,
    true_auc,
)

MEASURED = Estimate(0.51, 0.38, 0.64, 0.90, 52, "AUC")


@pytest.mark.parametrize("auc", [0.05, 0.38, 0.5, 0.64, 0.97])
@pytest.mark.parametrize("r", [0.2, 0.6, 0.99])
def test_correction_is_the_closed_form(auc: float, r: float) -> None:
    assert true_auc(auc, reliability=r) == pytest.approx(norm.cdf(norm.ppf(auc) / math.sqrt(r)), abs=1e-9)
    assert attenuated_auc(true_auc(auc, reliability=r), reliability=r) == pytest.approx(auc, abs=1e-9)


def test_known_reliability_corrects_each_limit() -> None:
    found = corrected_auc(MEASURED, reliability=0.6)
    for got, given in ((found.value, 0.51), (found.low, 0.38), (found.high, 0.64)):
        assert got == pytest.approx(norm.cdf(norm.ppf(given) / math.sqrt(0.6)), abs=1e-9)
    assert round(found.high, 2) == 0.68  # the claim of independence within .15 is gone


def test_reliability_one_changes_nothing_at_all() -> None:
    found = corrected_auc(MEASURED, reliability=1.0)
    assert (found.value, found.low, found.high) == (MEASURED.value, MEASURED.low, MEASURED.high)


@pytest.mark.parametrize(("low", "high"), [(0.38, 0.64), (0.36, 0.6), (0.45, 0.71)])
def test_smallest_reliability_is_where_the_farther_limit_meets_the_margin(low: float, high: float) -> None:
    least = smallest_reliability(low, high, margin=0.15)
    by_hand = (max(abs(norm.ppf(low)), abs(norm.ppf(high))) / norm.ppf(0.65)) ** 2
    assert least == pytest.approx(by_hand, abs=1e-9)
    if least <= 1:
        found = corrected_auc(Estimate(0.5, low, high, 0.9, 52, "AUC"), reliability=least)
        assert max(0.5 - found.low, found.high - 0.5) == pytest.approx(0.15, abs=1e-9)


def test_binormal_model_of_unequal_spreads_is_corrected_by_the_mean_of_the_variances() -> None:
    shift, sd, error = 0.7, 1.6, 0.8  # true groups N(0, 1) and N(.7, 1.6^2), error N(0, .8^2)
    true = norm.cdf(shift / math.sqrt(1 + sd**2))
    seen = norm.cdf(shift / math.sqrt(1 + sd**2 + 2 * error**2))
    r = 1 - error**2 / ((1 + error**2 + sd**2 + error**2) / 2)
    assert true_auc(float(seen), reliability=r) == pytest.approx(true, abs=1e-12)


def test_uncertain_reliability_widens_and_a_narrow_one_is_the_known_one() -> None:
    known = corrected_auc(MEASURED, reliability=0.6)
    narrow = corrected_auc(MEASURED, reliability=ReliabilityEstimate.with_interval(0.6, 0.5999, 0.6001))
    wide = corrected_auc(MEASURED, reliability=ReliabilityEstimate.with_interval(0.6, 0.3, 0.8))
    assert narrow.low == pytest.approx(known.low, abs=1e-4)
    assert narrow.high == pytest.approx(known.high, abs=1e-4)
    assert wide.low < known.low
    assert wide.high > known.high
    assert wide.value == known.value


def test_limits_by_quadrature_are_those_of_a_simulation() -> None:
    r = ReliabilityEstimate.with_interval(0.55, 0.35, 0.7)
    found = corrected_auc(MEASURED, reliability=r)
    rng = np.random.default_rng(0)
    z, centre = rng.standard_normal(400_000), norm.ppf(MEASURED.value)
    half = np.where(z < 0, centre - norm.ppf(MEASURED.low), norm.ppf(MEASURED.high) - centre) / norm.ppf(0.95)
    drawn = (centre + half * z) / np.sqrt(rng.choice(r.nodes, z.size))
    assert found.low == pytest.approx(norm.cdf(np.quantile(drawn, 0.05)), abs=2e-3)
    assert found.high == pytest.approx(norm.cdf(np.quantile(drawn, 0.95)), abs=2e-3)


def test_result_changes_little_with_the_reliability() -> None:
    limits = [corrected_auc(MEASURED, reliability=ReliabilityEstimate.with_interval(r, r - 0.15, min(r + 0.15, 1))).high
              for r in np.linspace(0.4, 0.84, 45)]  # fmt: skip
    assert np.abs(np.diff(limits)).max() < 0.01
    assert (np.diff(limits) < 0).all()


def test_separated_groups_stay_finite() -> None:
    found = corrected_auc(Estimate(1.0, 0.8, 1.0, 0.9, 20, "AUC"), reliability=0.5)
    assert found.value > 0.999999
    assert found.low == pytest.approx(true_auc(0.8, reliability=0.5))


def test_balanced_one_way_interval_is_the_exact_f_interval() -> None:
    from scipy.stats import f

    data = np.random.default_rng(3).normal(size=(12, 1)) + np.random.default_rng(4).normal(size=(12, 3))
    msb, mse = 3 * data.mean(axis=1).var(ddof=1), data.var(axis=1, ddof=1).mean()
    found = one_way_reliability(data)
    ratio = msb / mse
    assert found.value == pytest.approx((ratio - 1) / (ratio + 2), abs=1e-12)
    for got, p in ((found.low, 0.975), (found.high, 0.025)):
        q = ratio / f.ppf(p, 11, 24)
        assert got == pytest.approx(max((q - 1) / (q + 2), 0), abs=1e-9)


def test_more_variance_between_readings_than_patients_stands_at_the_boundary() -> None:
    data = [[0.0, 4.0], [4.1, 0.2], [0.1, 4.2], [4.0, 0.0], [0.3, 3.9]]
    found = one_way_reliability(data)
    assert found.value == 0
    assert found.low == 0
    assert found.high > 0
    corrected = corrected_auc(MEASURED, reliability=found)
    assert math.isnan(corrected.value)
    assert (corrected.low, corrected.high) == (0, 1)
    assert "estimated at 0" in corrected.note


def test_variance_between_groups_is_no_reliability() -> None:
    rng = np.random.default_rng(1)
    group = np.repeat([0, 1], 150)
    data = group[:, None] * 20.0 + rng.normal(size=(300, 1)) + rng.normal(size=(300, 2))
    assert one_way_reliability(data).value > 0.95
    assert one_way_reliability(data, groups=group).value == pytest.approx(0.5, abs=0.08)


def test_error_reliability_by_hand() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 7.0])
    assert error_reliability(x, np.full(5, 0.5)).value == pytest.approx(1 - 0.25 / x.var(ddof=1), abs=1e-12)
    assert error_reliability(x, np.full(5, 9.0)).value == 0


def test_spearman_brown() -> None:
    assert spearman_brown(0.6, 2) == pytest.approx(0.75, abs=1e-12)
    assert ReliabilityEstimate.known(0.6).of_mean(2).value == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize(
    ("given", "says"),
    [(0, "out of range"), (-0.2, "out of range"), (85, r"Write 0\.85"), (1.2, "out of range"), ("high", "no number"),
     (float("nan"), "out of range")],
)  # fmt: skip
def test_impossible_reliabilities_are_refused(given: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ReliabilityEstimate.known(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [(0.6, 0.7, 0.9), (0.6, 0.4, 0.5), (0.6, -0.1, 0.8), (0.6, 0.4, 75)])
def test_impossible_intervals_are_refused(given: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError):
        ReliabilityEstimate.with_interval(*given)


def test_replicates_that_say_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="nobody was measured twice"):
        one_way_reliability([[1.0], [2.0]])
    with pytest.raises(DataError, match="replicates of one patient only"):
        one_way_reliability([[1.0, 1.1], [2.0], [3.0]])
    with pytest.raises(DataError, match="copies of each other"):
        one_way_reliability([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    with pytest.raises(DataError, match="negative"):
        error_reliability([1.0, 2.0], [0.1, -0.1])


def test_perfect_reading_leaves_the_table_alone() -> None:
    found = correct_misclassification(14, 20, 10, 40, sensitivity=1, specificity=1)
    assert found.odds_ratio.value == pytest.approx(14 * 30 / (6 * 10), abs=1e-9)
    plain = clopper_pearson(14, 20)
    assert (found.positive_responders.low, found.positive_responders.high) == pytest.approx((plain.low, plain.high))
    difference = miettinen_nurminen(14, 20, 10, 40)
    assert (found.difference.low, found.difference.high) == pytest.approx((difference.low, difference.high), abs=1e-12)


def test_misclassified_table_by_hand() -> None:
    found = correct_misclassification(14, 20, 10, 40, sensitivity=0.9, specificity=0.8)
    p, q = (0.7 - 0.2) / 0.7, (0.25 - 0.2) / 0.7
    assert found.positive_responders.value == pytest.approx(p, abs=1e-9)
    assert found.positive_others.value == pytest.approx(q, abs=1e-9)
    assert found.difference.value == pytest.approx(p - q, abs=1e-9)
    assert found.odds_ratio.value == pytest.approx(p * (1 - q) / (q * (1 - p)), abs=1e-9)
    assert found.note == ""


def test_impossible_correction_is_said() -> None:
    found = correct_misclassification(1, 20, 10, 40, sensitivity=0.9, specificity=0.8)
    assert found.positive_responders.value == 0
    assert "cannot have given it" in found.note


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.5, 0.5), (0.3, 0.6), (90, 0.8), (0.9, 0)])
def test_readings_that_say_nothing_are_refused(sensitivity: float, specificity: float) -> None:
    with pytest.raises(UsageError):
        correct_misclassification(14, 20, 10, 40, sensitivity=sensitivity, specificity=specificity)


def _slope(y: np.ndarray):  # type: ignore[no-untyped-def]
    def estimate(x: np.ndarray) -> tuple[float, float]:
        centred = x - x.mean()
        beta = float(centred @ y / (centred @ centred))
        rest = y - y.mean() - beta * centred
        return beta, float(rest @ rest) / (x.size - 2) / float(centred @ centred)

    return estimate


def test_simex_extrapolates_the_known_attenuation_of_a_slope() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    seen, y = x + 0.5 * rng.normal(size=3000), 2 * x + rng.normal(size=3000)
    found = simex(_slope(y), seen, error_sd=0.5, n_simulations=300)
    at = np.array([0, 0.5, 1, 1.5, 2])
    naive, spread = _slope(y)(seen)[0], float(seen.var())
    expected = np.polyval(np.polyfit(at, naive * spread / (spread + at * 0.25), 2), -1.0)
    assert found.value == pytest.approx(expected, abs=0.02)  # Monte Carlo error
    assert abs(found.value - 2) < abs(naive - 2) / 4


def test_simex_variance_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(80):
        x = rng.normal(size=150)
        y = x + rng.normal(size=150)
        one = simex(_slope(y), x + 0.4 * rng.normal(size=150), error_sd=0.4, n_simulations=20, rng=rng)
        found.append((one.value, (one.high - one.low) / 2 / norm.ppf(0.975)))
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.3)


def test_simex_attenuation_extrapolant_is_exact_for_a_binormal_auc() -> None:
    r = 0.6
    variance = (1 - r) / r

    def probit(x: np.ndarray) -> tuple[float, float]:
        """What a binormal AUC of .8 becomes at the added error, known without sampling."""
        added = float(x.var() - 1.0)
        return float(norm.ppf(0.8)) / math.sqrt(1 + variance + added), 0.01

    base = np.tile([-1.0, 1.0], 40_000)
    found = simex(probit, base, error_sd=math.sqrt(variance), n_simulations=10, extrapolation="attenuation")
    assert norm.cdf(found.value) == pytest.approx(0.8, abs=2e-3)


def test_simex_without_error_corrects_nothing() -> None:
    x = np.random.default_rng(0).normal(size=50)
    assert simex(_slope(3 * x), x, error_sd=0.0).value == pytest.approx(3)
    with pytest.raises(UsageError):
        simex(_slope(x), x, error_sd=-1.0)
