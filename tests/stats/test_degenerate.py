"""Data that breaks formulas: every answer is a probability, an interval, a note that says why not, or a clear error."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from biomarkers.core.errors import BiomarkersError
from biomarkers.stats import (
    agreement,
    association,
    bayes,
    cox_model,
    cutpoint,
    differences,
    distributions,
    firth,
    linear,
    linear_model,
    logistic_model,
    ordinal,
    paired,
    proportions,
    rank_concordance,
    ranks,
    ratios,
    roc,
    rxc,
    shift,
    splines,
    survival,
    tables,
    trend,
    unconditional,
)
from biomarkers.stats.fits import Coefficient, Fit
from biomarkers.stats.results import Estimate, Test


def _parts(result: Any) -> list[Any]:
    if isinstance(result, Fit):
        return [part for c in result.coefficients for part in (c.estimate, c.test)] + [result.likelihood_ratio]
    if isinstance(result, Coefficient):
        return [result.estimate, result.test]
    if isinstance(result, agreement.BlandAltman):
        return [result.bias, result.lower, result.upper]
    return list(result.values()) if isinstance(result, dict) else [result]


def honest(call: Callable[[], Any]) -> None:
    """Run with warnings as errors: a refusal with a reason, or results that hide nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = call()
        except BiomarkersError:
            return
    for part in _parts(result):
        if isinstance(part, float):
            assert not math.isnan(part)
        elif isinstance(part, Test):
            assert 1e-300 < part.p <= 1 or (math.isnan(part.p) and part.note), part
        elif isinstance(part, Estimate):
            plain = math.isfinite(part.value) and math.isfinite(part.low) and math.isfinite(part.high)
            assert part.note or (plain and part.low < part.high), part
        else:
            assert np.isfinite(np.asarray(part)).all()


TWO_GROUPS: list[tuple[Any, Any]] = [
    ([1], [1]),
    ([1], [2]),
    ([1, 1], [1, 1]),
    ([1, 2], [3, 4]),
    ([1, 1, 1], [2, 2, 2]),
    ([0] * 10, [0] * 9 + [1]),
    ([5] * 30, [5] * 30 + [6]),
    (list(range(30)), list(range(40, 80))),
    ([1e-300, 2e-300], [3e-300, 1e-300]),
    ([1e300, 2e300], [3e300, 1e300]),
    ([1], list(range(50))),
    ([], [1, 2]),
    ([1, math.nan], [1, 2]),
    ([1, math.inf], [2, 3]),
    (["a"], [1]),
    ([1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3], [1e9, 1e9 + 0.1, 1e9 + 0.2]),
    ([-1, 0, 1], [-1, 0, 1]),
]
ON_TWO_GROUPS: dict[str, Callable[[Any, Any], Any]] = {
    "auc_delong": roc.auc_delong,
    "auc_logit_delong": roc.auc_logit_delong,
    "auc_newcombe": roc.auc_newcombe,
    "auc_bootstrap": lambda x, y: roc.auc_bootstrap(x, y, n_resamples=200),
    "auc_variance": roc.auc_variance,
    "auc_tost": lambda x, y: roc.auc_tost(x, y, margin=0.15),
    "wilcoxon": ranks.wilcoxon_rank_sum,
    "wilcoxon asymptotic": lambda x, y: ranks.wilcoxon_rank_sum(x, y, method="asymptotic", continuity=True),
    "van_der_waerden": ranks.van_der_waerden,
    "mean_permutation": ranks.mean_permutation,
    "brunner_munzel": ranks.brunner_munzel,
    "brunner_munzel_theta": ranks.brunner_munzel_theta,
    "theta_tost": lambda x, y: ranks.theta_tost(x, y, low=0.3, high=0.7),
    "hodges_lehmann": shift.hodges_lehmann,
    "hodges_lehmann centre": lambda x, y: shift.hodges_lehmann(x, y, estimate="centre"),
    "hodges_lehmann asymptotic": lambda x, y: shift.hodges_lehmann(x, y, method="asymptotic"),
    "kolmogorov_smirnov": distributions.kolmogorov_smirnov,
    "jzs_scores": bayes.jzs_scores,
}


@pytest.mark.parametrize("name", ON_TWO_GROUPS)
def test_two_groups(name: str) -> None:
    for x, y in TWO_GROUPS:
        honest(lambda x=x, y=y: ON_TWO_GROUPS[name](x, y))  # type: ignore[misc]


CHANGES: list[Any] = [
    [0],
    [1],
    [0, 0, 0],
    [1, 1, 1],
    [1, -1],
    [-5],
    [1e-12, -1e-12, 2e-12],
    [1e12, 1, -1],
    [0, 0, 0, *range(1, 30)],
    [math.nan],
    [],
    [0.1 + 0.2, 0.3, -0.3],
    list(np.linspace(-1, 1, 300)),
]


@pytest.mark.parametrize(
    "function",
    [
        paired.signed_rank,
        lambda d: paired.signed_rank(d, zeros="pratt"),
        lambda d: paired.signed_rank(d, method="asymptotic", continuity=True),
        paired.sign_test,
        paired.sign_flip,
        paired.hodges_lehmann_paired,
        lambda d: paired.hodges_lehmann_paired(d, estimate="centre"),
        lambda d: paired.hodges_lehmann_paired(d, method="asymptotic"),
    ],
)
def test_changes(function: Callable[[Any], Any]) -> None:
    for d in CHANGES:
        honest(lambda d=d: function(d))  # type: ignore[misc]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_equal_changes_bound_nothing(n: int) -> None:
    found = paired.hodges_lehmann_paired([0.5] * n)
    assert (found.value, found.low, found.high) == (0.5, -math.inf, math.inf)
    assert found.note.startswith(f"{n} pair{'s' * (n > 1)} cannot bound")


def _by_counts(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda t: function(t[0][0], sum(t[0]), t[1][0], sum(t[1]))


ON_TABLES: dict[str, Callable[[Any], Any]] = {
    "fisher": tables.fisher,
    "fisher midp": lambda t: tables.fisher(t, midp=True),
    "conditional": tables.conditional_odds_ratio,
    "conditional midp": lambda t: tables.conditional_odds_ratio(t, midp=True),
    "phi": tables.phi,
    "relative_risk": ratios.relative_risk,
    "relative_risk adjusted": lambda t: ratios.relative_risk(t, method="log-adjusted"),
    "relative_risk_score": ratios.relative_risk_score,
    "odds_ratio": ratios.odds_ratio,
    "odds_ratio adjusted": lambda t: ratios.odds_ratio(t, method="logit-adjusted"),
    "odds_ratio smoothed": lambda t: ratios.odds_ratio(t, method="logit-smoothed"),
    "odds_ratio_score": ratios.odds_ratio_score,
    "mcnemar": paired.mcnemar_exact,
    "mcnemar midp": lambda t: paired.mcnemar_exact(t, midp=True),
    "conversion_odds": paired.conversion_odds,
    "paired_difference": paired.paired_difference,
    "newcombe": _by_counts(differences.newcombe_difference),
    "miettinen_nurminen": _by_counts(differences.miettinen_nurminen),
    "wald": _by_counts(differences.wald_difference),
    "agresti_caffo": _by_counts(differences.agresti_caffo_difference),
    "tost": _by_counts(lambda *c: differences.tost_difference(*c, margin=0.2)),
    "fisher_rxc": rxc.fisher_rxc,
    **{f"bayes {scheme}": (lambda t, s=scheme: bayes.contingency(t, scheme=s)) for scheme in bayes.SCHEMES},
}


@pytest.mark.parametrize("name", ON_TABLES)
def test_tables_with_empty_cells(name: str) -> None:
    for a, b, c, d in itertools.product([0, 1, 5, 60], repeat=4):
        honest(lambda t=((a, b), (c, d)): ON_TABLES[name](t))  # type: ignore[misc]


@pytest.mark.parametrize("function", [unconditional.boschloo, unconditional.barnard])
def test_unconditional_with_empty_cells(function: Callable[[Any], Any]) -> None:
    for a, b, c, d in itertools.product([0, 1, 4], repeat=4):
        honest(lambda t=((a, b), (c, d)): function(t))  # type: ignore[misc]


BY_CLASS: list[tuple[Any, Any]] = [
    ([1, 2, 3], [0, 1, 1]),
    ([1, 1, 1], [0, 1, 0]),
    ([1, 2], [0, 1]),
    ([1], [1]),
    ([1, 2, 3, 4], [1, 1, 1, 1]),
    ([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1]),
    ([1, 2, 2, 3], [0, 1, 0, 1]),
    ([0] * 10 + [1], [0] * 10 + [1]),
    ([1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1]),
    ([1, 2, 3], [0, 1]),
    ([1, 2, 3], [0, 1, 2]),
    (np.random.default_rng(0).normal(size=40), np.tile([0, 1], 20)),
]
ON_CLASSES: dict[str, Callable[[Any, Any], Any]] = {
    "cochran_armitage": trend.cochran_armitage,
    "cochran_armitage asymptotic": lambda x, g: trend.cochran_armitage(x, g, method="asymptotic"),
    "jonckheere": trend.jonckheere,
    "kendall": trend.kendall,
    "spearman": trend.spearman,
    "kruskal": trend.kruskal,
    "score_test": linear.score_test,
    "linear_by_linear": linear.linear_by_linear,
    "logistic": lambda x, g: logistic_model.logistic(g, x),
    "logistic wald": lambda x, g: logistic_model.logistic(g, x, interval="wald"),
    "firth": lambda x, g: firth.firth_logistic(g, x),
    "proportional_odds": lambda x, g: ordinal.proportional_odds(g, x),
    "proportionality": lambda x, g: ordinal.proportionality(g, x),
    "somers_d": rank_concordance.somers_d,
    "xi": association.chatterjee_xi,
    "mutual_information": association.mutual_information,
    "distance_correlation": association.distance_correlation,
    "distance_correlation_test": association.distance_correlation_test,
    **{f"cut {a}": (lambda x, g, a=a: cutpoint.max_selected(x, g, approximation=a)) for a in cutpoint.APPROXIMATIONS},
    "cut permutation": lambda x, g: cutpoint.max_selected_permutation(x, g, n_permutations=99),
    "ccc": agreement.concordance_correlation,
    "kappa": agreement.kappa,
    "kappa weighted": lambda x, g: agreement.kappa(x, g, weights="quadratic"),
    "bland_altman": agreement.bland_altman,
    "least_squares": linear_model.least_squares,
    "spline": lambda x, g: splines.nonlinearity(x, response=g),
    "auc_difference": lambda x, g: roc.auc_difference(x, x, g),
}


@pytest.mark.parametrize("name", ON_CLASSES)
def test_levels_by_class(name: str) -> None:
    for x, g in BY_CLASS:
        honest(lambda x=x, g=g: ON_CLASSES[name](x, g))  # type: ignore[misc]


TIMES: list[tuple[Any, Any, Any]] = [
    ([1], [1], [1]),
    ([1], [0], [0]),
    ([1, 2], [0, 0], [0, 1]),
    ([1, 2], [1, 1], [0, 1]),
    ([1, 1, 1], [1, 1, 1], [0, 1, 0]),
    ([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1]),
    ([0, 0, 1], [1, 0, 1], [0, 1, 1]),
    ([-1, 2], [1, 1], [0, 1]),
    ([1, 2, 3], [1, 1, 2], [0, 1, 1]),
    ([1, 2, 3, 4], [0, 0, 1, 1], [0, 0, 1, 1]),
    ([5, 5, 5, 5], [1, 0, 1, 0], [0, 1, 0, 1]),
    (list(range(1, 40)), [1] * 39, [0] * 19 + [1] * 20),
]
ON_TIMES: dict[str, Callable[[Any, Any, Any], Any]] = {
    **{t: (lambda a, e, _, t=t: survival.median_survival(a, e, transform=t)) for t in survival.TRANSFORMS},
    "follow_up": lambda t, e, _: survival.follow_up(t, e),
    "survival_at 0.5": lambda t, e, _: survival.survival_at(t, e, at=0.5),
    "survival_at 2": lambda t, e, _: survival.survival_at(t, e, at=2),
    "survival_at 99": lambda t, e, _: survival.survival_at(t, e, at=99),
    "log_rank": survival.log_rank,
    "log_rank strata": lambda t, e, g: survival.log_rank(t, e, g, strata=g),
    "landmark": lambda t, e, g: survival.landmark_log_rank(t, e, g, at=1),
    "scores": lambda t, e, _: survival.log_rank_scores(t, e),
    "cox": cox_model.cox,
    "cox breslow": lambda t, e, g: cox_model.cox(t, e, g, ties="breslow"),
    "cox_firth": cox_model.cox_firth,
    "proportional_hazards": cox_model.proportional_hazards,
    "concordance": lambda t, e, g: rank_concordance.concordance(g, t, e),
}


@pytest.mark.parametrize("name", ON_TIMES)
def test_times(name: str) -> None:
    for t, e, g in TIMES:
        honest(lambda t=t, e=e, g=g: ON_TIMES[name](t, e, g))  # type: ignore[misc]


@pytest.mark.parametrize(
    "function",
    [proportions.clopper_pearson, proportions.wilson, proportions.jeffreys, proportions.agresti_coull],
)
def test_proportions(function: Callable[[Any, Any], Any]) -> None:
    for k, n in ((0, 1), (1, 1), (0, 0), (5, 3), (1.5, 3), (-1, 3), (0, 10**6), (10**6, 10**6)):
        honest(lambda k=k, n=n: function(k, n))  # type: ignore[misc]


def test_refusals_name_what_is_wrong() -> None:
    for call, word in (
        (lambda: proportions.wilson(5, 3), "more events than units"),
        (lambda: ranks.wilcoxon_rank_sum([1, math.nan], [2]), "missing or infinite"),
        (lambda: tables.fisher([[1, 2, 3]]), "another shape"),
        (lambda: survival.kaplan_meier([-1], [1]), "negative"),
        (lambda: survival.kaplan_meier([1], [2]), "not a yes/no value"),
        (lambda: survival.median_survival([1], [1], transform="loglog"), "did you mean 'log-log'"),
        (lambda: logistic_model.logistic([1, 1], [1, 2]), "all 2 patients responded"),
        (lambda: cox_model.cox([1, 2, 3], [1, 1, 1], {"PD-L1": [4, 4, 4]}), "PD-L1: the covariate is constant"),
        (lambda: tables.fisher([[1, 2], [3, 4]], alternative="both"), "unknown alternative"),
        (lambda: roc.auc_tost([1, 2], [1, 2], margin=0.7), "margin"),
    ):
        with pytest.raises(BiomarkersError) as caught:
            call()
        assert word.casefold() in str(caught.value).casefold()
