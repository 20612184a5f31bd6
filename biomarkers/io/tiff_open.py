"""Open a TIFF whose directories come to an end: where the last one names an earlier one, tifffile reads on for ever."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import tifffile

_MOST_DIRECTORIES = 100_000


def open_tiff(source: Path | Any, *, name: str | None = None) -> tifffile.TiffFile:
    """Open a path or stream; the caller closes the file.

    Raises
    ------
    tifffile.TiffFileError
        It is no TIFF, it holds no image, its directories form a loop, or there are more than 100,000 of them.
    """
    file = tifffile.TiffFile(source, name=name)
    try:
        _follow(file)
    except BaseException:
        file.close()
        raise
    return file


def _follow(file: tifffile.TiffFile) -> None:
    """Follow the directories by their offsets alone, as far as they can be read: tifffile says what is wrong there."""
    if not file.pages:
        raise tifffile.TiffFileError("it holds no image")
    handle, form = file.filehandle, file.tiff
    offset: int = file.pages.first.offset
    numbers: dict[int, int] = {}
    while 0 < offset < handle.size:
        if offset in numbers:
            message = f"directory {len(numbers)} names directory {numbers[offset]} as the next one, without end"
            raise tifffile.TiffFileError(message)
        numbers[offset] = len(numbers) + 1
        if len(numbers) > _MOST_DIRECTORIES:
            raise tifffile.TiffFileError(f"more than {_MOST_DIRECTORIES:,} directories")
        try:
            handle.seek(offset)
            (tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
            handle.seek(offset + form.tagnosize + tags * form.tagsize)
            (offset,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
        except (struct.error, OSError, OverflowError, ValueError):
            return
