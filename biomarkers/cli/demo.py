"""``biomarkers demo``: the whole main job on the sample trial."""

from __future__ import annotations

import os
from pathlib import Path

import click

_COLUMNS = ("biomarker", "n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "p_dependence", "p_adjusted")


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-out"), show_default=True,
    help="Folder for everything.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one a core]")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def demo(out: Path, workers: int | None, quiet: bool) -> int:
    """Run the whole main job on a simulated trial: 52 patients, 19 responders.

    Tiles are scored, the expression matrix is read, both meet the clinical
    table, and the question is asked: did patients respond independently of
    PD-1 and PD-L1? In this trial they did; CD8A was planted dependent.

    \b
    biomarkers demo
    biomarkers demo --out here/ --workers 4

    Writes scores/, levels/, cohort.h5ad, flow.csv, relate/, change/ and
    report.html. Every value is simulated. Research use only.
    """  # noqa: D301
    from tabulate import tabulate

    from biomarkers.demo import run_demo

    study = run_demo(out, workers=workers or os.cpu_count() or 1, say=click.echo, progress=not quiet)
    shown = study.relation.verdicts[list(_COLUMNS)]
    click.echo(f"\nResponders: {study.relation.definition}\n")
    headers = ["biomarker", "n", "resp.", "verdict", "AUC", "low", "high", "p", "p adj."]
    formats = ("", "", "", "", ".3f", ".3f", ".3f", ".4f", ".4f")
    click.echo(tabulate(shown.to_numpy().tolist(), headers=headers, floatfmt=formats))
    click.echo(
        f"\n{len(study.scores.slides)} slides scored, {study.scores.n_failed} failed. Simulated data; research use only"
    )
    click.echo(f"Report: {study.report}")
    return 1 if study.scores.n_failed else 0
