"""``biomarkers verify``: does a finished run still hold?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--sample", type=click.IntRange(min=0), default=5, show_default=True, help="Slides to score again.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the sample.")
@click.option("--tiles", is_flag=True, help="Score the sample as whole slides, in tiles of every size: all must agree.")
def verify(folder: Path, sample: int, seed: int, tiles: bool) -> int:
    """Check a score run: hash every output again, score some slides again.

    With --tiles, each slide of the sample is scored in tiles of 512, 1024 and
    2048 px and with one and two threads; cells and scores must be the same to
    the last bit.

    \b
    biomarkers verify scores/
    biomarkers verify scores/ --sample 50 --seed 1
    biomarkers verify scores/ --sample 1 --tiles

    Exit code 0 when everything holds, 1 when anything differs.
    """  # noqa: D301
    from biomarkers.core.words import plural
    from biomarkers.run.verify import verify_run

    if tiles:
        return _verify_tiles(folder, sample=sample, seed=seed)
    found = verify_run(folder, sample=sample, seed=seed)
    for problem in found.problems:
        click.echo(f"DIFFERS  {problem}")
    done = f"{plural(found.n_outputs, 'output')} hashed, {plural(len(found.rescored), 'slide')} scored again"
    click.echo(f"{done}: {plural(len(found.problems), 'difference') if found.problems else 'all hold'}")
    return 1 if found.problems else 0


def _verify_tiles(folder: Path, *, sample: int, seed: int) -> int:
    from biomarkers.run.verify import sampled_jobs
    from biomarkers.run.verify_tiles import score_in_all_ways, settings_of

    differing = 0
    for job in sampled_jobs(folder, sample=sample, seed=seed):
        click.echo(job["slide"])
        ways = []
        for way in score_in_all_ways(job["path"], **settings_of(job)):
            ways.append(way)
            threads = f"{way.threads} thread{'s' * (way.threads > 1)}"
            click.echo(f"  tiles of {way.tile_px:4} px, {threads:9}  {way.n_cells:,} cells {way.cells}  {way.scores}")
        same = len({(way.cells, way.scores) for way in ways}) == 1
        differing += not same
        click.echo("  all the same, bit for bit" if same else "  DIFFERS")
    return 1 if differing else 0
