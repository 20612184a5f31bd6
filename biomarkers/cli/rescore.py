"""``biomarkers rescore``: a finished run with a pathologist's corrections."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option(
    "--corrections", type=click.Path(path_type=Path, file_okay=False),
    help="Folder with <slide>.geojson files.  [default: RUN/corrections]",
)  # fmt: skip
@click.option("--class", "classes", multiple=True, help="NAME=MEANING of a further class, repeatable: Nest=tumor.")
@click.option("--cores", help="Tissue microarray: 'grid', or a folder of <slide>.geojson with tma_core objects.")
@click.option("--core-map", type=click.Path(path_type=Path), help="With --cores: CSV with the columns core, patient.")
def rescore(
    run: Path, out: Path, corrections: Path | None, classes: tuple[str, ...], cores: str | None, core_map: Path | None
) -> int:
    """Score a finished run again with corrections; no pixel is read.

    \b
    biomarkers review scores/ --serve          (correct cells in the browser)
    biomarkers rescore scores/ --out corrected/
    biomarkers rescore scores/ --corrections from_qupath/ --out corrected/
    biomarkers rescore scores/ --cores grid --core-map map.csv --out cores/

    Corrections are GeoJSON files named like those in geojson/: open those in
    QuPath, change classes of cells, draw Ignore* or Region* areas, and export all
    objects again. Writes what 'score' writes: in scores.csv 'source' is machine or
    corrected, 'n_corrected' counts cells, and machine_value stands beside value.
    corrections.csv says what became of every file. Exit code 1 when one was
    refused. With --cores each core of a tissue microarray is a row, and
    patients.csv pools them; correct first, then part into cores. Research use only.
    """  # noqa: D301
    from tabulate import tabulate

    from biomarkers.core.errors import UsageError
    from biomarkers.review.rescore import rescore as again

    if cores is not None:
        if corrections is not None or classes:
            raise UsageError("--cores goes on from a corrected run: rescore with --corrections first")
        return _cores(run, out, cores, core_map)
    if core_map is not None:
        raise UsageError("--core-map needs --cores")
    given = dict(one.partition("=")[::2] for one in classes)
    if not all(given.values()):
        raise UsageError("--class is not understood", seen=", ".join(classes), allowed="NAME=MEANING, e.g. Nest=tumor")
    found = again(run, out=out, corrections=corrections, classes=given)
    shown = found.corrections[["file", "status", "n_changed", "n_foreign", "n_not_understood", "reason"]]
    rows = shown.astype(object).where(shown.notna(), "").to_numpy().tolist()
    click.echo(tabulate(rows, headers=list(shown.columns), tablefmt="simple", maxcolwidths=[40, 20, 10, 10, 10, 70]))
    click.echo(f"\n{found}\nResults: {out}/ (slides.csv, scores.csv, corrections.csv)")
    return 1 if found.n_refused else 0


def _cores(run: Path, out: Path, cores: str, core_map: Path | None) -> int:
    from biomarkers.review.cores import score_cores

    found = score_cores(run, out=out, cores=cores, core_map=core_map)
    counts = ", ".join(f"{count} {status}" for status, count in found.slides["status"].value_counts().items())
    lines = [f"{len(found.slides)} cores: {counts}", *found.notes]
    lines.append(f"Results: {out}/ (slides.csv, scores.csv, patients.csv)")
    click.echo("\n".join(lines))
    return 0
