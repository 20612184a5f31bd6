"""``biomarkers cohort``: join scores and levels to the clinical table, and say how the patients did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from biomarkers.cli._tables import SeveralValues, contract_of, contract_options

if TYPE_CHECKING:
    from anndata import AnnData

    from biomarkers.cohort.columns import ColumnMap
    from biomarkers.cohort.patients import Patients
    from biomarkers.cohort.summary import StudySummary

_RULES = ("refuse", "pool", "mean", "max", "earliest", "latest", "area")
_UNITS = ("days", "weeks", "months", "years")
_FILE = click.Path(path_type=Path)
_ROLES = ("patient", "response", "sample", "timepoint", "treated", "first_dose", "date_order")


@click.command(cls=SeveralValues)
@click.option("--scores", multiple=True, type=_FILE, help="Folder that 'biomarkers score' wrote; one or several.")
@click.option("--levels", multiple=True, type=_FILE, help="levels.csv of 'biomarkers express'; one or several.")
@click.option("--clinical", required=True, type=_FILE, help="Clinical table: CSV, TSV, XLSX or Parquet.")
@click.option("--out", required=True, type=_FILE, help="The cohort to write, FILE.h5ad.")
@click.option("--samples", type=_FILE, help="Sample sheet: sample, patient, time point, date.")
@contract_options
@click.option("--where", "only", multiple=True, metavar="COL=VALUE", help="Use only such rows of the clinical table; "
              "repeatable.")  # fmt: skip
@click.option("--patient", help="Column of the patient's identifier.")
@click.option("--response", help="Column of the best overall response.")
@click.option("--sample", help="Column of the sample's name, in a table with a row a sample.")
@click.option("--timepoint", help="Column of the time point, in a table with a row a sample.")
@click.option("--treated", help="Column that says who was treated (yes/no).")
@click.option("--first-dose", help="Column of the date of the first dose.")
@click.option("--date-order", type=click.Choice(["iso", "day_first", "month_first"]), help="How 03/04/2024 is read.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="NAME=TIME:EVENT:VALUE:UNIT[:CENSORED]",
    help="A time to event, e.g. os=OS_time:dead:1:years (VALUE means that it happened; several values as A|B; CENSORED "
    "names those that do not, where there are several: pfs=AVAL:CNSR:0:days:1|2|3); repeatable.",
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
    help="Several samples of one patient at one time point; pool: sums of counts, a mean of what has no counts.",
)
@click.option("--pooling", "pooled", multiple=True, metavar="BIOMARKER=RULE",
              help="Another rule for one biomarker; repeatable.")  # fmt: skip
@click.option("--baseline", default="baseline", show_default=True, help="The time point the flow is about.")
@click.option("--visits", type=_FILE, help="Tumor sums: patient, day/week/month, sum_mm, new_lesion, non_target.")
@click.option("--lesions", type=_FILE, help="Target lesions: patient, day, lesion, organ, diameter_mm, node.")
@click.option("--visit-time", metavar="COLUMN:UNIT", help="When visits were, since the start, e.g. t:weeks.")
@click.option(
    "--response-from",
    type=click.Choice(["table", "visits"]),
    help="Whose best overall response counts.  [default: the clinical table's, if it has one]",
)
@click.option(
    "--confirm-days",
    type=float,
    default=28,
    show_default=True,
    help="CR and PR are confirmed so much later; 0: no confirmation.",
)
@click.option("--min-sd-days", type=float, default=28, show_default=True, help="SD counts from this day on.")
@click.option("--max-ne-between", type=int, default=1, show_default=True, help="NE visits before a confirmation.")
@click.option("--sd-between", is_flag=True, help="One SD may stand between two PR.")
@click.option(
    "--carried-confirms",
    is_flag=True,
    help="A PR that is only carried forward (sum no longer 30% below baseline) confirms an earlier one.",
)
@click.option(
    "--new-therapy",
    metavar="COLUMN[:UNIT]",
    help="Start of another treatment of the tumour, a date or a time since the start; responses after it do not count.",
)
@click.option(
    "--new-therapy-pfs",
    type=click.Choice(["ignore", "censor", "event"]),
    default="ignore",
    show_default=True,
    help="What that start is to PFS by the visits.",
)
@click.option("--immune", is_flag=True, help="Derive iRECIST responses as well.")
@click.option(
    "--transform",
    type=click.Choice(["log-log", "log", "plain"]),
    default="log-log",
    show_default=True,
    help="Scale of the intervals of median times.",
)
@click.option(
    "--landmark",
    "landmarks",
    type=float,
    multiple=True,
    metavar="MONTHS",
    help="Compare PFS and OS by response from this month on; repeatable.",
)
@click.option(
    "--landmark-response",
    type=click.Choice(["seen", "confirmed"]),
    default="seen",
    show_default=True,
    help="At a landmark a response counts from the visit at which it was seen, or from the one that confirmed it.",
)
@click.option("--cube", type=_FILE, help="Also write patient x time point x biomarker as netCDF, FILE.nc.")
@click.option("--figures/--no-figures", default=True, show_default=True, help="Draw flow, waterfall, swimmer, ...")
@click.option("--simulated", is_flag=True, help="These patients are simulated: say so on the page and every figure.")
def cohort(out: Path, **options: Any) -> None:
    """Join scores and levels to the clinical table, with what did not match on either side.

    \b
    biomarkers cohort --scores scores/ --clinical clinical.csv --out cohort.h5ad
    biomarkers cohort --scores pdl1/ pd1/ --levels levels.csv \\
        --clinical trial.xlsx --patient ID --response BOR \\
        --endpoint pfs=PFS_days:PFS_cens:0:days --rename C3D1=on_treatment --out cohort.h5ad
    biomarkers cohort --clinical trial.csv --visits tumor_sums.csv --landmark 4 --out trial.h5ad

    Writes the cohort (h5ad: samples x biomarkers) and, beside it, flow.csv: how many patients are left at each step,
    by response, and why; and a folder of the cohort's name with report.html, figures/ (flow, waterfall, spider,
    swimmer, Kaplan-Meier), endpoints.csv, patients.csv, run.json, and with --visits or --lesions the RECIST 1.1
    responses: visits.csv, best_responses.csv. Without scores and levels there is no h5ad. Identifiers match letter
    for letter; look-alikes are listed, never joined. Research use only.
    """  # noqa: D301
    import warnings

    from biomarkers.cohort.samples import timepoint_word
    from biomarkers.cohort.summary import summarise_study
    from biomarkers.core.errors import UsageError

    if out.suffix != ".h5ad":
        raise UsageError("--out must name an .h5ad file", seen=str(out), hint=f"For instance {out.stem}.h5ad.")
    cube = options["cube"]
    if cube is not None and (cube.suffix != ".nc" or not (options["scores"] or options["levels"])):
        raise UsageError("--cube needs scores or levels, and a name that ends in .nc", seen=str(cube))
    columns = _columns(options)
    options["baseline"] = timepoint_word(options["baseline"], renames=columns.timepoints)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="identifiers that differ only by")  # the summary prints it
        patients = _patients(columns, options)
        study: Any = patients
        made: list[Path] = []
        if options["scores"] or options["levels"]:
            study, made = _join(patients, columns, options), [out]
    summary = summarise_study(
        study,
        baseline=options["baseline"],
        transform=options["transform"],
        landmarks=options["landmarks"],
        landmark_response=options["landmark_response"],
    )
    if made:
        from biomarkers.cohort.store import write_cohort

        write_cohort(study, out)
        if options["cube"] is not None:
            from biomarkers.cohort.cube import write_cube

            write_cube(study, options["cube"])
            click.echo(f"Cube: {options['cube']}\n")
    _write(summary, out, options, study=study if made else None)
    _say(summary)
    if made:
        n_patients = study.obs["patient"].nunique()
        click.echo(f"\n{study.n_obs} samples of {n_patients} patients x {study.n_vars} biomarkers -> {out}")
    else:
        click.echo("\nNo scores and no levels: the patients alone, no h5ad.")
    click.echo(f"Flow of patients: {out.parent / 'flow.csv'}")
    click.echo(f"Report: {out.with_suffix('') / 'report.html'}\nResearch use only.")


def _patients(columns: ColumnMap, options: dict[str, Any]) -> Patients:
    from biomarkers.cohort.best_response import Confirmation
    from biomarkers.cohort.patients import read_patients

    rules = Confirmation(
        confirm_days=options["confirm_days"],
        min_sd_days=options["min_sd_days"],
        max_ne_between=options["max_ne_between"],
        sd_between=options["sd_between"],
        carried_confirms=options["carried_confirms"],
    )
    return read_patients(
        options["clinical"],
        columns=columns,
        visits=options["visits"],
        lesions=options["lesions"],
        rules=rules,
        immune=options["immune"],
        response_from=options["response_from"],
        new_therapy_rule=options["new_therapy_pfs"],
    )


def _join(patients: Patients, columns: ColumnMap, options: dict[str, Any]) -> Any:
    from biomarkers.cohort.join import build_cohort

    return build_cohort(
        scores=options["scores"],
        levels=options["levels"],
        clinical=patients,
        samples=options["samples"],
        columns=columns,
        several=options["several"],
        baseline=options["baseline"],
    )


def _columns(options: dict[str, Any]) -> ColumnMap:
    """Lay options over the map: an option wins."""
    from biomarkers.cohort.columns import ColumnMap
    from biomarkers.core.config import parse

    base = contract_of(options["map_file"], sheet=options["sheet"], rows=options["only"]).model_dump()
    base.update({role: options[role] for role in _ROLES if options[role] is not None})
    base["endpoints"] = {**base["endpoints"], **dict(_endpoint(text) for text in options["endpoints"])}
    base["timepoints"] = {**base["timepoints"], **dict(_pair(text, "--rename") for text in options["renames"])}
    limits = dict(_pair(text, "--lloq") for text in options["limits"])
    base["lloq"] = {**base["lloq"], **{name: _number(value, "--lloq") for name, value in limits.items()}}
    base["pooling"] = {**base["pooling"], **dict(_pair(text, "--pooling") for text in options["pooled"])}
    if options["visit_time"] is not None:
        base["visits"] = {**base["visits"], **_visit_time(options["visit_time"])}
    if options["new_therapy"] is not None:
        base["new_therapy"], base["new_therapy_unit"] = _new_therapy(options["new_therapy"])
    return parse(ColumnMap, base, where="options")


def _new_therapy(text: str) -> tuple[str, str | None]:
    """Read COLUMN, or COLUMN:UNIT."""
    column, colon, unit = text.rpartition(":")
    return (column, unit) if colon and unit in _UNITS else (text, None)


def _endpoint(text: str) -> tuple[str, dict[str, object]]:
    from biomarkers.core.errors import UsageError

    name, _, rest = text.partition("=")
    parts = rest.split(":")
    if not name or len(parts) not in (4, 5) or parts[3] not in _UNITS:
        raise UsageError(
            "--endpoint is not understood",
            seen=text,
            allowed=f"NAME=TIME:EVENT:VALUE:UNIT[:CENSORED] with UNIT one of {', '.join(_UNITS)}",
            hint="For instance os=OS_time:dead:1:years, where 1 means that the patient died; values that hold a colon "
            "(1:DECEASED) are written in the file of --columns.",
        )
    made: dict[str, object] = {"time": parts[0], "event": parts[1], "event_when": tuple(parts[2].split("|"))}
    made["unit"] = parts[3]
    return name, made | ({"censored_when": tuple(parts[4].split("|"))} if len(parts) > 4 else {})


def _visit_time(text: str) -> dict[str, object]:
    from biomarkers.core.errors import UsageError

    column, colon, unit = text.rpartition(":")
    if not (column and colon) or unit not in _UNITS:
        allowed = f"COLUMN:UNIT with UNIT one of {', '.join(_UNITS)}"
        raise UsageError("--visit-time is not understood", seen=text, allowed=allowed)
    return {"time": column, "unit": unit}


def _pair(text: str, option: str) -> tuple[str, str]:
    from biomarkers.core.errors import UsageError

    left, equals, right = text.rpartition("=")
    if not (left and equals and right):
        raise UsageError(f"{option} is not understood", seen=text, allowed="LEFT=RIGHT")
    return left, right


def _number(text: str, option: str) -> float:
    from biomarkers.core.errors import UsageError

    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option} needs a number", seen=text) from error


def _write(summary: StudySummary, out: Path, options: dict[str, Any], *, study: AnnData | None) -> None:
    """Write flow.csv beside the cohort, and tables, figures, report and record into the folder of its name."""
    from biomarkers.cohort.summary import write_study
    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.report.cohort import write_cohort_report
    from biomarkers.report.page import Figure

    folder, simulated = out.with_suffix(""), bool(options["simulated"])
    write_csv(summary.flow, out.parent / "flow.csv")
    write_study(summary, folder)
    drawn: list[Path] = []
    if options["figures"]:
        from biomarkers.plot.cohort_files import save_level_figures, save_study_figures

        drawn = save_study_figures(summary, folder / "figures", simulated=simulated)
        if study is not None:
            drawn += save_level_figures(study, folder / "figures", simulated=simulated)
    settings = {name: _plain(value) for name, value in options.items()}
    write_cohort_report(
        summary,
        folder / "report.html",
        figures=[Figure.named(path) for path in drawn],
        settings=settings,
        simulated=simulated,
    )
    settings["columns"] = _columns(options).model_dump(exclude_defaults=True, mode="json")
    inputs = [options[name] for name in ("clinical", "samples", "visits", "lesions") if options[name]]
    if options["map_file"] is not None and Path(options["map_file"]).is_file():
        inputs.append(Path(options["map_file"]))
    inputs += options["levels"]
    scored = [place / name for place in options["scores"] for name in ("scores.csv", "slides.csv")]
    inputs += [path for path in scored if path.is_file()]
    write_run_json(run_record("cohort", settings=settings, inputs=inputs), folder)


def _plain(value: Any) -> Any:
    """Keep a file's name, without its folder."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Path) else value


def _say(summary: StudySummary) -> None:
    import textwrap

    from tabulate import tabulate

    from biomarkers.cohort.endpoints import endpoint_words

    flow = summary.flow.drop(columns="of")
    table = [[str(cell) for cell in row] for row in flow.itertuples(index=False)]
    click.echo(tabulate(table, headers=[str(name) for name in flow.columns], maxcolwidths=[None] * 9 + [40]))
    click.echo("")
    for row in summary.endpoints.to_dict("records"):
        if "Wilson" not in str(row["method"]):
            click.echo(textwrap.fill(f"{row['endpoint']}: {endpoint_words(row)}", width=110, subsequent_indent="  "))
    if summary.notes:
        click.echo("\nNotes")
        for note in summary.notes:
            click.echo(textwrap.fill(f"- {note}", width=110, initial_indent="  ", subsequent_indent="    "))
