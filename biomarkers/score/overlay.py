"""The picture a pathologist checks: every cell outlined by class and intensity bin, with a legend and a scale bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.score.palette import Kind, kinds

if TYPE_CHECKING:
    from PIL.Image import Image

    from biomarkers.score.slide_score import SlideScore

_LARGEST_SIDE = 4096  # px; larger tiles are shown smaller
_SMALLEST_SIDE = 900  # px; smaller tiles are shown larger, so that outlines stay thin
_MARGIN = 12
_INK = (20, 20, 20)


def overlay_image(result: SlideScore) -> Image:
    """Draw the outlines of all cells on the tile.

    Nuclear assays outline nuclei, all others cell bodies. Each outline lies inside its own cell, one or two pixels
    wide, so that touching cells keep two outlines.
    """
    from PIL import Image

    from biomarkers.io import tile_rgb

    rgb = tile_rgb(result.image)
    labels = result.nucleus_labels if result.assay.compartment == "nucleus" else result.cell_labels
    rgb, labels, scale = _resized(rgb, labels)
    picture = rgb.copy()
    shown, index = kinds(result.shown, marker=result.marker) if result.shown.n_obs else ([], np.zeros(0, dtype=int))
    if shown:
        colours = np.array([kind.colour for kind in shown], dtype=np.uint8)
        of_label = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int64)
        ids = cell_ids(result)
        known = ids < of_label.size
        of_label[ids[known]] = index[known]
        edge = _edges(labels, width=2 if scale > 1 else 1)
        picture[edge] = colours[of_label[labels[edge]]]
    counts = np.bincount(index, minlength=len(shown)).tolist()
    return _with_legend(Image.fromarray(picture), result, list(zip(shown, counts, strict=True)), scale)


def cell_ids(result: SlideScore) -> np.ndarray:
    """Return the value of each cell in the label images, (n_cells,)."""
    if "label" in result.shown.obs:
        return result.shown.obs["label"].to_numpy(dtype=np.int64)
    return np.arange(1, result.shown.n_obs + 1)


def _resized(rgb: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Shrink or enlarge by a whole factor; labels keep their values."""
    side = max(rgb.shape[:2])
    if side > _LARGEST_SIDE:
        step = -(-side // _LARGEST_SIDE)
        return np.ascontiguousarray(rgb[::step, ::step]), labels[::step, ::step], 1 / step
    factor = max(1, min(4, round(_SMALLEST_SIDE / side)))
    if factor == 1:
        return rgb, labels, 1.0

    def enlarge(array: np.ndarray) -> np.ndarray:
        return np.repeat(np.repeat(array, factor, axis=0), factor, axis=1)

    return enlarge(rgb), enlarge(labels), float(factor)


def _edges(labels: np.ndarray, *, width: int) -> np.ndarray:
    """Pixels of a label within ``width`` of another label or of background, along rows and columns."""
    edge = np.zeros(labels.shape, dtype=bool)
    for step in range(1, width + 1):
        rows = labels[step:] != labels[:-step]
        columns = labels[:, step:] != labels[:, :-step]
        edge[step:] |= rows
        edge[:-step] |= rows
        edge[:, step:] |= columns
        edge[:, :-step] |= columns
    return edge & (labels > 0)


def _with_legend(picture: Image, result: SlideScore, shown: list[tuple[Kind, int]], scale: float) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    size = max(13, min(28, picture.width // 55))
    font = ImageFont.load_default(size)
    line = int(size * 1.6)
    entries = [(kind.colour, f"{kind.legend} ({count:,})") for kind, count in shown]
    mpp = float(result.image.attrs[keys.MPP]) / scale
    bar_um = _round_length(0.15 * picture.width * mpp)
    rows = _flow([font.getlength(text) + 2.2 * size for _, text in entries], picture.width - 2 * _MARGIN)
    height = _MARGIN * 2 + line * (2 + len(set(rows)))
    sheet = Image.new("RGB", (picture.width, picture.height + height), "white")
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    y = picture.height + _MARGIN
    draw.text((_MARGIN, y), _title(result), fill=_INK, font=font)
    y += line
    x, row = float(_MARGIN), 0
    for (colour, text), at in zip(entries, rows, strict=True):
        if at != row:
            x, y, row = float(_MARGIN), y + line, at
        draw.rectangle((x, y + 2, x + size, y + 2 + size), fill=colour)
        draw.text((x + 1.4 * size, y), text, fill=_INK, font=font)
        x += font.getlength(text) + 2.2 * size
    y = picture.height + height - _MARGIN - line
    draw.rectangle((_MARGIN, y + size // 2, _MARGIN + bar_um / mpp, y + size // 2 + max(3, size // 5)), fill=_INK)
    draw.text((_MARGIN * 2 + bar_um / mpp, y), f"{bar_um:g} um    research use only", fill=_INK, font=font)
    return sheet


def _title(result: SlideScore) -> str:
    score = result.scores[result.scores["status"] == keys.OK]
    text = f"{result.slide}   {result.marker}, assay {result.assay.name}"
    if len(score):
        first = score.iloc[0]
        unit = "" if first["unit"] in ("score", "fraction") else f" {first['unit']}"
        text += f"   {first['score']} {first['value']:.3g}{unit}"
    return text


def _flow(widths: list[float], room: float) -> list[int]:
    """Row of each legend entry when entries are set one after the other."""
    rows, x, row = [], 0.0, 0
    for width in widths:
        if x > 0 and x + width > room:
            x, row = 0.0, row + 1
        rows.append(row)
        x += width
    return rows


def _round_length(um: float) -> float:
    """Return the largest of 1, 2, 5, 10 ... not above ``um``."""
    power = 10.0 ** np.floor(np.log10(max(um, 1e-3)))
    return float(max(step * power for step in (1, 2, 5) if step * power <= um))
