"""``biomarkers review``: look at scored slides, read them blinded, correct them."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--serve", is_flag=True, help="Serve a page to read and correct slides, on this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of 127.0.0.1.  [default: a free one]")
@click.option("--read-only", is_flag=True, help="With --serve: show everything, write nothing.")
@click.option("--unblinded", is_flag=True, help="With --serve: show the software's values before a reading.")
@click.option("--browser/--no-browser", default=True, help="With --serve: open the page.  [default: on]")
def review(run: Path, serve: bool, port: int, read_only: bool, unblinded: bool, browser: bool) -> None:
    """Look at scored slides; with --serve also read and correct them.

    \b
    biomarkers score slides/ --assay 22c3 --out scores/
    biomarkers review scores/                 (writes review.html)
    biomarkers review scores/ --serve         (a page to read and correct)

    review.html shows every slide with its overlay and scores, failed ones with
    their reasons. --serve opens a page with deep zoom over each slide: readings
    go to RUN/readings.csv, corrections to RUN/corrections/<slide>.geojson; a
    reader sees the software's values after an own reading. 'biomarkers rescore'
    and 'biomarkers agree' go on from there. Stop it with Ctrl-C. Nothing leaves
    this machine. Research use only.
    """  # noqa: D301
    from biomarkers.core.errors import UsageError

    given = [name for name, said in (("--read-only", read_only), ("--unblinded", unblinded), ("--port", port)) if said]
    if given and not serve:
        raise UsageError(f"{given[0]} needs --serve")
    if not serve:
        from biomarkers.review.gallery import write_review

        click.echo(f"Open {write_review(run)} in a browser.")
        return
    from biomarkers.review.server import ReviewServer
    from biomarkers.review.session import ReviewSession

    server = ReviewServer(ReviewSession(run, read_only=read_only, blinded=not unblinded), port=port)

    def started() -> None:
        click.echo(f"{server.url}\nThe address is for you alone: it holds the key. Ctrl-C ends it.")
        if browser:
            click.launch(server.url)

    server.run(started)
