"""What a reader hands on: the wanted genes, and what the whole matrix said about itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from biomarkers.expression.genes import GeneMatch
from biomarkers.expression.scale import Values


@dataclass(frozen=True)
class Matrix:
    """Wanted genes of every sample (or cell), read without holding the rest.

    ``level`` is (samples, genes) in the order of ``genes``; a gene that stands in several columns is their sum.
    """

    samples: list[str]
    obs: pd.DataFrame
    genes: dict[str, GeneMatch]
    missing: list[str]
    level: np.ndarray
    seen: Values
    n_genes: int
    used: str
    notes: list[str] = field(default_factory=list)
