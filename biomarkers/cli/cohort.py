"""``biomarkers cohort``: join scores and levels to the clinical table."""

from __future__ import annotations

from pathlib import Path

import click

_RULES = ("refuse", "pool", "mean", "max", "earliest", "latest")
_UNITS = ("days", "weeks", "months", "years")


@click.command()
@click.option(
    "--scores", multiple=True, type=click.Path(path_type=Path), help="Folder that 'biomarkers score' wrote; repeatable."
)
@click.option(
    "--levels", multiple=True, type=click.Path(path_type=Path), help="levels.csv of 'biomarkers express'; repeatable."
)
@click.option(
    "--clinical", required=True, type=click.Path(path_type=Path), help="Clinical table: CSV, TSV, XLSX or Parquet."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The cohort to write, FILE.h5ad.")
@click.option("--samples", type=click.Path(path_type=Path), help="Sample sheet: sample, patient, time point, date.")
@click.option("--columns", "map_file", type=click.Path(path_type=Path), help="Column map in TOML (see docs/cohort.md).")
@click.option("--patient", help="Column of the patient's identifier.")
@click.option("--response", help="Column of the best overall response.")
@click.option("--sample", help="Column of the sample's name, in a table with a row a sample.")
@click.option("--timepoint", help="Column of the time point, in a table with a row a sample.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="NAME=TIME:EVENT:VALUE:UNIT",
    help="A time to event, e.g. os=OS_time:dead:1:years (VALUE means that it happened); repeatable.",
)
@click.option(
    "--rename", "renames", multiple=True, metavar="OLD=NEW", help="Rename a time point, e.g. Pre=baseline; repeatable."
)
@click.option(
    "--lloq", "limits", multiple=True, metavar="BIOMARKER=VALUE", help="Lower limit of quantification; repeatable."
)
@click.option(
    "--several",
    type=click.Choice(_RULES),
    default="refuse",
    show_default=True,
    help="Several samples of one patient at one time point.",
)
@click.option("--baseline", default="baseline", show_default=True, help="The time point the flow is about.")
def cohort(
    scores: tuple[Path, ...],
    levels: tuple[Path, ...],
    clinical: Path,
    out: Path,
    samples: Path | None,
    map_file: Path | None,
    patient: str | None,
    response: str | None,
    sample: str | None,
    timepoint: str | None,
    endpoints: tuple[str, ...],
    renames: tuple[str, ...],
    limits: tuple[str, ...],
    several: str,
    baseline: str,
) -> None:
    """Join scores and levels to the clinical table, with what did not match on either side.

    \b
    biomarkers cohort --scores scores/ --clinical clinical.csv --out cohort.h5ad
    biomarkers cohort --scores pdl1/ --scores pd1/ --levels levels.csv \\
        --clinical trial.xlsx --patient ID --response BOR \\
        --endpoint pfs=PFS_days:PFS_cens:0:days --rename C3D1=on_treatment --out cohort.h5ad

    Writes the cohort (h5ad: samples x biomarkers) and, beside it, flow.csv: how many patients are left at each step,
    by response, and why. Identifiers match letter for letter; look-alikes are listed, never joined. Research use
    only.
    """  # noqa: D301
    from biomarkers.cohort.join import build_cohort
    from biomarkers.cohort.store import write_cohort
    from biomarkers.errors import UsageError

    if out.suffix != ".h5ad":
        raise UsageError("--out must name an .h5ad file", seen=str(out))
    columns = _columns(
        map_file,
        given={"patient": patient, "response": response, "sample": sample, "timepoint": timepoint},
        endpoints=dict(_endpoint(text) for text in endpoints),
        renames=dict(_pair(text, "--rename") for text in renames),
        limits={name: _number(value, "--lloq") for name, value in (_pair(text, "--lloq") for text in limits)},
    )
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="identifiers that differ only by")  # the summary prints it
        made = build_cohort(
            scores=scores,
            levels=levels,
            clinical=clinical,
            samples=samples,
            columns=columns,
            several=several,  # type: ignore[arg-type]  # click.Choice holds it
            baseline=baseline,
        )
    write_cohort(made, out)
    _summary(made, out)


def _columns(map_file: Path | None, *, given: dict, endpoints: dict, renames: dict, limits: dict):  # type: ignore[no-untyped-def]
    """Lay options over the map: an option wins."""
    from biomarkers.cohort.columns import ColumnMap, load_column_map

    base = (ColumnMap() if map_file is None else load_column_map(map_file)).model_dump()
    base.update({role: name for role, name in given.items() if name is not None})
    base["endpoints"] = {**base["endpoints"], **endpoints}
    base["timepoints"] = {**base["timepoints"], **renames}
    base["lloq"] = {**base["lloq"], **limits}
    return ColumnMap.model_validate(base)


def _endpoint(text: str) -> tuple[str, dict[str, object]]:
    from biomarkers.errors import UsageError

    name, _, rest = text.partition("=")
    parts = rest.split(":")
    if not name or len(parts) != 4 or parts[3] not in _UNITS:
        raise UsageError(
            "--endpoint is not understood",
            seen=text,
            allowed=f"NAME=TIME:EVENT:VALUE:UNIT with UNIT one of {', '.join(_UNITS)}",
            hint="For instance os=OS_time:dead:1:years, where 1 means that the patient died.",
        )
    return name, {"time": parts[0], "event": parts[1], "event_when": tuple(parts[2].split("|")), "unit": parts[3]}


def _pair(text: str, option: str) -> tuple[str, str]:
    from biomarkers.errors import UsageError

    left, equals, right = text.rpartition("=")
    if not (left and equals and right):
        raise UsageError(f"{option} is not understood", seen=text, allowed="LEFT=RIGHT")
    return left, right


def _number(text: str, option: str) -> float:
    from biomarkers.errors import UsageError

    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option} needs a number", seen=text) from error


def _summary(made, out: Path) -> None:  # type: ignore[no-untyped-def]
    from tabulate import tabulate

    from biomarkers.cohort.store import flow_of

    flow = flow_of(made).drop(columns="of")
    table = [[str(cell) for cell in row] for row in flow.itertuples(index=False)]
    click.echo(tabulate(table, headers=[str(name) for name in flow.columns], maxcolwidths=[None] * 9 + [40]))
    notes = list(made.uns["notes"])
    if notes:
        click.echo("\nNotes")
        for note in notes:
            click.echo(f"  - {note}")
    patients = made.obs["patient"].nunique()
    click.echo(f"\n{made.n_obs} samples of {patients} patients x {made.n_vars} biomarkers -> {out}")
    click.echo(f"flow of patients -> {out.parent / 'flow.csv'}")
    click.echo("Research use only.")
