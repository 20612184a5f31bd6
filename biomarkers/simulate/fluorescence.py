"""A scene as multiplex immunofluorescence: the tissue that H-DAB shows, through a fluorescence microscope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import numpy as np
from scipy import ndimage

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.core.files import atomic_path
from biomarkers.core.keys import LYMPHOCYTE, MACROPHAGE, TUMOR
from biomarkers.simulate.hdab import _arc, _looked_up, _noise, _per_label, outline
from biomarkers.simulate.identity import stable_uuid
from biomarkers.simulate.scene import Scene, Seed

# the four stainings of the published trial of atezolizumab in sarcoma: Chen 2023, N Engl J Med 389:911
TRIAL_PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    "PD-L1/CD8": ("PD-L1", "CD8"),
    "PD-1/CD3": ("PD-1", "CD3"),
    "CD4/FOXP3": ("CD4", "FOXP3"),
    "CD8/CD3zeta-pY142/TFE3": ("CD8", "CD3zeta-pY142", "TFE3"),
}
MEMBRANE, CYTOPLASM, NUCLEUS = "membrane", "cytoplasm", "nucleus"
# where each marker stands in its cell
PLACE: Final[Mapping[str, str]] = {
    "DAPI": NUCLEUS, "FOXP3": NUCLEUS, "TFE3": NUCLEUS, "CK": CYTOPLASM, "CD68": CYTOPLASM, "CD3": MEMBRANE,
    "CD4": MEMBRANE, "CD8": MEMBRANE, "CD3zeta-pY142": MEMBRANE, "PD-L1": MEMBRANE, "PD-1": MEMBRANE,
}  # fmt: skip
_GRADED: Final = ("PD-L1", "PD-1")  # their level and their stained share of the outline are planted in the scene
_LEVEL_SPREAD: Final = 0.3  # log-normal spread of a marker of identity among its cells
_DAPI_LEVEL: Final = {TUMOR: 0.55, LYMPHOCYTE: 0.95, MACROPHAGE: 0.5}
COUNTS: Final = 2400.0  # of a level of 1 at the nominal exposure


@dataclass(frozen=True)
class FluorescenceNuisance:
    """What stands between marker and pixel; each effect can be set on its own.

    ``autofluorescence`` is the glow of tissue and ``spots`` that of its brightest grains, as shares of a level of 1;
    ``bleed_through`` the share of each channel that shows in the next one; ``blur_um`` the optics' Gaussian sigma;
    ``exposure`` one factor a channel (or none); ``gain`` counts per photon, ``offset`` and ``read_noise`` the
    camera's, ``full_well`` its highest count; ``uneven_light`` the fall of light towards the corners.
    """

    autofluorescence: float = 0.06
    spots: float = 0.5
    bleed_through: float = 0.05
    blur_um: float = 0.4
    exposure: tuple[float, ...] = ()
    gain: float = 2.0
    offset: float = 100.0
    read_noise: float = 6.0
    full_well: float = 65535.0
    uneven_light: float = 0.05

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        """Draw the effects as they vary among scanners, dyes and tissues."""
        return cls(
            autofluorescence=rng.uniform(0.03, 0.10),
            spots=rng.uniform(0.2, 0.8),
            bleed_through=rng.uniform(0.02, 0.08),
            blur_um=rng.uniform(0.3, 0.5),
            exposure=tuple(rng.uniform(0.6, 1.6, 16)),
            gain=rng.uniform(1.0, 3.0),
            offset=rng.uniform(60, 200),
            read_noise=rng.uniform(3, 10),
            uneven_light=rng.uniform(0, 0.1),
        )


@dataclass(frozen=True)
class RenderedIF:
    """Pixels uint16 (c, y, x), the channels' names, exposures in ms, ``[from, into, share]`` of bleed-through."""

    pixels: np.ndarray
    channels: tuple[str, ...]
    exposure_ms: Mapping[str, float]
    mpp: float
    bleed_through: tuple[tuple[str, str, float], ...] = field(default=())


def plant_multiplex(
    scene: Scene, *, rng: Seed, cd8_share: float = 0.5, foxp3_share: float = 0.12, py142_share: float = 0.3
) -> Scene:
    """Add the markers that only a multiplex panel shows.

    Parameters
    ----------
    scene
        The scene; left as it is.
    rng
        Generator or seed.
    cd8_share, foxp3_share
        Shares (0-1) of CD3+ cells that are CD8+, and that are FOXP3+ (and CD4+).
    py142_share
        Share (0-1) of CD8+ cells whose receptor is engaged.

    Returns
    -------
    A scene with bool columns ``CD8, CD4, FOXP3, CD3zeta-pY142, TFE3``.

    Examples
    --------
    >>> import biomarkers as bm
    >>> scene = bm.plant_multiplex(bm.simulate_scene(rng=0, size_px=256), rng=0)
    >>> type(scene).__name__
    'Scene'
    """
    generator = np.random.default_rng(rng)
    if not (min(cd8_share, foxp3_share, py142_share) >= 0 and cd8_share + foxp3_share <= 1 and py142_share <= 1):
        raise UsageError("shares are out of range", seen=(cd8_share, foxp3_share, py142_share), allowed="0 to 1 in sum")
    cells = scene.cells.copy()
    draw = generator.random(len(cells))
    t_cell = cells["CD3"].to_numpy()
    cells["CD8"] = t_cell & (draw < cd8_share)
    cells["CD4"] = t_cell & ~cells["CD8"]
    cells["FOXP3"] = t_cell & (draw >= 1 - foxp3_share)
    cells["CD3zeta-pY142"] = cells["CD8"] & (generator.random(len(cells)) < py142_share)
    cells["TFE3"] = cells["cell_class"] == TUMOR
    return replace(scene, cells=cells)


def render_if(
    scene: Scene,
    *,
    markers: Sequence[str],
    rng: Seed,
    nuisance: FluorescenceNuisance | None = None,
    af_channel: bool = True,
) -> RenderedIF:
    """Render a scene as a multiplex fluorescence image.

    Parameters
    ----------
    scene
        The scene; panels with CD4, CD3zeta-pY142 or TFE3 need :func:`plant_multiplex` first.
    markers
        Markers besides DAPI, one channel each; neighbours in this order bleed into each other.
    rng
        Generator or seed of levels, texture and noise.
    nuisance
        Nuisance effects; None draws them.
    af_channel
        Add a channel without a dye (``AF``), as a reference of autofluorescence.

    Returns
    -------
    RenderedIF

    Raises
    ------
    UsageError
        A marker is not one that can be rendered, or is not planted in this scene.

    Examples
    --------
    >>> import biomarkers as bm
    >>> scene = bm.plant_multiplex(bm.simulate_scene(rng=0, size_px=256), rng=0)
    >>> picture = bm.render_if(scene, markers=["CD8", "PD-L1"], rng=0)
    >>> type(picture).__name__
    'RenderedIF'
    """
    generator = np.random.default_rng(rng)
    effects = FluorescenceNuisance.drawn(generator) if nuisance is None else nuisance
    for marker in markers:
        if marker not in PLACE or (marker not in _GRADED and marker not in scene.cells):
            hint = did_you_mean(marker, PLACE) if marker not in PLACE else "Call plant_multiplex first."
            raise UsageError("this marker is not planted in the scene", seen=marker, allowed=list(PLACE), hint=hint)
    names = ("DAPI", *markers)
    ring = outline(scene)
    light = np.stack([_marker_light(scene, name, ring, generator) for name in names])
    light, pairs = _bled(light, names, effects.bleed_through)
    glow = _autofluorescence(scene, generator, effects)
    # tissue glows most in short wavelengths
    tint = np.linspace(1.0, 0.45, len(names)).astype(np.float32) * generator.uniform(0.85, 1.15, len(names))
    light += glow * tint.astype(np.float32)[:, None, None]
    if af_channel:
        light, names = np.concatenate([light, glow[None]]), (*names, "AF")
    exposure = np.resize(np.array(effects.exposure or (1.0,)), len(names))
    exposure = np.round(50 * exposure) / 50  # whole milliseconds of a nominal 50
    pixels = np.stack([_photographed(one, gain, scene.mpp, generator, effects)
                       for one, gain in zip(light, exposure, strict=True)])  # fmt: skip
    return RenderedIF(pixels, names, dict(zip(names, (50 * exposure).tolist(), strict=True)), scene.mpp, pairs)


def write_if(path: Path, image: RenderedIF) -> None:
    """Write a rendered image as an OME-TIFF with channel names, exposures and pixel size."""
    import tifffile

    about = {
        "axes": "CYX", "Name": path.name.split(".")[0], "Description": "simulated",
        "UUID": stable_uuid(path.name.split(".")[0], image.pixels),
        "Channel": {"Name": list(image.channels)},
        "Plane": {"ExposureTime": [image.exposure_ms[name] for name in image.channels],
                  "ExposureTimeUnit": ["ms"] * len(image.channels)},
        "PhysicalSizeX": image.mpp, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": image.mpp, "PhysicalSizeYUnit": "µm",
    }  # fmt: skip
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, ome=True) as writer:
        writer.write(image.pixels, photometric="minisblack", compression="zlib", metadata=about)


def _marker_light(scene: Scene, marker: str, ring: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Level of a marker at each pixel, (y, x) float32: 1 is a bright cell."""
    shape, cells = scene.cell_labels.shape, scene.cells
    grain = 1 + np.float32(0.15) * _noise(rng, shape, 0.6 / scene.mpp)
    if marker in _GRADED:
        inside = np.where(scene.nucleus_labels > 0, np.float32(0.35), np.float32(1))
        blush = inside * _looked_up(scene, f"{marker}_cytoplasm_od")[scene.cell_labels]
        edge = ring * _arc(scene, marker, rng) * _looked_up(scene, f"{marker}_membrane_od")[scene.cell_labels]
        graded: np.ndarray = np.maximum(edge, blush) * grain
        return graded
    spread = np.exp(rng.normal(0, _LEVEL_SPREAD, len(cells)))
    if marker == "DAPI":
        level = np.array([_DAPI_LEVEL.get(kind, 0.7) for kind in cells["cell_class"]]) * spread ** (2 / 3)
    else:
        level = np.where(cells[marker].to_numpy(dtype=bool), 0.6 * spread, 0.0)
    amount = _per_label(scene, level)
    if PLACE[marker] == NUCLEUS:
        light = amount[scene.nucleus_labels]
    elif PLACE[marker] == MEMBRANE:
        light = ring * amount[scene.cell_labels]
    else:
        light = np.where(scene.nucleus_labels > 0, np.float32(0.3), np.float32(1)) * amount[scene.cell_labels]
    shown: np.ndarray = light * grain
    return shown.clip(0, None)


def _bled(
    light: np.ndarray, names: Sequence[str], share: float
) -> tuple[np.ndarray, tuple[tuple[str, str, float], ...]]:
    """Let each channel show in the next one (dyes overlap towards longer wavelengths)."""
    pairs = tuple((first, second, share) for first, second in pairwise(names[1:]))
    mixed = light.copy()
    for number in range(1, len(names) - 1):
        mixed[number + 1] += np.float32(share) * light[number]
    return mixed, pairs if share > 0 else ()


def _autofluorescence(scene: Scene, rng: np.random.Generator, effects: FluorescenceNuisance) -> np.ndarray:
    """Glow of matrix and cell bodies, and bright grains (erythrocytes, lipofuscin)."""
    shape = scene.cell_labels.shape
    slow = 1 + np.float32(0.35) * _noise(rng, shape, 8 / scene.mpp)
    body = np.where(scene.cell_labels > 0, np.float32(1.0), np.float32(0.75))
    glow = np.float32(effects.autofluorescence) * body * slow
    n = rng.poisson(scene.area_mm2 * 250)
    grains = np.zeros(shape, dtype=np.float32)
    grains[rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)] = rng.uniform(0.4, 1, n)
    sigma = 1.2 / scene.mpp
    grains = ndimage.gaussian_filter(grains, sigma) * np.float32(2 * np.pi * sigma**2)
    total: np.ndarray = (glow + np.float32(effects.spots) * grains).clip(0, None).astype(np.float32)
    return total


def _photographed(
    light: np.ndarray, exposure: float, mpp: float, rng: np.random.Generator, effects: FluorescenceNuisance
) -> np.ndarray:
    shape = light.shape
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None, :]
    even = 1 - effects.uneven_light * (x**2 + y**2) / 2
    seen = ndimage.gaussian_filter(light, effects.blur_um / mpp, truncate=3) * even * COUNTS * exposure
    photons = rng.poisson(seen.clip(0, None) / effects.gain)
    counts = photons * effects.gain + effects.offset + rng.normal(0, effects.read_noise, shape)
    return counts.clip(0, effects.full_well).round().astype(np.uint16)
