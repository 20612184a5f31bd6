"""How well white, tissue, stain vectors and quality flags are found on simulated fields; prints Markdown.

    python benchmarks/accuracy_pixels.py

Fields of 320 px at 0.5 um/px with all nuisance effects drawn, and a rim of glass unless said otherwise.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from biomarkers.io import make_tile
from biomarkers.pp import StainVectors, estimate_vectors, estimate_white, measure_quality
from biomarkers.pp.tissue import tissue_mask
from biomarkers.pp.vectors import angle_deg
from biomarkers.simulate import Nuisance, render_hdab, simulate_scene

_SEEDS = range(9000, 9018)
_MPP, _SIDE, _RIM = 0.5, 320, 48
_CROWDING = ("sparse", "dense", "touching")


def field(seed: int, *, rim: int = _RIM, tps: float | None = None, **effects: object) -> tuple[np.ndarray, Nuisance]:
    """Render a field on glass; nuisance effects are drawn, then ``effects`` are set."""
    rng = np.random.default_rng(seed)
    share = float(rng.uniform(0, 100)) if tps is None else tps
    scene = simulate_scene(rng=rng, size_px=_SIDE, mpp=_MPP, crowding=_CROWDING[seed % 3], tps=share)
    nuisance = dataclasses.replace(Nuisance.drawn(rng), **{"jpeg_quality": 0, **effects})  # type: ignore[arg-type]
    tissue = render_hdab(scene, marker="PD-L1", rng=rng, nuisance=nuisance)
    if not rim:
        return tissue, nuisance
    side = _SIDE + 2 * rim
    noise = rng.normal(0, nuisance.shot_noise, (side, side, 3))
    level = np.array(nuisance.glass) * (1 - nuisance.uneven_light / 2)
    out = np.clip(np.rint(level + noise), 0, 255).astype(np.uint8)
    out[rim:-rim, rim:-rim] = tissue
    return out, nuisance


def white_errors(rim: int) -> tuple[float, float]:
    """Median and largest error of the white level, as optical density of the worst channel."""
    errors = []
    for seed in _SEEDS:
        rgb, nuisance = field(seed, rim=rim)
        level = np.array(nuisance.glass) * (1 - nuisance.uneven_light / 2)
        found = np.array(estimate_white(make_tile(rgb, mpp=_MPP)))
        errors.append(float(np.abs(np.log10(found / level)).max()))
    return float(np.median(errors)), max(errors)


def tissue_errors() -> tuple[float, float]:
    """Median share of tissue that is missed, and of glass that is taken for tissue (beyond one grain of the edge)."""
    missed, invented = [], []
    for seed in _SEEDS:
        rgb, _ = field(seed)
        tile = make_tile(rgb, mpp=_MPP)
        mask = tissue_mask(tile, white=estimate_white(tile))
        missed.append(1 - float(mask[_RIM + 8 : -_RIM - 8, _RIM + 8 : -_RIM - 8].mean()))
        outside = np.ones(mask.shape, bool)
        outside[_RIM - 8 : -_RIM + 8, _RIM - 8 : -_RIM + 8] = False
        invented.append(float(mask[outside].mean()))
    return max(missed), max(invented)


def vector_errors(tps: float) -> tuple[float, float, int]:
    """Median angle between estimated and true vectors (hematoxylin, DAB), and how often the reference stood in."""
    angles, refused = [], 0
    for seed in _SEEDS:
        rgb, _ = field(seed, tps=tps, stain_degrees=0.0)
        tile = make_tile(rgb, mpp=_MPP)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = estimate_vectors(tile, white=estimate_white(tile))
        refused += bool(said)
        if not said:
            known = StainVectors()
            angles.append((angle_deg(found.hematoxylin, known.hematoxylin), angle_deg(found.dab, known.dab)))
    middle = np.median(np.array(angles), axis=0) if angles else (np.nan, np.nan)
    return float(middle[0]), float(middle[1]), refused


def flag_rates(**effects: object) -> dict[str, float]:
    """Share of fields with each flag, in per cent."""
    flags = []
    for seed in _SEEDS:
        rgb, _ = field(seed, **effects)
        tile = make_tile(rgb, mpp=_MPP)
        flags.append(measure_quality(tile, white=estimate_white(tile)).flags())
    return {name: 100 * float(np.mean([one[name] for one in flags])) for name in flags[0]}


def main() -> None:
    """Measure and print."""
    print(f"{len(_SEEDS)} fields each.\n\n| white level | median error, OD | largest, OD |\n|---|---|---|")
    for name, rim in (("glass beside the tissue", _RIM), ("no glass but between cells", 0)):
        middle, most = white_errors(rim)
        print(f"| {name} | {middle:.3f} | {most:.3f} |", flush=True)
    missed, invented = tissue_errors()
    print(f"\nTissue missed: at most {100 * missed:.2f}%; glass taken for tissue: at most {100 * invented:.2f}%.\n")
    print("| stained tumor cells | hematoxylin, degrees | DAB, degrees | reference stood in |\n|---|---|---|---|")
    for tps in (0.0, 2.0, 5.0, 20.0, 80.0):
        first, second, refused = vector_errors(tps)
        print(f"| {tps:.0f}% | {first:.1f} | {second:.1f} | {refused} of {len(_SEEDS)} |", flush=True)
    accidents: dict[str, dict[str, object]] = {
        "none": {},
        "pen": {"pen": True},
        "pigment": {"pigment": 1.0},
        "defocus 1.2 um": {"defocus_um": 1.2},
        "DAB x 4": {"dab": 4.0, "tps": 80.0},
        "warm glass": {"glass": (236.0, 220.0, 190.0)},
    }
    rows = {name: flag_rates(**effects) for name, effects in accidents.items()}
    names = list(rows["none"])
    print(f"\n| accident | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, rates in rows.items():
        print(f"| {name} | {' | '.join(f'{rates[one]:.0f}%' for one in names)} |")


if __name__ == "__main__":
    main()
