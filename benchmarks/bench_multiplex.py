"""How fast multiplex images and large cell tables are read out, beside a plain scikit-image pipeline.

python benchmarks/bench_multiplex.py image [SIDE]     6 channels of SIDE x SIDE px (default 4096)
python benchmarks/bench_multiplex.py space [N]        N cells (default 1,000,000)

CPU seconds are the fair figure on a machine that others use too; wall seconds are shown beside them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MARKERS = ("PD-L1", "CD8", "PD-1", "CD3", "CK")


def tile_of(side: int) -> Any:
    """Simulated tissue of 1024 px, repeated."""
    from biomarkers.io.channels import make_channels
    from biomarkers.simulate import plant_multiplex, render_if, simulate_scene

    edge = min(side, 1024)
    scene = plant_multiplex(simulate_scene(rng=3, size_px=edge, mpp=0.5, lymphocytes_per_mm2=900), rng=3)
    image = render_if(scene, markers=MARKERS, rng=3, af_channel=False)
    pixels = np.tile(image.pixels, (1, side // edge, side // edge))
    tile = make_channels(pixels, names=image.channels, mpp=0.5)
    tile.attrs["exposure_ms"] = dict(image.exposure_ms)
    return tile, image.bleed_through


def ours(tile: Any, bleed: Any, parts: dict[str, float] | None = None) -> int:
    """Clean, find nuclei, measure; ``parts`` is told the CPU seconds of each."""
    from biomarkers.pp.fluorescence import clean_channels
    from biomarkers.seg.channels import measure_channels
    from biomarkers.seg.dapi import segment_dapi

    at = [time.process_time()]
    cleaned = clean_channels(tile, bleed_through=bleed)
    at.append(time.process_time())
    labels = segment_dapi(cleaned.tile)
    at.append(time.process_time())
    cells = measure_channels(cleaned.tile, labels, raw=tile)
    at.append(time.process_time())
    if parts is not None:
        parts |= dict(zip(("cleaning", "nuclei", "measuring"), np.diff(at), strict=True))
    return int(cells.n_obs)


def naive(tile: Any) -> int:
    """What one writes with scikit-image in an hour: background, nuclei, cells, means of three compartments, means and
    maxima of whole cells, and their raw means. Less than the same: no bleed-through is solved for, nothing is flagged,
    and the membrane is one mean, not read along the outline."""
    from scipy import ndimage
    from skimage import feature, filters, measure, morphology, segmentation

    pixels = tile.to_numpy().astype(float)
    clean = np.stack([plane - filters.gaussian(plane, 50) for plane in pixels])
    dapi = filters.gaussian(pixels[0], 1)
    mask = (dapi > filters.threshold_otsu(dapi)) & (dapi > filters.threshold_local(dapi, 51))
    mask = morphology.opening(mask, morphology.disk(2))
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=5, labels=measure.label(mask))
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    nuclei = segmentation.watershed(-distance, seeds, mask=mask)
    cells = segmentation.expand_labels(nuclei, 8)
    inner = segmentation.expand_labels(nuclei, 6)
    stack = np.moveaxis(clean, 0, -1)
    means = ("label", "area", "centroid", "intensity_mean")
    for labels in (nuclei, np.where(nuclei > 0, 0, cells), np.where(inner > 0, 0, cells)):
        measure.regionprops_table(labels, stack, properties=means)
    measure.regionprops_table(cells, stack, properties=(*means, "intensity_max"))
    measure.regionprops_table(cells, np.moveaxis(pixels, 0, -1), properties=means)
    return int(nuclei.max())


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = call()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def image(side: int) -> None:
    small, bleed = tile_of(512)
    ours(small, bleed)  # compiles
    tile, bleed = tile_of(side)
    runs = []
    for _ in range(2):
        parts: dict[str, float] = {}
        runs.append((*timed(lambda parts=parts: ours(tile, bleed, parts)), parts))
    best = min(runs, key=lambda one: one[1])
    print(f"biomarkers   {side}^2 x {len(tile)}: {best[0]} cells, CPU {best[1]:.1f} s, wall {best[2]:.1f} s")
    print("             CPU of " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in best[3].items()))
    plain_side = min(side, 2048)
    plain, _ = tile_of(plain_side)
    other = timed(lambda: naive(plain))
    scale = (side / plain_side) ** 2
    print(f"scikit-image {plain_side}^2 x {len(plain)}: {other[0]} cells, CPU {other[1]:.1f} s, wall {other[2]:.1f} s")
    print(f"ratio per pixel: CPU {other[1] * scale / best[1]:.1f}, wall {other[2] * scale / best[2]:.1f}")


def space(n: int) -> None:
    import anndata as ad
    import pandas as pd

    from biomarkers.score.space import count_within, nearest_distances, proximity_test

    rng = np.random.default_rng(1)
    side = np.sqrt(n / 5000) * 1000  # 5,000 cells per mm2
    obs = pd.DataFrame({
        "PD-1_positive": rng.random(n) < 0.05,
        "PD-L1_positive": rng.random(n) < 0.2,
        "region": pd.Categorical(np.where(rng.random(n) < 0.6, "tumor", "stroma")),
    })  # fmt: skip
    obs.index = obs.index.astype(str)
    cells = ad.AnnData(np.zeros((n, 0)), obs=obs, obsm={"spatial": rng.uniform(0, side, (n, 2))})
    pair = [("PD-1+", "PD-L1+")]
    for name, call in (
        ("nearest neighbour", lambda: nearest_distances(cells, pairs=pair)),
        ("counts within 15 and 30 um", lambda: count_within(cells, pairs=pair, radius_um=[15, 30])),
        ("labels moved, two kinds", lambda: proximity_test(cells, source="PD-L1+", target="PD-1+", radius_um=30)),
        ("labels moved, one kind", lambda: proximity_test(cells, source="PD-L1+", target="PD-L1+", radius_um=30)),
    ):  # fmt: skip
        _, cpu, wall = timed(call)
        print(f"{n:,} cells, {name}: CPU {cpu:.1f} s, wall {wall:.1f} s")


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["image"]
    {"image": lambda: image(int(rest[0]) if rest else 4096), "space": lambda: space(int(rest[0]) if rest else 10**6)}[
        what
    ]()
