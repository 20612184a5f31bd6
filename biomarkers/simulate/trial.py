"""A simulated trial: patients, responses, and levels that are tied to response only as far as was planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.core.keys import BASELINE, CR, ON_TREATMENT, PD, PR, SD
from biomarkers.simulate.expression import simulate_counts
from biomarkers.simulate.planting import assign
from biomarkers.simulate.scene import Seed

# the published trial of atezolizumab in alveolar soft part sarcoma: Chen 2023, N Engl J Med 389:911
RESPONSE_COUNTS: Final[Mapping[str, int]] = {CR: 1, PR: 18, SD: 30, PD: 3}
N_PAIRS: Final = 19
# planted AUC of each level for response
PLANTED_AUC: Final[Mapping[str, float]] = {"PD-L1": 0.5, "PD-1": 0.5, "CD8": 0.85}
_SITES: Final = ("site A", "site B", "site C")
_VISIT_MONTHS: Final = 2


@dataclass(frozen=True)
class Trial:
    """A simulated trial before any image is rendered.

    ``clinical`` has one row a patient, ``sums`` one row a visit (sum of target lesions), ``biopsies`` one row a biopsy
    with the levels planted in its tissue, ``counts`` samples x genes with ``samples`` in the same order.
    """

    clinical: pd.DataFrame
    sums: pd.DataFrame
    biopsies: pd.DataFrame
    counts: pd.DataFrame
    samples: pd.DataFrame


def simulate_trial(
    *,
    rng: Seed,
    responses: Mapping[str, int] = RESPONSE_COUNTS,
    n_pairs: int = N_PAIRS,
    planted_auc: Mapping[str, float] = PLANTED_AUC,
) -> Trial:
    """Simulate patients, their tissue and their expression.

    Parameters
    ----------
    rng
        Generator or seed.
    responses
        Number of patients by best response.
    n_pairs
        Patients with an on-treatment biopsy. On treatment, PD-1 and CD8 rise; PD-L1 stays.
    planted_auc
        AUC for response (CR or PR) of ``PD-L1`` (TPS), ``PD-1`` (positive lymphocytes per mm2) and ``CD8``; .5 plants
        independence.

    Returns
    -------
    Trial

    Raises
    ------
    UsageError
        An AUC is out of range, there are no responders or no non-responders, or fewer patients than pairs.

    Examples
    --------
    >>> import biomarkers as bm
    >>> trial = bm.simulate_trial(rng=0)
    >>> len(trial.clinical)
    52
    """
    if not 0 <= n_pairs <= sum(responses.values()):
        raise UsageError("more pairs than patients", seen=n_pairs, allowed=f"0 to {sum(responses.values())}")
    generator = np.random.default_rng(rng)
    best = np.repeat(list(responses), list(responses.values())).astype(object)
    generator.shuffle(best)
    patients = np.array([f"SIM-{number:03d}" for number in range(1, len(best) + 1)])
    responder = np.isin(best, (CR, PR))
    clinical = _clinical(generator, patients, best)
    levels = _levels(generator, patients, responder, planted_auc)
    biopsies = _biopsies(generator, levels, responder, n_pairs)
    counts, samples = simulate_counts(generator, biopsies)
    return Trial(clinical, _tumor_sums(generator, clinical), biopsies, counts, samples)


def _levels(
    rng: np.random.Generator, patients: np.ndarray, responder: np.ndarray, planted: Mapping[str, float]
) -> pd.DataFrame:
    """Deal out baseline levels: TPS from 0 to about 95 with many low, PD-1+ density and CD8 level log-normal."""
    n = len(patients)
    place = (np.arange(n) + 0.5) / n
    tps = np.round(95 * np.clip((place - 0.15) / 0.85, 0, None) ** 1.6)
    pd1 = np.round(np.exp(np.log(70) + 0.75 * _normal_scores(n)))
    cd8 = _normal_scores(n)
    return pd.DataFrame({
        "patient": patients,
        "tps": assign(rng, tps, responder, target_auc=planted["PD-L1"]),
        "pd1_per_mm2": assign(rng, pd1, responder, target_auc=planted["PD-1"]),
        "cd8_level": assign(rng, cd8, responder, target_auc=planted["CD8"]),
        "strength": rng.uniform(0.3, 0.8, n),
    })  # fmt: skip


def _biopsies(rng: np.random.Generator, baseline: pd.DataFrame, responder: np.ndarray, n_pairs: int) -> pd.DataFrame:
    first = baseline.assign(timepoint=BASELINE)
    chosen = _balanced_pairs(rng, responder, n_pairs)
    second = baseline.iloc[chosen].assign(timepoint=ON_TREATMENT)
    n = len(second)
    second["tps"] = np.clip(np.round(second["tps"] + rng.normal(0, 3, n)), 0, 100)
    second["pd1_per_mm2"] = np.round(second["pd1_per_mm2"] * np.exp(rng.normal(np.log(2.2), 0.35, n)))
    second["cd8_level"] = second["cd8_level"] + rng.normal(1.2, 0.4, n)
    return pd.concat([first, second]).sort_values(["patient", "timepoint"], kind="stable").reset_index(drop=True)


def _balanced_pairs(rng: np.random.Generator, responder: np.ndarray, n_pairs: int) -> np.ndarray:
    """Choose who has a second biopsy, responders in the share that they have among all."""
    n_responders = round(n_pairs * responder.mean())
    yes = rng.permutation(np.flatnonzero(responder))[:n_responders]
    no = rng.permutation(np.flatnonzero(~responder))[: n_pairs - n_responders]
    return np.sort(np.concatenate([yes, no]))


def _clinical(rng: np.random.Generator, patients: np.ndarray, best: np.ndarray) -> pd.DataFrame:
    n = len(patients)
    middle = pd.Series(best).map({CR: -100.0, PR: -48.0, SD: -4.0, PD: 34.0}).to_numpy(dtype=float)
    spread = pd.Series(best).map({CR: 0.0, PR: 12.0, SD: 10.0, PD: 8.0}).to_numpy(dtype=float)
    change = np.clip(middle + spread * rng.standard_normal(n), _lowest(best), _highest(best))
    median_pfs = pd.Series(best).map({CR: 40.0, PR: 28.0, SD: 16.0, PD: 2.0}).to_numpy(dtype=float)
    pfs = np.maximum(rng.exponential(median_pfs / np.log(2)), 1.4)
    follow_up = rng.uniform(12, 48, n)
    survival = pfs + rng.exponential(30, n)
    return pd.DataFrame({
        "patient": patients,
        "site": rng.choice(_SITES, n),
        "age": np.clip(np.round(rng.normal(31, 11, n)), 12, 70).astype(int),
        "sex": rng.choice(["F", "M"], n),
        "prior_tki": rng.choice(["yes", "no"], n, p=[0.4, 0.6]),
        "best_response": best,
        "baseline_sum_mm": np.round(rng.gamma(6, 14, n) + 12).astype(int),
        "best_change_percent": np.round(change, 1),
        "pfs_months": np.round(np.minimum(pfs, follow_up), 1),
        "pfs_event": (pfs <= follow_up).astype(int),
        "os_months": np.round(np.minimum(survival, follow_up), 1),
        "os_event": (survival <= follow_up).astype(int),
    })  # fmt: skip


def _lowest(best: np.ndarray) -> np.ndarray:
    return pd.Series(best).map({CR: -100.0, PR: -95.0, SD: -29.0, PD: 20.5}).to_numpy(dtype=float)


def _highest(best: np.ndarray) -> np.ndarray:
    return pd.Series(best).map({CR: -100.0, PR: -31.0, SD: 18.0, PD: 80.0}).to_numpy(dtype=float)


def _tumor_sums(rng: np.random.Generator, clinical: pd.DataFrame) -> pd.DataFrame:
    """Sum target lesions at visits every two months: towards the best change, then slowly up again."""
    rows = []
    for row in clinical.to_dict("records"):
        n_visits = int(np.clip(row["pfs_months"] // _VISIT_MONTHS, 1, 8))
        reach = min(2, n_visits)
        for visit in range(n_visits + 1):
            share = min(visit / reach, 1.0) * row["best_change_percent"] / 100
            regrowth = max(0, visit - reach) * rng.uniform(0, 0.015) if row["best_change_percent"] > -100 else 0.0
            total = row["baseline_sum_mm"] * (1 + share + regrowth)
            rows.append({
                "patient": row["patient"], "month": visit * _VISIT_MONTHS, "sum_mm": round(max(total, 0.0), 1),
                "new_lesion": "yes" if row["best_response"] == PD and visit == n_visits else "no",
            })  # fmt: skip
    return pd.DataFrame(rows)


def _normal_scores(n: int) -> np.ndarray:
    from scipy.special import ndtri

    scores: np.ndarray = ndtri((np.arange(n) + 0.5) / n)
    return scores
