"""Rows on searched cuts, paired change, survival, regressions, multiplicity."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from biomarkers.stats import (
    cox_model,
    cutpoint,
    firth,
    logistic_model,
    multiplicity,
    ordinal,
    paired,
    rank_concordance,
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
    lambda d, m, _: tst(cutpoint.max_selected(*d.columns(m[2], "resp"), approximation=APPROXIMATION[m[1]])),
)


@row(r"maxstat_logrank_HL\[pfs~(\w+)\]", "cutpoint.max_selected, survival.log_rank_scores")
def _max_log_rank(d: Data, m: re.Match[str], _: object) -> Answer:
    time, event, level = d.survival(m[1])
    scores = survival.log_rank_scores(time, event, ties="hothorn-lausen")
    return tst(cutpoint.max_selected(level, cutpoint.whole_scores(scores), approximation="hothorn-lausen"))


# --- paired
@row(r"wilcoxon_signed_(exact_log|asym)\[(\w+)\]", "paired.signed_rank, paired.hodges_lehmann_paired")
def _signed(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    change = d.changes(m[2])[0]
    exact = m[1] == "exact_log"
    test = paired.signed_rank(change, method="exact" if exact else "asymptotic", continuity=not exact, digits=None)
    limits = paired.hodges_lehmann_paired(change, method="asymptotic", zeros="drop", continuity=True, digits=None)
    v = test.statistic
    total = change.size * (change.size + 1) / 2
    return Answer(min(v, total - v) if r["statistic"].startswith("W") else v, limits.low, limits.high, test.p)


add(
    r"hl_signed_exact_log\[(\w+)\]",
    "paired.hodges_lehmann_paired",
    lambda d, m, _: est(
        paired.hodges_lehmann_paired(d.changes(m[1])[0], method="exact", estimate="centre", zeros="drop", digits=None)
    ),
)
add(
    r"perm_signflip_exact_log\[(\w+)\]",
    "paired.sign_flip",
    lambda d, m, _: tst(paired.sign_flip(d.changes(m[1])[0], decimals=3)),
)
add(
    r"wilcoxsign_exact_pratt_raw\[(\w+)\]",
    "paired.signed_rank, paired.signed_rank_z",
    lambda d, m, _: tst(
        paired.signed_rank(d.changes(m[1])[1], zeros="pratt", digits=None),
        paired.signed_rank_z(d.changes(m[1])[1], zeros="pratt", digits=None),
    ),
)


# --- survival
def log_survival(d: Data, level: str = "tc") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time, event, values = d.survival(level)
    return time, event, np.log1p(values)


def log_order(d: Data, level: str = "tc") -> tuple[np.ndarray, np.ndarray]:
    order, values = d.columns("recist", level)
    return order, np.log1p(values)


def _bent_in_time(time: np.ndarray, event: np.ndarray, level: np.ndarray) -> Answer:
    return tst(splines.nonlinearity(np.log(level), time=time, event=event))


def _bent(level: np.ndarray, response: np.ndarray) -> Answer:
    return tst(splines.nonlinearity(np.log(level), response=response))


def coefficient(c: object) -> Answer:
    return est(c.estimate, c.test.p)  # type: ignore[attr-defined]


add(
    r"cox_(efron|breslow)\[pfs~log1p\((?P<level>\w+)\)\]",
    "cox_model.cox",
    lambda d, m, _: coefficient(cox_model.cox(*log_survival(d, m["level"]), ties=m[1]).coefficients[0]),
)
add(
    r"cox_(efron|breslow)_LR",
    "cox_model.cox",
    lambda d, m, _: tst(cox_model.cox(*log_survival(d), ties=m[1]).likelihood_ratio),
)
add(
    r"cox_(efron|breslow)_score", "cox_model.cox", lambda d, m, _: tst(cox_model.cox(*log_survival(d), ties=m[1]).score)
)
add(
    r"cox_firth_breslow_profile\[pfs~log1p\((?P<level>\w+)\)\]",
    "cox_model.cox_firth",
    lambda d, m, _: coefficient(cox_model.cox_firth(*log_survival(d, m["level"])).coefficients[0]),
)
add(
    r"cox_zph_km\[pfs~log1p\((?P<level>\w+)\)\]",
    "cox_model.proportional_hazards",
    lambda d, m, _: tst(cox_model.proportional_hazards(*log_survival(d, m["level"]))["x"]),
)
add(
    r"cph_rcs3_nonlinear\[pfs~log (\w+)\]",
    "splines.nonlinearity",
    lambda d, m, _: _bent_in_time(*d.survival(m[1])),
)
add(
    r"lrm_rcs3_nonlinear\[resp~log (\w+)\]",
    "splines.nonlinearity",
    lambda d, m, _: _bent(*d.columns(m[1], "resp")),
)
add(
    r"harrell_c\[pfs~(\w+)\]",
    "rank_concordance.concordance",
    lambda d, m, _: est(rank_concordance.concordance(d.survival(m[1])[2], *d.survival(m[1])[:2], level=Z196)),
)
TRANSFORM = {"plain_BrookmeyerCrowley": "plain", "log": "log", "loglog": "log-log"}
add(
    r"km_median_(plain_BrookmeyerCrowley|loglog|log)\[pfs\]",
    "survival.median_survival",
    lambda d, m, _: est(survival.median_survival(*d.survival(), transform=TRANSFORM[m[1]])),
)


@row(r"logrank_asym\[pfs~(\w+)\]", "survival.log_rank")
def _log_rank(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    test = survival.log_rank(*d.survival(m[1]))
    # the root of chi-square, with the sign that the source gives
    return tst(test, math.copysign(test.statistic**0.5, float(r["value"])) if r["statistic"] == "Z" else None)


add(
    r"landmark([\d.]+)_logrank\[pfs~(\w+)\]",
    "survival.landmark_log_rank",
    lambda d, m, _: tst(survival.landmark_log_rank(*d.survival(m[2]), at=float(m[1]))),
)


# --- regressions of response
def clinical(d: Data) -> dict[str, np.ndarray]:
    tc, crp, response = d.columns("tc", "crp", "resp")
    return {"resp": response, "ltc": np.log1p(tc), "lcrp": np.log(crp)}


def adjusted(d: Data, fit: Callable[..., Any], name: str, **options: object) -> Answer:
    design = clinical(d)
    return coefficient(fit(design.pop("resp"), design, **options)[name])


add(
    r"logit_ml_(profile|wald)\[(\w+)\]",
    "logistic_model.logistic",
    lambda d, m, _: adjusted(d, logistic_model.logistic, m[2], interval=m[1]),
)
add(
    r"firth_profile\[(\w+)\]",
    "firth.firth_logistic",
    lambda d, m, _: adjusted(d, firth.firth_logistic, m[1]),
)
add(
    r"firth_separated_toy",  # eight patients in order of their level, the last five respond
    "firth.firth_logistic",
    lambda *_: Answer(
        firth.firth_logistic([0, 0, 0, 1, 1, 1, 1, 1], np.arange(1.0, 9.0)).coefficients[0].estimate.value
    ),
)
add(
    r"clm_LR\[recist~log1p\((?P<level>\w+)\)\]",
    "ordinal.proportional_odds",
    lambda d, m, _: tst(ordinal.proportional_odds(*log_order(d, m["level"])).likelihood_ratio),
)
add(
    r"clm_prop_odds_test",
    "ordinal.proportionality",
    lambda d, *_: tst(ordinal.proportionality(*log_order(d))),
)


@row(r"polr_logit\[recist~log1p\((?P<level>\w+)\)\]", "ordinal.proportional_odds, ordinal.proportional_odds_wald")
def _polr(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    if "Wald" in r["source"]:
        return coefficient(ordinal.proportional_odds_wald(*log_order(d, m["level"]))[0])
    return est(ordinal.proportional_odds(*log_order(d, m["level"])).coefficients[0].estimate)


# --- multiplicity: the row's p column is the raw p-value, its value the adjusted one
@row(r"padjust_(BH|BY|bonferroni|hochberg|holm)_(\d+)", "multiplicity.adjust")
def _adjusted_p(d: Data, m: re.Match[str], _: dict[str, str]) -> Answer:
    raw, at = d.raw_p(), int(m[2]) - 1
    return Answer(float(multiplicity.adjust(raw, method=m[1].lower())[at]), p=raw[at])
