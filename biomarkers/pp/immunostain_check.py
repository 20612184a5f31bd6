"""Does a picture look like an H-DAB immunostain? Features of its light and colours, each with its limits.

Plain numpy on a fixed sample of small patches: what is told does not depend on tiles, threads or workers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.area_cut import dab_background_od
from biomarkers.pp.density import White
from biomarkers.pp.pixel_size_check import detail_um
from biomarkers.pp.squares import Squares, square_densities, stacked, without_glass
from biomarkers.pp.vectors import StainVectors

RGB = NDArray[np.uint8]
_LIT = 36  # patches whose light is judged
_STAINED_OD, _SATURATED_OD = 0.2, 1.3  # summed over the channels; of the densest channel, whose hue is lost
_LEAST_SQUARES, _LEAST_ON_A_SIDE, _LEAST_OF_A_PATCH = 200, 50, 20
_MOST, _HALF = 0.3, 0.5  # ink and folds spoil a part of a picture; what most of its stain shows is the stain
_SIDE = 0.10  # share of the density by which blue must exceed red (brown side), or red blue (blue side)
_PINK, _GREEN = 0.12, 0.08  # share by which green exceeds, or stays below, both others
_LITTLE_RED = 0.28  # share of red absorbance below which a square holds next to no hematoxylin
_LEAST_POWER = 16.0  # grey levels squared: glass with the noise of a camera has nothing that could correlate
_SMOOTH_PX, _PADDING = 8, 0.4  # of the white level: what is darker and without any grain was filled in
_BOTH_STAND = 0.03  # share of the stain


class Limit(NamedTuple):
    """Where a feature begins to be doubtful and where it refuses; what lies beyond is ``low`` or ``high``."""

    doubtful: float
    refused: float
    beyond: str
    words: str


# Set on 41 real H-DAB fields of six sources (HER2, SP142, PD-1, Ki-67, FHL2) and 28 simulated ones, each as it is and
# as JPEG 30-90, blurred by 0.5-1.5 px, contrast x 0.7-1.3 and brightness x 0.8-1.2, against 22 real H&E fields of five
# sources, fluorescence, noise, grey and inverted copies, and the H-DAB fields recoloured. docs/pixels.md
# and benchmarks/refusal.py tell the margin of each.
LIMITS: Mapping[str, Limit] = {
    "background_light": Limit(
        0.70, 0.62, "low", "smooth places are dark in most of the picture, as in fluorescence or an inverted picture"
    ),
    "neighbour_correlation": Limit(0.45, 0.30, "low", "neighbouring pixels have little in common, like noise"),
    "chroma": Limit(0.030, 0.012, "low", "there is no colour: stains cannot be told apart"),
    "pink_share": Limit(0.06, math.inf, "high", "some of the stain is pink, like eosin, fast red, magenta or red ink"),
    "pink_in_most": Limit(
        0.018, 0.03, "high", "the stain is pink in most places, like eosin (H&E), fast red, magenta or PAS"
    ),
    "green_share": Limit(
        0.03, math.inf, "high", "some of the stain lets green light through best, like a green chromogen or ink"
    ),
    "green_in_half": Limit(
        0.03, 0.05, "high", "the stain lets green light through best in half of the places, unlike both stains"
    ),
    "pale_red_balance": Limit(
        -0.10, -0.14, "low", "what holds no hematoxylin is pink or red, not brown: eosin, fast red or magenta"
    ),
    "brown_balance": Limit(
        0.23, 0.00, "low", "the chromogen is redder than DAB, like AEC; if it is another, give its vectors"
    ),
    "blue_over_brown": Limit(
        1.45, math.inf, "high", "blue is far denser than brown: a pale blush, ink, or red and blue were exchanged"
    ),
    "blue_od": Limit(
        0.55, math.inf, "high", "blue is denser than a counterstain: ink, or red and blue exchanged (BGR for RGB)"
    ),
}


_OF_LIGHT = {"background_light", "neighbour_correlation", "chroma"}  # these hold for any chromogen


@dataclass(frozen=True)
class Plausibility:
    """What a picture's light and colours say against its being an H-DAB immunostain.

    Attributes
    ----------
    features
        The measured features by name; one that could not be measured (too little stain) is absent.

        - ``background_light``: light of the smoothest tenth of the 8 x 8 px squares of a patch, which 30% of the
          patches exceed; share of the white level.
        - ``neighbour_correlation``: correlation (-1 to 1) of neighbouring pixels within patches of 64 px.
        - ``chroma``: share of the density by which the densest channel exceeds the palest, mean over the stain.
        - ``pink_share``, ``green_share``: shares (0-1) of the stain whose density in green exceeds, or stays below,
          that of both other channels by 12% or 8% of the three together.
        - ``pink_in_most``, ``green_in_half``: the same share which patches with 70% or 50% of the stain reach.
        - ``pale_red_balance``: (blue - green) / (blue + green) of the stain that absorbs next to no red.
        - ``brown_balance``: (blue - green) / (blue - red) of the purest strong brown; DAB about 0.3 to 0.7.
        - ``blue_over_brown``: density of the densest tenth of the blue side over that of the brown side.
        - ``blue_od``: red less blue density of the bluest twentieth of the blue side.
    skipped
        Features whose limits do not apply, since the caller's own vectors are of such a chromogen.
    """

    features: Mapping[str, float]
    skipped: frozenset[str] = field(default_factory=frozenset)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the picture is no H-DAB immunostain, in words; empty where nothing speaks against it."""
        return tuple(self._words(name, LIMITS[name].refused) for name in self._beyond("refused"))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is unusual for an H-DAB immunostain without ruling it out, in words."""
        refused = self._beyond("refused")
        return tuple(
            self._words(name, LIMITS[name].doubtful) for name in self._beyond("doubtful") if name not in refused
        )

    @property
    def reason(self) -> str:
        """All refusals in one sentence."""
        return "" if not self.refusals else "no H-DAB immunostain: " + "; ".join(self.refusals)

    def margins(self) -> dict[str, tuple[float, float, float]]:
        """Return value, limit of doubt and limit of refusal of each feature."""
        return {name: (value, LIMITS[name].doubtful, LIMITS[name].refused) for name, value in self.features.items()}

    def _beyond(self, level: str) -> list[str]:
        """Name the features that lie beyond their limit of doubt or of refusal.

        Pink alone does not refuse where there is brown of DAB's own hue: hematoxylin is pinkish on some scanners, and
        in H&E, fast red and magenta nothing is brown (their brown balance is -0.4 and less, or there is none).
        """
        edges = {name: getattr(LIMITS[name], level) for name in self.features if name not in self.skipped}
        low = {name: LIMITS[name].beyond == "low" for name in edges}
        values = self.features
        beyond = [n for n, edge in edges.items() if (values[n] < edge if low[n] else values[n] > edge)]
        if level == "refused" and values.get("brown_balance", -math.inf) >= LIMITS["brown_balance"].refused:
            beyond = [name for name in beyond if name != "pink_in_most"]
        return beyond

    def _words(self, name: str, edge: float) -> str:
        return f"{LIMITS[name].words} ({name.replace('_', ' ')} {self.features[name]:.2f}, limit {edge:g})"


class Look(NamedTuple):
    """What a first look at a picture's patches tells: can it be H-DAB, its background of DAB (OD), size of detail."""

    plausible: Plausibility
    background_od: float
    detail_um: float


def look_at_patches(
    patches: Sequence[RGB], *, white: White, mpp: float | None, vectors: StainVectors | None = None
) -> Look:
    """Judge patches as :func:`plausibility` does, and measure their background of DAB in the same look."""
    stack = stacked(patches)
    tissue = without_glass(stack, white=white)
    squares = square_densities(tissue, white=white, mpp=mpp)
    features = _light(stack[:: max(1, len(stack) // _LIT)], white=white) | _colour(squares)
    rounded = {name: round(value, 4) for name, value in features.items()}
    background_od = dab_background_od(squares, vectors=vectors or StainVectors())
    size_um = math.nan if mpp is None else detail_um(tissue, white=white, mpp=mpp)
    return Look(Plausibility(rounded, _skipped(vectors)), background_od, size_um)


def plausibility(
    patches: Sequence[RGB], *, white: White, mpp: float | None, vectors: StainVectors | None = None
) -> Plausibility:
    """Judge whether patches of one picture can be of an H-DAB immunostain.

    Parameters
    ----------
    patches
        uint8 (height, width, 3) each, of up to 64 x 64 px, spread over the picture
        (:func:`biomarkers.pp.squares.patches_of`).
    white
        Level of empty glass (R, G, B).
    mpp
        Micrometres per pixel; colours are judged on squares of 1 um, or of a pixel where that is larger, or of two
        pixels where it is unknown.
    vectors
        Given by the caller for another chromogen, they keep the rules that such a chromogen would break from applying.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.repeat(np.random.default_rng(0).integers(90, 240, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    >>> "noise" in plausibility([grey], white=(240.0, 240.0, 240.0), mpp=0.5).reason
    True
    """
    return look_at_patches(patches, white=white, mpp=mpp, vectors=vectors).plausible


def _light(stack: RGB, *, white: White) -> dict[str, float]:
    """Measure what light alone tells, in green, the channel that both stains absorb."""
    green = stack[..., 1].astype(np.float32)
    about = green - green.mean(axis=(1, 2), keepdims=True)
    power = float(np.square(about, dtype=np.float64).mean())
    across = float(np.multiply(about[:, :, 1:], about[:, :, :-1], dtype=np.float64).mean())
    down = float(np.multiply(about[:, 1:], about[:, :-1], dtype=np.float64).mean())
    found = {}
    if power > _LEAST_POWER:
        found["neighbour_correlation"] = (across + down) / 2 / power
    side = max(1, stack.shape[1] // _SMOOTH_PX * _SMOOTH_PX)
    step = min(_SMOOTH_PX, side)
    shape = (stack.shape[0], side // step, step, side // step, step)
    squares = green[:, :side, :side].reshape(shape)
    light, rough = (one.reshape(len(stack), -1) for one in (squares.mean(axis=(2, 4)), squares.std(axis=(2, 4))))
    filled = ((rough == 0) & (light < _PADDING * white[1])).mean(axis=1) > _HALF
    if filled.mean() < _HALF:
        light, rough = light[~filled], rough[~filled]
    smoothest = np.argsort(rough, axis=1, kind="stable")[:, : max(1, rough.shape[1] // 10)]
    of_patches = np.median(np.take_along_axis(light, smoothest, axis=1), axis=1)
    found["background_light"] = float(np.quantile(of_patches, 1 - _MOST)) / white[1]
    return found


def _colour(squares: Squares) -> dict[str, float]:
    """Measure what the colours of stained squares tell."""
    density, total = squares.density, squares.density.sum(axis=0)
    stained = (total > _STAINED_OD) & (density.max(axis=0) < _SATURATED_OD)
    if np.count_nonzero(stained) < _LEAST_SQUARES:
        return {}
    density, total, patch = density[:, stained], total[stained], squares.patch[stained]
    red, green, blue = shares = density / total
    densest, palest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    weight = total.astype(np.float64) / float(total.sum(dtype=np.float64))
    pink, through_green = green - np.maximum(red, blue) > _PINK, np.minimum(red, blue) - green > _GREEN
    found = {
        "chroma": float(weight @ (densest - palest)),
        "pink_share": float(weight[pink].sum()),
        "pink_in_most": _reached(pink, total, patch, among=_MOST),
        "green_share": float(weight[through_green].sum()),
        "green_in_half": _reached(through_green, total, patch, among=_HALF),
    }
    pale_red = _purest(shares, total, red < _LITTLE_RED, by=-red)
    if pale_red is not None:
        found["pale_red_balance"] = float((pale_red[2] - pale_red[1]) / (pale_red[2] + pale_red[1]))
    brown, bluish = blue - red > _SIDE, red - blue > _SIDE
    both = [float(weight[one].sum()) for one in (brown, bluish)]
    if both[0] > _BOTH_STAND and (purest := _purest(shares, total, brown, by=blue - red)) is not None:
        found["brown_balance"] = float((purest[2] - purest[1]) / (purest[2] - purest[0]))
    if min(both) > _BOTH_STAND and min(map(np.count_nonzero, (brown, bluish))) > 0:
        found["blue_over_brown"] = float(np.quantile(total[bluish], 0.9) / np.quantile(total[brown], 0.9))
    if np.count_nonzero(bluish) >= _LEAST_ON_A_SIDE:
        found["blue_od"] = float(np.quantile((density[0] - density[2])[bluish], 0.95))
    return found


def _reached(there: NDArray[np.bool_], total: NDArray[np.float32], patch: NDArray[np.intp], *, among: float) -> float:
    """Return the share of the stain for which something is ``there``, exceeded in all but ``among`` of the patches.

    Patches weigh as their stain does; those with fewer than 20 stained squares are left out.
    """
    stain, part = np.bincount(patch, total), np.bincount(patch, total * there)
    enough = np.bincount(patch) >= _LEAST_OF_A_PATCH
    if not enough.any():
        return 0.0
    stain, share = stain[enough], part[enough] / stain[enough]
    order = np.argsort(share, kind="stable")
    upto = np.cumsum(stain[order])
    return float(share[order][np.searchsorted(upto, among * upto[-1])])


def _purest(
    shares: NDArray[np.float32], total: NDArray[np.float32], side: NDArray[np.bool_], *, by: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """Return the mean shares of the purer half of the denser half of one side; None where it is hardly there."""
    if np.count_nonzero(side) < _LEAST_ON_A_SIDE:
        return None
    dense = side & (total >= np.quantile(total[side], 0.5))
    pure = dense & (by >= np.quantile(by[dense], 0.5))
    mean: NDArray[np.float64] = shares[:, pure].mean(axis=1, dtype=np.float64)
    return mean


def _skipped(vectors: StainVectors | None) -> frozenset[str]:
    """Name the rules that do not apply: the caller's own vectors are of a chromogen that breaks them."""
    if vectors is None:
        return frozenset()
    red, green, blue = (one / sum(vectors.dab) for one in vectors.dab)
    as_dab = blue - red > _SIDE and (blue - green) / (blue - red) >= LIMITS["brown_balance"].doubtful
    return frozenset() if as_dab else frozenset(LIMITS) - _OF_LIGHT
