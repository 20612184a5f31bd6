"""Did a level change in the group, and did it change otherwise in responders? Tidy rows, one a statistic."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.change.ancova import response_effect
from biomarkers.change.pairs import AT_LEAST, AT_MOST, BIOMARKER, BOTH_BELOW, NO_BOUND
from biomarkers.change.scale import Scale
from biomarkers.cohort.response import Responders
from biomarkers.core import keys
from biomarkers.core.words import both_groups
from biomarkers.stats.results import Estimate, Test

ENDPOINT = "change"
BY_RESPONSE = "change by response"
SIGNED_RANK, PRATT = "signed-rank sum", "signed-rank sum, unchanged pairs ranked"
HL_CHANGED = "Hodges-Lehmann change, changed pairs only"
MEAN, AGREEMENT = "mean change", "agreement of the time points"
EVERY_VISIT = "mixed-model change, every visit"
_MOST_WORK = 3e8  # sign-flip sums counted, less than a second
MIN_PAIRS = 6  # with 5 pairs the smallest two-sided signed-rank p is 0.0625


def group_statistics(pairs: pd.DataFrame, rows: pd.DataFrame, scale: Scale, *, points: tuple[str, str]) -> pd.DataFrame:
    """Every statistic of one biomarker's change in the group.

    Parameters
    ----------
    pairs
        Rows of one biomarker (see :func:`biomarkers.change.pairs.make_pairs`).
    rows
        All its samples with ``scaled``; the mixed model uses those without a partner too.
    scale
        The scale of change, which stands in the notes.
    points
        Baseline and on-treatment time points.

    Returns
    -------
    Rows with ``keys.STATISTIC_COLUMNS``: median and Hodges-Lehmann change over all pairs; the exact signed-rank test,
    in which pairs without change take no part (Wilcoxon), Pratt's version, in which they are ranked, and the
    Hodges-Lehmann change of the pairs that changed; sign-flip and paired t test; the agreement of the two time points
    (ICC); a mixed model of the two time points, and of all visits where there are more, as sensitivity.
    """
    from biomarkers.stats.paired import hodges_lehmann_paired, signed_rank

    name = str(pairs[BIOMARKER].iloc[0])
    have = pairs[pairs["reason"] == ""]
    change = have["change"].to_numpy(dtype=float)
    notes = "; ".join([scale.label, *_bound_notes(have)])
    made: list[dict[str, Any]] = []
    if not len(change):
        return _frame([_row(name, ENDPOINT, "pairs", "median change", n=0, note="no patient has both levels")])
    # a median's own interval would be a second answer to one question: the Hodges-Lehmann interval stands beside it
    made.append(
        _row(name, ENDPOINT, "median of the changes", "median change", np.median(change), n=len(change), note=notes)
    )
    made.append(_estimate(name, ENDPOINT, "Hodges-Lehmann change", hodges_lehmann_paired(change), scale.label))
    made.append(_test(name, ENDPOINT, SIGNED_RANK, signed_rank(change)))
    if (change == 0).any() and (change != 0).any():
        moved = hodges_lehmann_paired(change[change != 0])
        made.append(_estimate(name, ENDPOINT, HL_CHANGED, moved, "the pairs of Wilcoxon's test"))
    made.append(_test(name, ENDPOINT, PRATT, signed_rank(change, zeros="pratt")))
    made.append(_sign_flip(name, change))
    made.append(_mean(name, change))
    made.append(_agreement(name, have))
    made.append(_mixed(name, rows, points))
    mine = rows[rows[BIOMARKER] == name]
    if mine[keys.TIMEPOINT].nunique() > len(points):
        made.append(_mixed(name, rows, points, every_visit=True))
    return _frame(made)


def _mean(name: str, change: np.ndarray) -> dict[str, Any]:
    from biomarkers.stats.paired import paired_t

    estimate, test = paired_t(change)
    return {**_estimate(name, ENDPOINT, MEAN, estimate), "p": test.p}


def _agreement(name: str, have: pd.DataFrame) -> dict[str, Any]:
    """ICC of the two time points: how far the baseline level tells the later one."""
    from biomarkers.stats.agreement import intraclass_correlation

    both = have[["baseline_scaled", "on_treatment_scaled"]].to_numpy(dtype=float)
    if len(both) < 2:
        note = "one pair: agreement cannot be told"
        return _row(name, ENDPOINT, "ICC(A,1), two-way random", AGREEMENT, n=len(both), note=note)
    return _estimate(name, ENDPOINT, AGREEMENT, intraclass_correlation(both))


def response_statistics(pairs: pd.DataFrame, responders: Responders) -> pd.DataFrame:
    """Compare the change of one biomarker between responders and others.

    Parameters
    ----------
    pairs
        Rows of one biomarker.
    responders
        Index = patient.

    Returns
    -------
    Rows with ``keys.STATISTIC_COLUMNS``: exact rank test and shift of the changes, ANCOVA at equal baseline.
    """
    from biomarkers.stats.ranks import wilcoxon_rank_sum
    from biomarkers.stats.shift import hodges_lehmann

    name = str(pairs[BIOMARKER].iloc[0])
    have = pairs[(pairs["reason"] == "") & pairs[keys.PATIENT].isin(responders.responder.index)]
    yes = have[keys.PATIENT].map(responders.responder).to_numpy(dtype=bool)
    change = have["change"].to_numpy(dtype=float)
    note = f"{both_groups(int(yes.sum()), int((~yes).sum()))} with a pair; {responders.definition}"
    if not yes.any() or yes.all():
        return _frame(
            [_row(name, BY_RESPONSE, "groups", "difference", n=len(yes), note=f"only one group has pairs: {note}")]
        )
    asymptotic = wilcoxon_rank_sum(change[yes], change[~yes], method="asymptotic", continuity=True)
    made = [
        _test(name, BY_RESPONSE, "rank sum of the changes", wilcoxon_rank_sum(change[yes], change[~yes]), note),
        _test(name, BY_RESPONSE, "rank sum of the changes, asymptotic", asymptotic, "as most programs print it"),
        _estimate(name, BY_RESPONSE, "shift of the changes", hodges_lehmann(change[yes], change[~yes])),
    ]
    before, after = have["baseline_scaled"].to_numpy(dtype=float), have["on_treatment_scaled"].to_numpy(dtype=float)
    estimate, test = response_effect(before, after, yes)
    row = _estimate(name, BY_RESPONSE, "difference at equal baseline", estimate)
    made.append({**row, "p": test.p})
    return _frame(made)


def completeness(pairs: pd.DataFrame, responders: Responders | None) -> pd.DataFrame:
    """Count who has a pair, by biomarker and response word, and whether that depends on response.

    A patient who progressed early often has no second biopsy: then the pairs are a selected group.

    Returns
    -------
    Columns ``biomarker, response, patients, with_pair, p_fisher`` (Fisher's exact test of having a pair by being a
    responder, the same in every row of a biomarker; missing without responses).
    """
    from biomarkers.stats.tables import fisher

    made = []
    for name, mine in pairs.groupby(BIOMARKER, sort=False):
        paired = mine["reason"] == ""
        p = np.nan
        if responders is not None:
            known = mine[keys.PATIENT].isin(responders.responder.index)
            yes = mine.loc[known, keys.PATIENT].map(responders.responder).to_numpy(dtype=bool)
            both = paired[known].to_numpy()
            table = [
                [int((yes & both).sum()), int((yes & ~both).sum())],
                [int((~yes & both).sum()), int((~yes & ~both).sum())],
            ]
            if min(map(sum, table)) > 0 and both.any() and not both.all():
                p = fisher(table).p
        words = mine[keys.RESPONSE].where(mine[keys.RESPONSE].notna(), "not recorded")
        made += [
            [str(name), word, int((words == word).sum()), int((paired & (words == word)).sum()), p]
            for word in (*keys.RESPONSES, "not recorded")
            if (words == word).any()
        ]
    return pd.DataFrame(made, columns=[BIOMARKER, keys.RESPONSE, "patients", "with_pair", "p_fisher"])


def _mixed(name: str, rows: pd.DataFrame, points: tuple[str, str], *, every_visit: bool = False) -> dict[str, Any]:
    """Mixed model with a random patient: every sample counts, with or without a partner.

    With every visit, each time point has a mean of its own, and the change is that between the two ``points``.
    """
    mine = rows[(rows[BIOMARKER] == name) & rows[keys.TIMEPOINT].notna()]
    mine = mine if every_visit else mine[mine[keys.TIMEPOINT].isin(points)]
    others = [str(point) for point in dict.fromkeys(mine[keys.TIMEPOINT]) if point not in points]
    method = "linear mixed model, random patient, REML, all samples"
    statistic = "mixed-model change"
    if every_visit:
        method, statistic = f"{method} of {len(others) + 2} visits", EVERY_VISIT
    n = mine[keys.PATIENT].nunique()
    if n < MIN_PAIRS or len(mine) <= n + 1 + len(others):
        return _row(name, ENDPOINT, method, statistic, n=n, note=f"{n} patients, {len(mine)} samples: too few")
    import statsmodels.api as sm

    visits = [(mine[keys.TIMEPOINT] == point).to_numpy(dtype=float) for point in (points[1], *others)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is read from the fit
        try:
            design = np.column_stack([np.ones(len(mine)), *visits])
            fit = sm.MixedLM(mine["scaled"].to_numpy(), design, groups=mine[keys.PATIENT].to_numpy()).fit(reml=True)
            value, (low, high), p = float(fit.params[1]), fit.conf_int()[1], float(fit.pvalues[1])
        except np.linalg.LinAlgError:
            return _row(name, ENDPOINT, method, statistic, n=n, note="the model could not be fitted")
    if not np.isfinite([value, low, high, p]).all():
        return _row(name, ENDPOINT, method, statistic, n=n, note="the model could not be fitted")
    note = f"sensitivity: {len(mine)} samples of {n} patients, normal approximation"
    return {
        **_row(name, ENDPOINT, method, statistic, value, n=n, note=note),
        "ci_low": low,
        "ci_high": high,
        "p": p,
    }


def model_notes(statistics: pd.DataFrame, *, alpha: float) -> list[str]:
    """Say where the mixed model over three visits or more and the paired test come to different ends."""
    made = []
    for name, mine in statistics[statistics["endpoint"] == ENDPOINT].groupby(BIOMARKER, sort=False):
        ps = dict(zip(mine["statistic"].tolist(), mine["p"].tolist(), strict=True))
        p, paired = (float(ps.get(statistic, np.nan)) for statistic in (EVERY_VISIT, SIGNED_RANK))
        if np.isnan(p) or np.isnan(paired):
            continue
        if (p <= alpha) != (paired <= alpha):
            finds, other = ("finds", "does not") if p <= alpha else ("does not find", "does")
            made.append(
                f"{name}: the mixed model over every visit {finds} a change (p = {p:.3g}), the paired test {other} "
                f"(p = {paired:.3g}): visits without a partner, or a few large changes, may be why; the "
                "paired test decides"
            )
    return made


def _sign_flip(name: str, change: np.ndarray) -> dict[str, Any]:
    """Sign-flip test with as many decimals as its exact distribution can be counted for."""
    from biomarkers.stats.paired import sign_flip

    for decimals in (3, 2, 1):
        if float(np.abs(np.round(change * 10.0**decimals)).sum()) * len(change) < _MOST_WORK:
            return _test(name, ENDPOINT, "sign flip", sign_flip(change, decimals=decimals))
    note = "too many pairs to count every sign: the signed-rank test stands alone"
    return _row(name, ENDPOINT, "sign-flip permutation test of the mean", "sign flip", n=len(change), note=note)


def _bound_notes(have: pd.DataFrame) -> list[str]:
    made = []
    both, one = int((have["bound"] == BOTH_BELOW).sum()), int(have["bound"].isin([AT_LEAST, AT_MOST]).sum())
    open_ = int((have["bound"] == NO_BOUND).sum())
    if both:
        made.append(f"{both} pairs below the limit at both times: no quantifiable change, counted as zero")
    if one:
        made.append(f"{one} changes are bounds (a level below its limit): taken at the bound")
    if open_:
        made.append(f"{open_} changes have no known direction (a limit above the other level): counted as zero")
    return made


def _row(
    name: str, endpoint: str, method: str, statistic: str, value: float = np.nan, *, n: int, note: str = ""
) -> dict[str, Any]:
    return {
        BIOMARKER: name,
        "endpoint": endpoint,
        "method": method,
        "statistic": statistic,
        "value": float(value),
        "ci_low": np.nan,
        "ci_high": np.nan,
        "p": np.nan,
        "n": n,
        "note": note,
    }


def _estimate(name: str, endpoint: str, statistic: str, estimate: Estimate, note: str = "") -> dict[str, Any]:
    said = "; ".join(part for part in (estimate.note, note) if part)
    row = _row(name, endpoint, estimate.method, statistic, estimate.value, n=estimate.n, note=said)
    return {**row, "ci_low": estimate.low, "ci_high": estimate.high}


def _test(name: str, endpoint: str, statistic: str, test: Test, note: str = "") -> dict[str, Any]:
    said = "; ".join(part for part in (test.note, note) if part)
    return {**_row(name, endpoint, test.method, statistic, test.statistic, n=test.n, note=said), "p": test.p}


def _frame(rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(keys.STATISTIC_COLUMNS))
