"""What a reader hands on: the wanted genes, and what the whole matrix said about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.expression.genes import GeneMatch
from biomarkers.expression.scale import LOGARITHMS, MICROARRAY, ZSCORE, Values, from_linear, to_linear

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

    ``level`` has a column for each column of each gene, in the order of ``genes``; after :func:`one_column_a_gene` it
    is (samples, genes). ``declared`` is the scale that the file's own format states, ``whole`` reads everything once
    more, on demand, ``hint`` says what the names look like when no gene was found, ``elsewhere`` names other matrices
    of the file.
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
    elsewhere: tuple[str, ...] = ()


def one_column_a_gene(matrix: Matrix, scale: str) -> Matrix:
    """Join the columns of genes that stand there several times, as ``scale`` allows, and say so.

    Amounts are added; logarithms are undone first and taken again; what has no amount (z-scores, intensities of probes,
    logarithms of an unknown offset) is averaged.
    """
    columns, notes, at, offset = [], list(matrix.notes), 0, matrix.seen.offset
    for symbol, match in matrix.genes.items():
        n = len(match.columns)
        part = matrix.level[:, at : at + n]
        at += n
        if n == 1:
            columns.append(part[:, 0])
            continue
        if scale in (ZSCORE, MICROARRAY) or (scale in LOGARITHMS and offset == 0):
            joined, words = part.mean(axis=1), "averaged"
        elif scale in LOGARITHMS:
            joined = from_linear(to_linear(part, scale, offset=offset).sum(axis=1), scale, offset=offset)
            words = "added up with their logarithms undone"
        else:
            joined, words = part.sum(axis=1), "added up"
        columns.append(joined)
        rule = "" if len(set(match.names)) == 1 else f" ({', '.join(match.names)})"
        notes.append(f"{symbol} stands there {n} times{rule}: {words}")
    level = np.column_stack(columns) if columns else np.zeros((len(matrix.samples), 0))
    return replace(matrix, level=level, notes=notes)
