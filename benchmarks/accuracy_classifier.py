"""Whether the accuracy that a classifier is printed with holds on patients it never saw. All simulated.

python benchmarks/accuracy_classifier.py [RUNS]     five designs (default 10 runs each)

Patients differ in nuclear size, counterstain and shape, so that tiles of one patient are alike. Printed: patients, or
tiles, held out of the training set. True: 40 new patients.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd

from biomarkers.pheno.classify import CellClassifier
from biomarkers.pheno.classify_train import LabelledCells, train_classifier

CLASSES = ("tumor", "lymphocyte", "stroma")
LOG_SIZE, DARK, LONG = (4.3, 3.7, 3.9), (0.32, 0.5, 0.4), (0.55, 0.5, 0.8)


@dataclass(frozen=True)
class Design:
    """How a training set is made: patients, tiles of each, cells a tile, shares of the classes, spread of patients."""

    name: str
    patients: int
    tiles: int
    cells: int = 120
    shares: tuple[float, float, float] = (0.4, 0.3, 0.3)
    spread: float = 0.35  # of patients, in units of the distance between classes
    own_shares: bool = False  # each patient has other shares


DESIGNS = (
    Design("12 patients, 4 tiles each", 12, 4),
    Design("24 patients, one tile each", 24, 1),
    Design("10 patients, 10 tiles each, far apart", 10, 10, cells=60, spread=0.7),
    Design("12 patients, rare classes (90, 6, 4%)", 12, 4, cells=250, shares=(0.9, 0.06, 0.04)),
    Design("15 patients, each with other shares", 15, 3, own_shares=True),
)


def tiles_of(design: Design, patient: int, rng: np.random.Generator) -> list[LabelledCells]:
    """Simulate the tiles of one patient, every cell labelled."""
    shift = rng.normal(0, design.spread, (3, 3))  # by measurement and class
    shares = np.array(design.shares)
    shares = rng.dirichlet(6 * shares) if design.own_shares else shares
    found = []
    for tile in range(design.tiles):
        kind = rng.choice(3, design.cells, p=shares)
        log_size = np.array(LOG_SIZE)[kind] + 0.3 * shift[0, kind] + rng.normal(0, 0.2, design.cells)
        dark = np.array(DARK)[kind] + 0.1 * shift[1, kind] + rng.normal(0, 0.07, design.cells)
        long = np.array(LONG)[kind] + 0.15 * shift[2, kind] + rng.normal(0, 0.1, design.cells)
        x, y = rng.uniform(0, 300, (2, design.cells))
        obs = pd.DataFrame(
            {
                "x_um": x, "y_um": y, "nucleus_area_um2": np.exp(log_size), "area_um2": 2 * np.exp(log_size),
                "nucleus_eccentricity": long,
            },
            index=[str(number) for number in range(design.cells)],
        )  # fmt: skip
        cells = ad.AnnData(dark[:, None], obs=obs, var=pd.DataFrame(index=["hematoxylin"]))
        cells.layers["nucleus_mean"] = dark[:, None]
        labels = np.array(CLASSES)[kind]
        found.append(LabelledCells(f"P{patient}_{tile}", cells, labels, patient=f"P{patient}"))
    return found


def on_new(classifier: CellClassifier, design: Design, rng: np.random.Generator) -> tuple[float, float, float]:
    """Measure accuracy, balanced accuracy and calibration error on 40 new patients."""
    right, truth, sure = [], [], []
    for number in range(40):
        for item in tiles_of(replace(design, tiles=2), 1000 + number, rng):
            found = classifier.apply(item.cells).obs
            right.append(found["cell_class"].to_numpy() == item.labels)
            sure.append(found["cell_class_probability"].to_numpy())
            truth.append(item.labels)
    hit, kind, p = np.concatenate(right), np.concatenate(truth), np.concatenate(sure)
    place = np.minimum((p * 10).astype(int), 9)
    gap = sum(abs(p[place == one].mean() - hit[place == one].mean()) * (place == one).mean() for one in set(place))
    return float(hit.mean()), float(np.mean([hit[kind == name].mean() for name in CLASSES])), float(gap)


def main(runs: int) -> None:
    """Print each design's printed and true figures."""
    print("printed - true, points: mean over runs (mean size of a run's difference)")
    for design in DESIGNS:
        rows = []
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            items = [one for patient in range(design.patients) for one in tiles_of(design, patient, rng)]
            by_patient = train_classifier(items)
            by_tile = train_classifier([replace(one, patient="") for one in items])
            told, old = by_patient.content.cross_validation, by_tile.content.cross_validation
            accuracy, balanced, gap = on_new(by_patient, design, rng)
            rows.append(
                [
                    told["accuracy"] - accuracy, told["balanced_accuracy"] - balanced, old["accuracy"] - accuracy,
                    old["balanced_accuracy"] - balanced, gap, accuracy, balanced,
                ]
            )  # fmt: skip
        found = 100 * np.array(rows)
        mean, size = found.mean(axis=0), np.abs(found).mean(axis=0)
        print(
            f"{design.name:40s} accuracy {mean[0]:+.1f} ({size[0]:.1f}), balanced {mean[1]:+.1f} ({size[1]:.1f});"
            f" tiles held out {mean[2]:+.1f}, balanced {mean[3]:+.1f}; true {mean[5]:.1f}, balanced {mean[6]:.1f};"
            f" calibration error on new patients {mean[4]:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
