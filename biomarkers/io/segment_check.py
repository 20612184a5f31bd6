"""Is a stored tile or strip what its directory says? Asked before a decoder is trusted with it.

A decoder allocates what the picture inside a tile claims for itself (12 GB for a JPEG of 65,000 x 65,000), and libjpeg
fills what it cannot decode with grey and says nothing. Both are told from the bytes, at a fraction of decoding's cost.
"""

from __future__ import annotations

import re
import struct

JPEG = frozenset({6, 7, 33007, 34892})
JPEG_2000 = frozenset({33003, 33004, 33005, 34712})
_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
# between scans of one picture: tables, restart interval, number of lines, comments, application data
_BETWEEN_SCANS = frozenset({0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SIZ = b"\xff\x4f\xff\x51"


def jpeg_fault(
    raw: bytes,
    *,
    width: int,
    height: int,
    least: tuple[int, int] | None = None,
    whole: bool = True,
    sound: dict[tuple[int, int], bytes] | None = None,
) -> str | None:
    """Say what is wrong with a JPEG picture, or return None.

    Parameters
    ----------
    raw
        The stored bytes.
    width, height
        Pixels of the tile that they are to fill.
    least
        Width and height of what of the tile lies inside the image: some writers cut tiles at the border. The whole tile
        when None.
    whole
        The bytes are a picture of their own; False where they are a piece between restart markers (NDPI).
    sound
        The last header that was found sound, by ``least``; most tiles of a page begin with the same one, which is then
        not read again. This one is put there.
    """
    if not whole:
        return None
    inside = (width, height) if least is None else least
    if raw[:2] != b"\xff\xd8":
        return "it is no JPEG picture"
    known = b"" if sound is None else sound.get(inside, b"")
    if not raw.startswith(known):
        known = b""
    at, size, scanned = (len(known), inside, False) if known else (2, None, False)
    while True:  # one turn a header segment, then one a scan
        if at + 4 > len(raw) or raw[at] != 0xFF:
            return "its JPEG header is damaged"
        kind = raw[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind == _EOI:
            return None if size else "its JPEG header is damaged"
        length = struct.unpack_from(">H", raw, at + 2)[0]
        if kind in _SOF and at + 9 <= len(raw):
            tall, wide = struct.unpack_from(">HH", raw, at + 5)
            size = wide, tall
            if wide not in (width, inside[0]) or not inside[1] <= tall <= height:
                return f"its JPEG picture is {wide} x {tall} px"
        if kind != _SOS:
            at += 2 + length
            continue
        if sound is not None and size and not scanned:
            sound[inside] = raw[:at]
        scanned = True
        at += 2 + length
        found = _MARKER.search(raw, at)
        if found is None:
            return "its JPEG data end too early"
        marker = raw[found.start() + 1]
        if marker == _EOI:
            return None if size else "its JPEG header is damaged"
        if marker not in _BETWEEN_SCANS:
            return "its JPEG data are damaged"
        at = found.start()


def jpeg_2000_fault(raw: bytes, *, width: int, height: int, least: tuple[int, int] | None = None) -> str | None:
    """Say what is wrong with the size of a JPEG 2000 picture, or return None; arguments as for :func:`jpeg_fault`."""
    at = raw.find(_SIZ, 0, 4096)
    if at < 0 or at + 24 > len(raw):
        return "it is no JPEG 2000 picture"
    right, low, left, top = struct.unpack_from(">IIII", raw, at + 8)
    wide, tall = right - left, low - top
    inside = (width, height) if least is None else least
    fits = wide in (width, inside[0]) and inside[1] <= tall <= height
    return None if fits else f"its JPEG 2000 picture is {wide} x {tall} px"
