"""The picture of the README, from the output folder of ``make demo``: python docs/images/make.py demo-out."""

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from PIL import Image

_OVERLAY = "scores/overlays/simulated_SIM-001_baseline_PD-L1.png"
_FOREST = "relate/figures/00_forest_of_AUCs.png"
_LEVELS = "relate/figures/01_PD-L1-tps_levels_by_response.png"


def main(demo: Path, target: Path) -> None:
    mpl.use("Agg")
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.3), width_ratios=(1, 1.45, 1), dpi=110)
    titles = ("1  cells scored (simulated tile)", "2  verdicts (simulated trial)", "3  levels by response")
    for ax, name, title in zip(axes, (_OVERLAY, _FOREST, _LEVELS), titles, strict=True):
        with Image.open(demo / name) as image:
            picture = image.convert("RGB")
        if name == _OVERLAY:
            picture = picture.crop((0, 0, 640, 640))
        ax.imshow(picture, interpolation="lanczos")
        ax.set_title(title, loc="left", fontsize=11)
        ax.set_axis_off()
    figure.tight_layout(w_pad=1.5)
    figure.savefig(target, facecolor="white")
    with Image.open(target) as image:
        image.convert("RGB").quantize(160).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("simulated_demo.png"))
