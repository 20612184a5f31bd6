"""Units of length as image files and cell tables write them, broken micro signs included."""

from __future__ import annotations

import math
import unicodedata
from typing import Final

# um in one unit: symbols, whose case matters (Mm is a megametre)
_SYMBOLS: Final = {
    "Ym": 1e30, "Zm": 1e27, "Em": 1e24, "Pm": 1e21, "Tm": 1e18, "Gm": 1e15, "Mm": 1e12, "km": 1e9, "hm": 1e8,
    "dam": 1e7, "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "fm": 1e-9, "am": 1e-12,
    "in": 25_400.0, "ft": 304_800.0, "yd": 914_400.0, "thou": 25.4, "mil": 25.4, "li": 25_400.0 / 12,
    "pt": 25_400.0 / 72,
    "A": 1e-4, "\u212b": 1e-4, "\u00c5": 1e-4, "\"": 25_400.0,
}  # fmt: skip
# names, in small letters, in the singular
_NAMES: Final = {
    "meter": 1e6, "metre": 1e6, "decimeter": 1e5, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0,
    "micron": 1.0, "nanometer": 1e-3, "angstrom": 1e-4, "\u00e5ngstr\u00f6m": 1e-4, "picometer": 1e-6,
    "femtometer": 1e-9, "attometer": 1e-12, "kilometer": 1e9, "hectometer": 1e8, "megameter": 1e12, "inch": 25_400.0,
    "inche": 25_400.0, "foot": 304_800.0, "feet": 304_800.0, "yard": 914_400.0, "mils": 25.4, "mcm": 1.0,
}  # fmt: skip
# the micro sign as other encodings make it: UTF-8 read as Latin-1 or cp1252, once and twice, lost, or escaped
_MICRO: Final = (
    "\u00c3\u201a\u00c2\u00b5", "\u00c3\u0082\u00c2\u00b5", "\u00c2\u00b5", "\u00ce\u00bc", "\u00ce\u00bc",
    "\u00ef\u00bf\u00bd", "&micro;", "&#181;", "&#xb5;", "&mu;", "\\u00b5", "\\u00B5", "\\u03bc", "\\xb5",
    "\u00b5", "\u03bc",
    "\ufffd",
)  # fmt: skip


def plain_micro(text: str) -> str:
    """Write every spelling of the micro sign, broken ones too, as ``u`` before ``m``.

    Examples
    --------
    >>> plain_micro("Centroid X \u00c2\u00b5m"), plain_micro("\u03bcm^2"), plain_micro("no unit")
    ('Centroid X um', 'um^2', 'no unit')
    """
    for sign in _MICRO:
        text = text.replace(sign + "m", "um")
    return text


def um_in(unit: str) -> float:
    """Return the micrometres in a unit of length; NaN for what is none (``pixel``, nothing).

    Examples
    --------
    >>> um_in("centimeter"), um_in("nm"), um_in("\u00c2\u00b5m"), um_in("Angstroms"), um_in("pixel")
    (10000.0, 0.001, 1.0, 0.0001, nan)
    """
    text = plain_micro(unicodedata.normalize("NFC", unit.strip()))
    if text in ("?m", "\u00b5", "\u03bc"):  # a micro sign that was lost, or stands alone
        return 1.0
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    name = text.casefold().removesuffix(".")
    for one in (name, name.removesuffix("s"), name.replace("metre", "meter").removesuffix("s")):
        if one in _NAMES:
            return _NAMES[one]
    return {symbol: um for symbol, um in _SYMBOLS.items() if symbol in ("cm", "mm", "um", "nm", "in")}.get(
        name, math.nan
    )
