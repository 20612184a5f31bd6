"""A page to check gates by eye: the levels of every marker with its gate, and the cells on either side of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.panel import canonical_marker
from biomarkers.pheno.gates import BATCH, gate_values

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from anndata import AnnData

    from biomarkers.score.multiplex_slide import MultiplexScore

_BINS, _WIDE, _TALL = 70, 460, 150
_CROP_UM, _CROP_PX, _CROPS = 26.0, 84, 6
_WHITE_AT = 3.0  # times the gate: the level that is shown white
_EDGE = (255, 150, 30)
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1f24;max-width:1060px;margin:24px auto;padding:0 16px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:0 0 6px}p{margin:4px 0}
section{border-top:1px solid #d5dae0;padding:16px 0;display:flex;gap:28px;flex-wrap:wrap}
.note{color:#57606a}.flag{color:#b3261e}svg{display:block}img{display:block;image-rendering:auto}
"""


def gate_page(result: MultiplexScore) -> str:
    """Make a self-contained HTML page of a scored image's gates.

    Parameters
    ----------
    result
        A scored multiplex image.

    Returns
    -------
    HTML: for each marker a histogram on the scale asinh(level / tenth of the gate) with the gate (1+, and thin lines
    for 2+ and 3+), the 95% range of resampled gates as a band, its flags; and the cells nearest to the gate, below and
    above it, outlined in the cleaned channel whose white is three times the gate.
    """
    parts = []
    for row in _rows(result.gates):
        name, gate = str(row["marker"]), float(row["gate"])
        values = gate_values(result.cells, marker=name, compartment=row["compartment"])
        strips = "".join(
            f'<p class="note">{words}</p>{_strip(result, name, numbers, gate)}'
            for words, numbers in (_beside(values, gate) if np.isfinite(gate) else ())
            if len(numbers)
        )
        parts.append(_section(row, name, values, strips))
    return _page(result.slide, result.panel.name, result.cells.n_obs, parts)


def gate_table_page(images: Mapping[str, AnnData], gates: pd.DataFrame, *, panel: str) -> str:
    """Make a page of a gate table: for each of its rows the levels of its slide's cells, or of all (``*``).

    Parameters
    ----------
    images
        Measured or imported cells by slide.
    gates
        A gate table.
    panel
        The panel's name.
    """
    parts = []
    for row in _rows(gates):
        chosen = list(images.values()) if row["slide"] == BATCH else [images[str(row["slide"])]]
        levels = [gate_values(cells, marker=str(row["marker"]), compartment=row["compartment"]) for cells in chosen]
        where = "all slides" if row["slide"] == BATCH else str(row["slide"])
        parts.append(_section(row, f"{row['marker']}, {where}", np.concatenate(levels), ""))
    n_cells = sum(cells.n_obs for cells in images.values())
    return _page(f"{len(images)} slides" if len(images) > 1 else next(iter(images), ""), panel, n_cells, parts)


def _rows(gates: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in gates.to_dict("records")]


def _page(name: str, panel: str, n_cells: int, parts: list[str]) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Gates of {escape(name)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Gates of {escape(name)}</h1>"
        f'<p class="note">Panel {escape(panel)}, {n_cells:,} cells. A cell at or above the gate is positive. To change '
        "a gate, write it into the gate table (a CSV of the columns slide, marker, compartment, gate) and score again "
        "with --gates. Research use only.</p>" + "".join(parts) + "</body></html>\n"
    )


def _section(row: dict[str, Any], title: str, values: NDArray[np.float64], strips: str) -> str:
    known = values[np.isfinite(values)]
    gated = bool(np.isfinite(float(row["gate"])))
    share = f"{100 * float((known >= row['gate']).mean()):.1f}% positive" if len(known) else "no cells"
    share = share if gated or not len(known) else "no gate, not evaluable"
    flags = "" if str(row.get("flags", "")) in ("", "nan") else str(row["flags"])
    low, high = (float(row.get(end, np.nan)) for end in ("gate_low", "gate_high"))
    span = f" ({low:,.4g} to {high:,.4g})" if np.isfinite(low) and np.isfinite(high) else ""
    return (
        f"<section><div><h2>{escape(title)}: {share}</h2>"
        f"<p>{escape(str(row['compartment']))} level"
        + (f", gate {row['gate']:,.4g}{span}, {escape(str(row.get('method', 'given')))}</p>" if gated else "</p>")
        + "".join(f'<p class="flag">{escape(flag)}</p>' for flag in flags.split("; ") if flag)
        + f"{_histogram(known, row)}</div><div>{strips}</div></section>"
    )


def _histogram(values: NDArray[np.float64], row: dict[str, Any]) -> str:
    """Draw levels as bars, gates as lines, as SVG."""
    if not len(values):
        return ""
    gated = bool(np.isfinite(float(row["gate"])))
    reach = abs(float(row["gate"])) / 10 if gated else float(np.abs(np.quantile(values, 0.995))) / 20
    unit = max(reach, 1e-9)
    edges = [float(row.get(name, np.nan)) for name in ("gate", "gate_2", "gate_3")]
    scaled = np.arcsinh(values / unit)
    low, high = float(scaled.min()), float(scaled.max())
    high = max(high, float(np.arcsinh(edges[0] / unit))) if gated else high
    high = high if high > low else low + 1

    def x(level: float) -> float:
        return float((np.arcsinh(level / unit) - low) / (high - low) * _WIDE)

    counts = np.histogram(scaled, _BINS, range=(low, high))[0]
    step = _WIDE / _BINS
    bars = "".join(
        f'<rect x="{k * step:.1f}" y="{_TALL - tall:.1f}" width="{step - 0.6:.1f}" height="{tall:.1f}"/>'
        for k, tall in enumerate(counts / counts.max() * (_TALL - 6))
        if tall > 0
    )
    band = [float(row.get(name, np.nan)) for name in ("gate_low", "gate_high")]
    shade = ""
    if np.isfinite(band).all():
        left, wide = x(band[0]), max(x(band[1]) - x(band[0]), 0.5)
        shade = f'<rect x="{left:.1f}" y="0" width="{wide:.1f}" height="{_TALL}" fill="#e69f00" opacity="0.35"/>'
    lines = "".join(
        f'<line x1="{x(edge):.1f}" x2="{x(edge):.1f}" y1="0" y2="{_TALL}" stroke="#d55e00" '
        f'stroke-width="{2 if k == 0 else 0.8}"/>'
        for k, edge in enumerate(edges)
        if np.isfinite(edge) and x(edge) <= _WIDE
    )
    marks = [mark * (edges[0] if gated else 10 * unit) for mark in (-0.1, 0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)]
    ticks = "".join(
        f'<text x="{x(mark):.1f}" y="{_TALL + 15}" font-size="11" text-anchor="middle" fill="#57606a">'
        f"{_short(mark)}</text>"
        for mark in marks
        if 8 <= x(mark) <= _WIDE - 8
    )
    return (
        f'<svg width="{_WIDE}" height="{_TALL + 20}" role="img" aria-label="histogram of levels">{shade}'
        f'<g fill="#0072b2" opacity="0.85">{bars}</g>{lines}'
        f'<line x1="0" x2="{_WIDE}" y1="{_TALL}" y2="{_TALL}" stroke="#57606a"/>{ticks}</svg>'
    )


def _short(level: float) -> str:
    return f"{level:,.0f}" if abs(level) >= 10 else f"{level:.2g}"


def _beside(values: NDArray[np.float64], gate: float) -> tuple[tuple[str, NDArray[np.int64]], ...]:
    """Cells nearest to the gate, above and below it, nearest last and first."""
    order = np.argsort(np.where(np.isfinite(values), values, -np.inf))
    first = int(np.searchsorted(values[order], gate)) if len(values) else 0
    below = order[max(0, first - _CROPS) : first]
    above = order[first : first + _CROPS]
    return ("just positive", above), ("just negative", below[np.isfinite(values[below])][::-1])


def _strip(result: MultiplexScore, marker: str, numbers: NDArray[np.int64], gate: float) -> str:
    """Show cells side by side, each in the middle of its crop, as one PNG within the page."""
    from PIL import Image

    tile = result.cleaned.tile
    names = [str(name) for name in tile.coords["c"].to_numpy()]
    plane = tile.to_numpy()[names.index(marker if marker in names else canonical_marker(marker))]
    crops = [_crop(plane, tile, result.cells, result.cell_labels, int(number), gate) for number in numbers]
    gap = np.full((_CROP_PX, 3, 3), 255, np.uint8)
    row = np.concatenate([part for crop in crops for part in (crop, gap)][:-1], axis=1)
    stream = io.BytesIO()
    Image.fromarray(row).save(stream, format="PNG", optimize=True)
    text = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="cells beside the gate of {escape(marker)}" src="data:image/png;base64,{text}">'


def _crop(
    plane: NDArray[np.float32], tile: xr.DataArray, cells: AnnData, labels: NDArray[Any], number: int, gate: float
) -> NDArray[np.uint8]:
    from PIL import Image

    mpp, origin = float(tile.attrs[keys.MPP]), tile.attrs[keys.ORIGIN]
    row: pd.Series = cells.obs.iloc[number]
    half = max(2, round(_CROP_UM / mpp / 2))
    column, line = round(row[keys.X_UM] / mpp - origin[0]), round(row[keys.Y_UM] / mpp - origin[1])
    rows, columns = np.arange(line - half, line + half), np.arange(column - half, column + half)
    inside = ((rows >= 0) & (rows < plane.shape[0]))[:, None] & ((columns >= 0) & (columns < plane.shape[1]))[None]
    at = np.ix_(rows.clip(0, plane.shape[0] - 1), columns.clip(0, plane.shape[1] - 1))
    grey = np.where(inside, np.clip(plane[at] / max(_WHITE_AT * gate, 1e-9), 0, 1) * 255, 0).astype(np.uint8)
    own = (labels[at] == int(row["label"])) & inside if "label" in row else np.zeros(inside.shape, bool)
    size = (_CROP_PX, _CROP_PX)
    shown = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB")).copy()
    mask = np.asarray(Image.fromarray(own).resize(size, Image.Resampling.NEAREST))
    inner = mask.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(mask, step, axis)
    shown[mask & ~inner] = _EDGE
    return shown
