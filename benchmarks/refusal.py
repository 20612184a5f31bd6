"""What is refused as no H-DAB immunostain, what is only doubted, and how far each feature lies from its limits.

Run from the project's root:  python benchmarks/refusal.py FIELDS [--data FOLDER] [--score]

FIELDS is a folder of true H-DAB fields in ``her2``, ``sp142`` and ``tma`` and of H&E fields in ``he`` (PNG or JPEG);
those in ``her2`` are read at 0.25 um/px, all others at 0.5. FOLDER holds ``images/hdab``, ``images/slides`` and
``images/phenoptr``. With ``--score`` all that is no H-DAB is scored under four assays, which takes some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from biomarkers.core import keys
from biomarkers.io import open_slide
from biomarkers.pp import Plausibility, plausibility
from biomarkers.pp.background_light import block_pairs, white_of_samples
from biomarkers.pp.density import density_table
from biomarkers.pp.immunostain_check import LIMITS
from biomarkers.pp.squares import patches_of
from biomarkers.score import score_slide
from biomarkers.simulate.copies import changed_copies, recoloured, without_colour

ASSAYS = ("22c3", "sp142", "h-dab-nuclear", "h-dab-membrane")
TRUE, COPY = "true H-DAB", "true H-DAB, changed copy"
LEAST_BROWN = 0.05
SLIDES = ("CMU-1-Small-Region.svs", "tcga-cr-7395-01a-01-ts1.svs")
SLIDE_PX = 2048
RGB = np.ndarray


def main() -> None:
    """Judge every picture and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--score", action="store_true", help="score what is no H-DAB under four assays too")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    told: dict[str, list[tuple[str, Plausibility]]] = defaultdict(list)
    scored: dict[str, int] = dict.fromkeys(ASSAYS, 0)
    n_scored = 0
    for kind, name, rgb, mpp in pictures(asked.fields, asked.data):
        rgb = np.ascontiguousarray(rgb)
        white = white_of_samples(block_pairs(rgb))
        told[kind].append((name, plausibility(patches_of(rgb), white=white, mpp=mpp)))
        if asked.score and kind not in (TRUE, COPY) and "copy" not in kind:
            n_scored += 1
            for assay in ASSAYS:
                scored[assay] += was_scored(rgb, assay, mpp)
    rates(told)
    margins(told)
    if asked.score:
        print(f"\nscored, of {n_scored} pictures that are no H-DAB: {scored}")


def pictures(fields: Path, data: Path) -> Iterator[tuple[str, str, RGB, float]]:
    """Yield kind, name, pixels and micrometres per pixel of every picture and copy."""
    for name, rgb, mpp in true_fields(fields, data):
        yield TRUE, name, rgb, mpp
        for change, copy in changed_copies(rgb).items():
            yield COPY, f"{name}, {change}", copy, mpp
        yield "grey copies", name, without_colour(rgb), mpp
        yield "inverted copies", name, 255 - rgb, mpp
        if brown_share(rgb) < LEAST_BROWN:
            continue
        yield "BGR copies", name, rgb[..., ::-1], mpp
        white = white_of_samples(block_pairs(rgb))
        for chromogen in ("fast_red", "magenta", "aec", "vina_green"):
            for keep in (False, True):
                kind = f"{chromogen} copies{', rest kept' if keep else ''}"
                yield kind, name, recoloured(rgb, chromogen=chromogen, white=white, keep_rest=keep), mpp
    for path in images(fields / "he"):
        yield "H&E", path.stem, read(path), 0.5
    for file in SLIDES:
        if (data / "images/slides" / file).is_file():
            yield "H&E", file, middle_of(data / "images/slides" / file), 0.5
    for path in sorted((data / "images/phenoptr").rglob("*composite_image.jpg")):
        yield "fluorescence", path.stem, read(path), 0.5
    for name in ("lung1_dapi", "lung1_marker"):
        if (data / f"images/hdab/{name}.png").is_file():
            yield "fluorescence", name, read(data / f"images/hdab/{name}.png"), 0.25
    noise = np.random.default_rng(0)
    yield "noise", "uniform", noise.integers(0, 256, (512, 512, 3), dtype=np.uint8), 0.5
    yield "noise", "normal", np.clip(noise.normal(180, 40, (512, 512, 3)), 0, 255).astype(np.uint8), 0.5


def true_fields(fields: Path, data: Path) -> Iterator[tuple[str, RGB, float]]:
    """Yield name, pixels and micrometres per pixel of the true H-DAB fields."""
    for folder, mpp in (("her2", 0.25), ("sp142", 0.5), ("tma", 0.5)):
        for path in images(fields / folder):
            yield f"{folder}/{path.stem}", read(path), mpp
    for name in ("22_2", "6_2", "lung1"):
        if (data / f"images/hdab/{name}.png").is_file():
            yield f"hdab/{name}", read(data / f"images/hdab/{name}.png"), 0.25
    yield "skimage", skimage.data.immunohistochemistry(), 0.5
    for path in sorted(Path("sample_data/tiles").glob("*.tif"))[::6]:
        with open_slide(path, mpp=0.5) as slide:
            yield f"simulated/{path.stem}", slide.read_region(0, 0, *slide.size), 0.5


def images(folder: Path) -> list[Path]:
    """List the pictures of a folder."""
    return sorted(path for path in folder.glob("*") if path.suffix in (".png", ".jpg"))


def read(path: Path) -> RGB:
    """Read a picture."""
    return np.asarray(Image.open(path).convert("RGB"))


def middle_of(path: Path) -> RGB:
    """Read the middle of a slide."""
    with open_slide(path, mpp=0.5) as slide:
        wide, tall = (min(SLIDE_PX, length) for length in slide.size)
        return slide.read_region((slide.size[0] - wide) // 2, (slide.size[1] - tall) // 2, wide, tall)


def brown_share(rgb: RGB) -> float:
    """Return the share of the stained pixels (above 0.3 OD in all) that absorb blue far more than red."""
    table = density_table(white_of_samples(block_pairs(rgb)))
    red, green, blue = (table[channel][rgb[..., channel]] for channel in range(3))
    total = red + green + blue
    stained = total > 0.3
    if np.count_nonzero(stained) < 0.002 * stained.size:
        return 0.0
    return float(np.mean((blue - red)[stained] > 0.1 * total[stained]))


def was_scored(rgb: RGB, assay: str, mpp: float) -> bool:
    """Whether any score of an assay was given a value."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.fromarray(rgb).save(path)
        result = score_slide(path, assay=assay, mpp=mpp, assume_tumor=assay in ("22c3", "sp142"))
    return result.row["status"] not in (keys.NOT_EVALUABLE, keys.NO_TISSUE) or bool(
        result.scores["value"].notna().any()
    )


def rates(told: dict[str, list[tuple[str, Plausibility]]]) -> None:
    """Print how many of each kind are refused, doubted, or neither."""
    print("| pictures | n | refused | only doubted | neither |\n|---|---|---|---|---|")
    for kind, found in told.items():
        refused = [name for name, one in found if one.refusals]
        doubted = [name for name, one in found if one.doubts and not one.refusals]
        print(
            f"| {kind} | {len(found)} | {len(refused)} | {len(doubted)} | {len(found) - len(refused) - len(doubted)} |"
        )
    for kind in (TRUE, COPY):
        for name, one in told[kind]:
            if one.refusals or (one.doubts and kind == TRUE):
                print(f"{kind}: {name}: {'; '.join((*one.refusals, *one.doubts))}")
    for kind, found in told.items():
        if kind not in (TRUE, COPY):
            missed = [name for name, one in found if not one.refusals and not one.doubts]
            if missed:
                print(f"{kind}, neither: {', '.join(missed)}")


def margins(told: dict[str, list[tuple[str, Plausibility]]]) -> None:
    """Print how near true fields come to each limit, and which pictures of other kinds lie beyond it."""
    print("\n| feature | nearest true field | its changed copies | doubted beyond | refused beyond | others beyond |")
    print("|---|---|---|---|---|---|")
    for name, limit in LIMITS.items():
        worst = min if limit.beyond == "low" else max
        cells = []
        for kind in (TRUE, COPY):
            values = [(one.features[name], where) for where, one in told[kind] if name in one.features]
            cells.append("{:.3f} ({})".format(*worst(values)) if values else "")
        beyond = [
            f"{kind} {sum(passed)} of {len(found)}"
            for kind, found in told.items()
            if kind not in (TRUE, COPY)
            and any(passed := [_beyond(one.features.get(name), limit.refused, limit.beyond) for _, one in found])
        ]
        print(f"| {name} | {cells[0]} | {cells[1]} | {limit.doubtful:g} | {limit.refused:g} | {', '.join(beyond)} |")


def _beyond(value: float | None, edge: float, side: str) -> bool:
    return value is not None and (value < edge if side == "low" else value > edge)


if __name__ == "__main__":
    main()
