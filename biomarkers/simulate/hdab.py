"""A scene as brightfield H-DAB: stain amounts, then Beer-Lambert, optics, noise and JPEG."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage

from biomarkers.core.errors import UsageError
from biomarkers.core.keys import LYMPHOCYTE, MACROPHAGE, STROMA, TUMOR
from biomarkers.simulate.nuisance import Nuisance
from biomarkers.simulate.scene import Scene, Seed

# optical density (log10) of each stain in R, G, B: Ruifrok and Johnston 2001, Anal Quant Cytol Histol 23:291
HEMATOXYLIN_OD: Final = (0.650, 0.704, 0.286)
DAB_OD: Final = (0.268, 0.570, 0.776)
# hematoxylin amount in nuclei (low, high) and in cytoplasm, by class
_NUCLEUS_OD: Final = {TUMOR: (0.32, 0.55), LYMPHOCYTE: (0.65, 0.95), MACROPHAGE: (0.30, 0.48), STROMA: (0.38, 0.62)}
_CYTOPLASM_OD: Final = {TUMOR: 0.075, LYMPHOCYTE: 0.05, MACROPHAGE: 0.06, STROMA: 0.05}
_MATRIX_OD: Final = 0.045
_MEMBRANE_UM: Final = 0.75
_CHROMATIN_UM: Final = 0.55
_HALF = np.float32(0.5)
_LN10 = np.float32(np.log(10))


def render_hdab(scene: Scene, *, marker: str = "PD-L1", rng: Seed, nuisance: Nuisance | None = None) -> np.ndarray:
    """Render a scene stained for one marker with DAB and counterstained with hematoxylin.

    Parameters
    ----------
    scene
        The scene.
    marker
        ``PD-L1`` or ``PD-1``.
    rng
        Generator or seed of texture and noise.
    nuisance
        Nuisance effects; None draws them (:meth:`Nuisance.drawn`).

    Returns
    -------
    (y, x, 3) uint8 RGB.

    Raises
    ------
    UsageError
        The marker is not one that is rendered in DAB.

    Examples
    --------
    >>> import biomarkers as bm
    >>> scene = bm.simulate_scene(rng=0, size_px=256, tps=50)
    >>> bm.render_hdab(scene, rng=0).shape
    (256, 256, 3)
    """
    if f"{marker}_membrane_od" not in scene.cells:
        raise UsageError("this marker is not rendered in DAB", seen=marker, allowed=("PD-L1", "PD-1"))
    generator = np.random.default_rng(rng)
    effects = Nuisance.drawn(generator) if nuisance is None else nuisance
    hematoxylin = _hematoxylin(scene, generator) * np.float32(effects.hematoxylin)
    dab = _dab(scene, marker, generator) * np.float32(effects.dab) + np.float32(effects.background_dab_od)
    pigment = _pigment(scene, generator, effects.pigment) if effects.pigment else None
    density = _mixed(hematoxylin, dab, generator, effects.stain_degrees)
    if pigment is not None:
        density += pigment[..., None]
    light = _light(density.shape[:2], generator, effects)
    return _photographed(density, light, generator, effects, scene.mpp)


def _hematoxylin(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    kind = scene.cells["cell_class"].to_numpy()
    low, high = (np.array([_NUCLEUS_OD[name][i] for name in kind]) for i in (0, 1))
    nucleus = np.concatenate([[0.0], rng.uniform(low, high)]).astype(np.float32)
    body = np.concatenate([[0.0], [_CYTOPLASM_OD[name] for name in kind]]).astype(np.float32)
    texture = _noise(rng, scene.nucleus_labels.shape, _CHROMATIN_UM / scene.mpp)
    coarse = _noise(rng, scene.nucleus_labels.shape, 2.5 / scene.mpp)
    inside = scene.nucleus_labels > 0
    rim = inside & (ndimage.minimum_filter(scene.nucleus_labels, 3) != scene.nucleus_labels)
    amount = nucleus[scene.nucleus_labels] * (1 + np.float32(0.16) * texture + np.float32(0.12) * rim)
    matrix = np.float32(_MATRIX_OD) * np.clip(1 + coarse * np.float32(0.6) + texture * np.float32(0.25), 0, None)
    tissue = np.where(scene.cell_labels > 0, body[scene.cell_labels] * (1 + np.float32(0.2) * coarse), matrix)
    return np.where(inside, amount, tissue).clip(0, None).astype(np.float32)


def _dab(scene: Scene, marker: str, rng: np.random.Generator) -> np.ndarray:
    """DAB on the outlines of cells, over the stained share of each outline, and as a blush inside."""
    membrane = _looked_up(scene, f"{marker}_membrane_od")
    blush = _looked_up(scene, f"{marker}_cytoplasm_od")
    if not membrane.any() and not blush.any():
        return np.zeros(scene.cell_labels.shape, dtype=np.float32)
    grain = 1 + np.float32(0.18) * _noise(rng, scene.cell_labels.shape, 0.7 / scene.mpp)
    stained = outline(scene) * _arc(scene, marker, rng) * membrane[scene.cell_labels]
    inside = np.where(scene.nucleus_labels > 0, np.float32(0.35), np.float32(1)) * blush[scene.cell_labels]
    amount: np.ndarray = np.maximum(stained, inside) * grain
    return amount.clip(0, None)


def outline(scene: Scene) -> np.ndarray:
    """Profile of the membrane: 1 on a cell's edge, falling inwards; (y, x) float32."""
    labels = scene.cell_labels
    border = np.zeros(labels.shape, dtype=bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[1:] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    border[:, 1:] |= labels[:, :-1] != labels[:, 1:]
    sigma = _MEMBRANE_UM / np.sqrt(2) / scene.mpp
    profile = ndimage.gaussian_filter(border.astype(np.float32), sigma, truncate=3)
    # a border is two pixels wide; where several meet, the sum would exceed that of one
    profile /= np.float32(2 / (np.sqrt(2 * np.pi) * sigma) if sigma > 1 else 1)
    return profile.clip(0, 1)


def _arc(scene: Scene, marker: str, rng: np.random.Generator) -> np.ndarray:
    """1 where the outline is stained: one stretch of each cell's circumference, as long as its completeness says."""
    x, y, start = (_per_label(scene, values) for values in (
        scene.cells["x_um"] / scene.mpp, scene.cells["y_um"] / scene.mpp, rng.random(len(scene.cells)),
    ))  # fmt: skip
    share = _looked_up(scene, f"{marker}_completeness")
    labels = scene.cell_labels
    rows = np.arange(labels.shape[0], dtype=np.float32)[:, None] + _HALF
    columns = np.arange(labels.shape[1], dtype=np.float32)[None, :] + _HALF
    turn = np.arctan2(rows - y[labels], columns - x[labels]) / np.float32(2 * np.pi)
    arc: np.ndarray = (turn + start[labels]) % 1 < share[labels]
    return arc


def _looked_up(scene: Scene, column: str) -> np.ndarray:
    return _per_label(scene, scene.cells[column])


def _per_label(scene: Scene, values: object) -> np.ndarray:
    return np.concatenate([[0.0], np.asarray(values, dtype=float)]).astype(np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> np.ndarray:
    """Smooth noise of unit variance."""
    step = max(1, int(sigma_px / 2))
    coarse = tuple(edge // step + 4 for edge in shape)
    white = rng.standard_normal(coarse, dtype=np.float32)
    field: np.ndarray = ndimage.gaussian_filter(white, sigma_px / step, mode="wrap")
    for axis, edge in enumerate(shape):
        field = np.repeat(field, step, axis=axis).take(range(edge), axis=axis)
    unit: np.ndarray = field / (float(field.std()) + 1e-9)
    return unit


def _pigment(scene: Scene, rng: np.random.Generator, per_100um2: float) -> np.ndarray:
    """Density of anthracotic grains, the same in all channels: small and black."""
    n = rng.poisson(per_100um2 * scene.area_mm2 * 1e4)
    rows, columns = scene.cell_labels.shape
    spots = np.zeros((rows, columns), dtype=np.float32)
    spots[rng.integers(0, rows, n), rng.integers(0, columns, n)] = 1
    grown = ndimage.gaussian_filter(spots, 0.6 / scene.mpp)
    amount: np.ndarray = np.minimum(grown / (grown.max() + np.float32(1e-9)) * 8, 2.5)
    return amount


def _mixed(hematoxylin: np.ndarray, dab: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    first, second = (_turned(np.array(vector), rng, degrees) for vector in (HEMATOXYLIN_OD, DAB_OD))
    density = np.empty((*dab.shape, 3), dtype=np.float32)
    for channel in range(3):
        density[..., channel] = hematoxylin * first[channel] + dab * second[channel]
    return density


def _turned(vector: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    """Turn a stain vector by an angle in a random direction; all its parts stay positive."""
    unit = vector / np.linalg.norm(vector)
    across = rng.standard_normal(3)
    across -= unit * (across @ unit)
    across /= np.linalg.norm(across)
    turned = np.clip(unit * np.cos(np.deg2rad(degrees)) + across * np.sin(np.deg2rad(degrees)), 0.02, None)
    return (turned / np.linalg.norm(turned)).astype(np.float32)


def _light(shape: tuple[int, int], rng: np.random.Generator, effects: Nuisance) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None, :]
    slope = 1 - effects.uneven_light * (0.5 + 0.35 * (np.cos(angle) * x + np.sin(angle) * y))
    light: np.ndarray = slope.astype(np.float32)[..., None] * np.array(effects.glass, dtype=np.float32)
    return light


def _photographed(
    density: np.ndarray, light: np.ndarray, rng: np.random.Generator, effects: Nuisance, mpp: float
) -> np.ndarray:
    density *= -_LN10
    image = np.exp(density, out=density)
    sigma = float(np.hypot(effects.blur_um, effects.defocus_um)) / mpp
    for channel in range(3):
        image[..., channel] = ndimage.gaussian_filter(image[..., channel], sigma, truncate=3)
    image *= light
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image += noise * np.float32(effects.shot_noise) * np.sqrt(image.clip(1, None) / np.float32(255))
    if effects.pen:
        _draw_pen(image, rng)
    image *= np.float32(effects.exposure)
    if effects.sharpening:
        _sharpen(image, effects.sharpening)
    pixels = image.clip(0, 255).round().astype(np.uint8)
    return _through_jpeg(pixels, effects.jpeg_quality) if effects.jpeg_quality else pixels


def _sharpen(image: np.ndarray, amount: float) -> None:
    """Add what stands out of its surroundings, as cameras do: an unsharp mask of 1 px."""
    for channel in range(3):
        one = image[..., channel]
        one += np.float32(amount) * (one - ndimage.gaussian_filter(one, 1.0, truncate=3))


def _draw_pen(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a stroke of blue marker pen across the tile."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = height * rng.uniform(0.3, 0.7) + height * 0.1 * np.sin(x / width * 4)
    stroke = np.abs(y - centre) < 0.06 * height
    image[stroke] *= np.array([0.12, 0.22, 0.75], dtype=np.float32)


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
