"""Gene tables of Salmon, kallisto, RSEM and the GDC (STAR): one file a sample, joined to one matrix of TPM."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.scale import TPM
from biomarkers.expression.stored import from_parts

# header -> (program, column of names, column of TPM)
_PROGRAMS: Final = {
    ("Name", "Length", "EffectiveLength", "TPM", "NumReads"): ("Salmon", "Name", "TPM"),
    ("target_id", "length", "eff_length", "est_counts", "tpm"): ("kallisto", "target_id", "tpm"),
    ("gene_id", "transcript_id(s)", "length", "effective_length", "expected_count", "TPM", "FPKM"): (
        "RSEM", "gene_id", "TPM",
    ),
    ("gene_id", "gene_name", "gene_type", "unstranded", "stranded_first", "stranded_second", "tpm_unstranded"): (
        "GDC STAR counts", "gene_name", "tpm_unstranded",
    ),
}  # fmt: skip
# genes before transcripts; what stands before the name is the sample's, else its folder's name is
_PATTERNS: Final = ("rna_seq.augmented_star_gene_counts.tsv", "augmented_star_gene_counts.tsv", "quant.genes.sf",
                    ".genes.results", "abundance.gene.tsv", "abundance.genes.tsv", "abundance.tsv",
                    "quant.sf")  # fmt: skip


def quant_files(path: Path) -> list[Path]:
    """Return the quantifications that ``path`` is or holds (one folder a sample), genes before transcripts."""
    if path.is_file():
        return [path] if _program(path) else []
    for ending in _PATTERNS:
        found = (file for end in (ending, f"{ending}.gz") for up in ("", "*/") for file in path.glob(f"{up}*{end}"))
        files = sorted({file for file in found if file.is_file()})
        if files:
            return files
    return []


def _without(files: Sequence[Path]) -> list[str]:
    """Name folders that stand beside those of the samples and hold no quantification."""
    parents = {file.parent for file in files}
    if len(parents) < 2:
        return []
    beside = next(iter(parents)).parent
    return sorted(item.name for item in beside.iterdir() if item.is_dir() and item not in parents)


def read_quant(files: Sequence[Path], *, genes: Sequence[str]) -> Matrix:
    """Join quantifications, one a sample, to a matrix of TPM.

    Transcripts are summed to genes where their names say which gene they are of (``ENST..|ENSG..|...|CD274|`` of
    GENCODE); otherwise they are refused: summing them takes an annotation that is not here.

    Raises
    ------
    DataError
        A file is no quantification, its genes are not those of the others, or it holds transcripts without genes.
    """
    columns: dict[str, pd.Series] = {}
    programs = set()
    for file in files:
        found = _program(file)
        if found is None:
            raise DataError("this is no gene table of Salmon, kallisto, RSEM or the GDC", where=file)
        programs.add(found[0])
        name = _sample(file)
        if name in columns:
            raise DataError("two samples have one name", where=file, seen=name)
        columns[name] = _tpm(file, found)
    first = next(iter(columns.values())).index
    for name, column in columns.items():
        if not column.index.equals(first):
            raise DataError("the samples do not have the same genes", where=name, seen=len(column), allowed=len(first))
    values = np.array([column.to_numpy() for column in columns.values()])
    names = [str(gene) for gene in first]
    lacking = _without(files)
    notes = [f"{len(lacking)} folders hold no quantification: {', '.join(lacking[:5])}"] if lacking else []
    return from_parts(
        values, pd.DataFrame(index=list(columns)), pd.DataFrame(index=names), genes, where=str(files[0].parent),
        used=f"TPM of {', '.join(sorted(programs))}", notes=notes, whole=lambda: values, declared=TPM,
    )  # fmt: skip


def _sample(file: Path) -> str:
    plain = file.name.removesuffix(".gz")
    before = next((plain.removesuffix(end) for end in _PATTERNS if plain.endswith(end)), Path(plain).stem)
    return before.rstrip("._-") or file.resolve().parent.name


def _program(file: Path) -> tuple[str, str, str] | None:
    try:
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open(encoding="utf-8") as stream:
            line = stream.readline(2000)
            head = tuple((stream.readline(2000) if line.startswith("# gene-model") else line).strip().split("\t"))
    except (OSError, EOFError, UnicodeDecodeError):
        return None
    return next((known for names, known in _PROGRAMS.items() if head[: len(names)] == names), None)


def _tpm(file: Path, found: tuple[str, str, str]) -> pd.Series:
    _, name, value = found
    try:
        table = pd.read_csv(file, sep="\t", dtype={name: str}, keep_default_na=False, comment="#")
    except (pd.errors.ParserError, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError("this table cannot be read", where=file, seen=str(error).strip()[:80]) from error
    if name == "gene_name":  # of the GDC: rows of reads without a gene stand above the genes
        table = table[~table["gene_id"].astype(str).str.startswith("N_")].reset_index(drop=True)
        table[name] = table[name].where(table[name] != "", table["gene_id"])
    numbers = pd.to_numeric(table[value], errors="coerce")
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise DataError("a cell is not a number", where=f"{file}, gene {table[name][row]}", seen=table[value][row])
    names = table[name]
    if names.str.contains("|", regex=False).all():
        parts = [str(name).split("|") for name in names]
        names = pd.Series([part[5] if len(part) > 5 else part[1] for part in parts])
    elif names.str.match(r"(ENST|NM_|NR_|XM_)\d").mean() > 0.5:
        raise DataError(
            "these are transcripts, not genes", where=file, seen=names.iloc[0],
            hint="Give quant.genes.sf (Salmon with --geneMap), or the gene table that tximport makes.",
        )  # fmt: skip
    return numbers.groupby(names.to_numpy(), sort=True).sum()
