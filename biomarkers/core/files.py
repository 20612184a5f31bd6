"""Writing files that are either complete or absent, and reading TOML that says where it is wrong."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biomarkers.core.errors import EnvironmentFailure, UsageError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_HASH_BLOCK_BYTES = 1 << 20
_LONGEST_NAME = 150  # of the 255 bytes that file systems take


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it becomes ``path``, on failure it is removed.

    Parameters
    ----------
    path
        The final name. Its folder is made when absent.

    Raises
    ------
    EnvironmentFailure
        The disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the suffix stays last, since many writers choose a format by it
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}.", suffix=f".tmp{path.suffix}")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _set_default_mode(temporary)
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        written = temporary.stat().st_size if temporary is not None and temporary.exists() else 0
        raise _environment_failure(error, path, written) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a tidy table that opens in Excel and R, complete or not at all.

    Text cells that a spreadsheet would run as a formula get a leading apostrophe (see :func:`neutralise`).
    Booleans become ``true``/``false``, missing values an empty cell; floats keep every digit.
    """
    safe = frame.copy()
    for column in safe.columns:
        values = safe[column]
        if values.dtype == bool:
            safe[column] = values.map({True: "true", False: "false"})
        elif not _is_number(values):
            safe[column] = _neutral(values)
    safe.columns = [neutralise(str(name)) for name in safe.columns]
    with atomic_path(path) as temporary:
        safe.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")


def _neutral(values: pd.Series) -> pd.Series:
    """Neutralise a column; most texts of a long table are the same few, each is looked at once."""
    try:
        changed = {value: safe for value in values.unique() if (safe := neutralise(value)) is not value}
    except TypeError:  # a cell that cannot be looked up, such as a list
        return values.map(neutralise)
    return values.map(lambda value: changed.get(value, value)) if changed else values


def neutralise(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would run as a formula; numbers stay as they are.

    Examples
    --------
    >>> neutralise("=1+1")
    "'=1+1"
    >>> neutralise("-0.5")
    '-0.5'
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def file_name(name: str) -> str:
    """Turn a slide's name into a file name: what a file system or a shell may trip over becomes an underscore.

    A name too long for a file system with the suffixes to come is cut, and told apart by its hash.

    Examples
    --------
    >>> file_name("p1/core 3")
    'p1_core_3'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-_") or "slide"
    if len(plain) <= _LONGEST_NAME:
        return plain
    return f"{plain[: _LONGEST_NAME - 13]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes, read in blocks; of a folder (OME-Zarr), of its names and bytes."""
    digest = hashlib.sha256()
    if path.is_dir():
        for one in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{one.relative_to(path).as_posix()} {sha256(one)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def size_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where there is none."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    UsageError
        The file is absent or is not TOML; the message holds line and column.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError("no such settings file", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid TOML: {error}", where=path) from error


def _is_number(values: pd.Series) -> bool:
    return values.dtype.kind in "iufc"


def _set_default_mode(path: Path) -> None:
    """Give a temporary file the mode that a plain ``open`` would have given (mkstemp says 0600)."""
    path.chmod(0o666 & ~_mask())


@functools.cache
def _mask() -> int:
    """Return the process's file mode mask; it can only be asked for by setting it, so it is asked once."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_full(path: Path, *, written: int = 0) -> EnvironmentFailure:
    """Describe a full disk: what is free, and how much of a file had been written when it filled up."""
    free = shutil.disk_usage(path.parent).free
    need = f", more than {written:,} needed for this file alone" if written else ""
    what = f"the disk is full ({free:,} bytes free{need})"
    return EnvironmentFailure(what, where=path, hint="Free some space and run again.")


def _environment_failure(error: OSError, path: Path, written: int) -> EnvironmentFailure | OSError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path, written=written)
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
        return EnvironmentFailure(
            f"cannot write here ({error.strerror})", where=path, hint="Choose another folder with --out."
        )
    return error
