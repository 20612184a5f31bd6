"""The overlays of docs/scores.md, on an immunostain that scikit-image brings.

Run from the project's root: python docs/images/immunohistochemistry.py

The picture (colonic glands, FHL2 in DAB, hematoxylin) comes from skimage.data, which states no known copyright
restrictions. Its pixel size is not stored; 0.5 um/px gives nuclei of ordinary size.
"""

import sys
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image

from biomarkers.score import score_slide
from biomarkers.score.palette import kinds

MPP = 0.5
SIDE = 540
ASSAYS = ("h-dab-nuclear", "22c3")


def main(target: Path) -> None:
    """Score the picture by two assays and lay their overlays side by side."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "immunohistochemistry.png"
        Image.fromarray(skimage.data.immunohistochemistry()).save(file)
        results = [score_slide(file, assay=assay, mpp=MPP, marker="FHL2") for assay in ASSAYS]
    for result in results:
        row = result.row
        sys.stdout.write(f"{result.assay.name}: {row['n_cells']} cells, {row['n_positive']} positive\n")
    pictures = [result.overlay() for result in results]
    height = round(pictures[0].height * SIDE / pictures[0].width)
    joined = Image.new("RGB", (2 * SIDE + 8, height), "white")
    for place, picture in enumerate(pictures):
        joined.paste(picture.resize((SIDE, height), Image.Resampling.LANCZOS), (place * (SIDE + 8), 0))
    _few_colours(
        joined, keep=[kind.colour for result in results for kind in kinds(result.cells, marker="FHL2")[0]]
    ).save(target, optimize=True)


def _few_colours(picture: Image.Image, *, keep: list[tuple[int, int, int]]) -> Image.Image:
    """Forty colours of the picture, and those of the outlines unchanged."""
    palette = picture.quantize(40).getpalette()[: 3 * 40] + [value for colour in set(keep) for value in colour]
    chosen = Image.new("P", (1, 1))
    chosen.putpalette(palette)
    return picture.quantize(palette=chosen, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main(Path(__file__).with_name("immunohistochemistry.png"))
