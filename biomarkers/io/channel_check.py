"""Channels of a multiplex image that say nothing: constant, dead, or saturated nearly everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys

if TYPE_CHECKING:
    import xarray as xr

# a plane in which fewer pixels than a small nucleus has differ from one value shows no cell
_LEAST_UM2 = 20.0
_MOST_SATURATED = 0.5  # share of pixels at the highest value from which negative cells can no longer be told


def unusable_channels(tile: xr.DataArray) -> dict[str, str]:
    """Name the channels of an image from which no cell can be called, and why.

    Parameters
    ----------
    tile
        Raw channels (c, y, x); see :func:`biomarkers.io.channels.read_channels`.

    Returns
    -------
    Marker -> reason, in words. Empty where all channels can be used.

    Examples
    --------
    >>> import xarray as xr
    >>> planes = np.zeros((2, 64, 64), np.uint16)
    >>> planes[1] = np.arange(64)
    >>> tile = xr.DataArray(planes, dims=("c", "y", "x"), coords={"c": ["PD-L1", "CD8"]}, attrs={"mpp": 0.5})
    >>> unusable_channels(tile)
    {'PD-L1': 'channel PD-L1 is constant (0 everywhere)'}
    """
    least = max(1, round(_LEAST_UM2 / float(tile.attrs[keys.MPP]) ** 2))
    found = {}
    for name, plane in zip(tile.coords["c"].to_numpy(), tile.to_numpy(), strict=True):
        why = _unusable(plane, least=least)
        if why:
            found[str(name)] = f"channel {name} {why}"
    return found


def _unusable(plane: NDArray, *, least: int) -> str:
    low, high = plane.min(), plane.max()
    if low == high:
        return f"is constant ({low:g} everywhere)"
    commonest = np.median(plane)  # of a plane that is one value nearly everywhere, that value
    differ = int(np.count_nonzero(plane != commonest))
    if differ < least:
        return f"is dead: only {differ} pixels differ from {commonest:g}, fewer than a nucleus has"
    at_top = float(np.mean(plane == high))
    if at_top >= _MOST_SATURATED:
        return f"is saturated: {at_top:.0%} of its pixels are at its highest value ({high:g})"
    return ""
