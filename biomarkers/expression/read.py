"""Which reader reads what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from biomarkers.core.errors import UsageError
from biomarkers.expression.matrix import Matrix

if TYPE_CHECKING:
    from anndata import AnnData

_HDF5: Final = (".h5ad", ".h5", ".hdf5", ".h5mu", ".loom")
_TEXT: Final = (".csv", ".tsv", ".txt", ".gct", ".tab", ".parquet")
_QUANT: Final = (".sf", ".results", ".tsv", ".txt")
_REFUSED: Final = {
    **dict.fromkeys(
        (".pkl", ".pickle", ".npy", ".npz", ".joblib"), "It can run code when opened: write h5ad, Parquet or CSV."
    ),
    **dict.fromkeys((".rds", ".rda", ".rdata"), "Write it from R: zellkonverter::writeH5AD, or write.csv."),
    **dict.fromkeys(
        (".xlsx", ".xls"), "Spreadsheets turn gene names into dates: write CSV from the program that made it."
    ),
    **dict.fromkeys((".zip", ".tar", ".tgz"), "Unpack it first."),
}


def read_matrix(
    data: str | Path | AnnData, *, genes: Sequence[str], layer: str | None = None, annotations: Sequence[str] = ()
) -> Matrix:
    """Read wanted genes and row totals of any supported matrix.

    Parameters
    ----------
    data
        A path, or an AnnData.
    genes
        Wanted genes, by any name.
    layer
        For files that have layers.
    annotations
        For text: columns that are no genes.

    Raises
    ------
    UsageError
        There is no such file, it is of no known kind, or an option does not fit it.
    DataError
        It cannot be read safely.
    """
    from biomarkers.expression.hdf5 import read_hdf5
    from biomarkers.expression.quant import quant_files, read_quant
    from biomarkers.expression.stored import read_memory
    from biomarkers.expression.tenx import mtx_folder, read_tenx_mtx
    from biomarkers.expression.text import read_text_matrix, with_samples
    from biomarkers.expression.zarr_store import is_zarr, read_zarr

    if not isinstance(data, str | Path):
        return read_memory(data, genes=genes, layer=layer)
    path = Path(data)
    kind = _kind(path)
    if kind in _HDF5 or is_zarr(path):
        if annotations:
            raise UsageError("annotations are columns of a text matrix", where=path, hint="obs holds them here.")
        return read_hdf5(path, genes=genes, layer=layer) if kind in _HDF5 else read_zarr(path, genes=genes, layer=layer)
    if layer is not None:
        raise UsageError("this kind of file has no layers", where=path, seen=layer)
    if (entries := mtx_folder(path)) is not None:
        return read_tenx_mtx(entries, genes=genes)
    if (path.is_dir() or kind in _QUANT) and (files := quant_files(path)):
        return read_quant(files, genes=genes)
    if path.is_dir():
        inside = sorted(item.name for item in path.iterdir())[:5]
        raise UsageError(
            "no matrix in this folder",
            where=path,
            seen=", ".join(inside) or "nothing",
            allowed=(
                "a 10x folder (matrix.mtx with features and barcodes)",
                "AnnData zarr",
                "a folder a sample with tables of Salmon, kallisto or RSEM",
            ),
            hint="Name the file or folder itself.",
        )
    if kind not in _TEXT:
        raise UsageError("unknown kind of matrix", where=path, seen=path.suffix or "no suffix",
                         allowed=(*_HDF5, ".zarr", ".mtx", *_TEXT, "tables of Salmon, kallisto, RSEM"))  # fmt: skip
    return with_samples(read_text_matrix(path, genes=genes, annotations=annotations))


def _kind(path: Path) -> str:
    """Return the suffix that says what it is (``.gz`` says nothing)."""
    if not path.exists():
        raise UsageError("no such file", where=path)
    plain = path.name.lower().removesuffix(".gz")
    kind = Path(plain).suffix
    if kind in _REFUSED and not path.is_dir():
        raise UsageError("this kind of file is not read", where=path, seen=kind, hint=_REFUSED[kind])
    return kind
