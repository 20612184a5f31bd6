"""Scores of real tissue fields beside their grades: python benchmarks/real_tissue.py FIELDS

FIELDS holds ``her2/`` with ``grade.csv`` (image, grade; 0.25 um/px), ``sp142/`` with ``label.csv`` (image, nominal_pct,
at_least_1pct; 0.5 um/px) and ``tma/`` (cores without labels, 0.5 um/px); what is absent is left out. No picture of them
is part of this project. The photograph at the end is scikit-image's own.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image
from scipy.stats import rankdata, spearmanr

from biomarkers.core.config import load_assay
from biomarkers.io import make_tile
from biomarkers.score.classes import Classes
from biomarkers.score.pipeline import score_tile
from biomarkers.simulate.copies import changed_copies

PHOTOGRAPH_MPP = 0.35


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fields", type=Path, nargs="?")
    fields = parser.parse_args().fields
    warnings.simplefilter("ignore")
    if fields is not None:
        for folder, part in (("her2", her2), ("sp142", sp142), ("tma", tma)):
            if (fields / folder).is_dir():
                part(fields / folder)
    photograph()


def her2(folder: Path) -> None:
    print("HER2 fields, h-dab-membrane\nimage          grade  cells  positive  H-score  any stain, %  DAB area, %")
    grades, scores = [], []
    for row in _rows(folder / "grade.csv"):
        told = score(_read(folder / row["image"]), mpp=0.25, assay="h-dab-membrane")
        grades.append(int(row["grade"]))
        scores.append(value(told, "h_score"))
        stain, area = value(told, "intensity_percent"), value(told, "dab_area_percent")
        found = f"{told.row['n_cells']:6d} {told.row['positive_fraction']:9.3f} {scores[-1]:8.1f}"
        print(f"{row['image']:14s} {row['grade']:>5s} {found} {stain:13.1f} {area:12.1f}")
    print(f"Spearman of H-score with grade: {spearmanr(scores, grades).statistic:.3f}\n")


def sp142(folder: Path) -> None:
    print("SP142 fields, sp142\nimage                        nominal  cells  positive, %  DAB area, %")
    above, shares, areas = [], [], []
    for row in _rows(folder / "label.csv"):
        told = score(_read(folder / row["image"]), mpp=0.5, assay="sp142")
        above.append(row["at_least_1pct"] == "1")
        shares.append(100 * (told.row["positive_fraction"] or 0.0))
        areas.append(value(told, "dab_area_percent"))
        print(
            f"{row['image']:28s} {row['nominal_pct']:>7s} {told.row['n_cells']:6d} {shares[-1]:12.2f} {areas[-1]:12.3f}"
        )
    print(f"AUC of at least 1 %: by positive cells {_auc(shares, above):.3f}, by area {_auc(areas, above):.3f}\n")


def tma(folder: Path) -> None:
    print("cores without labels, 22c3, every cell taken for a tumor cell\nimage        cells    TPS  status")
    for path in sorted(folder.iterdir()):
        told = score(_read(path), mpp=0.5, assay="22c3", assume_tumor=True)
        print(f"{path.name:12s} {told.row['n_cells']:5d} {value(told, 'tps'):6.2f}  {told.row['status']}")
    print()


def photograph() -> None:
    picture = skimage.data.immunohistochemistry()
    copies: dict[str, tuple[np.ndarray, float]] = {"as it is": (picture, PHOTOGRAPH_MPP)}
    copies |= {name: (copy, PHOTOGRAPH_MPP) for name, copy in changed_copies(picture).items()}
    for mpp in (0.25, 0.5, 0.75, 1.0):
        side = round(picture.shape[0] * PHOTOGRAPH_MPP / mpp)
        scaled = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
        copies[f"{mpp:g} um/px"] = np.asarray(scaled), mpp
    tps = {
        name: value(score(copy, mpp=mpp, assay="22c3", assume_tumor=True), "tps")
        for name, (copy, mpp) in copies.items()
    }
    own = tps["as it is"]
    print("photograph of glands, 22c3, every cell taken for a tumor cell")
    for name, found in tps.items():
        print(f"{name:18s} TPS {found:5.1f} ({found - own:+.1f})")


def score(rgb: np.ndarray, *, mpp: float, assay: str, assume_tumor: bool = False) -> Any:
    plan = load_assay(assay)
    return score_tile(
        make_tile(np.ascontiguousarray(rgb), mpp=mpp), assay=plan, slide="", marker=plan.marker,
        thresholds=plan.thresholds, classes=Classes(assume_tumor=assume_tumor),
    )  # fmt: skip


def value(told: Any, name: str) -> float:
    rows = told.scores[(told.scores["score"] == name) & (told.scores["region"] == "all")]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def _auc(values: list[float], above: list[bool]) -> float:
    rank, yes = rankdata(values), np.array(above)
    return float((rank[yes].sum() - yes.sum() * (yes.sum() + 1) / 2) / (yes.sum() * (~yes).sum()))


def _read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
