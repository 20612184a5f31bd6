"""AnnData in zarr: the folder is checked before anything of it is decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from biomarkers.core.errors import BiomarkersError, DataError
from biomarkers.expression.matrix import Matrix

# codecs that only ever yield bytes or text; numcodecs would also run "pickle"
_CODECS: Final = frozenset(
    ("blosc", "zstd", "gzip", "zlib", "lz4", "lzma", "bz2", "shuffle", "delta", "vlen-utf8", "vlen-bytes", "bytes",
     "transpose", "sharding_indexed", "crc32c", "crc32", "adler32", "bitround", "fixedscaleoffset", "quantize",
     "astype", "packbits")
)  # fmt: skip
DESCRIPTIONS: Final = (".zarray", ".zmetadata", "zarr.json")
_MOST_SHRUNK: Final = 20_000
_SMALL_BYTES: Final = 1 << 30


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a zarr group."""
    return path.is_dir() and any((path / name).is_file() for name in (".zgroup", "zarr.json", ".zmetadata"))


def read_zarr(path: Path, *, genes: Sequence[str], layer: str | None = None) -> Matrix:
    """Read wanted genes and row totals of an AnnData zarr folder; see :func:`biomarkers.expression.stored.read_stored`.

    Raises
    ------
    DataError
        The folder points outside itself, names a codec that can run code, claims more than it holds, or is broken.
    """
    import zarr

    from biomarkers.expression.hdf5 import BROKEN
    from biomarkers.expression.stored import read_stored

    refuse_unsafe(path)
    try:
        group = zarr.open_group(path, mode="r")
    except BROKEN as error:
        raise DataError("cannot be read as zarr", where=path, seen=str(error)[:120]) from error
    try:
        return read_stored(group, path, genes=genes, reopen=lambda: nullcontext(group), layer=layer)
    except BiomarkersError:
        raise
    except BROKEN as error:
        raise DataError("a part of the zarr folder is broken", where=path, seen=str(error)[:120]) from error


def refuse_unsafe(path: Path) -> None:
    """Refuse links that leave the folder, unknown codecs, and arrays that claim far more than is stored.

    Raises
    ------
    DataError
        There is one; where it stands is named.
    """
    root, stored, claimed = path.resolve(), 0, 0
    for item in path.rglob("*"):
        if item.is_symlink() and not item.resolve().is_relative_to(root):
            raise DataError("the folder points outside itself", where=item)
        if not item.is_file():
            continue
        stored += item.stat().st_size
        if item.name in DESCRIPTIONS:
            described = _json(item)
            for codec in _codecs(described):
                if codec.removeprefix("numcodecs.") not in _CODECS:
                    raise DataError("an unknown or unsafe codec", where=item, seen=codec, allowed=sorted(_CODECS))
            claimed += 0 if item.name == ".zmetadata" else _bytes(described)
    if claimed > _SMALL_BYTES and claimed > _MOST_SHRUNK * stored:
        raise DataError("the folder claims more values than it can hold", where=path, seen=f"{claimed:,} bytes")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError("not valid JSON", where=path, seen=str(error)[:80]) from error


def _codecs(described: Any) -> Iterator[str]:
    """Every codec that a description names, however deep (sharding and consolidated metadata nest)."""
    if isinstance(described, list):
        for item in described:
            yield from _codecs(item)
    if not isinstance(described, dict):
        return
    for key, value in described.items():
        if key in ("filters", "compressor", "codecs", "index_codecs"):
            for codec in value if isinstance(value, list) else [value]:
                if isinstance(codec, dict):
                    yield str(codec.get("id", codec.get("name", "")))
        if key != "attributes":
            yield from _codecs(value)


def _bytes(described: Any) -> int:
    shape = described.get("shape") if isinstance(described, dict) else None
    if not isinstance(shape, list) or not all(isinstance(edge, int) for edge in shape):
        return 0
    size = 1
    for edge in shape:
        size *= max(edge, 0)
    return size
