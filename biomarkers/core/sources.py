"""Where an image comes from: a file, a folder (OME-Zarr), a file with companions (MRXS), or an object store.

An image in an object store is copied to local scratch space for as long as it is scored: its key needs all of its bytes
anyway, and every reader then reads it. ``biomarkers info`` reads only the bytes it needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from biomarkers.core.errors import EnvironmentFailure, SlideError, UsageError
from biomarkers.core.files import sha256, size_bytes

_URL = re.compile(r"[a-z][a-z0-9+.-]+(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)


def is_url(location: object) -> bool:
    """Whether this names an object of a store (``s3://bucket/a.svs``), not a path."""
    return isinstance(location, str) and _URL.match(location) is not None


def name_of(location: str) -> str:
    """Name of the file, without its folders."""
    return PurePosixPath(location.rstrip("/")).name if is_url(location) else Path(location).name


def size_of(location: str) -> int:
    """Bytes of an image; 0 where that cannot be told (a link to nowhere is the worker's to report)."""
    if is_url(location):
        store, inner = _store(location)
        with contextlib.suppress(Exception):  # a store that does not answer now is told when the slide is scored
            return int(store.size(inner) or 0)
        return 0
    with contextlib.suppress(OSError):
        return sum(size_bytes(part) for part in _files(Path(location)))
    return 0


def digest_of(location: str) -> str:
    """Return the sha256 of an image's bytes; of one with companions, of the names and bytes of all.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if is_url(location):
        with local_copy(location) as path:
            return digest_of(str(path))
    path = Path(location)
    files = _files(path)
    if len(files) == 1:
        return sha256(path)
    whole = hashlib.sha256()
    for part in files:
        whole.update(f"{part.relative_to(path.parent).as_posix()}\0{sha256(part)}\n".encode())
    return whole.hexdigest()


@contextlib.contextmanager
def local_copy(location: str) -> Iterator[Path]:
    """Yield the image as a local path; a copy of an object is removed afterwards.

    Raises
    ------
    SlideError
        The store has no such object, or does not answer.
    EnvironmentFailure
        The scratch space (``TMPDIR``) is full.
    """
    if not is_url(location):
        yield Path(location)
        return
    store, inner = _store(location)
    with tempfile.TemporaryDirectory(prefix="biomarkers-") as scratch:
        target = Path(scratch) / name_of(location)
        try:
            store.get(inner, str(target), recursive=store.isdir(inner))
        except Exception as error:
            if isinstance(error, OSError) and error.errno == 28:
                raise EnvironmentFailure("the scratch space is full", where=scratch, hint="Set TMPDIR.") from error
            raise SlideError(f"cannot be fetched: {type(error).__name__}", where=location) from error
        yield target


def listed(location: str) -> list[str]:
    """List the objects behind an address: itself, what a pattern matches, or all below a folder.

    Raises
    ------
    UsageError
        There is nothing there, or no library for this kind of store.
    """
    store, inner = _store(location)
    try:
        if any(mark in inner for mark in "*?["):
            found = store.glob(inner)
        elif store.isdir(inner) and not inner.rstrip("/").casefold().endswith(".zarr"):
            found = store.find(inner)
        else:
            found = [inner] if store.exists(inner) else []
    except Exception as error:
        raise UsageError("the object store does not answer", where=location, seen=type(error).__name__) from error
    if not found:
        raise UsageError("no such object, folder or match", where=location)
    return sorted(str(store.unstrip_protocol(one)) for one in found)


def open_object(location: str) -> Any:
    """Open an object for reading by position.

    Raises
    ------
    SlideError
        The store has no such object, or does not answer.
    """
    store, inner = _store(location)
    try:
        return store.open(inner, "rb")
    except Exception as error:
        raise SlideError(f"cannot be opened: {type(error).__name__}", where=location) from error


def _store(location: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        hint = "Install the extra: pip install 'biomarkers[remote]'."
        raise UsageError("fsspec is not installed", where=location, hint=hint) from error
    try:
        store, inner = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        raise UsageError(f"no way to this store: {error}", where=location) from error
    return store, str(inner)


def _files(path: Path) -> list[Path]:
    """List an image and what belongs to it: the folder of an MRXS holds its pixels."""
    beside = path.with_suffix("")
    return [path, beside] if path.suffix.casefold() == ".mrxs" and beside.is_dir() else [path]
