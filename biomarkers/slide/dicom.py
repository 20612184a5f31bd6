"""What a DICOM file says of its place in a series: a slide is many files there, one a level, and label and overview."""

from __future__ import annotations

import struct
from pathlib import Path

_SERIES, _IMAGE_TYPE = (0x0020, 0x000E), (0x0008, 0x0008)
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
_HEAD_BYTES, _UNDEFINED = 1 << 20, 0xFFFFFFFF


def series_of(path: Path) -> tuple[str, bool] | None:
    """Return a file's SeriesInstanceUID and whether it holds a level of the slide's pixels; None where it says neither.

    Only explicit little-endian headers are read, which whole-slide images have; nothing of the patient is looked at.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    if head[128:132] != b"DICM":
        return None
    found: dict[tuple[int, int], str] = {}
    at = 132
    while at + 8 <= len(head) and _SERIES not in found:
        group, element = struct.unpack_from("<HH", head, at)
        kind = head[at + 4 : at + 6]
        if kind in _LONG:
            if at + 12 > len(head):
                break
            length, start = struct.unpack_from("<I", head, at + 8)[0], at + 12
        else:
            length, start = struct.unpack_from("<H", head, at + 6)[0], at + 8
        if length == _UNDEFINED or (group, element) > _SERIES:
            break
        if (group, element) in (_SERIES, _IMAGE_TYPE):
            found[group, element] = head[start : start + length].decode("ascii", "replace").strip(" \0")
        at = start + length
    if _SERIES not in found:
        return None
    return found[_SERIES], "VOLUME" in found.get(_IMAGE_TYPE, "").split("\\")
