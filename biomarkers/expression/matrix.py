"""What a reader hands on: the wanted genes, and what the whole matrix said about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.expression.genes import GeneMatch
from biomarkers.expression.scale import Values

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Whole:
    """The whole matrix, for methods that need every gene: (samples, genes), dense or CSR, and the genes' names."""

    values: np.ndarray | csr_matrix
    genes: list[str]


@dataclass(frozen=True)
class Matrix:
    """Wanted genes of every sample (or cell), read without holding the rest.

    ``level`` is (samples, genes) in the order of ``genes``; a gene that stands in several columns is their sum.
    ``declared`` is the scale that the file's own format states, ``whole`` reads everything once more, on demand,
    ``hint`` says what the names look like when no gene was found.
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
    declared: str | None = None
    whole: Callable[[], Whole] | None = None
    hint: str | None = None
