"""One level, responders against the rest: every estimate and test of the table of methods, as tidy rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.core.errors import BiomarkersError
from biomarkers.core.words import both_groups
from biomarkers.relate.verdict import SHOWN_MARGINS
from biomarkers.stats.association import distance_correlation
from biomarkers.stats.bayes import jzs_ceiling, jzs_scores
from biomarkers.stats.linear import midranks, normal_scores
from biomarkers.stats.proportions import clopper_pearson
from biomarkers.stats.ranks import brunner_munzel, wilcoxon_rank_sum
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.roc import auc_delong, auc_logit_delong, auc_newcombe, auc_tost
from biomarkers.stats.shift import hodges_lehmann

Row = dict[str, Any]
SAME_LEVEL = "every patient has the same level"
_FEW_LEVELS = 6
_RESAMPLES = 200


def row(
    biomarker: str,
    endpoint: str,
    method: str,
    statistic: str,
    result: Estimate | Test | float,
    *,
    n: int,
    note: str = "",
) -> Row:
    """Turn any result into a row of ``statistics.csv``."""
    base = {
        "biomarker": biomarker,
        "endpoint": endpoint,
        "method": method,
        "statistic": statistic,
        "n": n,
        "note": note,
    }
    nan = float("nan")
    if isinstance(result, Estimate):
        words = "; ".join(dict.fromkeys(text for text in (note, result.note) if text))
        return {**base, "value": result.value, "ci_low": result.low, "ci_high": result.high, "p": nan, "note": words}
    if isinstance(result, Test):
        one = "p = 1: no other arrangement of the data lies closer to no difference" if result.p == 1 else ""
        words = "; ".join(dict.fromkeys(text for text in (note, result.note, one) if text))
        return {**base, "value": result.statistic, "ci_low": nan, "ci_high": nan, "p": result.p, "note": words}
    return {**base, "value": float(result), "ci_low": nan, "ci_high": nan, "p": nan}


def two_groups(
    biomarker: str,
    endpoint: str,
    yes: np.ndarray,
    no: np.ndarray,
    *,
    margin: float,
    alpha: float = 0.05,
    scores: bool = False,
) -> tuple[list[Row], dict[str, Any]]:
    """Compare the levels of responders with those of the rest, but for the joint permutation.

    Parameters
    ----------
    biomarker, endpoint
        Names for the rows.
    yes, no
        Levels of responders and non-responders, two at least in each, not all equal.
    margin
        The margin of the verdict; .10, .15 and .20 are always shown.
    alpha
        Level of each one-sided test of independence: the interval that has to lie inside is the (1 - 2 alpha) one.
    scores
        The levels are Gehan scores: the rows in units of the level are marked so.

    Returns
    -------
    The rows, and what the verdict needs: ``auc, ci95, ci90, bf01, bf01_ceiling``.
    """
    n = len(yes) + len(no)
    ci95, ci90 = auc_logit_delong(yes, no, level=0.95), auc_logit_delong(yes, no, level=1 - 2 * alpha)
    bf01, ceiling = _bayes(yes, no), jzs_ceiling(len(yes), len(no))

    def add(method: str, statistic: str, result: Estimate | Test | float, note: str = "") -> None:
        rows.append(row(biomarker, endpoint, method, statistic, result, n=n, note=note))

    rows: list[Row] = []
    add("response rate, all patients with a level, Clopper-Pearson", "rate", clopper_pearson(len(yes), n))
    add("logit-DeLong 95%", "auc", ci95)
    add(f"logit-DeLong {100 * (1 - 2 * alpha):g}%", "auc", ci90)
    add("DeLong 95%", "auc", auc_delong(yes, no))
    add("Newcombe method 5, 95%", "auc", auc_newcombe(yes, no))
    add("Brunner-Munzel t, for comparison (inflated in small groups)", "t", brunner_munzel(yes, no))
    wilcoxon = wilcoxon_rank_sum(yes, no, continuity=True)
    add(wilcoxon.method, "U", wilcoxon)
    if "exact" in wilcoxon.method:  # what R and scipy print where levels are tied or many
        usual = wilcoxon_rank_sum(yes, no, method="asymptotic", continuity=True)
        add(usual.method, "U", usual, "for comparison with printed values")
    unit = "in Gehan scores, not in the level's unit" if scores else ""
    shift = hodges_lehmann(yes, no)
    add(shift.method, "shift", shift, unit)
    for value in sorted({*SHOWN_MARGINS, margin}):
        tost = auc_tost(yes, no, margin=value)
        add(f"two one-sided tests, margin {value:g}", "equivalence", tost)
    add("JZS Bayes factor on normal scores", "bf01", bf01, f"at most {ceiling:.2f} at these group sizes")
    group = np.repeat([1.0, 0.0], [len(yes), len(no)])
    add("distance correlation of mid-ranks", "dcor", distance_correlation(midranks(np.concatenate([yes, no])), group))
    for name, values in (("responders", yes), ("others", no)):
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        add(f"median and quartiles, {name}", "median", Estimate(middle, low, high, 0.5, len(values), "quartiles"), unit)
    return rows, {"auc": ci95.value, "ci95": ci95, "ci90": ci90, "bf01": bf01, "bf01_ceiling": ceiling}


def regression_rows(
    biomarker: str, endpoint: str, level: np.ndarray, responder: np.ndarray, covariates: pd.DataFrame
) -> list[Row]:
    """Firth's logistic regression, odds ratio per standard deviation of the level's normal scores, alone and adjusted.

    Normal scores make it blind to the level's scale, as every other statistic here is. Covariates enter as they are.
    """
    from biomarkers.stats.firth import firth_logistic

    rows: list[Row] = []
    alone = pd.DataFrame({"level": level})
    designs = {"Firth logistic, odds ratio per SD of normal scores, profile": alone}
    if len(covariates.columns):
        named = ", ".join(map(str, covariates.columns))
        both = pd.concat([alone, covariates.reset_index(drop=True)], axis=1)
        designs[f"Firth logistic adjusted for {named}, odds ratio per SD of normal scores, profile"] = both
    for method, design in designs.items():
        known = design.notna().all(axis=1).to_numpy()
        used = design[known].copy()
        n, n_yes = int(known.sum()), int(responder[known].sum())
        if min(n_yes, n - n_yes) < 2 or used["level"].nunique() < 2:
            continue
        scores = normal_scores(used["level"].to_numpy())
        used["level"] = (scores - scores.mean()) / scores.std(ddof=1)
        try:
            fit = firth_logistic(responder[known].astype(float), used)
        except BiomarkersError as error:
            rows.append(row(biomarker, endpoint, method, "odds_ratio", float("nan"), n=n, note=str(error)))
            continue
        found = fit.coefficients[0]
        rows.append(row(biomarker, endpoint, method, "odds_ratio", found.ratio, n=n, note=fit.note))
        rows[-1]["p"] = found.test.p
    return rows


def ordinal_rows(biomarker: str, endpoint: str, yes: np.ndarray, no: np.ndarray) -> list[Row]:
    """Exact tests for a level that takes few values: trend over the levels, and any difference between them."""
    from biomarkers.stats.rxc import fisher_rxc
    from biomarkers.stats.trend import cochran_armitage

    values = np.concatenate([yes, no])
    distinct = np.unique(values)
    if len(distinct) > _FEW_LEVELS:
        return []
    response = np.repeat([1.0, 0.0], [len(yes), len(no)])
    table = np.array([[int((part == value).sum()) for value in distinct] for part in (yes, no)])
    n = len(values)
    trend, any_difference = cochran_armitage(np.searchsorted(distinct, values), response), fisher_rxc(table)
    return [
        row(biomarker, endpoint, trend.method, "Z", trend, n=n),
        row(biomarker, endpoint, any_difference.method, "p", any_difference, n=n),
    ]


def searched_cut_rows(
    biomarker: str,
    endpoint: str,
    level: np.ndarray,
    responder: np.ndarray,
    *,
    n: int,
    seed: int,
    strata: np.ndarray | None = None,
) -> list[Row]:
    """Search the best cut: its p over every cut tried, and its effect less what bootstrap searches gain on average.

    With strata the search and its p compare patients of one stratum only. What is left of the effect is still too large
    when nothing is going on: the size of the best of many differences is never negative.
    """
    from biomarkers.stats.cutpoint import max_selected_permutation, search_cuts

    response = responder.astype(float)
    try:
        best = search_cuts(level, response, strata=strata)
        test = max_selected_permutation(level, response, n_permutations=min(n, 9_999), rng=seed, strata=strata)
    except BiomarkersError as error:
        return [row(biomarker, endpoint, "searched cut", "M", float("nan"), n=len(level), note=str(error))]
    order = np.lexsort((response, level))
    x, y = level[order], response[order]
    seen = _risk_difference(x, y, best.best_cut)
    generator, optimism = np.random.default_rng(seed), []
    for _ in range(_RESAMPLES):
        draw = generator.integers(0, len(x), len(x))
        try:
            cut = search_cuts(x[draw], y[draw]).best_cut
        except BiomarkersError:
            continue
        inside, outside = _risk_difference(x[draw], y[draw], cut), _risk_difference(x, y, cut)
        optimism.append(abs(inside) - abs(outside) if inside * outside >= 0 else abs(inside) + abs(outside))
    kept = float(np.nanmean(optimism)) if optimism else float("nan")
    corrected = np.sign(seen) * max(0.0, abs(seen) - kept)
    note = f"exploratory: searched, best cut above {best.best_cut:g}; {test.note}"
    words = f"{note}; apparent {seen:+.3f}, bootstrap optimism {kept:.3f} by {len(optimism)} searches; "
    words += "still too large when nothing is going on" + ("" if strata is None else "; strata ignored")
    return [
        row(biomarker, endpoint, f"searched cut, {test.method}", "M", test, n=len(level), note=note),
        row(biomarker, endpoint, "risk difference at the searched cut, less bootstrap optimism", "risk_difference",
            float(corrected), n=len(level), note=words),
    ]  # fmt: skip


def _risk_difference(level: np.ndarray, response: np.ndarray, cut: float) -> float:
    above = level > cut
    return float(response[above].mean() - response[~above].mean()) if above.any() and not above.all() else 0.0


def group_problem(yes: Sequence[float] | np.ndarray, no: Sequence[float] | np.ndarray) -> str | None:
    """Say why two groups cannot be compared, or None when they can."""
    if len(yes) == 0 and len(no) == 0:
        return "no patient has both a level and a response"
    if len(yes) < 2 or len(no) < 2:
        return f"{both_groups(len(yes), len(no))} have a level; two of each are needed"
    values = np.concatenate([np.asarray(yes), np.asarray(no)])
    if np.ptp(values) == 0:
        return f"{SAME_LEVEL} ({values[0]:g})"
    return None


def _bayes(yes: np.ndarray, no: np.ndarray) -> float:
    try:
        bf10 = jzs_scores(yes, no)
    except BiomarkersError:
        return float("nan")
    return 1 / bf10 if bf10 > 0 else float("nan")
