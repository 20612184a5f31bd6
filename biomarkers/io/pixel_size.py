"""Pixel sizes: where they come from, and which of them can be true."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from biomarkers.core.errors import SlideError, UsageError

MIN_MPP, MAX_MPP = 0.05, 10.0
_UM_PER_INCH, _UM_PER_CM = 25_400.0, 10_000.0
# um in one unit, as written in OME-XML, ImageJ and PNG headers
_UM_IN = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3}
_SQUARE_TOLERANCE = 0.02


@dataclass(frozen=True)
class PixelSize:
    """Micrometres per pixel along x and y, and the place that said so."""

    x_um: float
    y_um: float
    source: str

    @property
    def mpp(self) -> float:
        """Mean of both axes, um/px."""
        return (self.x_um + self.y_um) / 2

    @property
    def problem(self) -> str | None:
        """Why this size cannot be used as it stands, or None."""
        if not MIN_MPP <= self.mpp <= MAX_MPP:
            note = " (a 72 dpi resolution tag)" if abs(self.mpp - _UM_PER_INCH / 72) < 0.5 else ""
            return f"the stored pixel size of {self.mpp:.4g} um/px{note} is no microscope's"
        if abs(self.x_um - self.y_um) > _SQUARE_TOLERANCE * self.mpp:
            return f"the pixels are not square: {self.x_um:.4g} x {self.y_um:.4g} um"
        return None


def choose_mpp(stated: float | None, found: PixelSize | None, *, where: object) -> tuple[float, str]:
    """Decide on one pixel size; what the user states wins over what the file says.

    Parameters
    ----------
    stated
        The user's value in um/px, or None.
    found
        What the file's metadata say, or None.
    where
        The file, for the message.

    Returns
    -------
    The pixel size in um/px and its source (``stated``, or the metadata field).

    Raises
    ------
    UsageError
        The stated value is out of range, or none was stated and the file has none.
    SlideError
        The file's own value cannot be true.
    """
    allowed = f"{MIN_MPP} to {MAX_MPP} um/px"
    if stated is not None:
        if not MIN_MPP <= float(stated) <= MAX_MPP:  # also refuses NaN
            raise UsageError("the stated pixel size is out of range", where=where, seen=stated, allowed=allowed)
        return float(stated), "stated"
    if found is None:
        raise UsageError("the file has no pixel size", where=where, hint="Give it with --mpp (mpp=), in um/px.")
    if found.problem is not None:
        hint = "Give the true pixel size with --mpp (mpp=), in um/px."
        raise SlideError(found.problem, where=where, seen=found.source, allowed=allowed, hint=hint)
    return found.mpp, found.source


def from_resolution(x: float, y: float, unit: int, *, source: str) -> PixelSize | None:
    """Turn TIFF or JFIF resolution (pixels per unit; 2 = inch, 3 = cm) into a pixel size."""
    um = {2: _UM_PER_INCH, 3: _UM_PER_CM}.get(unit)
    if um is None or not (x > 0 and y > 0):
        return None
    return PixelSize(um / x, um / y, source)


def from_aperio(description: str) -> PixelSize | None:
    """Read ``MPP = 0.4990`` of an Aperio image description."""
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description)
    try:
        mpp = float(found[1]) if found else 0.0
    except ValueError:  # "0.25.1"
        return None
    return PixelSize(mpp, mpp, "Aperio MPP") if mpp > 0 else None


def from_ome(xml: str, *, image: int = 0) -> PixelSize | None:
    """Read PhysicalSizeX and PhysicalSizeY of an image (by number) of an OME-XML header."""
    from xml.etree import ElementTree

    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        return None
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314
    except ParseError:
        return None
    pixels = [element for element in root.iter() if element.tag.rpartition("}")[2] == "Pixels"]
    for element in pixels[image : image + 1] or pixels[:1]:
        x = _ome_length(element.get("PhysicalSizeX"), element.get("PhysicalSizeXUnit"))
        y = _ome_length(element.get("PhysicalSizeY"), element.get("PhysicalSizeYUnit"))
        return PixelSize(x, y, "OME PhysicalSizeX") if x and y else None
    return None


def from_imagej(metadata: dict[str, object], x: float, y: float) -> PixelSize | None:
    """Read ImageJ's unit together with the TIFF resolution (pixels per that unit)."""
    um = _UM_IN.get(str(metadata.get("unit", "")).replace("\\u00B5", "µ"))
    if um is None or not (x > 0 and y > 0):
        return None
    return PixelSize(um / x, um / y, "ImageJ unit and resolution")


def _ome_length(value: str | None, unit: str | None) -> float | None:
    um = _UM_IN.get(unit or "µm")
    try:
        return float(value or "") * um if um else None
    except ValueError:
        return None
