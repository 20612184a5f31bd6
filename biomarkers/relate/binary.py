"""One level, responders against the rest: every estimate and test of the table of methods, as tidy rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from biomarkers.relate.verdict import SHOWN_MARGINS
from biomarkers.stats.auc import auc_delong, auc_logit_delong, auc_tost
from biomarkers.stats.bayes import jzs_ceiling, jzs_scores
from biomarkers.stats.ranks import wilcoxon_rank_sum
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.shift import hodges_lehmann

Row = dict[str, Any]


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
        words = "; ".join(text for text in (note, result.note) if text)
        return {**base, "value": result.value, "ci_low": result.low, "ci_high": result.high, "p": nan, "note": words}
    if isinstance(result, Test):
        words = "; ".join(text for text in (note, result.note) if text)
        return {**base, "value": result.statistic, "ci_low": nan, "ci_high": nan, "p": result.p, "note": words}
    return {**base, "value": float(result), "ci_low": nan, "ci_high": nan, "p": nan}


def two_groups(
    biomarker: str, endpoint: str, yes: np.ndarray, no: np.ndarray, *, margin: float
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

    Returns
    -------
    The rows, and what the verdict needs: ``auc, ci95, ci90, bf01, bf01_ceiling``.
    """
    n = len(yes) + len(no)
    ci95, ci90 = auc_logit_delong(yes, no, level=0.95), auc_logit_delong(yes, no, level=0.90)
    bf01, ceiling = _bayes(yes, no), jzs_ceiling(len(yes), len(no))

    def add(method: str, statistic: str, result: Estimate | Test | float, note: str = "") -> None:
        rows.append(row(biomarker, endpoint, method, statistic, result, n=n, note=note))

    rows: list[Row] = []
    add("logit-DeLong 95%", "auc", ci95)
    add("logit-DeLong 90%", "auc", ci90)
    add("DeLong 95%", "auc", auc_delong(yes, no))
    wilcoxon = wilcoxon_rank_sum(yes, no)
    add(wilcoxon.method, "U", wilcoxon)
    shift = hodges_lehmann(yes, no)
    add(f"Hodges-Lehmann shift, {shift.method}", "shift", shift)
    for value in sorted({*SHOWN_MARGINS, margin}):
        tost = auc_tost(yes, no, margin=value)
        add(f"two one-sided tests, margin {value:g}", "equivalence", tost)
    add("JZS Bayes factor on normal scores", "bf01", bf01, f"at most {ceiling:.2f} at these group sizes")
    for name, values in (("responders", yes), ("others", no)):
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        add(f"median and quartiles, {name}", "median", Estimate(middle, low, high, 0.5, len(values), "quartiles"))
    return rows, {"auc": ci95.value, "ci95": ci95, "ci90": ci90, "bf01": bf01, "bf01_ceiling": ceiling}


def group_problem(yes: Sequence[float] | np.ndarray, no: Sequence[float] | np.ndarray) -> str | None:
    """Say why two groups cannot be compared, or None when they can."""
    if len(yes) == 0 and len(no) == 0:
        return "no patient has both a level and a response"
    if len(yes) < 2 or len(no) < 2:
        return f"{len(yes)} responders and {len(no)} others have a level; two of each are needed"
    values = np.concatenate([np.asarray(yes), np.asarray(no)])
    if np.ptp(values) == 0:
        return f"every patient has the same level ({values[0]:g})"
    return None


def _bayes(yes: np.ndarray, no: np.ndarray) -> float:
    from biomarkers.errors import BiomarkersError

    try:
        bf10 = jzs_scores(yes, no)
    except BiomarkersError:
        return float("nan")
    return 1 / bf10 if bf10 > 0 else float("nan")
