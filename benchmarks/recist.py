"""CPU time of deriving RECIST responses: 100,000 visits of 10,000 simulated patients, from sums and from lesions."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from biomarkers.cohort.best_response import best_responses
from biomarkers.cohort.lesions import sums_from_lesions
from biomarkers.cohort.recist import derive_responses

N_PATIENTS, N_VISITS = 10_000, 10


def simulated_visits() -> pd.DataFrame:
    """Sums of diameters that walk up and down, one row a visit."""
    rng = np.random.default_rng(0)
    steps = rng.normal(-0.05, 0.2, size=(N_PATIENTS, N_VISITS))
    steps[:, 0] = 0
    sums = np.round(rng.uniform(20, 150, size=(N_PATIENTS, 1)) * np.exp(np.cumsum(steps, axis=1)))
    return pd.DataFrame(
        {
            "patient": np.repeat([f"P{i:05d}" for i in range(N_PATIENTS)], N_VISITS),
            "day": np.tile(np.arange(N_VISITS) * 56, N_PATIENTS),
            "sum_mm": sums.ravel(),
            "new_lesion": rng.random(N_PATIENTS * N_VISITS) < 0.02,
        }
    )


def simulated_lesions(visits: pd.DataFrame) -> pd.DataFrame:
    """Three target lesions behind every sum, one of them a lymph node."""
    shares = {"liver": 0.5, "lung": 0.3, "node": 0.2}
    parts = [
        visits[["patient", "day"]].assign(
            lesion=organ,
            organ=organ,
            node=organ == "node",
            diameter_mm=np.where(visits["day"] == 0, 16, 0) + (share * visits["sum_mm"]).round(1),
        )
        for organ, share in shares.items()
    ]
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    visits = simulated_visits()
    start = time.process_time()
    responses = derive_responses(visits)
    best = best_responses(responses)
    seconds = time.process_time() - start
    print(f"{len(visits):,} visits of {N_PATIENTS:,} patients: {seconds:.2f} s CPU")
    print(best["response"].value_counts().to_dict())
    lesions = simulated_lesions(visits)
    start = time.process_time()
    sums = sums_from_lesions(lesions)
    best_responses(derive_responses(sums, all_targets="all_targets", targets_gone="targets_gone"))
    print(f"the same from {len(lesions):,} lesion measurements: {time.process_time() - start:.2f} s CPU")
