"""``biomarkers cells``: cell tables of other programs to scores."""

from __future__ import annotations

from pathlib import Path

import click

_REGIONS = ("all", "tumor", "stroma", "margin")


@click.command()
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--panel", type=click.Path(path_type=Path), required=True, help="Phenotypes, classes, scores (TOML).")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option("--gates", type=click.Path(path_type=Path), help="Gate table (CSV); the table's own calls when absent.")
@click.option("--fit-gates", is_flag=True, help="Fit gates to all cells of the tables together.")
@click.option("--vendor", help="inform, halo, qupath, mcmicro, codex, cellprofiler.  [default: told by the columns]")
@click.option("--mpp", type=float, help="Pixel size in um/px, for tables in pixels.")
@click.option(
    "--area-mm2", multiple=True, metavar="[REGION=]MM2",
    help="Analysed area behind one image, or of its tumor, stroma, margin (tumor=0.41); densities need it.",
)  # fmt: skip
def cells(
    tables: tuple[Path, ...], panel: Path, out: Path, gates: Path | None, fit_gates: bool, vendor: str | None,
    mpp: float | None, area_mm2: tuple[str, ...],
) -> int:  # fmt: skip
    """Score cell tables made by inForm, HALO, QuPath, MCMICRO, CODEX or CellProfiler.

    \b
    biomarkers cells exports/*_cell_seg_data.txt --panel panel.toml --out scores/
    biomarkers cells halo.csv --mpp 0.5 --panel panel.toml --area-mm2 1.13 --out scores/
    biomarkers cells m.csv --panel panel.toml --area-mm2 tumor=0.4 --area-mm2 stroma=0.7 --out scores/

    Writes slides.csv, scores.csv (tidy), gates.csv and a page to check them
    (gates.html) where there are gates, cells/*.parquet and run.json, as
    'biomarkers score' does: 'biomarkers cohort' joins them.
    Research use only.
    """  # noqa: D301
    from biomarkers.core.keys import FAILED
    from biomarkers.run.cell_tables import score_tables

    result = score_tables(
        tables, panel=panel, out=out, gates=gates, fit=fit_gates, vendor=vendor, mpp=mpp, area_mm2=_areas(area_mm2)
    )
    noun = "image" if len(result) == 1 else "images"
    click.echo(f"{len(result)} {noun}: {out}/ (slides.csv, scores.csv)")
    failed = result[result["status"] == FAILED]
    for slide, reason in zip(failed["slide"], failed["reason"], strict=True):
        click.echo(f"failed: {slide}: {reason}", err=True)
    return 1 if len(failed) else 0


def _areas(given: tuple[str, ...]) -> dict[str, float]:
    """Read ``0.65`` (the whole image) and ``tumor=0.41``."""
    from biomarkers.core.errors import UsageError

    found: dict[str, float] = {}
    for text in given:
        region, _, value = text.rpartition("=")
        region = region or "all"
        try:
            area = float(value)
        except ValueError:
            area = 0.0
        if not 0 < area < float("inf") or region not in _REGIONS:
            raise UsageError("--area-mm2 is no area", seen=text, allowed=f"0.65 or {', '.join(_REGIONS[1:])}=0.65")
        if region in found:
            raise UsageError("--area-mm2 gives one region twice", seen=text)
        found[region] = area
    return found
