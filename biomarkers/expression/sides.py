"""Which way round a table stands, and which of its columns are neither genes nor samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.genes import GENES, known_gene, symbol_of
from biomarkers.expression.layout import Layout

_ONE_SAMPLE: Final = ({"TPM", "NumReads"}, {"tpm", "est_counts"}, {"TPM", "FPKM"})
_LOOKED_AT: Final = 200  # rows
_NAMED: Final = 30  # columns in a message
_ROWS: Final = 1 << 21  # read at a time
_MOST: Final = 0.6  # share of the columns that are written alike, where genes have a style
_GENES_LIKE_WORDS: Final = frozenset({"EFS"})  # HGNC symbols among the words below
_CLINICAL: Final = re.compile(
    r"^((patient|subject|sample|case|donor|participant|study|cohort|trial|batch|plate|lane|run|site|center|centre|arm|"
    r"treatment|therapy|drug|dose|age|sex|gender|race|ethnicity|stage|grade|histology|tissue|tumou?r|cancer|response|"
    r"responder|recist|bor|rec|orr|benefit|time ?point|visit|cycle|days?|weeks?|months?|years?|os|pfs|dfs|efs|rfs|time|"
    r"event|status|censor\w*|dead|death|alive|tmb|msi|purity|ploidy|library ?size|n_?(counts|genes)|total_counts|"
    r"weight|height|bmi|ecog)([ ._-]?(id|no|number|name|type|group|status|time|event|days|months|years|date|score|"
    r"cens|at_\w+))?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Side:
    """Which way round a table stands: names of its genes and samples, and the columns beside them.

    ``also`` are columns with other names of the genes.
    """

    genes: list[str]
    samples: list[str]
    beside: list[str]
    turned: bool  # genes stand in columns
    also: dict[str, list[str]] = field(default_factory=dict)


def orient(layout: Layout, path: Path, annotations: Sequence[str], genes: Sequence[str]) -> Side:
    """Tell which side the genes are on by where known genes stand."""
    columns = layout.columns[1:]
    described = [name for name in columns if layout.is_descriptive(name)]
    texts = _texts(layout, [layout.columns[0], *described])
    first = texts.pop(layout.columns[0])
    if len(columns) < 1 or not first:
        raise DataError("this is no matrix: one column, or no rows", where=path, seen=(len(first), len(columns) + 1))
    if any(mark <= set(columns) for mark in _ONE_SAMPLE):
        raise DataError(
            "this is one sample's quantification, not a matrix",
            where=path,
            seen=columns[:4],
            hint="Give the folder that holds the samples' folders, files unpacked and named as the program names them.",
        )
    for name in annotations:
        if name not in columns:
            raise UsageError("no such column", where=path, seen=name, hint=did_you_mean(name, columns))
    if _across(first, columns, genes):
        beside = [name for name in columns if name in annotations or name in layout.blank]
        _refuse_clinical(columns, beside, layout, path)
        unlike = _unlike_genes([name for name in columns if name not in beside], genes)
        if unlike:
            shown = f"{', '.join(unlike[:_NAMED])}{' ...' if len(unlike) > _NAMED else ''}"
            layout.notes.append(f"columns whose names are no gene's were left out: {shown}")
        beside += unlike
        return Side([name for name in columns if name not in beside], first, beside, turned=True)
    descriptive = [
        name for name in columns if layout.is_descriptive(name) or name in annotations or name in layout.blank
    ]
    samples = [name for name in columns if name not in descriptive]
    if not samples:
        raise DataError("this is no matrix: no column of a sample", where=path, seen=layout.columns[:6])
    if layout.n_rows not in (None, len(first)) or layout.n_samples not in (None, len(samples)):
        stated = f"{layout.n_rows} genes, {layout.n_samples} samples"
        raise DataError("the file is not as large as it says: cut short?", where=path,
                        seen=f"{len(first)} genes, {len(samples)} samples", allowed=stated)  # fmt: skip
    return Side(first, samples, descriptive, turned=False, also=texts)


def _texts(layout: Layout, names: Sequence[str]) -> dict[str, list[str]]:
    """Read whole columns as text; all of them fit, they are a few."""
    at = [layout.columns.index(name) for name in names]
    held: dict[str, list[str]] = {name: [] for name in names}
    for part in layout.parts(_ROWS, sorted(at)):
        for name, i in zip(names, at, strict=True):
            held[name] += part[i].astype(object).where(part[i].notna(), "").astype(str).tolist()
    return held


def _across(first: Sequence[str], columns: Sequence[str], genes: Sequence[str]) -> bool:
    """Tell whether more genes stand in the first line than in the first column."""
    asked = {symbol_of(name) for name in genes} | set(GENES)
    rows, across = (sum(symbol_of(name) in asked for name in names) for names in (first, columns))
    if rows == across == 0:
        rows, across = (sum(known_gene(name) for name in names) for names in (first, columns))
    return across > rows


def _refuse_clinical(columns: Sequence[str], beside: Sequence[str], layout: Layout, path: Path) -> None:
    """Refuse columns between the genes that are texts, or have the name of something else: they would be summed up."""
    part = next(layout.parts(_LOOKED_AT), None)
    texts = set() if part is None else {name for i, name in enumerate(columns, start=1) if _is_text(part[i])}
    clinical = {
        name
        for name in columns
        if _CLINICAL.match(name) and symbol_of(name) not in GENES and not _is_symbol(name, columns, part, layout)
    }
    strange = [name for name in columns if name in (texts | clinical) - set(beside)]
    if strange:
        options = " ".join(
            f'--annotation "{name}"' if " " in name else f"--annotation {name}" for name in strange[:_NAMED]
        )
        more = f" ... ({len(strange)} columns)" if len(strange) > _NAMED else ""
        seen = ", ".join(strange[:_NAMED]) + more
        raise DataError("columns between the genes are no genes, it seems", where=path, seen=seen,
                        hint=f"Say so: {options}{more}, or take them out.")  # fmt: skip


def _style(name: str) -> str:
    """How a name is written: CD274 (upper), Cd274 (title), cd274 (lower), or as no gene is (words, blanks)."""
    if re.fullmatch(r"ENS[A-Z]*G\d+(\.\d+)?|\d+", name):
        return "number"
    if re.search(r"\s", name) or re.search(r"[a-z]{2,}_|_[a-z]{2,}", name):
        return "words"
    if re.fullmatch(r"[A-Z0-9][A-Z0-9.\-_/@]*(orf\d+[A-Z]?)?([.\-]\d+)?", name):
        return "upper"
    if re.fullmatch(r"[A-Z][a-z0-9.\-]*", name):
        return "title"
    return "lower" if re.fullmatch(r"[a-z][a-z0-9.\-]*", name) else "mixed"


def _unlike_genes(columns: Sequence[str], genes: Sequence[str]) -> list[str]:
    """Columns whose names are written as no gene of this table is: ``mutation_load``, ``cluster`` beside CD274.

    The style of genes is that of the wanted genes and of most columns; a table of mixed styles has none.
    """
    asked = {symbol_of(name) for name in genes} | set(GENES)
    known = [_style(name) for name in columns if symbol_of(name) in asked or known_gene(name)]
    styles = [_style(name) for name in columns]
    usual = max(set(known), key=known.count, default="")
    if usual not in ("upper", "title") or styles.count(usual) < _MOST * len(styles):
        return []
    strange = ("words", "lower", "title") if usual == "upper" else ("words", "lower")
    return [name for name, style in zip(columns, styles, strict=True)
            if style in strange and not (symbol_of(name) in asked or known_gene(name))]  # fmt: skip


def _is_symbol(name: str, columns: Sequence[str], part: pd.DataFrame | None, layout: Layout) -> bool:
    """Whether a name that is also a clinical word is a gene here: an HGNC symbol, with values that are no yes or no."""
    if name not in _GENES_LIKE_WORDS or part is None:
        return False
    values = part[columns.index(name) + 1]
    numbers = pd.to_numeric(values.astype(str).str.replace(layout.decimal, ".", regex=False), errors="coerce").dropna()
    return bool(len(numbers)) and not set(numbers.unique().tolist()) <= {0.0, 1.0}


def _is_text(column: pd.Series) -> bool:
    if column.dtype.kind in "iuf":
        return False
    plain = column.astype(str).str.replace(",", ".")
    return bool(pd.to_numeric(plain, errors="coerce").isna().all())
