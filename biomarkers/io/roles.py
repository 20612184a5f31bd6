"""What a further image of a slide file is: a label, a macro image, a thumbnail, or tissue; told by name, size, content.

Labels and macro images show what is written on the glass, which may be a patient's name: they are never scored or
drawn.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["label", "macro", "thumbnail", "level", "unsure", "slide"]
NOT_TISSUE: Final = ("label", "macro", "thumbnail")
_NAMED: Final[dict[str, Role]] = {
    "label": "label", "barcode": "label", "labelimage": "label", "slidelabel": "label",
    "macro": "macro", "overview": "macro", "macroimage": "macro", "slideoverview": "macro", "localizer": "macro",
    "thumbnail": "thumbnail", "thumb": "thumbnail", "preview": "thumbnail", "map": "thumbnail",
    "probability": "thumbnail", "mask": "thumbnail",
}  # fmt: skip
# a glass slide is 76 x 26 mm, with or without its label; images of it are that long
_GLASS_ASPECT: Final = (2.2, 3.8)
_LABEL_ASPECT: Final = 1.8
_SAME_ASPECT: Final = 0.03
_ALIKE: Final = 0.9  # correlation of two pictures of one thing at 32 x 32 squares; two fields of one slide reach 0.5
_GRID: Final = 32
# text and bars are dark without colour (grey levels of 0-255); tissue and pen are coloured
_DARK, _COLOURLESS, _COLOURED = 110, 30, 40
_LEAST_TEXT, _MOST_TEXT, _MOST_COLOURED = 5e-4, 0.6, 0.02
_LEAST_PLAIN = 0.3  # share of the picture within 12 grey levels of its commonest colour: paper


def role_by_name(name: str) -> Role | None:
    """Tell by a name that says it; None for any other.

    Examples
    --------
    >>> role_by_name("Label_Image"), role_by_name("slide 3 macro image"), role_by_name("PD-L1 22C3")
    ('label', 'macro', None)
    """
    words = [word for word in re.split(r"[^a-z]+", name.casefold()) if word]
    joined = "".join(words)
    found = [_NAMED[word] for word in words if word in _NAMED] or ([_NAMED[joined]] if joined in _NAMED else [])
    return found[0] if found else None


def role_by_content(
    picture: NDArray[np.uint8] | None,
    main: NDArray[np.uint8] | None,
    *,
    size: tuple[int, int],
    main_size: tuple[int, int],
    own_scale: bool,
) -> Role:
    """Tell what an image is that no name explains and that is smaller than another of the same file.

    Parameters
    ----------
    picture, main
        uint8 (height, width, 3) of the image and of the largest one, at any size; None where they were not looked at.
    size, main_size
        Width and height of both, px.
    own_scale
        It has a pixel size of its own that a microscope could have, or neither image has one: scanners give label and
        macro images none.

    Returns
    -------
    ``thumbnail`` (it shows what the largest one shows), ``label``, ``macro``, ``unsure`` (it might be one of these), or
    ``slide``.
    """
    longer, shorter = max(size), min(size)
    aspect = longer / max(shorter, 1)
    same_form = abs(size[0] * main_size[1] - size[1] * main_size[0]) <= _SAME_ASPECT * size[0] * main_size[1]
    if same_form and picture is not None and main is not None and alike(picture, main):
        return "thumbnail"
    written = picture is not None and looks_written_on(picture)
    glass_shaped = _GLASS_ASPECT[0] <= aspect <= _GLASS_ASPECT[1]
    if written and aspect <= _LABEL_ASPECT:
        return "label"
    if not own_scale:
        if glass_shaped:
            return "macro"
        return "unsure"
    return "unsure" if written else "slide"


def alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Tell whether two pictures of any size show the same thing: their means on a 32 x 32 grid go together."""
    first, second = (_grid(picture) for picture in (one, other))
    if first.std() < 1 or second.std() < 1:
        return False
    return float(np.corrcoef(first, second)[0, 1]) >= _ALIKE


def looks_written_on(rgb: NDArray[np.uint8]) -> bool:
    """Tell a label: plain paper of one colour, writing or bars that are dark without colour, and hardly any colour."""
    sample = rgb[:: max(1, rgb.shape[0] // 600), :: max(1, rgb.shape[1] // 600)].reshape(-1, 3).astype(np.int16)
    paper = np.median(sample[sample.sum(axis=1) >= np.median(sample.sum(axis=1))], axis=0)
    plain = float((np.abs(sample - paper).max(axis=1) <= 12).mean())
    darkest, brightest = sample.max(axis=1), sample.min(axis=1)
    chroma = darkest - brightest
    paper_chroma = float(paper.max() - paper.min())
    text = float(((darkest < _DARK) & (chroma < _COLOURLESS)).mean())
    coloured = float(((chroma > paper_chroma + _COLOURED) & (np.abs(sample - paper).max(axis=1) > 12)).mean())
    return plain >= _LEAST_PLAIN and _LEAST_TEXT <= text <= _MOST_TEXT and coloured <= _MOST_COLOURED


def _grid(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = rgb.astype(np.float32).mean(axis=2)
    rows = np.linspace(0, grey.shape[0], min(_GRID, grey.shape[0]) + 1).astype(int)[:-1]
    columns = np.linspace(0, grey.shape[1], min(_GRID, grey.shape[1]) + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    tall, wide = np.diff([*rows, grey.shape[0]]), np.diff([*columns, grey.shape[1]])
    means = sums / np.outer(tall, wide)
    if means.shape != (_GRID, _GRID):
        means = means[np.linspace(0, len(means) - 1, _GRID).astype(int)]
        means = means[:, np.linspace(0, means.shape[1] - 1, _GRID).astype(int)]
    flat: NDArray[np.float64] = means.astype(np.float64).ravel()
    return flat
