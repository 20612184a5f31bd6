"""What a DICOM file says of its place in a series: a slide is many files there, one a level, and label and overview."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_SERIES, _IMAGE_TYPE = (0x0020, 0x000E), (0x0008, 0x0008)
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
_HEAD_BYTES, _UNDEFINED, _START = 1 << 20, 0xFFFFFFFF, 132
_MOST_NESTED = 8


def series_of(path: Path) -> tuple[str, bool] | None:
    """Return a file's SeriesInstanceUID and whether it holds a level of the slide's pixels; None where it says neither.

    Only explicit little-endian headers are read, which whole-slide images have; nothing of the patient is looked at.
    """
    found = _place_of(path)
    if found is None or _SERIES not in found:
        return None
    return found[_SERIES], "VOLUME" in found.get(_IMAGE_TYPE, "").split("\\")


def role_of(path: Path) -> str:
    """Return what a DICOM file shows that is no level of a slide (``label``, ``overview``, ...); else ``""``."""
    kinds = ((_place_of(path) or {}).get(_IMAGE_TYPE, "")).upper().split("\\")
    if "VOLUME" in kinds:
        return ""
    return next((kind.casefold() for kind in kinds if kind in ("LABEL", "OVERVIEW", "LOCALIZER", "THUMBNAIL")), "")


def _place_of(path: Path) -> dict[tuple[int, int], str] | None:
    """Read the two elements that tell a file's place in its series; None where it is no DICOM or damaged."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    if head[_START - 4 : _START] != b"DICM":
        return None
    found: dict[tuple[int, int], str] = {}
    try:
        for tag, start, length in _elements(head, _START, 0):
            if tag in (_SERIES, _IMAGE_TYPE):
                found[tag] = head[start : start + length].decode("ascii", "replace").strip(" \0")
            if tag >= _SERIES:
                break
    except (struct.error, ValueError):
        return None  # cut short or damaged: OpenSlide says so when the slide is opened
    return found


def _elements(head: bytes, at: int, depth: int) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Yield tag, first byte and length of each element on one level, sequences passed over; ends with an item."""
    while True:
        tag = struct.unpack_from("<HH", head, at)
        if tag in (_ITEM_END, _SEQUENCE_END):
            yield tag, at + 8, 0
            return
        if head[at + 4 : at + 6] in _LONG:
            length, start = struct.unpack_from("<I", head, at + 8)[0], at + 12
        else:
            length, start = struct.unpack_from("<H", head, at + 6)[0], at + 8
        if length == _UNDEFINED:
            length = _after_sequence(head, start, depth + 1) - start
        yield tag, start, length
        at = start + length


def _after_sequence(head: bytes, at: int, depth: int) -> int:
    """Return where a sequence of undefined length has ended."""
    if depth > _MOST_NESTED:
        raise ValueError("sequences are nested too deeply")
    while True:
        group, element, length = struct.unpack_from("<HHI", head, at)
        at += 8
        if (group, element) == _SEQUENCE_END:
            return at
        if (group, element) != _ITEM:
            raise ValueError("not a sequence")
        if length == _UNDEFINED:
            for _, start, size in _elements(head, at, depth):
                at = start + size
        else:
            at += length
