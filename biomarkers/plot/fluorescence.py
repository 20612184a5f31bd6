"""Multiplex images drawn: channels, gates over their cells, and the regions that areas come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.pheno.gates import gate_values
from biomarkers.plot import style as look
from biomarkers.plot.style import BLUE, GREY, INK, ORANGE, VERMILION

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from biomarkers.score.multiplex_slide import MultiplexScore

_BAR_UM = 50.0
_REGION_COLOURS = {keys.TUMOR: "#F3C9B5", keys.STROMA: "#CFE3F1", "margin": "#8A8A8A"}


def plot_channel(tile: xr.DataArray, *, channel: str, ax: Axes | None = None) -> Axes:
    """Draw one channel, from its 1st to its 99.7th percentile, with a bar of 50 um.

    Parameters
    ----------
    tile
        Channels (c, y, x) with ``mpp``.
    channel
        Which one.
    ax
        Axes to draw on; made when absent.

    Examples
    --------
    >>> import numpy as np
    >>> import biomarkers as bm
    >>> pixels = np.arange(2 * 64 * 64, dtype=np.uint16).reshape(2, 64, 64)
    >>> tile = bm.io.make_channels(pixels, names=["DAPI", "CD8"], mpp=0.5)
    >>> len(bm.plot_channel(tile, channel="CD8").images)
    1
    """
    plane = np.asarray(tile.sel(c=channel), dtype=float)
    low, high = np.percentile(plane, (1, 99.7))
    with look.style():
        ax = look.axes(ax, size=(3.2, 3.2))
        ax.imshow(plane, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
        bar = _BAR_UM / float(tile.attrs[keys.MPP])
        left, bottom = 0.04 * plane.shape[1], 0.95 * plane.shape[0]
        ax.plot([left, left + bar], [bottom, bottom], color="white", linewidth=3, solid_capstyle="butt")
        ax.set_title(channel)
        ax.set_xticks([])
        ax.set_yticks([])
    return ax


def plot_gate(cells: AnnData, gates: pd.DataFrame, *, marker: str, ax: Axes | None = None) -> Axes:
    """Draw the levels of one marker with its gate, so that a gate can be judged by eye.

    Parameters
    ----------
    cells
        Measured cells of one slide.
    gates
        A gate table with one row of this marker.
    marker
        Which one.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes: a histogram on the scale asinh(level / tenth of the gate), the gate as a line, the range of resampled
    gates as a band, and the gate's flags as words.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> levels = np.concatenate([np.random.default_rng(0).normal(0, 5, 90), np.full(10, 500.0)])
    >>> cells = ad.AnnData(levels[:, None], obs=pd.DataFrame(index=[str(i) for i in range(100)]))
    >>> cells.var_names = ["CD8"]
    >>> gates = {"marker": ["CD8"], "compartment": "cell", "gate": 100.0, "gate_low": 80.0, "gate_high": 120.0}
    >>> ax = bm.plot_gate(cells, pd.DataFrame({**gates, "flags": ""}), marker="CD8")
    >>> len(ax.lines) > 0
    True
    """
    row = gates[gates["marker"] == marker].iloc[0]
    values = gate_values(cells, marker=marker, compartment=row["compartment"])
    values = values[np.isfinite(values)]
    gated = bool(np.isfinite(float(row["gate"])))
    middle = float(row["gate"]) if gated else float(np.quantile(values, 0.995)) / 2
    unit = max(abs(middle) / 10, 1e-9)
    with look.style():
        ax = look.axes(ax, size=(4.2, 2.8))
        ax.hist(np.arcsinh(values / unit), bins=70, color=BLUE, alpha=0.85)
        edges = [row.get("gate_low", np.nan), row.get("gate_high", np.nan)]
        if np.isfinite(edges).all():
            ax.axvspan(*np.arcsinh(np.array(edges, float) / unit), color=ORANGE, alpha=0.35, linewidth=0)
        if gated:
            ax.axvline(float(np.arcsinh(row["gate"] / unit)), color=VERMILION)
        marks = np.array([-0.1, 0, 0.1, 0.3, 1, 3, 10, 30]) * middle
        inside = marks[(marks >= values.min()) & (marks <= values.max())]
        ax.set_xticks(
            np.arcsinh(inside / unit), [f"{mark:,.0f}" if abs(mark) >= 10 else f"{mark:.2g}" for mark in inside]
        )
        share = float((values >= row["gate"]).mean())
        ax.set_title(f"{marker}: {100 * share:.1f}% positive" if gated else f"{marker}: no gate, not evaluable")
        ax.set_xlabel(f"{row['compartment']} level, counts above background")
        ax.set_ylabel("cells")
        if str(row.get("flags", "") or "") not in ("", "nan"):
            ax.text(0.98, 0.95, str(row["flags"]), transform=ax.transAxes, ha="right", va="top", fontsize=7,
                    color=VERMILION, wrap=True)  # fmt: skip
    return ax


def plot_regions(result: MultiplexScore, *, phenotype: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw tumour, stroma and margin, and the cells of a phenotype in them.

    Parameters
    ----------
    result
        A scored multiplex image.
    phenotype
        Whose cells are shown as points; none when absent.
    ax
        Axes to draw on; made when absent.

    Examples
    --------
    >>> import numpy as np
    >>> import biomarkers as bm
    >>> y, x = np.mgrid[:256, :256]
    >>> places = [(a, b) for a in range(16, 256, 32) for b in range(16, 256, 32)]
    >>> nuclei = sum(2000.0 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 50) for a, b in places)
    >>> tile = bm.io.make_channels(np.stack([nuclei, nuclei]).astype(np.uint16) + 100, names=["DAPI", "CD8"], mpp=0.5)
    >>> roles = {"DAPI": {"marker": "DAPI", "role": "nuclei"}, "CD8": {"marker": "CD8", "compartment": "cell"}}
    >>> result = bm.tl.score_channels(tile, panel=bm.Panel(name="p", channels=roles), slide="s")
    >>> len(bm.plot_regions(result).get_xlabel()) > 0
    True
    """
    regions = result.regions
    with look.style():
        ax = look.axes(ax, size=(4.2, 4.0))
        if regions.masks:
            x, y = regions.origin_um
            for name in (keys.STROMA, keys.TUMOR):
                if name in regions.masks:
                    mask = regions.masks[name]
                    extent = (x, x + mask.shape[1] * regions.grid_um, y + mask.shape[0] * regions.grid_um, y)
                    picture = np.ma.masked_where(~mask, np.ones(mask.shape))
                    colour = _cmap(_REGION_COLOURS[name])
                    ax.imshow(picture, extent=extent, cmap=colour, vmin=0, vmax=1, interpolation="nearest")
            if "margin" in regions.masks and regions.masks["margin"].any():
                mask = regions.masks["margin"]
                across = x + (np.arange(mask.shape[1]) + 0.5) * regions.grid_um
                down = y + (np.arange(mask.shape[0]) + 0.5) * regions.grid_um
                ax.contour(across, down, mask, levels=[0.5], colors=GREY, linewidths=0.8)
        if phenotype is not None:
            here = result.cells.obs[result.cells.obs["phenotype"].astype(str) == phenotype]
            ax.scatter(here[keys.X_UM], here[keys.Y_UM], s=9, color=INK, label=f"{phenotype} (n = {len(here)})")
            ax.legend(loc="upper right")
        ax.set_xlabel("µm")
        ax.set_ylabel("µm")
        ax.set_title("tumor (warm), stroma (cool), margin (outlined)")
    return ax


def _cmap(colour: str) -> Colormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap(["white", colour])
