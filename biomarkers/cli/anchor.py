"""``biomarkers anchor``: cuts set by control slides, to a file that ``score --thresholds`` takes."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The cuts (TOML).")
@click.option(
    "--method",
    type=click.Choice(["negative_control", "batch"]),
    default="negative_control",
    show_default=True,
    help="All cells are known to be negative, or most cells of a batch are.",
)
@click.option("--quantile", type=float, default=0.99, show_default=True, help="Share of unstained cells below the cut.")
def anchor(runs: tuple[Path, ...], out: Path, method: str, quantile: float) -> int:
    """Set the cuts of an assay by control slides of the same staining batch.

    RUN: folders that 'biomarkers score' wrote for the control slides. The 1+
    cut becomes a high quantile of their unstained cells; 2+ and 3+ move by the
    same optical density. The file keeps assay, marker, pixel size, DAB vector,
    slides, counts, quantile and date; 'score' refuses it for other slides.
    Controls that are stained or disagree are refused.

    \b
    biomarkers score controls/ --assay 22c3 --stain batch.toml --out controls-scored/
    biomarkers anchor controls-scored/ --out cuts.toml
    biomarkers score slides/ --assay 22c3 --stain batch.toml --thresholds cuts.toml --out scores/

    Research use only.
    """  # noqa: D301
    from biomarkers.core.errors import UsageError
    from biomarkers.run.read_cells import cells_of_runs, looks_of_runs
    from biomarkers.score import anchor_thresholds, write_anchor

    if out.suffix.lower() != ".toml":
        raise UsageError("cuts are kept in a .toml file", where=out, seen=out.suffix)
    cells, assay, marker = cells_of_runs(runs)
    chosen = "batch" if method == "batch" else "negative_control"
    mpp, dab_vector, pictures = looks_of_runs(runs)
    found = anchor_thresholds(
        cells, assay=assay, method=chosen, quantile=quantile, marker=marker, mpp=mpp, dab_vector=dab_vector,
        pictures=pictures,
    )  # fmt: skip
    write_anchor(found, out)
    click.echo(f"{assay.name}, {marker}: {found.n_cells:,} cells of {len(found.slides)} control slides")
    before, after = _shown(found.replaced_dab_od), _shown(found.thresholds.dab_od)
    click.echo(f"cuts {before} become {after} OD (the commonest cell lies at {found.negative_mode_od:.3f})")
    click.echo(f"written to {out}")
    return 0


def _shown(cuts: tuple[float, float, float]) -> str:
    return " / ".join(f"{cut:.3f}" for cut in cuts)
