"""From camera counts to marker signal: background, exposure, autofluorescence and bleed-through, and flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

REFERENCE_MS = 100.0  # exposures are brought to this
_SAMPLE = 120_000  # pixels that estimates are made from
_BACKGROUND_PERCENT, _TOP_PERCENT = 1.0, 99.9
_FINE_UM = 3.0  # autofluorescence is matched by its detail finer than this
_SATURATED_SHARE = 1e-4  # of pixels, above which a channel is flagged
_BRIGHT_PERCENT = 99.5
_BLEED = (0.02, 0.35)  # shares that look like bleed-through; more is two markers of the same cells
_FEW_LEVELS = 32  # steps of the stored scale between background and the brightest 0.1%


@dataclass(frozen=True)
class UnmixingModel:
    """What is done to every pixel: ``weights @ (raw - dark)``; ``names`` are the raw channels, ``kept`` the cleaned."""

    names: tuple[str, ...]
    kept: tuple[str, ...]
    dark: NDArray[np.float64]
    weights: NDArray[np.float64]  # (kept, names)

    def apply(self, tile: xr.DataArray) -> tuple[xr.DataArray, NDArray[np.int64]]:
        """Clean an image, or another part of it; return it and how many pixels of each raw channel are saturated."""
        import xarray as xr

        from biomarkers.pp.channel_mix import mixed

        raw, full = tile.to_numpy(), tile.attrs.get("saturation")
        clean, saturated = mixed(raw, dark=self.dark, weights=self.weights, full=full)
        attrs = {**tile.attrs, "unit": "counts above background"}
        return xr.DataArray(clean, dims=keys.TILE_DIMS, coords={"c": list(self.kept)}, attrs=attrs), saturated


@dataclass(frozen=True)
class Cleaned:
    """A cleaned image beside its raw one.

    Attributes
    ----------
    tile
        float32 (c, y, x): the unit is raw counts (at 100 ms where exposures are known) above background. The channel of
        autofluorescence is left out.
    raw
        The tile as it came.
    channels
        One row a channel: ``marker, background, exposure_ms, factor, af_share`` (how much of the autofluorescence
        channel was taken off), ``saturated_share, levels`` (steps of the stored scale between background and the
        brightest 0.1% of pixels), ``flags``.
    bleed
        One row a pair of channels: ``source, target, share, corrected`` (declared and taken off, or only suspected).
    steps
        What was done, to be done again to another part of the same image.
    """

    tile: xr.DataArray
    raw: xr.DataArray
    channels: pd.DataFrame
    bleed: pd.DataFrame
    steps: UnmixingModel

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the results must know, in words."""
        return tuple(
            f"{marker}: {flag}"
            for marker, flags in zip(self.channels["marker"], self.channels["flags"], strict=True)
            for flag in flags.split("; ")
            if flag
        )


def clean_channels(
    tile: xr.DataArray,
    *,
    autofluorescence: str | None = None,
    bleed_through: Iterable[tuple[str, str, float]] = (),
    background: Mapping[str, float] | None = None,
    normalise_exposure: bool = True,
) -> Cleaned:
    """Take off what is no marker.

    Parameters
    ----------
    tile
        Channels (c, y, x), raw; see :func:`biomarkers.io.channels.read_channels`.
    autofluorescence
        The channel without a dye. Its share in every other channel is estimated from fine detail (grains,
        erythrocytes), which markers do not share with it, and taken off.
    bleed_through
        ``(from, into, share)``: declared shares, taken off. Others are looked for and flagged, not corrected.
    background
        Level without light, by marker; estimated as the 1st percentile of each channel when absent.
    normalise_exposure
        Divide by the exposure, where every channel's is known.

    Returns
    -------
    Cleaned

    Raises
    ------
    UsageError
        A channel that is named is not there.

    Examples
    --------
    >>> import numpy as np
    >>> import biomarkers as bm
    >>> tile = bm.io.make_channels(np.full((2, 64, 64), 100, np.uint16), names=["DAPI", "CD8"], mpp=0.5)
    >>> bm.clean_channels(tile).tile.sizes["c"]
    2
    """
    names = [str(name) for name in tile.coords["c"].to_numpy()]
    for name in (autofluorescence, *(background or {}), *(end for pair in bleed_through for end in pair[:2])):
        if name is not None and name not in names:
            raise UsageError("no such channel", seen=name, allowed=names, hint=did_you_mean(name, names))
    raw = tile.to_numpy()
    step = max(1, int(np.sqrt(raw[0].size / _SAMPLE)))
    sample = raw[:, ::step, ::step].reshape(len(raw), -1).astype(np.float32)
    low, top = np.percentile(sample, (_BACKGROUND_PERCENT, _TOP_PERCENT), axis=1)
    dark = np.array([(background or {}).get(name, level) for name, level in zip(names, low, strict=True)], dtype=float)
    factor = _factors(tile, names, wanted=normalise_exposure)
    shares = np.zeros(len(names))
    if autofluorescence is not None:
        glow = names.index(autofluorescence)
        shares = _glow_shares(raw, dark, factor, glow=glow, mpp=float(tile.attrs[keys.MPP]))
    declared = list(bleed_through)
    weights = _weights(names, factor, shares, declared, glow=autofluorescence)
    keep = [number for number, name in enumerate(names) if name != autofluorescence]
    steps = UnmixingModel(tuple(names), tuple(names[number] for number in keep), dark, weights[keep])
    clean, saturated = steps.apply(tile)
    bleed = _bleed_table(
        (weights @ (sample - dark[:, None])).astype(np.float32), names, declared, leave_out=autofluorescence
    )
    channels = _channel_table(tile, names, dark, factor, shares, top, saturated, bleed)
    return Cleaned(tile=clean, raw=tile, channels=channels, bleed=bleed, steps=steps)


def _factors(tile: xr.DataArray, names: list[str], *, wanted: bool) -> NDArray[np.float64]:
    """Factor that brings each channel to the reference exposure; 1 where not every exposure is known."""
    exposure = tile.attrs.get("exposure_ms", {})
    if not wanted or any(name not in exposure for name in names):
        return np.ones(len(names))
    return np.array([REFERENCE_MS / exposure[name] for name in names])


def _glow_shares(
    raw: NDArray, dark: NDArray[np.float64], factor: NDArray[np.float64], *, glow: int, mpp: float
) -> NDArray[np.float64]:
    """How much of the autofluorescence channel shines in each of the others, at the reference exposure."""
    from scipy import ndimage

    window = _window(raw[glow])
    size = max(3, 2 * round(_FINE_UM / mpp) + 1)

    def fine(number: int) -> NDArray[np.float32]:
        plane = (raw[number][window].astype(np.float32) - np.float32(dark[number])) * np.float32(factor[number])
        part = ndimage.gaussian_filter(plane, 0.5 / mpp)
        detail: NDArray[np.float32] = part - ndimage.uniform_filter(part, size)
        return detail.ravel()

    grain = fine(glow)
    bright = grain > np.percentile(grain, 98)
    shares = np.zeros(len(raw))
    for number in range(len(raw)):
        if number != glow and bright.any():
            shares[number] = _slope(grain[bright], fine(number)[bright])
    return shares


def _window(plane: NDArray) -> tuple[slice, slice]:
    """Return a square in the middle, large enough for an estimate."""
    side = 1000
    return tuple(slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in plane.shape)  # type: ignore[return-value]


def _slope(x: NDArray, y: NDArray) -> float:
    """Slope through the origin that most points agree on: the median ratio, then least squares near it; at least 0."""
    slope = float(np.median(y / np.maximum(x, 1e-9)))
    for _ in range(5):
        off = y - slope * x
        near = np.abs(off - np.median(off)) <= 2.5 * 1.4826 * np.median(np.abs(off - np.median(off))) + 1e-9
        slope = float((x[near] * y[near]).sum() / max((x[near] ** 2).sum(), 1e-9))
    return max(0.0, slope)


def _weights(
    names: list[str],
    factor: NDArray[np.float64],
    shares: NDArray[np.float64],
    declared: list[tuple[str, str, float]],
    *,
    glow: str | None,
) -> NDArray[np.float64]:
    """Say what each raw channel adds to each cleaned one: exposure, then autofluorescence, then declared shares."""
    without_glow = np.eye(len(names))
    if glow is not None:
        without_glow[:, names.index(glow)] -= shares
    mixing = np.eye(len(names))
    for source, target, share in declared:
        mixing[names.index(target), names.index(source)] = share
    return np.asarray(np.linalg.solve(mixing, without_glow * factor), dtype=np.float64)


def _bleed_table(
    sample: NDArray[np.float32], names: list[str], declared: list[tuple[str, str, float]], *, leave_out: str | None
) -> pd.DataFrame:
    """List declared shares, and channels that are never dark where another is brightest, by a small share of it."""
    import pandas as pd

    rows = [{"source": a, "target": b, "share": share, "corrected": True} for a, b, share in declared]
    known = {(a, b) for a, b, _ in declared}
    middle = np.median(sample, axis=1)
    noise = 1.4826 * np.median(np.abs(sample - middle[:, None]), axis=1)
    least = np.maximum(np.percentile(sample, _BRIGHT_PERCENT, axis=1), 10 * noise)
    for i, source in enumerate(names):
        bright = np.flatnonzero((sample[i] >= least[i]) & (sample[i] > 0))
        if source == leave_out or len(bright) < 50:
            continue
        for j, target in enumerate(names):
            if j == i or target == leave_out or (source, target) in known:
                continue
            share = float(np.percentile((sample[j][bright] - middle[j]) / sample[i][bright], 10))
            if _BLEED[0] <= share <= _BLEED[1]:
                rows.append({"source": source, "target": target, "share": share, "corrected": False})
    return pd.DataFrame(rows, columns=["source", "target", "share", "corrected"])


def _channel_table(
    tile: xr.DataArray,
    names: list[str],
    dark: NDArray[np.float64],
    factor: NDArray[np.float64],
    shares: NDArray[np.float64],
    top: NDArray[np.float64],
    saturated_px: NDArray[np.int64],
    bleed: pd.DataFrame,
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for number, (name, plane) in enumerate(zip(names, tile.to_numpy(), strict=True)):
        saturated = float(saturated_px[number]) / plane.size
        levels = float(top[number] - dark[number]) if plane.dtype.kind in "ui" else np.nan
        suspected = bleed[(bleed["target"] == name) & ~bleed["corrected"].astype(bool)]
        flags = []
        if saturated > _SATURATED_SHARE:
            flags.append(f"saturated: {saturated:.2%} of pixels are at the camera's limit")
        if levels < _FEW_LEVELS:
            flags.append(f"low signal: only {levels:.0f} steps of the stored scale lie above background")
        flags += [
            f"possible bleed-through from {row.source}: about {row.share:.0%} of it" for row in suspected.itertuples()
        ]
        rows.append({
            "marker": name, "background": dark[number], "exposure_ms": tile.attrs.get("exposure_ms", {}).get(name),
            "factor": factor[number], "af_share": shares[number], "saturated_share": saturated, "levels": levels,
            "flags": "; ".join(flags),
        })  # fmt: skip
    return pd.DataFrame(rows)
