"""``biomarkers stain``: white level and stain vectors of a batch, to a file that ``score --stain`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from biomarkers.pp import BatchStain


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("inputs", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The stain file (TOML).")
@click.option("--estimate", is_flag=True, help="Estimate the stain vectors on all slides together.  [default: Ruifrok]")
@click.option("--own-white", is_flag=True, help="Leave the white level to each slide; share the vectors alone.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def stain(inputs: tuple[str, ...], out: Path, estimate: bool, own_white: bool, quiet: bool) -> int:
    """Find the white level and stain vectors that a batch shares.

    INPUT: image files, folders, globs or a manifest, stained and scanned
    together. The white is the median of the slides' own; vectors are estimated
    on samples of all slides (after Macenko) where --estimate asks for it, and
    Ruifrok's stand wherever the slides cannot tell them.

    \b
    biomarkers stain slides/ --out batch.toml
    biomarkers stain slides/*.svs --estimate --own-white --out batch.toml
    biomarkers score slides/ --assay 22c3 --stain batch.toml --out scores/

    Every run of score keeps each slide's own under stain/. Research use only.
    """  # noqa: D301
    from biomarkers.core.errors import UsageError
    from biomarkers.pp import batch_stain, write_reference
    from biomarkers.run.plan import plan_tasks

    if out.suffix.lower() != ".toml":
        raise UsageError("a stain file is a .toml file", where=out, seen=out.suffix)
    found = batch_stain([task.path for task in plan_tasks(inputs)], estimate=estimate, share_white=not own_white)
    write_reference(found.reference, out)
    if not quiet:
        click.echo(summary(found))
        click.echo(f"written to {out}")
    return 0


def summary(found: BatchStain) -> str:
    """Return what each slide said and what the batch shares."""
    from tabulate import tabulate

    rows = [
        [one.slide, *(f"{level:.0f}" for level in one.white), one.kind, "no glass" if one.doubt else ""]
        for one in found.slides
    ]
    vectors, white = found.reference.vectors, found.reference.white
    shared = "each slide's own" if white is None else ", ".join(f"{level:.1f}" for level in white)
    lines = [
        tabulate(rows, headers=["slide", "R", "G", "B", "stain", ""], tablefmt="simple"),
        "",
        f"white: {shared}",
        f"hematoxylin: {_shown(vectors.hematoxylin)}",
        f"DAB: {_shown(vectors.dab)}   ({vectors.source}, {vectors.separation_deg:.0f} degrees apart)",
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n".join(lines)


def _shown(vector: tuple[float, float, float]) -> str:
    return ", ".join(f"{part:.3f}" for part in vector)
