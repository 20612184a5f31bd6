"""Scenes and trials as files: OME-TIFF with its pixel size, label images, truth tables, QuPath annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.files import atomic_path, write_csv, write_text
from biomarkers.core.keys import BASELINE, LYMPHOCYTE, MACROPHAGE, STROMA, TUMOR
from biomarkers.simulate.hdab import render_hdab
from biomarkers.simulate.identity import stable_uuid
from biomarkers.simulate.nuisance import Nuisance
from biomarkers.simulate.scene import Scene, simulate_scene
from biomarkers.simulate.truth import scene_truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from biomarkers.simulate.trial import Trial

_JPEG_LEVEL: Final = 85
_TILE_PX: Final = 512
_MPP: Final = 0.5
_N_TRAINING: Final = 5
_POINTS_PER_CLASS: Final = 60
_QUPATH_CLASS: Final = {
    TUMOR: ("Tumor", (200, 0, 0)),
    LYMPHOCYTE: ("Lymphocyte", (0, 0, 160)),
    MACROPHAGE: ("Macrophage", (200, 120, 0)),
    STROMA: ("Stroma", (100, 170, 90)),
}


def write_ome_tiff(path: Path, rgb: np.ndarray, *, mpp: float) -> None:
    """Write an RGB tile as a JPEG-compressed OME-TIFF that says its pixel size."""
    import tifffile

    size = {"PhysicalSizeX": mpp, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": mpp, "PhysicalSizeYUnit": "µm"}
    name = path.name.split(".")[0]
    told = {"axes": "YXS", "Name": name, "Description": "simulated", "UUID": stable_uuid(name, rgb)}
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, ome=True) as writer:
        writer.write(
            rgb,
            photometric="rgb",
            compression="jpeg",
            compressionargs={"level": _JPEG_LEVEL},
            metadata={**told, **size},
        )


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write an instance-label image (uint16 or uint32, zlib)."""
    import tifffile

    kind = np.uint16 if labels.max() < 2**16 else np.uint32
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, labels.astype(kind), compression="zlib")


def regions_geojson(scene: Scene) -> dict[str, Any]:
    """Outline tumour nests and the stroma around them as QuPath annotations, in pixels of the tile."""
    from shapely import MultiPolygon, Polygon, box, unary_union
    from shapely.geometry import mapping
    from skimage.measure import find_contours

    height, width = scene.tumor_mask.shape
    frame = box(0, 0, width, height)
    padded = np.pad(scene.tumor_mask, 1).astype(float)
    rings = [
        Polygon(np.clip(ring[:, ::-1] - 0.5, 0, (width, height)))
        for ring in find_contours(padded, 0.5)
        if len(ring) > 3
    ]
    nests: Any = Polygon()
    for ring in sorted(rings, key=lambda ring: -ring.area):
        nests = nests.symmetric_difference(ring.buffer(0))  # a ring inside another is a hole
    nests = nests.simplify(1.0).buffer(0)
    shapes = {"Tumor": nests, "Stroma": frame.difference(unary_union([nests]))}
    features = []
    for name, shape in shapes.items():
        parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
        kept = [part for part in parts if isinstance(part, Polygon) and part.area > 25]
        features += [
            _feature(mapping(part), name, (200, 0, 0) if name == "Tumor" else (150, 200, 150)) for part in kept
        ]
    return {"type": "FeatureCollection", "features": features}


def points_geojson(scene: Scene, *, rng: np.random.Generator) -> dict[str, Any]:
    """Label some cells of every class with points, as a pathologist would to train a classifier."""
    features = []
    for kind, (name, color) in _QUPATH_CLASS.items():
        cells = scene.cells[(scene.cells["cell_class"] == kind) & ~scene.cells["cut"]]
        chosen = cells.iloc[np.sort(rng.permutation(len(cells))[:_POINTS_PER_CLASS])]
        points = (chosen[["x_um", "y_um"]].to_numpy() / scene.mpp).round(1).tolist()
        features.append(_feature({"type": "MultiPoint", "coordinates": points}, name, color))
    return {"type": "FeatureCollection", "features": features}


def write_scene(folder: Path, name: str, scene: Scene, rgb: np.ndarray) -> None:
    """Write ``<name>.ome.tif`` with its truth: labels of nuclei and cells, the cell table, regions for QuPath."""
    write_ome_tiff(folder / f"{name}.ome.tif", rgb, mpp=scene.mpp)
    write_labels(folder / "truth" / f"{name}_nuclei.tif", scene.nucleus_labels)
    write_labels(folder / "truth" / f"{name}_cells.tif", scene.cell_labels)
    write_csv(scene.cells, folder / "truth" / f"{name}_cells.csv")
    write_text(folder / "regions" / f"{name}.geojson", json.dumps(regions_geojson(scene)))


def write_trial(trial: Trial, folder: Path, *, seed: int, progress: bool = False) -> None:
    """Render every biopsy of a trial and write all its tables; each file's name begins with ``simulated_``."""
    from tqdm import tqdm

    manifest, truth = [], []
    total = 2 * len(trial.biopsies)
    for row, planted in tqdm(_slides(trial, folder, seed), total=total, unit="tile", disable=not progress):
        manifest.append(row)
        truth.append(planted)
    write_csv(pd.DataFrame(manifest), folder / "simulated_manifest.csv")
    write_csv(pd.DataFrame(truth), folder / "simulated_truth.csv")
    write_csv(trial.clinical, folder / "simulated_clinical.csv")
    write_csv(trial.sums, folder / "simulated_tumor_sums.csv")
    _write_expression(trial, folder / "simulated_expression.h5ad")
    _write_training(folder / "training", seed)


def _slides(trial: Trial, folder: Path, seed: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for number, biopsy in enumerate(trial.biopsies.to_dict("records")):
        scene = _scene_of(biopsy, np.random.default_rng([seed, number]))
        for offset, (marker, assay) in enumerate((("PD-L1", "22c3"), ("PD-1", "pd-1"))):
            rng = np.random.default_rng([seed, number, offset])
            visit = "baseline" if biopsy["timepoint"] == BASELINE else "on_treatment"
            name = f"simulated_{biopsy['patient']}_{visit}_{marker}"
            rgb = render_hdab(scene, marker=marker, rng=rng, nuisance=_gentle(rng))
            write_ome_tiff(folder / "tiles" / f"{name}.ome.tif", rgb, mpp=scene.mpp)
            write_text(folder / "regions" / f"{name}.geojson", json.dumps(regions_geojson(scene)))
            row = {
                "path": f"tiles/{name}.ome.tif",
                "patient": biopsy["patient"],
                "timepoint": biopsy["timepoint"],
                "assay": assay,
                "mpp": "",  # the files say it themselves
                "annotations": f"regions/{name}.geojson",
            }
            yield row, {"slide": name, "patient": biopsy["patient"], "timepoint": biopsy["timepoint"], "marker": marker,
                        **scene_truth(scene, marker=marker)}  # fmt: skip


def _scene_of(biopsy: Mapping[Any, Any], rng: np.random.Generator) -> Scene:
    """Make tissue with a biopsy's planted levels: as many PD-1+ lymphocytes as its density asks for."""
    pd1 = biopsy["pd1_per_mm2"]
    lymphocytes = max(300.0, pd1 / 0.5) * rng.uniform(1.3, 2.2)
    return simulate_scene(
        rng=rng,
        size_px=_TILE_PX,
        mpp=_MPP,
        crowding="dense",
        tps=biopsy["tps"],
        strength=biopsy["strength"],
        tumor_share=rng.uniform(0.62, 0.75),
        lymphocytes_per_mm2=lymphocytes,
        pd1_share=min(1.0, pd1 / lymphocytes),
        macrophage_share=rng.uniform(0.1, 0.4),
    )


def _gentle(rng: np.random.Generator) -> Nuisance:
    """One laboratory's slides: stain and glass vary a little; JPEG comes from the file itself."""
    drawn = Nuisance.drawn(rng)
    return Nuisance(**{**vars(drawn), "jpeg_quality": 0, "stain_degrees": drawn.stain_degrees / 2})


def _write_training(folder: Path, seed: int) -> None:
    """Write tiles of tissue apart from the trial's, with labelled cells."""
    for number in range(_N_TRAINING):
        rng = np.random.default_rng([seed, 9000 + number])
        scene = simulate_scene(
            rng=rng, size_px=_TILE_PX, mpp=_MPP, crowding="dense", tps=(0, 20, 45, 70, 95)[number % 5],
            tumor_share=0.55, lymphocytes_per_mm2=900, macrophage_share=0.25, strength=rng.uniform(0.3, 0.8),
        )  # fmt: skip
        name = f"simulated_training_{number + 1}"
        write_ome_tiff(folder / f"{name}.ome.tif", render_hdab(scene, rng=rng, nuisance=_gentle(rng)), mpp=scene.mpp)
        write_text(folder / f"{name}.geojson", json.dumps(points_geojson(scene, rng=rng)))


def _write_expression(trial: Trial, path: Path) -> None:
    import anndata as ad
    from scipy.sparse import csr_matrix

    samples = trial.samples.astype(object)
    matrix = ad.AnnData(
        csr_matrix(trial.counts.to_numpy(dtype=np.float32)), obs=samples, var=pd.DataFrame(index=trial.counts.columns)
    )
    matrix.uns["simulated"] = "every value is simulated; none comes from a patient"
    with atomic_path(path) as temporary:
        matrix.write_h5ad(temporary, compression="gzip")


def _feature(geometry: Any, name: str, color: tuple[int, int, int]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": json.loads(json.dumps(geometry)),
        "properties": {"objectType": "annotation", "classification": {"name": name, "color": list(color)}},
    }
