"""Pixel sizes: where they come from, and which of them can be true."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.io.units import um_in

MIN_MPP, MAX_MPP = 0.05, 10.0
_SQUARE_TOLERANCE = 0.02
# sources that differ by less say the same in other roundings; scanners' nominal and calibrated sizes differ by up to 4%
_SAME = 0.06
# a camera's adapter makes the size of a pixel at one magnification differ by 0.6 to 1.7 from 10 um over it
_OF_MAGNIFICATION = (0.6, 1.7)
_UM_AT_1X = 10.0


@dataclass(frozen=True)
class PixelSize:
    """Micrometres per pixel along x and y, the place that said so, and what other places of the file say.

    Attributes
    ----------
    x_um, y_um
        Micrometres per pixel.
    source
        The field of the file that says so.
    others
        Other sizes in the same file that could be true, in falling order of trust.
    magnification
        The objective's, where the file names it.
    """

    x_um: float
    y_um: float
    source: str
    others: tuple[PixelSize, ...] = field(default=())
    magnification: float | None = None

    @property
    def mpp(self) -> float:
        """Mean of both axes, um/px."""
        return (self.x_um + self.y_um) / 2

    @property
    def problem(self) -> str | None:
        """Why this size cannot be used as it stands, or None."""
        if not MIN_MPP <= self.mpp <= MAX_MPP:
            note = " (a 72 dpi resolution tag)" if abs(self.mpp - um_in("inch") / 72) < 0.5 else ""
            return f"the stored pixel size of {self.mpp:.4g} um/px{note} is no microscope's"
        if abs(self.x_um - self.y_um) > _SQUARE_TOLERANCE * self.mpp:
            return f"the pixels are not square: {self.x_um:.4g} x {self.y_um:.4g} um"
        return None

    @property
    def conflicts(self) -> tuple[str, ...]:
        """What else the file says that contradicts this size, in words.

        Examples
        --------
        >>> PixelSize(0.25, 0.25, "OME", others=(PixelSize(0.5, 0.5, "TIFF resolution"),)).conflicts
        ('the file contradicts itself: 0.25 um/px by OME, 0.5 um/px by TIFF resolution; the former was taken',)
        >>> PixelSize(0.25, 0.25, "Aperio MPP", magnification=10).conflicts
        ('0.25 um/px by Aperio MPP do not fit an objective of 10x (about 1 um/px)',)
        """
        told = [
            f"the file contradicts itself: {self.mpp:.4g} um/px by {self.source}, {other.mpp:.4g} um/px by "
            f"{other.source}; the former was taken"
            for other in self.others
            if abs(other.mpp - self.mpp) > _SAME * self.mpp
        ]
        if self.magnification:
            share = self.mpp * self.magnification / _UM_AT_1X
            if not _OF_MAGNIFICATION[0] <= share <= _OF_MAGNIFICATION[1]:
                usual = _UM_AT_1X / self.magnification
                told.append(
                    f"{self.mpp:.4g} um/px by {self.source} do not fit an objective of {self.magnification:g}x "
                    f"(about {usual:.2g} um/px)"
                )
        return tuple(told)


def most_trusted(sizes: Iterable[PixelSize | None], *, magnification: float | None = None) -> PixelSize | None:
    """Choose among what a file says, the more specific source first.

    Parameters
    ----------
    sizes
        What each source says, in falling order of trust; None where it says nothing.
    magnification
        The objective's, where known.

    Returns
    -------
    The first size that can be true, with the others that can be; the first of all where none can; None where no
    source says anything.
    """
    said = [one for one in sizes if one is not None]
    credible = [one for one in said if one.problem is None]
    if not credible:
        return said[0] if said else None
    others = tuple(credible[1:])
    return dataclasses.replace(credible[0], others=others, magnification=magnification)


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
    name = {2: "inch", 3: "cm", 4: "mm", 5: "um"}.get(unit)  # 4 and 5: not in the standard, but written
    if name is None or not (x > 0 and y > 0):
        return None
    return PixelSize(um_in(name) / x, um_in(name) / y, source)
