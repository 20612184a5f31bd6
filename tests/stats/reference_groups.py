"""Rows on two groups: AUC, ranks, 2 x 2 tables, Bayes factors, categories, whole distributions."""

from __future__ import annotations

import re

import numpy as np

from biomarkers.stats import (
    association,
    bayes,
    differences,
    distributions,
    linear,
    proportions,
    rank_concordance,
    ranks,
    ratios,
    roc,
    rxc,
    shift,
    tables,
    trend,
    unconditional,
)
from tests.stats.reference_data import Z196, Answer, Data, add, est, row, tst

TAB = r"\[(?P<marker>\w+),resp\]"


def _change_by_response(change: np.ndarray, _: np.ndarray, response: np.ndarray) -> Answer:
    return tst(linear.score_test(linear.midranks(change), response, method="exact"))


def _stratified(level: np.ndarray, response: np.ndarray, site: np.ndarray) -> Answer:
    return tst(linear.score_test(linear.midranks(level), response, strata=site, method="asymptotic"))


def _ranks_by_order(level: np.ndarray, order: np.ndarray) -> Answer:
    return tst(linear.linear_by_linear(linear.midranks(level), order))


# --- AUC and ranks
add(
    r"auc_delong(90|95)\[(\w+)\]",
    "roc.auc_delong",
    lambda d, m, _: est(roc.auc_delong(*d.groups(m[2]), level=int(m[1]) / 100)),
)
add(
    r"auc_delong_logit(90|95)\[(\w+)\]",
    "roc.auc_logit_delong",
    lambda d, m, _: est(roc.auc_logit_delong(*d.groups(m[2]), level=int(m[1]) / 100)),
)
add(
    r"auc_newcombe5_(90|95)\[(\w+)\]",
    "roc.auc_newcombe",
    lambda d, m, _: est(roc.auc_newcombe(*d.groups(m[2]), level=int(m[1]) / 100)),
)
add(r"auc_var_delong\[(\w+)\]", "roc.auc_variance", lambda d, m, _: Answer(roc.auc_variance(*d.groups(m[1]))))
add(r"auc_boot_strat95_10000\[(\w+)\]", "roc.auc_bootstrap", lambda d, m, _: est(roc.auc_bootstrap(*d.groups(m[1]))))


@row(r"delong_paired_test\[(\w+) vs (\w+)\]", "roc.auc_difference")
def _paired_auc(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    one, two = (m[2], m[1]) if "MLstatkit" in r["source"] else (m[1], m[2])
    return tst(roc.auc_difference(*d.columns(one, two, "resp")))


@row(r"mwu_(exact_ties|exact_ties_ert|asym_cc|asym_nocc)\[(\w+)~resp\]", "ranks.wilcoxon_rank_sum")
def _mwu(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    x, y = d.groups(m[2])
    if "exact" in m[1]:
        test = ranks.wilcoxon_rank_sum(x, y, method="exact")
        pooled = linear.midranks(np.concatenate([x, y]))
        z = linear.score_test(pooled, np.arange(pooled.size) < x.size, method="asymptotic")
        return tst(test, z.statistic if r["statistic"] == "Z" else None)
    return tst(ranks.wilcoxon_rank_sum(x, y, method="asymptotic", continuity=m[1] == "asym_cc"))


add(
    r"mwu_(perm100k|scipy_exact_IGNORES_TIES)\[(?P<level>\w+)~resp\]",
    "ranks.wilcoxon_rank_sum",
    lambda d, m, _: tst(ranks.wilcoxon_rank_sum(*d.groups(m["level"]), method="exact")),
)
add(
    r"normal_scores_exact\[(?P<level>\w+)~resp\]",
    "ranks.van_der_waerden",
    lambda d, m, _: tst(ranks.van_der_waerden(*d.groups(m["level"]))),
)
add(
    r"perm_mean_exact\[(?P<level>\w+)~resp\]",
    "ranks.mean_permutation",
    lambda d, m, _: tst(ranks.mean_permutation(*d.groups(m["level"]))),
)
add(
    r"change_by_response_exact\[(\w+)\]",
    "linear.score_test",
    lambda d, m, _: _change_by_response(*d.changes(m[1])),
)
add(
    r"brunner_munzel_df\[(?P<level>\w+)~resp\]",
    "ranks.brunner_munzel_df",
    lambda d, m, _: Answer(ranks.brunner_munzel_df(*d.groups(m["level"]))),
)


@row(r"brunner_munzel_t\[(?P<level>\w+)~resp\]", "ranks.brunner_munzel, ranks.brunner_munzel_theta")
def _brunner(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    x, y = d.groups(m["level"])
    test, theta = ranks.brunner_munzel(x, y), ranks.brunner_munzel_theta(x, y)
    sign = -1 if "flipped" in r["statistic"] else 1
    return Answer(sign * test.statistic, theta.low, theta.high, test.p)


add(
    r"tost_prob_superior\[(.+),(.+)\]\[(?P<level>\w+)~resp\]",
    "ranks.theta_tost",
    lambda d, m, _: Answer(
        roc.auc(*d.groups(m["level"])), p=ranks.theta_tost(*d.groups(m["level"]), low=float(m[1]), high=float(m[2])).p
    ),
)
add(
    r"hodges_lehmann_exact\[(\w+)~resp\]",
    "shift.hodges_lehmann",
    lambda d, m, _: est(shift.hodges_lehmann(*d.groups(m[1]), method="exact", estimate="centre")),
)
add(
    r"hodges_lehmann_asym\[(\w+)~resp\]",
    "shift.hodges_lehmann",
    lambda d, m, _: est(shift.hodges_lehmann(*d.groups(m[1]), method="asymptotic", continuity=True)),
)
add(
    r"hodges_lehmann_median_diff\[(\w+)~resp\]",
    "shift.hodges_lehmann",
    lambda d, m, _: Answer(shift.hodges_lehmann(*d.groups(m[1])).value),
)
add(
    r"stratified_wilcoxon_site\[(?P<level>\w+)~resp\]",
    "linear.score_test",
    lambda d, m, _: _stratified(*d.columns(m["level"], "resp", "site")),
)
add(
    r"linear_by_linear_ranks\[(?P<level>\w+),recist\]",
    "linear.linear_by_linear",
    lambda d, m, _: _ranks_by_order(*d.columns(m["level"], "recist")),
)


@row(r"lbl_asym\[(?P<level>\w+),resp\]", "linear.linear_by_linear")
def _lbl(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    level, response = d.columns(m["level"], "resp")
    # coin takes the first level of the response (no) as the group
    return tst(linear.linear_by_linear(level, 1 - response if "coin" in r["source"] else response))


# --- 2 x 2 tables
@row(rf"barnard_(zpooled|TRANSPOSED){TAB}", "unconditional.barnard")
def _barnard(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    return tst(unconditional.barnard(d.table(m["marker"]), groups="rows" if m[1] == "zpooled" else "columns"))


add(
    rf"boschloo_2xonesided{TAB}",
    "unconditional.boschloo",
    lambda d, m, _: tst(unconditional.boschloo(d.table(m["marker"]), two_sided="doubled")),
)
add(
    rf"boschloo_twosided_fisher2{TAB}",
    "unconditional.boschloo",
    lambda d, m, _: tst(unconditional.boschloo(d.table(m["marker"]))),
)
add(
    rf"fisher{TAB}",
    "tables.fisher, tables.conditional_odds_ratio",
    lambda d, m, _: est(tables.conditional_odds_ratio(d.table(m["marker"])), tables.fisher(d.table(m["marker"])).p),
)
add(
    rf"or_midp{TAB}",
    "tables.conditional_odds_ratio",
    lambda d, m, _: est(
        tables.conditional_odds_ratio(d.table(m["marker"]), midp=True), tables.fisher(d.table(m["marker"]), midp=True).p
    ),
)
add(
    rf"mh_exact_site{TAB}",
    "tables.common_odds_ratio, tables.fisher_stratified",
    lambda d, m, _: est(
        tables.common_odds_ratio(d.by_site(m["marker"])), tables.fisher_stratified(d.by_site(m["marker"])).p
    ),
)
add(
    rf"odds-ratio_(logit-adjusted|logit-smoothed|logit){TAB}",
    "ratios.odds_ratio",
    lambda d, m, _: est(ratios.odds_ratio(d.table(m["marker"]), method=m[1])),
)
add(
    rf"odds-ratio_score{TAB}",
    "ratios.odds_ratio_score",
    lambda d, m, _: est(ratios.odds_ratio_score(d.table(m["marker"]))),
)
add(
    rf"ratio_(log-adjusted|log){TAB}",
    "ratios.relative_risk",
    lambda d, m, _: est(ratios.relative_risk(d.table(m["marker"]), method=m[1])),
)
add(
    rf"ratio_score{TAB}",
    "ratios.relative_risk_score",
    lambda d, m, _: est(ratios.relative_risk_score(d.table(m["marker"]))),
)
add(rf"rr_wald{TAB}", "ratios.relative_risk", lambda d, m, _: est(ratios.relative_risk(d.table(m["marker"]))))
add(
    rf"rd_newcombe10{TAB}",
    "differences.newcombe_difference",
    lambda d, m, _: est(differences.newcombe_difference(*d.counts(m["marker"]))),
)
add(
    rf"diff_wald{TAB}",
    "differences.wald_difference",
    lambda d, m, _: est(differences.wald_difference(*d.counts(m["marker"]))),
)
add(
    rf"diff_agresti-caffo{TAB}",
    "differences.agresti_caffo_difference",
    lambda d, m, _: est(differences.agresti_caffo_difference(*d.counts(m["marker"]))),
)
CORRECTION = {"Mee/Farrington-Manning": "mee", "Miettinen-Nurminen": "miettinen-nurminen", "score": "mee"}
add(
    rf"rd_score_(.+)_(90|95){TAB}",
    "differences.score_difference",
    lambda d, m, _: est(
        differences.score_difference(*d.counts(m["marker"]), level=int(m[2]) / 100, correction=CORRECTION[m[1]])
    ),
)
add(
    rf"tost_rd_(.+)\[(.+)\]{TAB}",
    "differences.tost_difference",
    lambda d, m, _: Answer(
        p=differences.tost_difference(*d.counts(m["marker"]), margin=float(m[2]), correction=CORRECTION[m[1]]).p
    ),
)


@row(r"(clopper_pearson|wilson)\[ORR\|(\w+?)(<|>=)([\d.]+)\]", "proportions.clopper_pearson, proportions.wilson")
def _proportion(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    level, response = d.columns(m[2], "resp")
    inside = level < float(m[4]) if m[3] == "<" else level >= float(m[4])
    return est(getattr(proportions, m[1])(int(response[inside].sum()), int(inside.sum())))


# --- Bayes factors
SCHEME = {
    "indepMulti": "independent-multinomial",
    "jointMulti": "joint-multinomial",
    "poisson": "poisson",
    "hypergeom": "hypergeometric",
}
add(
    rf"bf10_contingency_(\w+){TAB}",
    "bayes.contingency",
    lambda d, m, _: Answer(bayes.contingency(d.table(m["marker"]), scheme=SCHEME[m[1]])),
)
add(rf"bf10_beta_binomial_indep{TAB}", "bayes.two_rates", lambda d, m, _: Answer(bayes.two_rates(d.table(m["marker"]))))
PRIOR = {"R": 0.5**0.5, "pingouin": 0.707}  # pingouin rounds the scale
add(
    r"bf10_jzs_at_t0\[(\d+),(\d+)\]",
    "bayes.jzs",
    lambda _, m, r: Answer(bayes.jzs(0.0, int(m[1]), int(m[2]), scale=PRIOR[r["source"].split()[0]])),
)
add(
    r"bf10_jzs_vdw_scores\[(?P<level>\w+)~resp\]",
    "bayes.jzs_scores",
    lambda d, m, r: Answer(bayes.jzs_scores(*d.groups(m["level"]), scale=PRIOR[r["source"].split()[0]])),
)


# --- ordered and unordered categories, whole distributions
@row(r"cochran_armitage_(asym|exact)\[(?P<level>\w+),resp\]", "trend.cochran_armitage")
def _armitage(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    return tst(
        trend.cochran_armitage(*d.columns(m["level"], "resp"), method={"asym": "asymptotic", "exact": "exact"}[m[1]])
    )


@row(r"jonckheere_asym\[(?P<level>\w+),recist\]", "trend.jonckheere")
def _jonckheere(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    test = trend.jonckheere(*d.columns(m["level"], "recist"))
    # scikit-posthocs prints p where others print JT, and z where others print p
    return Answer(test.p) if "posthocs" in r["source"] else tst(test)


add(
    r"kendall_tau_b\[(?P<level>\w+),recist\]",
    "trend.kendall",
    lambda d, m, _: tst(trend.kendall(*d.columns(m["level"], "recist"))),
)
add(
    r"spearman\[(?P<level>\w+),recist\]",
    "trend.spearman",
    lambda d, m, _: tst(trend.spearman(*d.columns(m["level"], "recist"))),
)
add(
    r"kruskal_asym\[(?P<level>\w+),recist\]",
    "trend.kruskal",
    lambda d, m, _: tst(trend.kruskal(*d.columns(m["level"], "recist"))),
)
add(
    r"somers_d_xy\[(?P<level>\w+)->recist\]",
    "rank_concordance.somers_d",
    lambda d, m, _: est(rank_concordance.somers_d(*d.columns(m["level"], "recist"), level=Z196)),
)
add(
    r"fisher_rxc\[(\w+),(\w+)\]",
    "rxc.fisher_rxc",
    lambda d, m, _: Answer(p=rxc.fisher_rxc(d.cross(m[1], m[2]), method="exact").p),
)
add(
    r"ks_exact\[(?P<level>\w+)~resp\]",
    "distributions.kolmogorov_smirnov",
    lambda d, m, _: tst(distributions.kolmogorov_smirnov(*d.groups(m["level"]))),
)
add(
    r"chatterjee_xi\[(?P<level>\w+),resp\]",
    "association.chatterjee_xi",
    lambda d, m, _: tst(association.chatterjee_xi(*d.columns(m["level"], "resp"))),
)
add(
    r"mutual_info_knn\[(?P<level>\w+),resp\]",
    "association.mutual_information",
    lambda d, m, _: Answer(association.mutual_information(*d.columns(m["level"], "resp"))),
)
