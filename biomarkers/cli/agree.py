"""``biomarkers agree``: readers against each other and against the software."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option("--score", help="Which score a table without that column holds, e.g. tps.")
@click.option("--marker", help="Which marker a table without that column holds.")
@click.option("--cutoff", "cutoffs", multiple=True, help="SCORE=VALUE, repeatable.  [default: the assays' cut-offs]")
def agree(
    sources: tuple[Path, ...], out: Path, score: str | None, marker: str | None, cutoffs: tuple[str, ...]
) -> None:
    """Measure the agreement of readers and software.

    SOURCE: output folders of 'biomarkers score' in which slides were read
    ('biomarkers review RUN --serve' writes readings.csv there), or tables (CSV):
    slide, reader, score, value; or slide and one column a reader.

    \b
    biomarkers agree scores/ --out agreement/
    biomarkers agree readings.csv --score tps --cutoff tps=1 --cutoff tps=50 --out agreement/

    Writes agreement.csv (ICC, CCC, mean difference with limits of agreement,
    kappa and percent agreement, each with its interval), readings.csv, figures/
    and report.html. Research use only.
    """  # noqa: D301
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.review.agree import agree as measure
    from biomarkers.review.agree_report import write_agreement

    found = measure(sources, cutoffs=_cutoffs(cutoffs), score=score, marker=marker)
    page = write_agreement(found, out)
    files = [path for source in sources for path in _files(source) if path.is_file()]
    settings = {**found.settings, "score": score, "marker": marker, "notes": list(found.notes)}
    write_run_json(run_record("agree", settings=settings, inputs=files), out)
    click.echo(found.explain())
    click.echo(f"\nResults: {out}/ (agreement.csv, {page.name})")


def _files(source: Path) -> list[Path]:
    return [source / "scores.csv", source / "readings.csv"] if source.is_dir() else [source]


def _cutoffs(given: tuple[str, ...]) -> dict[str, list[float]] | None:
    from biomarkers.core.errors import UsageError

    found: dict[str, list[float]] = {}
    for one in given:
        name, equals, values = one.partition("=")
        try:
            cuts = [float(value) for value in values.split(",")]
        except ValueError:
            cuts = []
        if not equals or not name or not cuts or not all(cut == cut and abs(cut) < float("inf") for cut in cuts):
            raise UsageError("--cutoff is not understood", seen=one, allowed="SCORE=VALUE, e.g. tps=50")
        found.setdefault(name.strip(), []).extend(cuts)
    return found or None
