"""How near multiplex readouts come to the truth: simulated scenes, and real images with others' tables and masks.

    python benchmarks/accuracy_multiplex.py                      # development seeds
    python benchmarks/accuracy_multiplex.py --first-seed 1000    # held out
    python benchmarks/accuracy_multiplex.py --real ../shared/data

Scenes are drawn at random: crowding, TPS, density and share of lymphocytes, and all nuisance effects (autofluorescence
with grains, bleed-through of 2-8% into the next channel, exposures, blur, shot and camera noise, uneven light).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from biomarkers.core import keys
from biomarkers.core.config import load_assay
from biomarkers.core.panel import Panel
from biomarkers.io import make_tile
from biomarkers.io.channels import make_channels
from biomarkers.score import call_positivity
from biomarkers.score.classes import Classes
from biomarkers.score.multiplex_slide import MultiplexScore, score_channels
from biomarkers.score.pipeline import score_tile
from biomarkers.simulate import plant_multiplex, render_hdab, render_if, simulate_scene

MARKERS = ("PD-L1", "CK", "CD8", "PD-1", "CD3", "FOXP3")
COMPARTMENT = {"CK": "cytoplasm", "FOXP3": "nucleus"}
PHENOTYPES = {"Treg": "CD3+ FOXP3+", "CTL": "CD3+ CD8+", "other T": "CD3+", "tumor": "CK+"}
PANEL = Panel(
    name="simulated",
    channels={
        "DAPI": {"marker": "DAPI", "role": "nuclei"},
        "AF": {"marker": "AF", "role": "autofluorescence"},
        **{name: {"marker": name, "compartment": COMPARTMENT.get(name, "membrane")} for name in MARKERS},
    },
    phenotypes=PHENOTYPES,
    classes={"lymphocyte": "CD3+", "tumor": "CK+"},
)
MPP, REACH_UM = 0.5, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--undeclared", action="store_true", help="the panel does not declare its bleed-through")
    parser.add_argument("--real", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.real is not None:
        real(args.real)
        return
    rows = [simulated(args.first_seed + i, declared=not args.undeclared) for i in range(args.scenes)]
    table = pd.DataFrame(rows)
    pd.set_option("display.width", 200, "display.max_columns", 30, "display.max_rows", 200)
    print(table.round(3).to_string(index=False))
    numbers = table.select_dtypes("number").drop(columns="seed")
    print(pd.DataFrame({"median": numbers.median(), "mean": numbers.mean(), "min": numbers.min(),
                        "max": numbers.max(), "median |.|": numbers.abs().median()}).round(3))  # fmt: skip


def simulated(seed: int, *, declared: bool) -> dict[str, Any]:
    rng = np.random.default_rng(seed + 7919)
    scene = simulate_scene(
        rng=seed, size_px=640, mpp=MPP, crowding=("sparse", "dense", "touching")[seed % 3],
        tps=float(rng.choice([5, 20, 50, 80])), strength=rng.uniform(0.3, 0.8),
        lymphocytes_per_mm2=rng.uniform(600, 1400), pd1_share=rng.uniform(0.1, 0.5),
    )  # fmt: skip
    scene = plant_multiplex(scene, rng=seed)
    image = render_if(scene, markers=MARKERS, rng=seed)
    tile = make_channels(image.pixels, names=image.channels, mpp=MPP)
    tile.attrs["exposure_ms"] = dict(image.exposure_ms)
    panel = PANEL.model_copy(update={"bleed_through": image.bleed_through if declared else ()})
    result = score_channels(tile, panel=panel, slide=str(seed))
    return {
        "seed": seed,
        "crowding": scene.crowding,
        **_against_truth(scene, result),
        **_against_hdab(scene, seed, result),
    }


def _truth(cells: pd.DataFrame) -> np.ndarray:
    names = np.full(len(cells), "other", dtype=object)
    for name, member in (("tumor", cells["CK"]), ("other T", cells["CD3"]), ("CTL", cells["CD8"]),
                         ("Treg", cells["FOXP3"])):  # fmt: skip
        names[member.to_numpy(dtype=bool)] = name
    return names


def _against_truth(scene: Any, result: MultiplexScore) -> dict[str, float]:
    true, found = _truth(scene.cells), result.cells.obs["phenotype"].astype(str).to_numpy()
    match = _match(scene, result.cells)
    row: dict[str, float] = {}
    for name in PHENOTYPES:
        hits = match[(found == name) & (match >= 0)]
        right = len(np.unique(hits[true[hits] == name]))
        row[f"F1 {name}"] = 2 * right / max(int((found == name).sum() + (true == name).sum()), 1)
        row[f"density {name} %"] = 100 * (
            (found == name).sum() / result.regions.area_mm2("all") / ((true == name).sum() / scene.area_mm2) - 1
        )
    row["F1 mean"] = float(np.mean([row[f"F1 {name}"] for name in PHENOTYPES]))
    t_cells, tumor = np.isin(found, ("Treg", "CTL", "other T")), found == "tumor"
    true_t, true_tumor = scene.cells["CD3"].to_numpy(bool), scene.cells["cell_class"].to_numpy() == keys.TUMOR
    positive = {name: (scene.cells[keys.bin_column(name)] > 0).to_numpy() for name in ("PD-1", "PD-L1")}
    called = {name: result.cells.obs[keys.positive_column(name)].to_numpy() for name in positive}
    row["PD-1 pts"] = 100 * (called["PD-1"][t_cells].mean() - positive["PD-1"][true_t].mean())
    row["PD-L1 pts"] = 100 * (called["PD-L1"][tumor].mean() - positive["PD-L1"][true_tumor].mean())
    row["TPS mIF"] = 100 * called["PD-L1"][tumor].mean()
    return row


def _match(scene: Any, cells: Any) -> np.ndarray:
    place = scene.cells[["x_um", "y_um"]].to_numpy()
    _, index = cKDTree(place).query(cells.obsm["spatial"], distance_upper_bound=REACH_UM)
    return np.where(index < len(place), index, -1)


def _against_hdab(scene: Any, seed: int, result: MultiplexScore) -> dict[str, float]:
    """TPS of the same scene stained with DAB; its tumor cells are told by the truth, since DAB shows no CK."""
    assay = load_assay("22c3")
    tile = make_tile(render_hdab(scene, rng=seed), mpp=MPP)
    scored = score_tile(tile, assay=assay, slide="s", marker="PD-L1", thresholds=assay.thresholds, classes=Classes())
    match = _match(scene, scored.cells)
    kinds = np.where(match >= 0, scene.cells["cell_class"].to_numpy()[match], keys.UNKNOWN)
    cells = scored.cells.copy()
    cells.obs[keys.CELL_CLASS] = kinds
    called = call_positivity(cells, assay=assay)
    tps = 100 * called.obs["PD-L1_positive"].to_numpy()[kinds == keys.TUMOR].mean()
    found = result.cells.obs["phenotype"].astype(str).to_numpy() == "tumor"
    return {"TPS H-DAB": tps, "mIF - H-DAB": 100 * result.cells.obs["PD-L1_positive"].to_numpy()[found].mean() - tps}


def real(folder: Path) -> None:
    from biomarkers.io.channels import read_channels
    from biomarkers.io.label_maps import read_labels
    from biomarkers.pheno.gates import fit_gates
    from biomarkers.pp.fluorescence import clean_channels
    from biomarkers.seg.channels import measure_channels
    from biomarkers.seg.dapi import segment_dapi

    images = folder / "images"
    stem = images / "phenoptr" / "FIHC4" / "test_data" / "FIHC4__0929309_HP_IM3_2"
    tile = read_channels(f"{stem}_component_data.tif")
    cells = measure_channels(tile, read_labels(f"{stem}_binary_seg_maps.tif", shape=tile.shape[1:]))
    table = pd.read_csv(f"{stem}_cell_seg_data.txt", sep="\t").set_index("Cell ID").loc[cells.obs["label"]]
    for layer, name in (("nucleus_mean", "Nucleus"), ("cytoplasm_mean", "Cytoplasm"), ("membrane_mean", "Membrane"),
                        (None, "Entire Cell")):  # fmt: skip
        theirs = table[
            [f"{name} {one} Mean (Normalized Counts, Total Weighting)" for one in cells.var_names]
        ].to_numpy()
        ours = cells.layers[layer] if layer else cells.X
        off = np.abs(ours - theirs)
        print(f"FIHC4 {name}: max |d| {np.nanmax(off):.4f}, median |d| / level {np.nanmedian(off / theirs):.4f}")
    for part, width in (("", 23.7), ("tests", 9.0)):
        import tifffile

        plane, truth = (tifffile.imread(images / "stardist" / part / name) for name in ("img2d.tif", "mask2d.tif"))
        one = make_channels(plane[None].astype(np.float32), names=["DAPI"], mpp=0.5)
        for scale in (0.85, 1.0, 1.15):
            found = segment_dapi(one, nucleus_px=width * scale).nuclei
            print(f"stardist {plane.shape[0]}^2, expected diameter {width * scale:.1f} px: F1 {_f1(found, truth):.3f}")
    reference = pd.read_csv(images / "csm" / "CSM_Phenotypecell_test.csv")["Subject_Names"].value_counts()
    csm = Panel(name="csm", channels={
        "DAPI": {"marker": "DAPI", "role": "nuclei"}, "PDL1": {"marker": "PD-L1", "compartment": "membrane"},
        "PD1": {"marker": "PD-1", "compartment": "membrane"}, "CD8a": {"marker": "CD8", "compartment": "membrane"},
    })  # fmt: skip
    for path in sorted((images / "csm").glob("*.ome.tif")):
        cleaned = clean_channels(read_channels(path, panel=csm, mpp=0.5))
        found = measure_channels(cleaned.tile, segment_dapi(cleaned.tile))
        flags = dict(zip(cleaned.channels["marker"], cleaned.channels["flags"], strict=True))
        gates = fit_gates(found, panel=csm, few_levels=flags).set_index("marker")
        n = int(reference[path.name.replace(".ome.tif", ".tif")])
        print(f"CSM {path.name}: {found.n_obs} cells against {n} ({100 * (found.n_obs / n - 1):+.1f}%); PD-L1: "
              f"{gates.loc['PD-L1', 'flags']}")  # fmt: skip


def _f1(found: np.ndarray, truth: np.ndarray) -> float:
    shared = np.zeros((int(found.max()) + 1, int(truth.max()) + 1))
    np.add.at(shared, (found.ravel(), truth.ravel().astype(int)), 1)
    area, true_area = shared.sum(axis=1)[1:], shared.sum(axis=0)[1:]
    both = shared[1:, 1:]
    hits = int((both / np.maximum(area[:, None] + true_area[None] - both, 1) >= 0.5).sum())
    return 2 * hits / ((area > 0).sum() + (true_area > 0).sum())


if __name__ == "__main__":
    main()
