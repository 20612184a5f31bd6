"""``biomarkers verify``: does a finished run still hold?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--sample", type=click.IntRange(min=0), default=5, show_default=True, help="Slides to score again.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the sample.")
def verify(folder: Path, sample: int, seed: int) -> int:
    """Check a score run: hash every output again, score some slides again.

    \b
    biomarkers verify scores/
    biomarkers verify scores/ --sample 50 --seed 1

    Exit code 0 when everything holds, 1 when anything differs.
    """  # noqa: D301
    from biomarkers.run.verify import verify_run

    found = verify_run(folder, sample=sample, seed=seed)
    for problem in found.problems:
        click.echo(f"DIFFERS  {problem}")
    click.echo(f"{found.n_outputs} outputs hashed, {len(found.rescored)} slides scored again: ", nl=False)
    click.echo("all hold" if not found.problems else f"{len(found.problems)} differences")
    return 1 if found.problems else 0
