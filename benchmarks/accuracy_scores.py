"""How near scores come to the truth of simulated tiles: TPS, CPS, H-score, bins, cytoplasm-only tiles, cell classes.

    python benchmarks/accuracy_scores.py                      # development seeds
    python benchmarks/accuracy_scores.py --first-seed 1000    # held out

Every tile is rendered with all nuisance effects drawn at random (but for the pairs of neutral and warm glass). Two
ways of knowing classes are measured: the true class of every cell that was found (what is left is the error of
segmentation and staining), and a classifier trained on five other tiles (what a user gets).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from biomarkers.core import keys
from biomarkers.core.config import load_assay
from biomarkers.io import make_tile
from biomarkers.pheno.classify_train import LabelledCells, train_classifier
from biomarkers.score import SlideScore, call_positivity, compute_scores
from biomarkers.score.classes import Classes
from biomarkers.score.pipeline import score_tile
from biomarkers.simulate.hdab import render_hdab
from biomarkers.simulate.nuisance import Nuisance
from biomarkers.simulate.scene import Scene, simulate_scene
from biomarkers.simulate.truth import scene_truth

CROWDINGS = ("sparse", "dense", "touching")
MPP = 0.5
SIZE_PX = 640
NEGATIVE_ASSAYS = ("22c3", "h-dab-nuclear")
NEUTRAL, WARM = (243.0, 242.0, 241.0), (244.0, 232.0, 206.0)
CAMERAS: Mapping[str, Mapping[str, Any]] = {
    "as drawn": {},
    "sharpened": {"sharpening": 0.6},
    "too much light": {"exposure": 1.2},
}
TRAINING_SEEDS_FROM = 500  # offset of the tiles a classifier learns from


@dataclass(frozen=True)
class Tile:
    """One simulated tile as it was scored, and which true cell each found cell is (0 for none)."""

    crowding: str
    scene: Scene
    result: SlideScore
    match: np.ndarray

    def truth_of(self, column: str) -> np.ndarray:
        """The truth of each found cell; the cell must have a match."""
        return self.scene.cells.set_index("label").loc[self.match[self.match > 0], column].to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tiles", type=int, default=20, help="tiles a crowding level")
    parser.add_argument("--mpp", type=float, default=MPP)
    parser.add_argument("--cameras", action="store_true", help="only the same scenes by a camera that sharpens, clips")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    size = round(SIZE_PX * MPP / args.mpp)
    if args.cameras:
        _report_cameras(args.first_seed, args.tiles, args.mpp, size)
        return
    tiles = [_tile(args.first_seed + number * args.tiles + i, crowding, 100 * i / (args.tiles - 1), args.mpp, size)
             for number, crowding in enumerate(CROWDINGS) for i in range(args.tiles)]  # fmt: skip
    blush = [_tile(args.first_seed + 70 + number * 4 + i, crowding, (0, 30, 70, 100)[i], args.mpp, size, blush=True)
             for number, crowding in enumerate(CROWDINGS) for i in range(4)]  # fmt: skip
    classifier = train_classifier(
        [_labelled(args.first_seed + TRAINING_SEEDS_FROM + i, args.mpp, size) for i in range(5)]
    )
    _report("true classes", pd.DataFrame([_errors(tile, _with_true_classes(tile)) for tile in tiles]))
    _report(
        "classifier from 5 tiles", pd.DataFrame([_errors(tile, classifier.apply(tile.result.cells)) for tile in tiles])
    )
    _report_bins(tiles)
    _report_negative(args.first_seed + 90, args.mpp, size)
    _report_warm(args.first_seed + 95, args.mpp, size)
    _report_blush(blush, classifier)
    _report_classes(tiles, classifier)


def _tile(seed: int, crowding: str, tps: float, mpp: float, size: int, *, blush: bool = False) -> Tile:
    strength = np.random.default_rng(seed + 7919).uniform(0.1, 0.9)
    scene = simulate_scene(
        rng=seed, size_px=size, mpp=mpp, crowding=crowding, tps=tps, strength=strength, cytoplasm_only=blush
    )
    tile = make_tile(render_hdab(scene, rng=seed), mpp=mpp)
    assay = load_assay("22c3")
    result = score_tile(
        tile, assay=assay, slide=str(seed), marker="PD-L1", thresholds=assay.thresholds, classes=Classes()
    )
    return Tile(crowding, scene, result, _matches(result.nucleus_labels, scene.nucleus_labels))


def _camera(seed: int, crowding: str, tps: float, mpp: float, size: int) -> dict[str, Tile]:
    """One scene as it is drawn, sharpened by the camera, and with too much light; the effects drawn are the same."""
    scene = simulate_scene(rng=seed, size_px=size, mpp=mpp, crowding=crowding, tps=tps)
    drawn = Nuisance.drawn(np.random.default_rng(seed))
    assay = load_assay("22c3")
    tiles = {}
    for name, effects in CAMERAS.items():
        tile = make_tile(render_hdab(scene, rng=seed, nuisance=replace(drawn, **effects)), mpp=mpp)
        result = score_tile(
            tile, assay=assay, slide=str(seed), marker="PD-L1", thresholds=assay.thresholds, classes=Classes()
        )
        tiles[name] = Tile(crowding, scene, result, _matches(result.nucleus_labels, scene.nucleus_labels))
    return tiles


def _report_cameras(first_seed: int, tiles: int, mpp: float, size: int) -> None:
    """The same scenes by three cameras: errors of TPS, and how many say that light is clipped."""
    shown = [
        _camera(first_seed + number * tiles + i, crowding, 100 * i / max(tiles - 1, 1), mpp, size)
        for number, crowding in enumerate(CROWDINGS)
        for i in range(tiles)
    ]
    for name in CAMERAS:
        seen = [one[name] for one in shown]
        errors = pd.DataFrame([_errors(tile, _with_true_classes(tile)) for tile in seen])
        _report(f"camera: {name}", errors)
        print(f"  light said to be clipped on {sum(bool(tile.result.row['clipped_light']) for tile in seen)}")


def _matches(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The true nucleus that covers most of each found one, at least 30 % of it."""
    n = int(found.max())
    area = np.bincount(found.ravel(), minlength=n + 1)
    both = (found > 0) & (true > 0)
    pairs, overlap = np.unique(np.stack([found[both], true[both]]), axis=1, return_counts=True)
    best = np.zeros(n + 1, dtype=np.int64)
    for index in np.argsort(overlap, kind="stable"):
        label = pairs[0, index]
        best[label] = pairs[1, index] if overlap[index] >= 0.3 * area[label] else 0
    return best[1:]


def _with_true_classes(tile: Tile):
    cells = tile.result.cells.copy()
    names = np.full(cells.n_obs, keys.OTHER, dtype=object)
    names[tile.match > 0] = tile.truth_of("cell_class")
    cells.obs[keys.CELL_CLASS] = names.astype(str)
    del cells.uns["class_source"]  # the classes are given: all of them could have been
    return cells


def _errors(tile: Tile, cells) -> dict[str, object]:
    called = call_positivity(cells, assay="22c3")
    rows = compute_scores(called, assay="22c3", slide="", tissue_mm2=tile.scene.area_mm2).set_index("score")
    truth = scene_truth(tile.scene, marker="PD-L1")
    found = {name: float(rows.loc[name, "value"]) - truth[name] for name in ("tps", "cps", "h_score")}
    return {"crowding": tile.crowding, "evaluable": rows.loc["tps", "status"] == keys.OK, **found}


def _report(title: str, errors: pd.DataFrame) -> None:
    print(f"\n{title}: {len(errors)} tiles, {int((~errors.evaluable).sum())} not evaluable")
    for name in ("tps", "cps", "h_score"):
        size = errors[name].abs()
        by = ", ".join(
            f"{crowding} {errors.loc[errors.crowding == crowding, name].abs().median():.2f}" for crowding in CROWDINGS
        )
        print(f"  {name:8s} |error| median {size.median():.2f} ({by}), 95 % {size.quantile(0.95):.2f}, "
              f"largest {size.max():.1f}, bias {errors[name].mean():+.2f}")  # fmt: skip
    print(f"  TPS within 5 points on {100 * (errors.tps.abs() <= 5).mean():.0f} % of tiles")


def _report_bins(tiles: list[Tile]) -> None:
    found, true = [], []
    for tile in tiles:
        bins = call_positivity(_with_true_classes(tile), assay="22c3").obs["PD-L1_bin"].to_numpy()[tile.match > 0]
        tumor = tile.truth_of("cell_class") == keys.TUMOR
        found.append(bins[tumor])
        true.append(tile.truth_of("PD-L1_bin")[tumor])
    both = np.concatenate(found), np.concatenate(true)
    linear, quadratic = (cohen_kappa_score(*both, weights=kind) for kind in ("linear", "quadratic"))
    print(f"\nbins of tumor cells: weighted kappa {linear:.3f} linear, {quadratic:.3f} quadratic; n = {len(both[0])}")
    print(pd.crosstab(pd.Series(both[1], name="true"), pd.Series(both[0], name="found")).to_string())


def _report_blush(tiles: list[Tile], classifier) -> None:
    shown = [f"{_tps(_with_true_classes(tile)):.1f}/{_tps(classifier.apply(tile.result.cells)):.1f}" for tile in tiles]
    print(f"\ncytoplasm-only tiles, TPS (truth 0; true classes/classifier): {', '.join(shown)}")


def _report_negative(seed: int, mpp: float, size: int) -> None:
    shown = []
    for number, crowding in enumerate(CROWDINGS):
        scene = simulate_scene(
            rng=seed + number, size_px=size, mpp=mpp, crowding=crowding, tps=0.0, macrophage_share=0.0
        )
        rgb = render_hdab(scene, rng=seed + number)
        shown += [f"{100 * _scored(rgb, mpp, assay).row['positive_fraction']:.2f}" for assay in NEGATIVE_ASSAYS]
    print(f"\ntissue without DAB, positive cells in % ({', '.join(NEGATIVE_ASSAYS)}; by crowding): {', '.join(shown)}")


def _report_warm(seed: int, mpp: float, size: int) -> None:
    shown = []
    for number, crowding in enumerate(CROWDINGS):
        scene = simulate_scene(rng=seed + number, size_px=size, mpp=mpp, crowding=crowding, tps=40.0)
        pair = [
            100 * _scored(render_hdab(scene, rng=seed, nuisance=Nuisance(glass=glass)), mpp).row["positive_fraction"]
            for glass in (NEUTRAL, WARM)
        ]
        shown.append(f"{pair[0]:.1f}/{pair[1]:.1f}")
    print(f"neutral/warm glass, positive cells in %: {', '.join(shown)}")


def _scored(rgb: np.ndarray, mpp: float, name: str = "22c3") -> SlideScore:
    assay = load_assay(name)
    return score_tile(
        make_tile(rgb, mpp=mpp), assay=assay, slide="", marker=assay.marker, thresholds=assay.thresholds,
        classes=Classes(),
    )  # fmt: skip


def _tps(cells) -> float:
    rows = compute_scores(call_positivity(cells, assay="22c3"), assay="22c3", slide="", tissue_mm2=1.0).set_index(
        "score"
    )
    return float(rows.loc["tps", "value"])


def _labelled(seed: int, mpp: float, size: int) -> LabelledCells:
    tile = _tile(seed, CROWDINGS[seed % 3], 20.0 * (seed % 5), mpp, size)
    labels = np.full(tile.result.cells.n_obs, "", dtype=object)
    labels[tile.match > 0] = tile.truth_of("cell_class")
    return LabelledCells(str(seed), tile.result.cells, labels.astype(str))


def _report_classes(tiles: list[Tile], classifier) -> None:
    told, true = [], []
    for tile in tiles:
        told.append(classifier.apply(tile.result.cells).obs[keys.CELL_CLASS].to_numpy()[tile.match > 0])
        true.append(tile.truth_of("cell_class"))
    both = np.concatenate(told), np.concatenate(true)
    print(f"\nclasses: accuracy {100 * (both[0] == both[1]).mean():.1f} % of {len(both[0])} matched cells; "
          f"cross-validated on the training tiles {100 * classifier.accuracy:.1f} %")  # fmt: skip
    print(pd.crosstab(pd.Series(both[1], name="true"), pd.Series(both[0], name="called")).to_string())


if __name__ == "__main__":
    main()
