"""``biomarkers score``: slides, tiles or folders to scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from biomarkers.run.batch import BatchResult

# table columns that a person wants to see at the end, when the run has few enough slides
_SHOWN = ("slide", "status", "n_cells", "positive_fraction", "reason")
_MOST_ROWS_SHOWN = 25
_REASON_WIDTH, _NAME_WIDTH = 70, 48


@click.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("--assay", help="An assay's name (see 'biomarkers assays') or your own TOML file.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option("--mpp", type=float, help="Pixel size in um/px; wins over what the file says.")
@click.option("--annotations", type=click.Path(), help="QuPath GeoJSON, or a folder with <slide>.geojson files.")
@click.option("--classes", type=click.Path(), help="TOML: what further annotation classes mean (Artefact = 'ignore').")
@click.option("--classifier", type=click.Path(), help="A cell classifier made by 'biomarkers train'.")
@click.option("--assume-tumor", is_flag=True, default=None, help="Take every cell for a tumour cell (says so).")
@click.option("--marker", help="Marker name for the generic assays, e.g. Ki67.")
@click.option("--thresholds", type=click.Path(), help="Anchored thresholds (TOML) instead of the assay's own.")
@click.option("--stain", type=click.Path(), help="White level and stain vectors (TOML) for the whole batch.")
@click.option("--segmenter", help="An installed finder of nuclei (StarDist, Cellpose ...) in place of ours.")
@click.option("--panel", type=click.Path(), help="A multiplex panel (TOML) instead of an assay: mIF images.")
@click.option("--gates", help="A gate table (CSV) for the panel, or 'image'.  [default: fitted to all images together]")
@click.option("--labels", type=click.Path(), help="Folder of label maps (<slide>.tif) for the panel's images.")
@click.option("--skip", multiple=True, help="Leave out slides whose name or file matches (*, ?); they keep a row.")
@click.option("--workers", type=int, help="Worker processes.  [default: 1]")
@click.option("--threads", type=int, help="Threads inside a whole slide, in each worker.  [default: 1]")
@click.option("--regions", type=int, help="Regions that a whole slide is split into, over the workers.  [default: 1]")
@click.option("--timeout", "timeout_s", type=float, help="Seconds allowed for one slide.  [default: 7200]")
@click.option("--memory-gb", type=float, help="Memory allowed for one worker.  [default: its share of 80% of free]")
@click.option("--overlays/--no-overlays", default=None, help="Write overlay images and QuPath GeoJSON.  [default: on]")
@click.option("--scheduler", help="Score on a running dask cluster: tcp://127.0.0.1:8786, tls://host:8786.")
@click.option("--cluster", type=click.Path(), help="Start workers as this TOML says (slurm, pbs, lsf, local).")
@click.option("--insecure", is_flag=True, default=None, help="Allow tcp:// to another machine (closed networks only).")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with these options; the line wins over it.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def score(inputs: tuple[str, ...], out: Path, config: Path | None, quiet: bool, **options: Any) -> int:
    """Score slides, tiles or folders of them.

    INPUT: image files, OME-Zarr folders, folders of them, globs, addresses of
    an object store (s3://...), or a CSV manifest with the columns path, patient,
    timepoint, assay, mpp, annotations (all but path optional).

    \b
    biomarkers score tiles/*.png --mpp 0.25 --assay h-dab-nuclear --out scores/
    biomarkers score slides/ --assay 22c3 --classifier lung.json --workers 4 --out scores/
    biomarkers score manifest.csv --out scores/
    biomarkers score biopsies/*.ome.tif --panel panel.toml --out scores/

    Writes slides.csv (one row an input), scores.csv (tidy), cells/*.parquet,
    overlays/*.png, thumbnails/*.jpg, geojson/*.geojson (for QuPath),
    sensitivity/*.csv (each score as a function of its cut), stain/*.toml,
    logs/*.log and run.json; with --panel gates/*.csv and gates/*.html, a page to
    check each image's gates. Several images of a panel share their gates
    (gates.csv, from a first run in first/), since an image may hold no positive
    cell; --gates image fits them to each. Run it again to go on where it stopped; finished
    slides are not scored twice.

    TPS, CPS and IC need to know tumour cells: give annotations with tumour
    regions, a trained classifier, or say --assume-tumor. Otherwise they are
    reported as not evaluable. Research use only.
    """  # noqa: D301
    from biomarkers.run.batch import score_batch
    from biomarkers.run.settings import read_config

    settings = {} if config is None else read_config(config)
    settings.update({name: value for name, value in options.items() if value is not None and value != ()})
    result = score_batch(inputs, out=out, progress=not quiet, **settings)
    click.echo(summary(result))
    if result.n_failed == len(result.slides):
        return 3
    return 1 if result.n_failed else 0


# scores that clinicians decide by: one that could not be given is named where a run ends
CLINICAL = ("tps", "cps", "tc_percent", "ic_percent", "urothelial_high", "tap_like")


def _in_line(text: str) -> str:
    """Show what would move a terminal's cursor (line ends, escape codes) as what it is."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def summary(result: BatchResult) -> str:
    """Return the closing lines: how many by status, each slide when they are few, each failure always."""
    import textwrap

    from tabulate import tabulate

    table = result.slides
    shown = table if len(table) <= _MOST_ROWS_SHOWN else table[table["status"] == "failed"]
    lines = []
    if len(shown):
        cells = shown[list(_SHOWN)].astype(object).where(shown[list(_SHOWN)].notna(), "")
        cells["slide"] = [textwrap.fill(_in_line(str(name)), _NAME_WIDTH) for name in cells["slide"]]
        cells["reason"] = [textwrap.fill(_in_line(str(text)), _REASON_WIDTH) for text in cells["reason"]]
        rows = cells.to_numpy().tolist()
        lines.append(tabulate(rows, headers=list(_SHOWN), floatfmt=".3f", tablefmt="simple", disable_numparse=[0, 4]))
    counts = ", ".join(f"{count} {status}" for status, count in result.counts.items())
    resumed = f" ({result.n_resumed} finished earlier)" if result.n_resumed else ""
    noun = "slide" if len(table) == 1 else "slides"
    lines += ["", f"{len(table)} {noun}: {counts}{resumed}", f"Results: {result.out}/ (slides.csv, scores.csv)"]
    return "\n".join([*lines, *_told_left_out(result), *_not_given(result)])


def _told_left_out(result: BatchResult) -> list[str]:
    """Say how many files among the inputs were left out, by reason."""
    import textwrap
    from collections import Counter

    if not result.left_out:
        return []
    reasons = Counter(one.reason for one in result.left_out).most_common()
    said = "; ".join(f"{count} x {_in_line(reason)}" for reason, count in reasons[:6])
    more = f"; and {len(reasons) - 6} further reasons" if len(reasons) > 6 else ""
    return textwrap.wrap(
        f"{len(result.left_out)} files left out (left_out.csv): {said}{more}", 110, subsequent_indent="  "
    )


def _not_given(result: BatchResult) -> list[str]:
    """Name every clinical score that could not be given, on how many slides, and why."""
    import textwrap

    import pandas as pd

    file = result.out / "scores.csv"
    if not file.is_file():
        return []
    rows = pd.read_csv(file, dtype={"slide": str, "score": str, "reason": str}, keep_default_na=False)
    if not {"score", "status", "region", "reason"} <= set(rows.columns):
        return []
    missing = rows[rows["score"].isin(CLINICAL) & (rows["status"] == "not_evaluable") & (rows["region"] == "all")]
    lines = []
    for (score, reason), some in missing.groupby(["score", "reason"], sort=False):
        where = (
            f"{some['slide'].nunique()} of {rows['slide'].nunique()} slides" if len(result.slides) > 1 else "the slide"
        )
        said = f"Not given: {score} on {where}: {_in_line(str(reason)) or 'no reason was told'}"
        lines += textwrap.wrap(said, 110, subsequent_indent="  ")
    return lines
