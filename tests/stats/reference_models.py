"""Rows on searched cuts, paired change, survival, regressions, multiplicity."""

from __future__ import annotations

import re

import numpy as np

from biomarkers.stats import (
    adjust,
    concordance,
    cox,
    cutpoint,
    firth,
    logistic,
    ordinal,
    paired,
    splines,
    survival,
)
from tests.stats.reference_data import Z196, Answer, Data, add, est, row, tst

# --- searched cuts
APPROXIMATION = {
    "Lau92": "lausen-1992",
    "Lau94": "lausen-1994",
    "HL": "hothorn-lausen",
    "asym": "gauss",
    "exactGauss": "gauss",
}
add(
    r"maxstat_(Lau92|Lau94|HL|asym|exactGauss)\[resp~(\w+)\]",
    "cutpoint.max_selected",
    lambda d, m, _: tst(cutpoint.max_selected(d[m[2]], d["resp"], approximation=APPROXIMATION[m[1]])),
)


@row(r"maxstat_logrank_HL\[pfs~tc\]", "cutpoint.max_selected, survival.log_rank_scores")
def _max_log_rank(d: Data, *_: object) -> Answer:
    scores = survival.log_rank_scores(*d.pfs, ties="hothorn-lausen")
    return tst(cutpoint.max_selected(d["tc"], cutpoint.whole_scores(scores), approximation="hothorn-lausen"))


# --- paired
@row(r"wilcoxon_signed_(exact_log|asym)\[pd1\]", "paired.signed_rank, paired.hodges_lehmann_paired")
def _signed(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    change = d.changes[0]
    exact = m[1] == "exact_log"
    test = paired.signed_rank(change, method="exact" if exact else "asymptotic", continuity=not exact)
    limits = paired.hodges_lehmann_paired(change, method="asymptotic", zeros="drop")
    v = test.statistic
    total = change.size * (change.size + 1) / 2
    return Answer(min(v, total - v) if r["statistic"].startswith("W") else v, limits.low, limits.high, test.p)


add(
    r"hl_signed_exact_log\[pd1\]",
    "paired.hodges_lehmann_paired",
    lambda d, *_: est(paired.hodges_lehmann_paired(d.changes[0], method="exact", estimate="centre", zeros="drop")),
)
add(
    r"perm_signflip_exact_log\[pd1\]", "paired.sign_flip", lambda d, *_: tst(paired.sign_flip(d.changes[0], decimals=3))
)
add(
    r"wilcoxsign_exact_pratt_raw\[pd1\]",
    "paired.signed_rank, paired.signed_rank_z",
    lambda d, *_: tst(
        paired.signed_rank(d.changes[1], zeros="pratt", digits=None),
        paired.signed_rank_z(d.changes[1], zeros="pratt", digits=None),
    ),
)


# --- survival
def coefficient(c: object) -> Answer:
    return est(c.estimate, c.test.p)  # type: ignore[attr-defined]


add(
    r"cox_(efron|breslow)\[pfs~log1p\(tc\)\]",
    "cox.cox",
    lambda d, m, _: coefficient(cox.cox(*d.pfs, d.log_tc, ties=m[1]).coefficients[0]),
)
add(r"cox_(efron|breslow)_LR", "cox.cox", lambda d, m, _: tst(cox.cox(*d.pfs, d.log_tc, ties=m[1]).likelihood_ratio))
add(r"cox_(efron|breslow)_score", "cox.cox", lambda d, m, _: tst(cox.cox(*d.pfs, d.log_tc, ties=m[1]).score))
add(
    r"cox_firth_breslow_profile\[pfs~log1p\(tc\)\]",
    "cox.cox_firth",
    lambda d, *_: coefficient(cox.cox_firth(*d.pfs, d.log_tc).coefficients[0]),
)
add(
    r"cox_zph_km\[pfs~log1p\(tc\)\]",
    "cox.proportional_hazards",
    lambda d, *_: tst(cox.proportional_hazards(*d.pfs, d.log_tc)["x"]),
)
add(
    r"cph_rcs3_nonlinear\[pfs~log crp\]",
    "splines.nonlinearity",
    lambda d, *_: tst(splines.nonlinearity(np.log(d["crp"]), time=d["pfs"], event=d["pfs_event"])),
)
add(
    r"lrm_rcs3_nonlinear\[resp~log crp\]",
    "splines.nonlinearity",
    lambda d, *_: tst(splines.nonlinearity(np.log(d["crp"]), response=d["resp"])),
)
add(
    r"harrell_c\[pfs~tc\]",
    "concordance.concordance",
    lambda d, *_: est(concordance.concordance(d["tc"], *d.pfs, level=Z196)),
)
TRANSFORM = {"plain_BrookmeyerCrowley": "plain", "log": "log", "loglog": "log-log"}
add(
    r"km_median_(plain_BrookmeyerCrowley|loglog|log)\[pfs\]",
    "survival.median_survival",
    lambda d, m, _: est(survival.median_survival(*d.pfs, transform=TRANSFORM[m[1]])),
)


@row(r"logrank_asym\[pfs~tc_pos1\]", "survival.log_rank")
def _log_rank(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    test = survival.log_rank(*d.pfs, d["tc_pos1"])
    return tst(test, -(test.statistic**0.5) if r["statistic"] == "Z" else None)


add(
    r"landmark2_logrank\[pfs~resp\]",
    "survival.landmark_log_rank",
    lambda d, *_: tst(survival.landmark_log_rank(*d.pfs, d["resp"], at=2.0)),
)

# --- regressions of response
CLINICAL = {"ltc": lambda d: d.log_tc, "lcrp": lambda d: np.log(d["crp"])}


def clinical(d: Data) -> dict[str, np.ndarray]:
    return {name: values(d) for name, values in CLINICAL.items()}


add(
    r"logit_ml_(profile|wald)\[(\w+)\]",
    "logistic.logistic",
    lambda d, m, _: coefficient(logistic.logistic(d["resp"], clinical(d), interval=m[1])[m[2]]),
)
add(
    r"firth_profile\[(\w+)\]",
    "firth.firth_logistic",
    lambda d, m, _: coefficient(firth.firth_logistic(d["resp"], clinical(d))[m[1]]),
)
add(
    r"firth_separated_toy",  # eight patients in order of their level, the last five respond
    "firth.firth_logistic",
    lambda *_: Answer(
        firth.firth_logistic([0, 0, 0, 1, 1, 1, 1, 1], np.arange(1.0, 9.0)).coefficients[0].estimate.value
    ),
)
add(
    r"clm_LR\[recist~log1p\(tc\)\]",
    "ordinal.proportional_odds",
    lambda d, *_: tst(ordinal.proportional_odds(d["recist_ord"], d.log_tc).likelihood_ratio),
)
add(
    r"clm_prop_odds_test",
    "ordinal.proportionality",
    lambda d, *_: tst(ordinal.proportionality(d["recist_ord"], d.log_tc)),
)


@row(r"polr_logit\[recist~log1p\(tc\)\]", "ordinal.proportional_odds, ordinal.proportional_odds_wald")
def _polr(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    if "Wald" in r["source"]:
        return coefficient(ordinal.proportional_odds_wald(d["recist_ord"], d.log_tc)[0])
    return est(ordinal.proportional_odds(d["recist_ord"], d.log_tc).coefficients[0].estimate)


# --- multiplicity: the row's p column is the raw p-value, its value the adjusted one
RAW = (0.001, 0.008, 0.012, 0.03, 0.04, 0.2, 0.5)
add(
    r"padjust_(BH|BY|bonferroni|hochberg|holm)_(\d)",
    "adjust.adjust",
    lambda _, m, __: Answer(float(adjust.adjust(RAW, method=m[1].lower())[int(m[2]) - 1]), p=RAW[int(m[2]) - 1]),
)
