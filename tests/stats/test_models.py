"""Regressions, agreement and the exact engine against other implementations and published examples."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as scipy_stats

from biomarkers.stats import (
    agreement,
    cox_model,
    exact,
    firth,
    linear,
    logistic_model,
    ordinal,
    paired,
    ranks,
    shift,
    splines,
    survival,
)
from biomarkers.stats.linear_model import ancova, least_squares
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.unconditional import barnard, boschloo

RNG = np.random.default_rng(20240229)
N = 80
X = RNG.normal(size=(N, 2)) * [1.0, 40.0] + [0.0, 900.0]
TIME = np.round(RNG.exponential(np.exp(-0.5 * X[:, 0])), 1) + 0.1
EVENT = RNG.random(N) < 0.7
SITE = RNG.integers(0, 3, N)
RESPONSE = RNG.random(N) < 1 / (1 + np.exp(-X[:, 0]))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("stratified", [False, True])
def test_cox_agrees_with_statsmodels(ties: str, stratified: bool) -> None:
    strata = SITE if stratified else None
    mine = cox_model.cox(TIME, EVENT, {"a": X[:, 0], "b": X[:, 1]}, ties=ties, strata=strata)
    theirs = sm.PHReg(TIME, X, status=EVENT.astype(int), ties=ties, strata=strata).fit()
    for i, coefficient in enumerate(mine.coefficients):
        assert coefficient.estimate.value == pytest.approx(theirs.params[i], rel=1e-7)
        assert coefficient.test.p == pytest.approx(theirs.pvalues[i], rel=1e-6)
    assert mine["b"].name == "b"


def test_logistic_and_least_squares_agree_with_statsmodels() -> None:
    design = sm.add_constant(X)
    mine = logistic_model.logistic(RESPONSE, X, interval="wald")
    theirs = sm.Logit(RESPONSE.astype(float), design).fit(disp=0)
    assert [c.estimate.value for c in mine.coefficients] == pytest.approx(list(theirs.params[1:]), rel=1e-6)
    assert mine.likelihood_ratio.p == pytest.approx(theirs.llr_pvalue, rel=1e-6)
    line = least_squares(TIME, X)
    ols = sm.OLS(TIME, design).fit()
    assert [c.test.p for c in line.coefficients] == pytest.approx(list(ols.pvalues[1:]), rel=1e-8)
    assert line.coefficients[0].estimate.low == pytest.approx(ols.conf_int()[1][0], rel=1e-8)
    assert line.likelihood_ratio.p == pytest.approx(ols.f_pvalue, rel=1e-8)


def test_units_of_covariates_do_not_matter() -> None:
    for fit in (
        lambda x: cox_model.cox(TIME, EVENT, x),
        lambda x: cox_model.cox_firth(TIME, EVENT, x),
        lambda x: logistic_model.logistic(RESPONSE, x),
        lambda x: firth.firth_logistic(RESPONSE, x),
        lambda x: ordinal.proportional_odds(SITE, x),
    ):
        one, other = fit(X[:, 1]).coefficients[0], fit(X[:, 1] * 1e6).coefficients[0]
        assert one.estimate.value == pytest.approx(other.estimate.value * 1e6, rel=1e-5)
        assert one.estimate.high == pytest.approx(other.estimate.high * 1e6, rel=1e-5)
        assert one.test.p == pytest.approx(other.test.p, rel=1e-5)


def test_profile_interval_is_where_the_likelihood_has_fallen() -> None:
    fit = logistic_model.logistic(RESPONSE, X[:, 0])
    y, x, _, scale = logistic_model.prepared(RESPONSE, X[:, 0])
    target = logistic_model.target_of(y, x)

    def best_at(slope: float) -> float:
        from scipy.optimize import minimize_scalar

        return -minimize_scalar(
            lambda a: -target(np.array([a, slope * scale[0]]))[0], bounds=(-9, 9), method="bounded"
        ).fun

    top = best_at(fit.coefficients[0].estimate.value)
    for end in (fit.coefficients[0].estimate.low, fit.coefficients[0].estimate.high):
        assert top - best_at(end) == pytest.approx(3.841459 / 2, abs=1e-4)


def test_proportional_odds_with_two_categories_is_logistic() -> None:
    two = ordinal.proportional_odds(RESPONSE.astype(int), X).coefficients
    one = logistic_model.logistic(RESPONSE, X).coefficients
    assert [c.estimate.value for c in two] == pytest.approx([c.estimate.value for c in one], rel=1e-7)
    assert [c.estimate.low for c in two] == pytest.approx([c.estimate.low for c in one], rel=1e-6)


def test_score_test_of_one_binary_covariate_is_the_log_rank_test() -> None:
    distinct = np.argsort(np.argsort(TIME, kind="stable")) + 1.0
    arm = (X[:, 0] > 0).astype(float)
    score = cox_model.cox(distinct, EVENT, arm).score
    assert score.p == pytest.approx(survival.log_rank(distinct, EVENT, arm).p, rel=1e-9)


def test_a_curved_effect_is_seen_and_a_straight_one_is_not() -> None:
    u = RNG.normal(size=300)
    bent = RNG.random(300) < 1 / (1 + np.exp(-(u**2 - 1) * 2))
    straight = RNG.random(300) < 1 / (1 + np.exp(-u))
    assert splines.nonlinearity(u, response=bent).p < 1e-4
    assert splines.nonlinearity(u, response=straight).p > 1e-3
    basis = splines.restricted_cubic_spline(u, knots=4)
    assert basis.shape == (300, 3)


def test_ancova_is_the_group_coefficient() -> None:
    found = ancova(TIME, X[:, 1], RESPONSE)
    theirs = sm.OLS(TIME, sm.add_constant(np.column_stack([X[:, 1], RESPONSE]))).fit()
    assert found.estimate.value == pytest.approx(theirs.params[2], rel=1e-8)
    assert found.name == "group"


def test_times_apart_by_rounding_noise_are_one_time() -> None:
    noisy, clean = np.array([0.1 + 0.2, 0.3, 0.7, 1.1]), np.array([0.3, 0.3, 0.7, 1.1])
    event, arm = [1, 1, 0, 1], np.array([0.0, 1, 1, 0])
    assert survival.kaplan_meier(noisy, event).time.size == 3
    assert survival.log_rank(noisy, event, arm).p == survival.log_rank(clean, event, arm).p
    assert cox_model.cox(noisy, event, arm).score.p == pytest.approx(cox_model.cox(clean, event, arm).score.p)
    assert survival.concordance(arm, noisy, event).value == survival.concordance(arm, clean, event).value


def test_concordance_by_counting_pairs() -> None:
    won = ties = pairs = 0.0
    for i in range(N):
        for j in range(N):
            if EVENT[i] and (TIME[i] < TIME[j] or (TIME[i] == TIME[j] and not EVENT[j])):
                pairs += 1
                won += X[i, 0] < X[j, 0]
                ties += X[i, 0] == X[j, 0]
    assert survival.concordance(X[:, 0], TIME, EVENT).value == pytest.approx((won + ties / 2) / pairs)


def test_icc_of_shrout_and_fleiss() -> None:
    readings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    found = agreement.intraclass_correlation(readings)
    assert (round(found.value, 2), round(found.low, 3), round(found.high, 3)) == (0.29, 0.019, 0.761)


def test_kappa_agrees_with_statsmodels() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    one, two = RNG.integers(0, 4, 60), RNG.integers(0, 4, 60)
    two[:30] = one[:30]
    counts = np.zeros((4, 4))
    np.add.at(counts, (one, two), 1)
    for weights, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        found, other = agreement.kappa(one, two, weights=weights), cohens_kappa(counts, wt=theirs)
        assert found.value == pytest.approx(other.kappa)
        assert found.low == pytest.approx(other.kappa_low, rel=1e-6)


def test_concordance_correlation_and_limits() -> None:
    x = np.array([1.0, 2, 3, 4, 5, 6])
    assert agreement.concordance_correlation(x, x).value == 1
    shifted = agreement.concordance_correlation(x, x + 1)
    assert shifted.value == pytest.approx(2 * x.var() / (2 * x.var() + 1))
    d = agreement.bland_altman(x, x[::-1].copy())
    assert d.bias.value == 0
    assert d.upper.value == pytest.approx(1.959964 * (2 * x - 7).std(ddof=1), rel=1e-6)


def test_repeatability_covers_95_percent_of_repeat_differences() -> None:
    truth = RNG.normal(10, 3, 4000)
    pairs = truth[:, None] + RNG.normal(0, 0.5, (4000, 2))
    found = agreement.repeatability(pairs)
    assert found.value == pytest.approx(2.7718 * 0.5, rel=0.04)
    inside = np.mean(np.abs(pairs[:, 0] - pairs[:, 1]) <= found.value)
    assert inside == pytest.approx(0.95, abs=0.011)


def test_exact_p_values_agree_with_scipy_where_there_are_no_ties() -> None:
    x, y = RNG.normal(size=9), RNG.normal(size=12)
    assert ranks.wilcoxon_rank_sum(x, y).p == pytest.approx(scipy_stats.mannwhitneyu(x, y, method="exact").pvalue)
    assert paired.signed_rank(x).p == pytest.approx(scipy_stats.wilcoxon(x, method="exact").pvalue)
    assert paired.sign_test(x).p == pytest.approx(scipy_stats.binomtest(int((x > 0).sum()), x.size).pvalue)


def test_shift_intervals_without_ties_are_the_classical_order_statistics() -> None:
    x, y = RNG.normal(size=9), RNG.normal(size=11)
    null = exact.split_distribution(np.arange(1.0, 21), 9)
    k = int(null.quantile(0.025) - 45)  # R: qwilcox(.025, 9, 11)
    assert k == 24
    ordered = np.sort(np.subtract.outer(x, y).ravel())
    found = shift.hodges_lehmann(x, y)
    assert (found.low, found.high) == pytest.approx((ordered[k - 1], ordered[-k]), rel=1e-9)
    assert shift.hodges_lehmann(x, y, estimate="centre").value == pytest.approx(np.median(ordered), rel=1e-9)
    k = int(exact.sign_distribution(np.arange(1.0, 10)).quantile(0.025))  # R: qsignrank(.025, 9)
    assert k == 6
    walsh = np.sort((x[:, None] + x[None, :])[np.triu_indices(9)] / 2)
    found = paired.hodges_lehmann_paired(x)
    assert (found.low, found.high) == pytest.approx((walsh[k - 1], walsh[-k]), rel=1e-9)
    assert paired.hodges_lehmann_paired(x, estimate="centre").value == pytest.approx(np.median(walsh), rel=1e-9)


@pytest.mark.parametrize("coarse", [False, True])
def test_asymptotic_limits_are_where_the_corrected_test_turns(coarse: bool) -> None:
    d = np.round(np.random.default_rng(31).normal(0.6, 1.0, size=15), 1 if coarse else 6)
    found = paired.hodges_lehmann_paired(d, method="asymptotic", continuity=True)

    def p(shift: float) -> float:
        return paired.signed_rank(d - shift, method="asymptotic", continuity=True).p

    hair = 1e-5
    assert p(found.low - hair) < 0.05 < p(found.low + hair)
    assert p(found.high + hair) < 0.05 < p(found.high - hair)


def test_zeros_count_as_no_change_unless_dropped() -> None:
    d = np.array([0.0, 0.0, 0.0, 1.1, 2.3, 0.7, 1.9, -0.4])
    kept, dropped = paired.hodges_lehmann_paired(d), paired.hodges_lehmann_paired(d, zeros="drop")
    assert kept.value < dropped.value
    assert (kept.n, dropped.n) == (8, 5)
    assert "3 differences are zero" in dropped.note


def test_unconditional_tests_by_enumeration() -> None:
    table = [[7, 5], [2, 11]]
    rates = np.linspace(0, 1, 20_001)[:, None, None]
    i, j = np.meshgrid(np.arange(13), np.arange(14), indexing="ij")
    mass = scipy_stats.binom.pmf(i, 12, rates) * scipy_stats.binom.pmf(j, 13, rates)
    shared = np.clip((i + j) / 25, 1e-12, 1 - 1e-12)
    z = np.abs(i / 12 - j / 13) / np.sqrt(shared * (1 - shared) * (1 / 12 + 1 / 13))
    assert barnard(table).p == pytest.approx((mass * (z >= z[7, 2] - 1e-9)).sum(axis=(1, 2)).max(), rel=1e-6)
    p = np.array([[scipy_stats.fisher_exact([[a, 12 - a], [b, 13 - b]]).pvalue for b in range(14)] for a in range(13)])
    assert boschloo(table).p == pytest.approx((mass * (p <= p[7, 2] * (1 + 1e-9))).sum(axis=(1, 2)).max(), rel=1e-6)
    # scipy takes columns as groups, and its search can stop short of the worst case
    assert barnard(table).p >= scipy_stats.barnard_exact(np.transpose(table), n=256).pvalue - 1e-9


def test_rank_p_values_are_uniform_under_the_null() -> None:
    p = []
    for _ in range(600):
        levels = RNG.integers(0, 40, 30).astype(float)
        p.append(linear.score_test(linear.midranks(levels), np.arange(30) < 12, method="exact").p)
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.001


def test_intervals_cover() -> None:
    hits = {"auc": 0, "shift": 0}
    for _ in range(300):
        x, y = RNG.normal(1, 1, 20), RNG.normal(0, 1, 30)
        theta = ranks.auc_logit_delong(x, y)
        hits["auc"] += theta.low <= 0.7602499 <= theta.high
        moved = shift.hodges_lehmann(x, y)
        hits["shift"] += moved.low <= 1 <= moved.high
    assert 270 <= hits["auc"] <= 299
    assert 272 <= hits["shift"] <= 299


def test_too_large_an_exact_distribution_falls_back_and_says_so() -> None:
    x, y = RNG.normal(size=700), RNG.normal(size=700)
    found = ranks.wilcoxon_rank_sum(x, y)
    assert "too large" in found.note
    assert found.p == pytest.approx(scipy_stats.mannwhitneyu(x, y, use_continuity=False).pvalue)
    with pytest.raises(exact.TooLargeError):
        ranks.wilcoxon_rank_sum(x, y, method="exact")


def test_results_refuse_silent_nonsense() -> None:
    with pytest.raises(ValueError, match="needs a note"):
        Test(1.0, math.nan, 3, "t")
    with pytest.raises(ValueError, match="no probability"):
        Test(1.0, 1.5, 3, "t")
    with pytest.raises(ValueError, match="needs a note"):
        Estimate(math.nan, 0, 1, 0.95, 3, "e")
    with pytest.raises(ValueError, match="upside down"):
        Estimate(0, 1, 0, 0.95, 3, "e")
    assert Test(1.0, 0.0, 3, "t").p > 0
    assert str(Estimate(0.5, 0.25, 0.75, 0.9, 8, "e")) == "0.5 (90% CI 0.25 to 0.75)"


def test_importing_the_room_loads_no_heavy_library() -> None:
    folder = Path(agreement.__file__).parent
    modules = sorted(
        f"biomarkers.stats.{path.stem}" for path in folder.glob("*.py") if path.stem not in ("__init__", "kernels")
    )
    code = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\n"
    code += (
        "print(sorted({'scipy.stats', 'statsmodels', 'firthmodels', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
