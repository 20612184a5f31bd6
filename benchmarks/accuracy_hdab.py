"""How well nuclei and their positivity are found: annotated real tiles and simulated tissue, in one table.

Run from the project's root:  python benchmarks/accuracy_hdab.py [--seeds 10] [--first-seed 1000] [--data FOLDER]
Seeds below 1000 of the simulator are for development.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

from biomarkers import keys
from biomarkers.cells import CellMap, find_cells
from biomarkers.cells.agreement import Agreement, compare, read_truth
from biomarkers.config import load_assay
from biomarkers.score import call_positivity
from biomarkers.simulate import render_hdab, simulate_scene
from biomarkers.slide import make_tile, read_tile

REAL = ("22_2", "6_2", "lung1")
SHIFT_UP_PX = {"lung1": 8}  # its truth lies 8 px below its picture
REAL_MPP = 0.25
ASSAY, MARKER = load_assay("h-dab-nuclear"), "Ki67"
CROWDING = {"sparse": 0.92, "dense": 0.85, "touching": 0.75}
TPS = (0, 1, 5, 20, 50, 80, 95, 100)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="simulated tiles per crowding")
    parser.add_argument("--first-seed", type=int, default=0, help="1000 and above: held out")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--positive", type=float, help="a fixed 1+ cut, OD (default: one that follows the tile)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    real(arguments.data / "images" / "hdab", arguments.positive)
    for mpp in (0.5, 0.25):
        simulated(arguments.first_seed, arguments.seeds, mpp)


def real(folder: Path, positive: float | None) -> None:
    """Annotated tiles."""
    if not folder.is_dir():
        print(f"no annotated tiles at {folder}")
        return
    print(f"annotated tiles at {REAL_MPP} um/px, white estimated")
    print("tile    nuclei recall  dup.  F1@.5  agreement  positive found/true  cut OD  CPU s")
    results: list[Agreement] = []
    for name in REAL:
        truth = read_truth(folder / f"{name}_truth.png", shift_up_px=SHIFT_UP_PX.get(name, 0))
        start = time.process_time()
        found = find_cells(read_tile(folder / f"{name}.png", mpp=REAL_MPP), marker=MARKER, progress=False)
        spent = time.process_time() - start
        called, cut = _called(found, positive)
        one = compare(found.nucleus_labels, truth.labels, called=called, positive=truth.positive)
        results.append(one)
        print(
            f"{name:7} {one.n_truth:6d} {one.recall:6.3f} {one.duplicates:5.3f} {one.f1:6.3f} {one.agreement:10.3f} "
            f"{one.found_positive:13.3f} / {one.true_positive:.3f} {cut:7.3f} {spent:6.2f}"
        )
    nuclei = sum(one.n_truth for one in results)
    matched = sum(one.n_matched for one in results)
    recall = sum(one.recall * one.n_truth for one in results) / nuclei
    duplicates = sum(one.duplicates * one.n_truth for one in results) / nuclei
    agreement = sum(one.agreement * one.n_matched for one in results) / matched
    print(
        f"all     {nuclei:6d} {recall:6.3f} {duplicates:5.3f} {min(one.f1 for one in results):6.3f} {agreement:10.3f}"
    )
    print("aim            >=.88 <=.08  >=.82      >=.96  within .03\n")


def simulated(first: int, seeds: int, mpp: float) -> None:
    """Simulated tissue with drawn nuisance effects."""
    print(f"simulated tissue at {mpp} um/px, seeds {first} to {first + seeds - 1}, nuisance effects on")
    print("crowding  F1@.5 (lowest tile)  recall  precision   aim   megapixel/CPU s")
    for crowding, aim in CROWDING.items():
        rows, spent, pixels = [], 0.0, 0
        for seed in range(first, first + seeds):
            tps = TPS[seed % len(TPS)]
            scene = simulate_scene(rng=seed, size_px=round(256 / mpp), mpp=mpp, crowding=crowding, tps=tps)
            tile = make_tile(render_hdab(scene, marker="PD-L1", rng=seed), mpp=mpp)
            start = time.process_time()
            found = find_cells(tile, progress=False)
            spent += time.process_time() - start
            pixels += tile.sizes["x"] * tile.sizes["y"]
            one = compare(found.nucleus_labels, np.asarray(scene.nucleus_labels), all_annotated=True)
            rows.append((one.f1, one.recall_iou, one.precision_iou))
        f1, recall, precision = np.mean(rows, axis=0)
        lowest = min(row[0] for row in rows)
        speed = pixels / 1e6 / spent
        print(f"{crowding:9} {f1:5.3f} ({lowest:.3f}) {recall:14.3f} {precision:10.3f} {aim:6.2f} {speed:12.2f}")
    print()


def _called(found: CellMap, positive: float | None) -> tuple[np.ndarray, float]:
    """Return which nuclei are positive, and the 1+ cut that says so."""
    cuts = ASSAY.thresholds
    if positive is not None:
        first, second, third = (edge - cuts.dab_od[0] + positive for edge in cuts.dab_od)
        cuts = cuts.model_copy(update={"dab_od": (first, second, third), "follow_sd": 0.0})
    cells = call_positivity(found.cells, assay=ASSAY, thresholds=cuts, marker=MARKER)
    return cells.obs[keys.positive_column(MARKER)].to_numpy(), float(cells.uns["thresholds"]["dab_od"][0])


if __name__ == "__main__":
    main()
