"""Counts of a bulk RNA experiment whose PD-1, PD-L1 and CD8 genes follow the planted levels."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

# log2 counts per million at the middle level, slope per unit of the standardised level, noise (sd)
_FOLLOWS: Final = {
    "CD274": ("tps", 4.2, 1.0, 0.25),
    "PDCD1LG2": ("tps", 3.8, 0.5, 0.5),
    "PDCD1": ("pd1_per_mm2", 4.0, 0.9, 0.25),
    "CD8A": ("cd8_level", 6.0, 1.0, 0.2),
    "CD8B": ("cd8_level", 5.0, 0.9, 0.3),
    "GZMA": ("cd8_level", 5.2, 0.8, 0.3),
    "GZMB": ("cd8_level", 5.6, 0.8, 0.35),
    "PRF1": ("cd8_level", 4.8, 0.8, 0.3),
    "IFNG": ("cd8_level", 2.8, 0.8, 0.4),
    "CXCL9": ("cd8_level", 6.5, 0.9, 0.4),
    "CXCL10": ("cd8_level", 6.3, 0.9, 0.4),
    "CXCL11": ("cd8_level", 4.6, 0.8, 0.4),
    "STAT1": ("cd8_level", 9.0, 0.5, 0.25),
    "IDO1": ("cd8_level", 5.4, 0.8, 0.5),
    "HLA-DRA": ("cd8_level", 10.2, 0.6, 0.3),
    "HLA-DQA1": ("cd8_level", 7.8, 0.6, 0.5),
    "HLA-DRB1": ("cd8_level", 9.6, 0.6, 0.3),
    "HLA-E": ("cd8_level", 9.4, 0.3, 0.2),
    "CCL5": ("cd8_level", 6.8, 0.8, 0.3),
    "CCR5": ("cd8_level", 4.6, 0.6, 0.3),
    "CD27": ("cd8_level", 5.0, 0.6, 0.3),
    "CD276": (None, 6.4, 0.0, 0.3),
    "CMKLR1": (None, 4.2, 0.0, 0.4),
    "CXCR6": ("cd8_level", 3.8, 0.7, 0.35),
    "LAG3": ("cd8_level", 4.0, 0.6, 0.3),
    "NKG7": ("cd8_level", 5.6, 0.8, 0.3),
    "PSMB10": ("cd8_level", 6.4, 0.4, 0.25),
    "TIGIT": ("cd8_level", 3.8, 0.6, 0.3),
    "CD3D": ("cd8_level", 5.4, 0.8, 0.25),
    "CD3E": ("cd8_level", 5.6, 0.8, 0.25),
    "CD2": ("cd8_level", 5.4, 0.8, 0.25),
    "IL2RG": ("cd8_level", 6.0, 0.6, 0.3),
    "CD4": (None, 6.2, 0.0, 0.3),
    "FOXP3": ("cd8_level", 3.2, 0.4, 0.4),
    "CD68": (None, 8.2, 0.0, 0.3),
    "TFE3": (None, 8.6, 0.0, 0.2),
    "ACTB": (None, 12.8, 0.0, 0.15),
    "GAPDH": (None, 12.4, 0.0, 0.15),
    "B2M": (None, 12.2, 0.0, 0.2),
    "TBP": (None, 5.6, 0.0, 0.15),
    "HPRT1": (None, 6.0, 0.0, 0.15),
    "OAZ1": (None, 10.0, 0.0, 0.12),
}
_N_GENES: Final = 600
_READS: Final = (1.2e6, 3.5e6)
_DISPERSION: Final = 0.02


def simulate_counts(rng: np.random.Generator, biopsies: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw negative-binomial counts for every biopsy.

    Parameters
    ----------
    rng
        Generator.
    biopsies
        One row a biopsy: ``patient, timepoint, tps, pd1_per_mm2, cd8_level``.

    Returns
    -------
    counts
        Samples x genes, int.
    samples
        ``patient, timepoint`` in the same order.
    """
    index = [f"{row.patient}_{row.timepoint}" for row in biopsies.itertuples()]
    names = [*_FOLLOWS, *(f"SIMG{number:04d}" for number in range(1, _N_GENES - len(_FOLLOWS) + 1))]
    follows = {
        "tps": np.sqrt(biopsies["tps"].to_numpy() / 100) * 3 - 1.5,
        "pd1_per_mm2": (np.log(biopsies["pd1_per_mm2"].to_numpy()) - np.log(70)) / 0.75,
        "cd8_level": biopsies["cd8_level"].to_numpy(),
    }
    n = len(biopsies)
    log_cpm = np.empty((n, len(names)))
    for column, (level, middle, slope, noise) in enumerate(_FOLLOWS.values()):
        planted = slope * follows[level] if level is not None else 0.0
        log_cpm[:, column] = middle + planted + rng.normal(0, noise, n)
    others = slice(len(_FOLLOWS), None)
    log_cpm[:, others] = rng.normal(7.5, 2.2, len(names) - len(_FOLLOWS)) + rng.normal(
        0, 0.35, (n, len(names) - len(_FOLLOWS))
    )
    share = 2**log_cpm
    share /= share.sum(axis=1, keepdims=True)
    mean = share * rng.uniform(*_READS, n)[:, None]
    size = 1 / _DISPERSION
    counts = rng.negative_binomial(size, size / (size + mean))
    samples = biopsies[["patient", "timepoint"]].set_axis(index, axis=0)
    return pd.DataFrame(counts, index=index, columns=names), samples
