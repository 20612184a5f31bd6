"""Rows on two groups: AUC, ranks, 2 x 2 tables, Bayes factors, categories, whole distributions."""

from __future__ import annotations

import re

import numpy as np

from biomarkers.stats import (
    association,
    auc,
    bayes,
    concordance,
    differences,
    distributions,
    linear,
    proportions,
    ranks,
    ratios,
    rxc,
    shift,
    tables,
    trend,
    unconditional,
)
from tests.stats.reference_data import Z196, Answer, Data, add, est, row, tst

TAB = r"\[tc_pos1,resp\]"

# --- AUC and ranks
add(
    r"auc_delong(90|95)\[(\w+)\]",
    "auc.auc_delong",
    lambda d, m, _: est(auc.auc_delong(*d.groups(m[2]), level=int(m[1]) / 100)),
)
add(
    r"auc_delong_logit(90|95)\[(\w+)\]",
    "auc.auc_logit_delong",
    lambda d, m, _: est(auc.auc_logit_delong(*d.groups(m[2]), level=int(m[1]) / 100)),
)
add(
    r"auc_newcombe5_(90|95)\[(\w+)\]",
    "auc.auc_newcombe",
    lambda d, m, _: est(auc.auc_newcombe(*d.groups(m[2]), level=int(m[1]) / 100)),
)
add(r"auc_var_delong\[(\w+)\]", "auc.auc_variance", lambda d, m, _: Answer(auc.auc_variance(*d.groups(m[1]))))
add(r"auc_boot_strat95_10000\[(\w+)\]", "auc.auc_bootstrap", lambda d, m, _: est(auc.auc_bootstrap(*d.groups(m[1]))))


@row(r"delong_paired_test\[tc vs pd1\]", "auc.auc_difference")
def _paired_auc(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    one, two = ("pd1", "tc") if "MLstatkit" in r["source"] else ("tc", "pd1")
    return tst(auc.auc_difference(d[one], d[two], d["resp"]))


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
    r"mwu_(perm100k|scipy_exact_IGNORES_TIES)\[tc~resp\]",
    "ranks.wilcoxon_rank_sum",
    lambda d, *_: tst(ranks.wilcoxon_rank_sum(*d.groups("tc"), method="exact")),
)
add(
    r"normal_scores_exact\[tc~resp\]",
    "ranks.van_der_waerden",
    lambda d, *_: tst(ranks.van_der_waerden(*d.groups("tc"))),
)
add(
    r"perm_mean_exact\[pd1~resp\]",
    "ranks.mean_permutation",
    lambda d, *_: tst(ranks.mean_permutation(*d.groups("pd1"))),
)
add(
    r"change_by_response_exact\[pd1\]",
    "linear.score_test",
    lambda d, *_: tst(linear.score_test(linear.midranks(d.changes[0]), d.change_groups, method="exact")),
)
add(
    r"brunner_munzel_df\[tc~resp\]",
    "ranks.brunner_munzel_df",
    lambda d, *_: Answer(ranks.brunner_munzel_df(*d.groups("tc"))),
)


@row(r"brunner_munzel_t\[tc~resp\]", "ranks.brunner_munzel, ranks.brunner_munzel_theta")
def _brunner(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    x, y = d.groups("tc")
    test, theta = ranks.brunner_munzel(x, y), ranks.brunner_munzel_theta(x, y)
    sign = -1 if "flipped" in r["statistic"] else 1
    return Answer(sign * test.statistic, theta.low, theta.high, test.p)


add(
    r"tost_prob_superior\[(.+),(.+)\]\[tc~resp\]",
    "ranks.theta_tost",
    lambda d, m, _: Answer(
        auc.auc(*d.groups("tc")), p=ranks.theta_tost(*d.groups("tc"), low=float(m[1]), high=float(m[2])).p
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
    r"stratified_wilcoxon_site\[tc~resp\]",
    "linear.score_test",
    lambda d, *_: tst(linear.score_test(linear.midranks(d["tc"]), d["resp"], strata=d["site"], method="asymptotic")),
)
add(
    r"linear_by_linear_ranks\[tc,recist\]",
    "linear.linear_by_linear",
    lambda d, *_: tst(linear.linear_by_linear(linear.midranks(d["tc"]), d["recist_ord"])),
)


@row(r"lbl_asym\[ic,resp\]", "linear.linear_by_linear")
def _lbl(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    # coin takes the first level of the response (no) as the group
    return tst(linear.linear_by_linear(d["ic"], 1 - d["resp"] if "coin" in r["source"] else d["resp"]))


# --- 2 x 2 tables
@row(rf"barnard_(zpooled|TRANSPOSED){TAB}", "unconditional.barnard")
def _barnard(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    return tst(unconditional.barnard(d.table, groups="rows" if m[1] == "zpooled" else "columns"))


add(
    rf"boschloo_2xonesided{TAB}",
    "unconditional.boschloo",
    lambda d, *_: tst(unconditional.boschloo(d.table, two_sided="doubled")),
)
add(rf"boschloo_twosided_fisher2{TAB}", "unconditional.boschloo", lambda d, *_: tst(unconditional.boschloo(d.table)))
add(
    rf"fisher{TAB}",
    "tables.fisher, tables.conditional_odds_ratio",
    lambda d, *_: est(tables.conditional_odds_ratio(d.table), tables.fisher(d.table).p),
)
add(
    rf"or_midp{TAB}",
    "tables.conditional_odds_ratio",
    lambda d, *_: est(tables.conditional_odds_ratio(d.table, midp=True), tables.fisher(d.table, midp=True).p),
)
add(
    rf"mh_exact_site{TAB}",
    "tables.common_odds_ratio, tables.fisher_stratified",
    lambda d, *_: est(tables.common_odds_ratio(d.by_site), tables.fisher_stratified(d.by_site).p),
)
add(
    rf"odds-ratio_(logit-adjusted|logit-smoothed|logit){TAB}",
    "ratios.odds_ratio",
    lambda d, m, _: est(ratios.odds_ratio(d.table, method=m[1])),
)
add(rf"odds-ratio_score{TAB}", "ratios.odds_ratio_score", lambda d, *_: est(ratios.odds_ratio_score(d.table)))
add(
    rf"ratio_(log-adjusted|log){TAB}",
    "ratios.relative_risk",
    lambda d, m, _: est(ratios.relative_risk(d.table, method=m[1])),
)
add(rf"ratio_score{TAB}", "ratios.relative_risk_score", lambda d, *_: est(ratios.relative_risk_score(d.table)))
add(rf"rr_wald{TAB}", "ratios.relative_risk", lambda d, *_: est(ratios.relative_risk(d.table)))
add(
    rf"rd_newcombe10{TAB}",
    "differences.newcombe_difference",
    lambda d, *_: est(differences.newcombe_difference(*d.counts)),
)
add(rf"diff_wald{TAB}", "differences.wald_difference", lambda d, *_: est(differences.wald_difference(*d.counts)))
add(
    rf"diff_agresti-caffo{TAB}",
    "differences.agresti_caffo_difference",
    lambda d, *_: est(differences.agresti_caffo_difference(*d.counts)),
)
CORRECTION = {"Mee/Farrington-Manning": "mee", "Miettinen-Nurminen": "miettinen-nurminen", "score": "mee"}
add(
    rf"rd_score_(.+)_(90|95){TAB}",
    "differences.score_difference",
    lambda d, m, _: est(differences.score_difference(*d.counts, level=int(m[2]) / 100, correction=CORRECTION[m[1]])),
)
add(
    rf"tost_rd_(.+)\[(.+)\]{TAB}",
    "differences.tost_difference",
    lambda d, m, _: Answer(p=differences.tost_difference(*d.counts, margin=float(m[2]), correction=CORRECTION[m[1]]).p),
)


@row(r"(clopper_pearson|wilson)\[ORR\|tc(<1|>=1)\]", "proportions.clopper_pearson, proportions.wilson")
def _proportion(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    k1, n1, k2, n2 = d.counts
    return est(getattr(proportions, m[1])(*((k2, n2) if m[2] == "<1" else (k1, n1))))


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
    lambda d, m, _: Answer(bayes.contingency(d.table, scheme=SCHEME[m[1]])),
)
add(rf"bf10_beta_binomial_indep{TAB}", "bayes.two_rates", lambda d, *_: Answer(bayes.two_rates(d.table)))
PRIOR = {"R": 0.5**0.5, "pingouin": 0.707}  # pingouin rounds the scale
add(
    r"bf10_jzs_at_t0\[19,33\]",
    "bayes.jzs",
    lambda _, __, r: Answer(bayes.jzs(0.0, 19, 33, scale=PRIOR[r["source"].split()[0]])),
)
add(
    r"bf10_jzs_vdw_scores\[tc~resp\]",
    "bayes.jzs_scores",
    lambda d, _, r: Answer(bayes.jzs_scores(*d.groups("tc"), scale=PRIOR[r["source"].split()[0]])),
)


# --- ordered and unordered categories, whole distributions
@row(r"cochran_armitage_(asym|exact)\[ic,resp\]", "trend.cochran_armitage")
def _armitage(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    return tst(trend.cochran_armitage(d["ic"], d["resp"], method={"asym": "asymptotic", "exact": "exact"}[m[1]]))


@row(r"jonckheere_asym\[tc,recist\]", "trend.jonckheere")
def _jonckheere(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    test = trend.jonckheere(d["tc"], d["recist_ord"])
    # scikit-posthocs prints p where others print JT, and z where others print p
    return Answer(test.p) if "posthocs" in r["source"] else tst(test)


add(r"kendall_tau_b\[tc,recist\]", "trend.kendall", lambda d, *_: tst(trend.kendall(d["tc"], d["recist_ord"])))
add(r"spearman\[tc,recist\]", "trend.spearman", lambda d, *_: tst(trend.spearman(d["tc"], d["recist_ord"])))
add(r"kruskal_asym\[tc,recist\]", "trend.kruskal", lambda d, *_: tst(trend.kruskal(d["tc"], d["recist"])))
add(
    r"somers_d_xy\[tc->recist\]",
    "concordance.somers_d",
    lambda d, *_: est(concordance.somers_d(d["tc"], d["recist_ord"], level=Z196)),
)
add(
    r"fisher_rxc\[(\w+),(\w+)\]",
    "rxc.fisher_rxc",
    lambda d, m, _: Answer(p=rxc.fisher_rxc(d.cross(m[1], m[2]), method="exact").p),
)
add(
    r"ks_exact\[tc~resp\]",
    "distributions.kolmogorov_smirnov",
    lambda d, *_: tst(distributions.kolmogorov_smirnov(*d.groups("tc"))),
)
add(
    r"chatterjee_xi\[tc,resp\]",
    "association.chatterjee_xi",
    lambda d, *_: tst(association.chatterjee_xi(d["tc"], d["resp"])),
)
add(
    r"mutual_info_knn\[tc,resp\]",
    "association.mutual_information",
    lambda d, *_: Answer(association.mutual_information(d["tc"], d["resp"])),
)
