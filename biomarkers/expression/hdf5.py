"""HDF5 files: nothing outside the file is followed, no claimed size is believed, then it is read as what it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.expression.matrix import Matrix

if TYPE_CHECKING:
    import h5py

# what HDF5, zarr and their codecs raise on a file whose frame is broken
BROKEN: Final = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, AttributeError, IndexError)
_DEFLATE_AT_BEST: Final = 1100  # deflate cannot shrink by more than 1032
_SMALL_BYTES: Final = 1 << 27
_RNA: Final = ("rna", "gex", "mrna", "gene expression", "gene_expression", "transcriptome", "expression", "genes")


def read_hdf5(path: Path, *, genes: Sequence[str], layer: str | None = None) -> Matrix:
    """Read wanted genes and row totals of an h5ad, 10x h5 or loom file, told apart by their content.

    Parameters
    ----------
    path
        The file.
    genes
        Wanted genes, by any name.
    layer
        See :func:`biomarkers.expression.stored.read_stored`; h5ad and loom only.

    Raises
    ------
    DataError
        The file points outside itself, claims more than it holds, is broken, or its genes have no names.
    UsageError
        There is no such layer.
    """
    import h5py

    from biomarkers.expression.loom import read_loom
    from biomarkers.expression.stored import read_stored
    from biomarkers.expression.tenx import is_tenx, read_tenx_h5

    def reopen() -> h5py.File:
        return h5py.File(path, "r")

    try:
        with reopen() as file:
            refuse_outside(file, path)
            if is_tenx(file):
                _no_layer(layer, path, "10x")
                return read_tenx_h5(file, path, genes=genes, reopen=reopen)
            if "row_attrs" in file and "matrix" in file:
                return read_loom(file, path, genes=genes, reopen=reopen, layer=layer)
            if "mod" in file and "X" not in file:
                return _modality(file, path, genes=genes, layer=layer)
            return read_stored(file, path, genes=genes, reopen=reopen, layer=layer)
    except BiomarkersError:
        raise
    except BROKEN as error:
        raise DataError("cannot be read as HDF5", where=path, seen=str(error)[:120], hint=_what_it_is(path)) from error


def _what_it_is(path: Path) -> str | None:
    with path.open("rb") as stream:
        begin = stream.read(8)
    if begin[:2] == b"\x1f\x8b":
        return "It is packed with gzip: unpack it first."
    if begin != b"\x89HDF\r\n\x1a\n":
        return "It is no HDF5 file, whatever its name."
    return "It was cut short, or its frame is broken: copy it again."


def refuse_outside(file: h5py.File, path: Path) -> None:
    """Refuse external links, external storage, virtual datasets and impossible sizes at every depth.

    Raises
    ------
    DataError
        There is one; where it stands is named.
    """
    import h5py

    visited: set[tuple[int, int]] = set()

    def walk(group: h5py.Group) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            where = f"{path}:{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise DataError("the file points to another file", where=where, seen=link.filename)
            if isinstance(link, h5py.SoftLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                _check_dataset(item, where)
            elif isinstance(item, h5py.Group):
                info = h5py.h5o.get_info(item.id)
                if (info.fileno, info.addr) in visited:  # a hard link to a group above it: walking would never end
                    raise DataError("the file's groups contain each other", where=where)
                visited.add((info.fileno, info.addr))
                walk(item)

    walk(file)


def _check_dataset(item: h5py.Dataset, where: str) -> None:
    plist = item.id.get_create_plist()
    if plist.get_external_count() or item.is_virtual:
        raise DataError("the file keeps data in another file", where=where)
    stored = item.id.get_storage_size()
    if item.nbytes > _SMALL_BYTES and item.nbytes > _DEFLATE_AT_BEST * stored:
        raise DataError("the file claims more values than it can hold", where=where, seen=f"{item.nbytes:,} bytes")


def _modality(file: h5py.File, path: Path, *, genes: Sequence[str], layer: str | None) -> Matrix:
    """Read one modality of a MuData file: RNA, or the one that ``layer`` names (``prot``, ``rna/counts``)."""
    from biomarkers.expression.stored import read_stored

    names = sorted(file["mod"])
    chosen, _, inner = (layer or "").partition("/")
    if chosen not in names:
        rna = [name for name in names if name.casefold() in _RNA]
        if len(rna) != 1 or chosen not in ("", "X", "raw"):
            raise UsageError(
                "this MuData file has several modalities", where=path, seen=layer or ", ".join(names), allowed=names,
                hint=f"Name one: --layer {names[0]}, or --layer {names[0]}/LAYER.",
            )  # fmt: skip
        chosen, inner = rna[0], layer or ""

    @contextlib.contextmanager
    def reopen() -> Iterator[Any]:
        import h5py

        with h5py.File(path, "r") as again:
            yield again["mod"][chosen]

    found = read_stored(file["mod"][chosen], path, genes=genes, reopen=reopen, layer=inner or None)
    others = ", ".join(name for name in names if name != chosen)
    told = f"modality {chosen!r} was read" + (f"; not read: {others} (--layer NAME)" if others else "")
    return replace(found, notes=[told, *found.notes])


def _no_layer(layer: str | None, path: Path, kind: str) -> None:
    if layer is not None:
        raise UsageError(f"a {kind} file has no layers", where=path, seen=layer)
