"""Every place in which a TIFF of some scanner or program says how large its pixels are."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

from biomarkers.io.ome_header import OmeHeader, OmeImage, read_ome
from biomarkers.io.pixel_size import PixelSize, from_resolution, most_trusted
from biomarkers.io.units import um_in

_MM = 1000.0


def pixel_size_of(file: Any, page: Any, *, ome: OmeImage | None = None) -> PixelSize | None:
    """Choose among all that a file says of the pixels of one of its pages, the more specific source first.

    Parameters
    ----------
    file
        The open ``tifffile.TiffFile``.
    page
        The page at full resolution.
    ome
        What its OME-XML says of this image.
    """
    text = text_of(file, page)
    x, y = _rational(page.tags.valueof(282)), _rational(page.tags.valueof(283))
    magnification = (ome.magnification if ome else None) or app_mag(text) or _scan_mag(file)
    imagej = file.imagej_metadata if file.is_imagej else None
    return most_trusted(
        (
            None if ome is None else ome.pixel_size,
            from_aperio(text),
            from_ventana(file),
            from_philips(file),
            from_vips(text),
            from_imagej(imagej, x, y) if imagej else None,
            from_resolution(x, y, int(page.tags.valueof(296, 2) or 0), source="TIFF resolution"),
        ),
        magnification=magnification,
    )


def ome_of(file: Any) -> OmeHeader | None:
    """Read a TIFF's OME-XML, or that of the companion file which it names."""
    text = text_of(file, file.pages.first)
    if "<OME" not in text and ":OME" not in text:
        return None
    path = Path(file.filehandle.path) if file.filehandle.path else None
    return read_ome(text, path=path)


def vendor_of(file: Any) -> str:
    """Name the scanner whose TIFF only OpenSlide stitches as the scanner meant it; empty for all others."""
    text, program = _tag_text(file.pages.first, 270), _tag_text(file.pages.first, 305)
    if "iScan" in _iscan(file):
        return "ventana"
    if "leica-microsystems.com/scn" in text:
        return "leica"
    if program.startswith("Philips") or "DICOM_PIXEL_SPACING" in text:
        return "philips"
    return "trestle" if program.startswith("MedScan") else ""


def ventana_overlaps(file: Any) -> bool:
    """Whether the tiles of a Ventana slide overlap, so that they cannot be laid side by side."""
    texts = [_tag_text(page, 700) for page in itertools.islice(file.pages, 16)]
    return any(re.search(r"Overlap[XY]\s*=\s*[\"']-?0*[1-9]", text) for text in texts)


def text_of(file: Any, page: Any) -> str:
    """Return a page's description (the first page's where an Aperio page has none)."""
    text = _tag_text(page, 270)
    return text if text or not file.is_svs else _tag_text(file.pages.first, 270)


def from_aperio(description: str) -> PixelSize | None:
    """Read ``MPP = 0.4990`` of an Aperio image description.

    Examples
    --------
    >>> from_aperio("Aperio |AppMag = 20|MPP = 0.4990|Left = 1").x_um
    0.499
    """
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.,]+)", description)
    mpp = _positive(found[1]) if found else None
    return None if mpp is None else PixelSize(mpp, mpp, "Aperio MPP")


def app_mag(description: str) -> float | None:
    """Read ``AppMag = 20`` of an Aperio image description."""
    found = re.search(r"AppMag\s*=\s*([0-9.,]+)", description)
    return _positive(found[1]) if found else None


def from_ventana(file: Any) -> PixelSize | None:
    """Read ``ScanRes`` (um/px) of a Ventana slide's ``iScan`` header."""
    found = re.search(r"\bScanRes\s*=\s*[\"']([0-9.,]+)[\"']", _iscan(file))
    mpp = _positive(found[1]) if found else None
    return None if mpp is None else PixelSize(mpp, mpp, "Ventana ScanRes")


def from_philips(file: Any) -> PixelSize | None:
    """Read ``DICOM_PIXEL_SPACING`` (mm between rows, between columns) of a Philips TIFF; the finest is level 0."""
    text = _tag_text(file.pages.first, 270)
    if "DICOM_PIXEL_SPACING" not in text:
        return None
    pairs = re.findall(r"DICOM_PIXEL_SPACING\"[^>]*>\s*((?:&quot;|\"|')?[^<]+)<", text)
    sizes = []
    for pair in pairs:
        numbers = [_positive(one) for one in re.findall(r"[0-9][0-9.,eE+-]*", pair)]
        if len(numbers) >= 2 and numbers[0] and numbers[1]:
            sizes.append((numbers[1] * _MM, numbers[0] * _MM))
    if not sizes:
        return None
    x, y = min(sizes)
    return PixelSize(x, y, "Philips DICOM_PIXEL_SPACING")


def from_vips(description: str) -> PixelSize | None:
    """Read the pixel size that libvips copied from OpenSlide into its XML."""
    found = {
        axis: re.search(rf"openslide\.mpp-{axis}</name>\s*<value[^>]*>([0-9.,eE+-]+)<", description) for axis in "xy"
    }
    x, y = (_positive(one[1]) if one else None for one in found.values())
    return PixelSize(x, y, "libvips openslide.mpp-x") if x and y else None


def from_imagej(metadata: dict[str, Any], x: float, y: float) -> PixelSize | None:
    """Read ImageJ's unit together with the TIFF resolution (pixels per that unit)."""
    um = um_in(str(metadata.get("unit", "")))
    if not (um > 0 and x > 0 and y > 0):
        return None
    return PixelSize(um / x, um / y, "ImageJ unit and resolution")


def _iscan(file: Any) -> str:
    """Return the XMP text of the first page of a Ventana slide that has an ``iScan`` element."""
    for page in itertools.islice(file.pages, 8):
        if "iScan" in (text := _tag_text(page, 700)):
            return text
    return ""


def _scan_mag(file: Any) -> float | None:
    found = re.search(r"<iScan[^>]*\bMagnification\s*=\s*[\"']([0-9.,]+)[\"']", _iscan(file))
    return _positive(found[1]) if found else None


def _tag_text(page: Any, code: int) -> str:
    tags = getattr(page, "tags", None)
    value = None if tags is None else tags.valueof(code)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _positive(text: str) -> float | None:
    try:
        number = float(text.strip("\"' ").replace(",", "."))
    except ValueError:  # "0.25.1"
        return None
    return number if 0 < number < math.inf else None


def _rational(value: Any) -> float:
    """Return a TIFF rational as a float; what is absent or senseless is 0."""
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return 0.0
    number = value[0] / value[1]
    return number if math.isfinite(number) else 0.0
