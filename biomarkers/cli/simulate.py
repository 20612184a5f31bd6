"""``biomarkers simulate``: slides and trials with known truth."""

from __future__ import annotations

from pathlib import Path

import click

_CROWDINGS = ("sparse", "dense", "touching")


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the files.")
@click.option("--n", "count", type=click.IntRange(1), default=4, show_default=True, help="Tiles of each TPS.")
@click.option("--tps", default="0,1,10,50,90", show_default=True, help="Planted TPS values, in per cent.")
@click.option("--crowding", type=click.Choice(_CROWDINGS), default="dense", show_default=True)
@click.option("--marker", type=click.Choice(["PD-L1", "PD-1"]), default="PD-L1", show_default=True)
@click.option("--size", type=click.IntRange(32, 8192), default=512, show_default=True, help="Edge in pixels.")
@click.option("--mpp", type=float, default=0.5, show_default=True, help="Pixel size in um/px.")
@click.option("--cytoplasm-only", is_flag=True, help="Stain cytoplasm and no membrane: the true TPS is 0.")
@click.option("--trial", is_flag=True, help="Simulate a trial instead of single tiles.")
@click.option(
    "--auc",
    "aucs",
    multiple=True,
    metavar="MARKER=AUC",
    help="With --trial: AUC for response of PD-L1, PD-1 or CD8, .5 is independence; repeatable.  "
    "[default: PD-L1=0.5, PD-1=0.5, CD8=0.85]",
)
@click.option(
    "--responses", metavar="CR=N,PR=N,...", help="With --trial: patients by best response.  [default: the published 52]"
)
@click.option("--pairs", type=click.IntRange(0), help="With --trial: patients with a second biopsy.  [default: 19]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same files.")
def simulate(
    out: Path, count: int, tps: str, crowding: str, marker: str, size: int, mpp: float, cytoplasm_only: bool,
    trial: bool, aucs: tuple[str, ...], responses: str | None, pairs: int | None, seed: int,
) -> None:  # fmt: skip
    """Simulate H-DAB tiles, or a whole trial, with known truth.

    \b
    biomarkers simulate --out tiles/ --tps 0,25,75 --crowding touching
    biomarkers simulate --trial --out trial/ --seed 7
    biomarkers simulate --trial --auc PD-L1=0.8 --responses PR=20,SD=20,PD=20 --out dependent/

    Tiles are OME-TIFF with their pixel size; truth/ holds label images and a
    table of every cell, regions/ QuPath annotations, simulated_truth.csv the
    planted scores. Every file's name says simulated.
    """  # noqa: D301
    if trial:
        n = _trial(out, seed, aucs=aucs, responses=responses, pairs=pairs)
        click.echo(f"A simulated trial of {n} patients: {out}/ (simulated_manifest.csv, simulated_truth.csv)")
        return
    _refuse_trial_options({"--auc": aucs, "--responses": responses, "--pairs": pairs})
    n = _tiles(out, count, _levels(tps), seed, crowding=crowding, marker=marker, size=size, mpp=mpp,
               cytoplasm_only=cytoplasm_only)  # fmt: skip
    click.echo(f"{n} simulated tiles: {out}/ (simulated_truth.csv, truth/, regions/)")


def _trial(out: Path, seed: int, *, aucs: tuple[str, ...], responses: str | None, pairs: int | None) -> int:
    """Write a trial and return how many patients it has."""
    from biomarkers.core.keys import CR, PD, PR, SD
    from biomarkers.simulate.files import write_trial
    from biomarkers.simulate.trial import N_PAIRS, PLANTED_AUC, RESPONSE_COUNTS, simulate_trial

    planted = {**PLANTED_AUC, **_named(aucs, "--auc", tuple(PLANTED_AUC))}
    counts = dict(RESPONSE_COUNTS)
    if responses is not None:
        numbers = _named(tuple(responses.split(",")), "--responses", (CR, PR, SD, PD))
        counts = {word: int(number) for word, number in numbers.items()}
    n = sum(counts.values())
    made = simulate_trial(
        rng=seed, responses=counts, n_pairs=min(N_PAIRS, n) if pairs is None else pairs, planted_auc=planted
    )
    write_trial(made, out, seed=seed, progress=True)
    return n


def _named(texts: tuple[str, ...], option: str, names: tuple[str, ...]) -> dict[str, float]:
    from biomarkers.core.errors import UsageError

    made = {}
    for text in texts:
        name, _, value = text.strip().partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in names or number < 0 or (option == "--responses" and number % 1):
            raise UsageError(f"{option} is not understood", seen=text, allowed=f"NAME=NUMBER of {', '.join(names)}")
        made[name] = number
    return made


def _refuse_trial_options(given: dict[str, object]) -> None:
    from biomarkers.core.errors import UsageError

    for option, value in given.items():
        if value not in ((), None):
            raise UsageError(f"{option} plants a trial: it needs --trial", seen=value)


def _levels(text: str) -> list[float]:
    from biomarkers.core.errors import UsageError

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError("--tps must be numbers joined by commas", seen=text) from error
    for value in values:
        if not 0 <= value <= 100:
            raise UsageError("--tps is out of range", seen=value, allowed="0 to 100")
    return values


def _tiles(
    out: Path, count: int, levels: list[float], seed: int, *, crowding: str, marker: str, size: int, mpp: float,
    cytoplasm_only: bool,
) -> int:  # fmt: skip
    import numpy as np
    import pandas as pd
    from tqdm import tqdm

    from biomarkers.core.files import write_csv
    from biomarkers.simulate import render_hdab, scene_truth, simulate_scene
    from biomarkers.simulate.files import write_scene

    rows = []
    for number in tqdm(range(count * len(levels)), unit="tile"):
        rng = np.random.default_rng([seed, number])
        level = levels[number % len(levels)]
        scene = simulate_scene(
            rng=rng,
            size_px=size,
            mpp=mpp,
            crowding=crowding,  # type: ignore[arg-type]
            tps=level,
            cytoplasm_only=cytoplasm_only,
        )
        name = f"simulated_{crowding}_{number + 1:03d}_tps{level:g}"
        write_scene(out, name, scene, render_hdab(scene, marker=marker, rng=rng))
        rows.append({"slide": name, "marker": marker, "seed": f"{seed}/{number}", **scene_truth(scene, marker=marker)})
    write_csv(pd.DataFrame(rows), out / "simulated_truth.csv")
    return len(rows)
