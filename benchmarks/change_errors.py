"""How often `change` and landmark comparisons err on simulated trials in which nothing is true, or one sign is.

    python benchmarks/change_errors.py [--trials 2000] [--only landmark families direction] [--biomarkers 1 5 20]

landmark    response independent of PFS, visits every 8 weeks; error of log-rank by response from a landmark, groups by
            response seen, by response confirmed, and by what is confirmed only later (the way that is refused)
families    1, 5 and 20 correlated biomarkers without any change; error of "increased" or "decreased" in the family by
            Holm and by max-T, and of change by response
direction   significant changes with 0-80% of the pairs unchanged, all others of one sign: how many get the other sign
"""

from __future__ import annotations

import argparse
from unittest import mock

import numpy as np
import pandas as pd

from biomarkers.change import group
from biomarkers.change.measure import measure_change
from biomarkers.change.result import direction_of
from biomarkers.cohort.best_response import best_responses
from biomarkers.cohort.columns import DAYS_PER_MONTH
from biomarkers.cohort.endpoints import survival_by_response
from biomarkers.cohort.recist import derive_responses
from biomarkers.stats.multiplicity import adjust
from biomarkers.stats.paired import signed_rank
from biomarkers.stats.paired_family import signed_rank_family
from biomarkers.stats.ranks import wilcoxon_rank_sum

ALPHA = 0.05
_MONTHS = (2.0, 4.0, 6.0)


def show(title: str, hits: float, trials: int) -> None:
    """Print a rate with what it may be."""
    allowed = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / trials)
    print(f"{title:78s} {hits / trials:.4f}  (allowed {allowed:.4f}){'' if hits / trials <= allowed else '  ABOVE'}")


def trial(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """One row a patient: PFS, and the months of a response that says nothing of it."""
    pfs = rng.exponential(8, n) + 0.05
    censored = rng.uniform(4, 24, n)
    seen, days = rng.random(n) < 0.4, np.arange(0, 14) * 56.0
    size = np.where(seen[:, None], rng.uniform(0.3, 0.69, (n, 1)), rng.uniform(0.75, 1.1, (n, 1)))
    start = rng.choice([1, 2, 3], n, p=[0.7, 0.2, 0.1])  # the visit from which a responder's sum is small
    sums = np.where(np.arange(14)[None, :] >= start[:, None], size, 1.0) * 100
    sums[:, 0] = 100
    rows = []
    for i in range(n):
        last = min(pfs[i], censored[i]) * DAYS_PER_MONTH
        known = days[days <= last]
        rows += [(i, day, value, False) for day, value in zip(known, sums[i], strict=False)]
        if pfs[i] <= censored[i]:
            rows.append((i, last, float(sums[i, len(known) - 1]), True))
    visits = pd.DataFrame(rows, columns=["patient", "day", "sum_mm", "new_lesion"])
    visits["patient"] = visits["patient"].map(lambda k: f"P{k:03d}")
    best = best_responses(derive_responses(visits.drop_duplicates(["patient", "day"]))).set_index("patient")
    return pd.DataFrame(
        {
            "pfs_months": np.minimum(pfs, censored),
            "pfs_event": (pfs <= censored).astype(int),
            "response_seen_months": best["first_seen_day"].to_numpy() / DAYS_PER_MONTH,
            "response_confirmed_months": best["confirmed_day"].to_numpy() / DAYS_PER_MONTH,
            "known_later": best["first_response_day"].to_numpy() / DAYS_PER_MONTH,
        },
        index=best.index,
    )


def landmarks(trials: int) -> None:
    """Error of the comparisons from a landmark."""
    for n in (52, 90, 200):
        rng = np.random.default_rng(n)
        cells = [("response_seen_months", at) for at in _MONTHS]
        cells += [("response_confirmed_months", 4.0), ("response_confirmed_months", 6.0), ("known_later", 2.0)]
        hits = {(name, at, p): 0 for name, at in cells for p in ("p", "p_asymptotic")}
        for _ in range(trials):
            patients = trial(rng, n)
            for name, at in cells:
                with mock.patch("biomarkers.cohort.endpoints._PERMUTATIONS", 999):
                    row = survival_by_response(patients, endpoint="pfs", response_months=name, at=at).iloc[0]
                for p in ("p", "p_asymptotic"):
                    hits[name, at, p] += bool(row[p] <= ALPHA)
        for (name, at, p), count in hits.items():
            show(f"landmark month {at:g}, n {n}, by {name}, {p}", count, trials)


def families(trials: int, sizes: list[int]) -> None:
    """Error of the family of biomarkers, complete and with pairs missing by biomarker."""
    n, yes = 52, np.arange(52) < 19
    for m in sizes:
        for missing in (0.0, 0.3):
            for unchanged in (0.0, 0.5):
                rng = np.random.default_rng([m, int(10 * missing), int(10 * unchanged)])
                hits = np.zeros(3)
                for _ in range(trials):
                    shared = rng.normal(0, 1, (n, 1))
                    d = np.round(shared + rng.normal(0, 1, (n, m)), 2)
                    d[rng.random((n, m)) < unchanged] = 0
                    d[rng.random((n, m)) < missing * rng.uniform(0.5, 1.5, m)] = np.nan
                    columns = [column[~np.isnan(column)] for column in d.T]
                    holm = adjust([signed_rank(column).p for column in columns])
                    jointly = signed_rank_family(d, n_flips=1999, rng=rng).p_step_down
                    hits[:2] += [np.nanmin(p) <= ALPHA for p in (holm, jointly)]
                    if not unchanged:  # exact given the ties, and slow
                        groups = [yes[~np.isnan(column)] for column in d.T]
                        pairs = zip(columns, groups, strict=True)
                        by = adjust([wilcoxon_rank_sum(v[g], v[~g]).p for v, g in pairs])
                        hits[2] += np.nanmin(by) <= ALPHA
                what = f"{m} biomarkers, {missing:.0%} of pairs missing, {unchanged:.0%} unchanged"
                for name, count in zip(("Holm", "max-T", "by response, Holm"), hits, strict=True):
                    if name[0] != "b" or not unchanged:
                        show(f"change, {what}, {name}", count, trials)


def directions(wanted: int) -> None:
    """Count significant changes whose direction is the one that no change has."""
    rng = np.random.default_rng(11)
    significant = wrong = 0
    while significant < wanted:
        n, sign, decimals = int(rng.integers(8, 60)), int(rng.choice([-1, 1])), int(rng.integers(0, 3))
        d = sign * np.round(rng.exponential(2, n) + 10.0**-decimals, decimals)
        d[rng.random(n) < rng.uniform(0, 0.8)] = 0
        if d.any() and signed_rank(d).p <= ALPHA:
            significant += 1
            wrong += direction_of(d) != ("up" if sign > 0 else "down")
    print(f"wrong direction: {wrong} of {significant} significant changes of one sign, 0-80% unchanged")
    whole(wanted // 10)


def whole(wanted: int) -> None:
    """Count the same through the whole analysis of a table: scale, pairs, family, verdict."""
    rng = np.random.default_rng(7)
    significant = wrong = 0
    blank = {"biomarker": "", "endpoint": "change", "method": "", "statistic": "left out", "n": 0, "note": "left out"}
    while significant < wanted:
        n, m = int(rng.integers(8, 60)), 50
        signs, unchanged = rng.choice([-1, 1], m), rng.uniform(0, 0.8, m)
        decimals = int(rng.integers(0, 3))
        d = signs * np.round(rng.exponential(2, (n, m)) + 10.0**-decimals, decimals)
        d[rng.random((n, m)) < unchanged] = 0
        before = np.round(rng.uniform(60, 120, (n, m)), decimals)
        names = [f"b{k}" for k in range(m)]
        parts = [
            pd.DataFrame(values, columns=names).assign(patient=[f"P{k}" for k in range(n)], timepoint=point)
            for point, values in (("baseline", before), ("on_treatment", before + d))
        ]
        scale = str(rng.choice(["log2", "linear"]))
        with mock.patch.object(group, "_mixed", return_value=blank):  # decides nothing, and takes most of the time
            found = measure_change(pd.concat(parts, ignore_index=True), levels=names, scale=scale)
        table = found.table
        told = table["verdict"].map({"increased": 1, "decreased": -1}).fillna(0).to_numpy()
        significant += int((told != 0).sum())
        wrong += int(((told != 0) & (told != signs)).sum())
    print(f"the same through the whole analysis: {wrong} of {significant}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--only", nargs="*", default=["direction", "families", "landmark"])
    parser.add_argument("--biomarkers", nargs="*", type=int, default=[1, 5, 20], help="Sizes of the families.")
    options = parser.parse_args()
    if "direction" in options.only:
        directions(5 * options.trials)
    if "families" in options.only:
        families(options.trials, options.biomarkers)
    if "landmark" in options.only:
        landmarks(options.trials)
