"""``biomarkers change``: paired pharmacodynamic change, per patient and per group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from biomarkers.cli._tables import contract_of, contract_options, read_with

if TYPE_CHECKING:
    from biomarkers.change.result import Change

_FEW = 5  # biomarkers that are told in sentences
_WIDTH = 110
_P_VALUES = ("p_adjusted", "p_by_response_adjusted")


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--level", "levels", multiple=True, help="Level column, or biomarker of a cohort; repeatable.")
@click.option("--patient", help="Column of the patient.  [default: patient]")
@click.option("--timepoint", help="Column of the time point.  [default: timepoint]")
@click.option("--baseline", default="baseline", show_default=True, help="Its value at baseline.")
@click.option("--on-treatment", default="on_treatment", show_default=True, help="Its value on treatment.")
@click.option("--response", help="Column of the best overall response (a cohort has its own).")
@click.option(
    "--scale",
    "scales",
    multiple=True,
    metavar="KIND | COL=KIND",
    help="What the levels of a table are, all or one: linear, log2, percent or fraction; a cohort says it itself; "
    "repeatable.  [default: linear or log2, told from the values, and said]",
)
@click.option(
    "--counts",
    multiple=True,
    metavar="COL=POSITIVE:ALL",
    help="Columns of the counts (or count and area) behind a level: 1/2 count is the offset then; repeatable.",
)
@click.option(
    "--offset",
    "offsets",
    multiple=True,
    metavar="NUMBER | COL=NUMBER",
    help="Added before a logarithm, for all or one level; repeatable.  [default: 1/2 count, or 1 for linear levels]",
)
@click.option(
    "--lloq",
    "limits",
    multiple=True,
    metavar="COL=VALUE",
    help="Lower limit of a level; a cell may then say <VALUE or <LOD; repeatable.",
)
@click.option(
    "--censored",
    "flags",
    multiple=True,
    metavar="COL=FLAG",
    help="Column that says yes where a level stands at its lower limit; repeatable.",
)
@click.option(
    "--cutoff",
    "cutoffs",
    multiple=True,
    metavar="COL=1 | COL<1",
    help="Component of the chain: positive from (below) this value, in order; repeatable.",
)
@click.option(
    "--replicates", type=click.Path(path_type=Path), help="Table of technical replicates, a row a measurement."
)
@click.option("--replicate-of", default="sample", show_default=True, help="Its column that names the sample.")
@click.option(
    "--gate",
    type=click.Choice(["coefficient", "prediction"]),
    default="coefficient",
    show_default=True,
    help="Least change that is called one: 2.77 SDw, or with the factor for few replicates.",
)
@click.option(
    "--several",
    type=click.Choice(["refuse", "pool", "mean"]),
    default="refuse",
    show_default=True,
    help="Several samples of one patient at one time point; pool: sums of counts.",
)
@click.option("--drug", help="The treatment, so that epitope masking can be judged.")
@click.option(
    "--adjust",
    "adjustment",
    type=click.Choice(["holm", "max-t"]),
    default="holm",
    show_default=True,
    help="Adjustment of the group tests over the biomarkers; both stand in summary.csv.",
)
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Two-sided level of the group tests.")
@click.option("--responders", default="CR,PR", show_default=True, help="Words that count as response.")
@click.option(
    "--not-evaluable",
    type=click.Choice(["exclude", "nonresponder"]),
    default="exclude",
    show_default=True,
    help="What NE is when changes are compared by response.",
)
@click.option("--where", "only", multiple=True, metavar="COL=VALUE", help="Use only such rows of a table; repeatable.")
@contract_options
@click.option("--figures/--no-figures", default=True, show_default=True, help="Draw pairs, changes, conversions.")
@click.option("--simulated", is_flag=True, help="These patients are simulated: say so on the page and every figure.")
def change(
    table: Path,
    out: Path,
    levels: tuple[str, ...],
    patient: str | None,
    timepoint: str | None,
    baseline: str,
    on_treatment: str,
    response: str | None,
    scales: tuple[str, ...],
    counts: tuple[str, ...],
    offsets: tuple[str, ...],
    limits: tuple[str, ...],
    flags: tuple[str, ...],
    cutoffs: tuple[str, ...],
    replicates: Path | None,
    replicate_of: str,
    gate: str,
    several: str,
    drug: str | None,
    adjustment: str,
    alpha: float,
    responders: str,
    not_evaluable: str,
    only: tuple[str, ...],
    map_file: str | None,
    sheet: str | None,
    figures: bool,
    simulated: bool,
) -> None:
    """Baseline -> on-treatment: paired pharmacodynamic change.

    TABLE is a cohort (.h5ad of 'biomarkers cohort') or a CSV, TSV, XLSX or Parquet table with a row a sample.

    \b
    biomarkers change cohort.h5ad --out change/ --drug atezolizumab
    biomarkers change table.csv --level CD274 --level PDCD1 --patient Patient_ID \\
        --timepoint visit --baseline Pre --on-treatment Post --response BOR --out change/
    biomarkers change table.csv --level PDL1_TPS --scale percent --cutoff "PDL1_TPS=1" \\
        --counts PDL1_TPS=positive:tumor_cells --several pool --out change/
    biomarkers change table.csv --level PDL1_TPS --scale percent --lloq PDL1_TPS=1 \\
        --replicates replicates.csv --replicate-of slide --out change/

    Writes changes.csv (a row a patient and biomarker), summary.csv, statistics.csv, completeness.csv, with --cutoff
    also conversions.csv and chain.csv, figures/, report.html and run.json. Without replicates the technical variance
    is unknown and no single patient's change is called. Research use only.
    """  # noqa: D301
    from biomarkers.change.measure import measure_change
    from biomarkers.cohort.tables import read_table

    options = {
        "baseline": baseline,
        "on_treatment": on_treatment,
        "offset": _offsets(offsets),
        "gate": gate,
        "several": several,
        "components": cutoffs,
        "drug": drug,
        "responders": tuple(word.strip() for word in responders.split(",")),
        "not_evaluable": not_evaluable,
        "adjustment": adjustment,
        "alpha": alpha,
        "replicates": None if replicates is None else read_table(replicates, text=(replicate_of,)),
        "replicate_of": replicate_of,
    }
    notes: list[str] = []
    if table.suffix == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        _refuse_table_options(
            {
                "--lloq": limits,
                "--censored": flags,
                "--response": response,
                "--where": only,
                "--scale": scales,
                "--counts": counts,
                "--columns": map_file,
                "--sheet": sheet,
            }
        )
        made = measure_change(read_cohort(table), levels=levels or None, where=table.name, **options)  # type: ignore[arg-type]
    else:
        contract = contract_of(map_file, sheet=sheet, rows=only)
        text = [patient or contract.patient or "patient", timepoint or contract.timepoint or "timepoint"]
        frame, contract, notes = read_with(table, contract, text=text)  # type: ignore[arg-type]
        levels = levels or tuple(contract.levels)
        made = measure_change(
            frame,
            columns=contract,
            levels=levels,
            patient=patient,
            timepoint=timepoint,
            response=response,
            scale=_scales(scales, levels),
            counts=dict(_counts(text) for text in counts),
            lloq=_limits(limits),
            censored=dict(_flag(text) for text in flags),
            where=table.name,
            **options,  # type: ignore[arg-type]
        )
    inputs = [table] if replicates is None else [table, replicates]
    _summary(made, notes, _write(made, out, inputs=inputs, figures=figures, simulated=simulated), out)


def _write(made: Change, out: Path, *, inputs: list[Path], figures: bool, simulated: bool) -> list[Path]:
    from biomarkers.change.write import write_record, write_tables
    from biomarkers.report.change import write_change_report
    from biomarkers.report.page import Figure

    tables = write_tables(made, out)
    drawn: list[Path] = []
    if figures:
        from biomarkers.plot.change_files import save_change_figures

        drawn = save_change_figures(made, out / "figures", simulated=simulated)
    # the figures of this run, not what an earlier one may have left in the folder
    named = [Figure.named(path) for path in drawn]
    report = write_change_report(made, out / "report.html", figures=named, simulated=simulated)
    return [*tables, report, write_record(made, out, inputs=inputs)]


def _scales(texts: tuple[str, ...], levels: tuple[str, ...]) -> dict[str, str]:
    """Read scales: one for all levels, then those that are named; what is not said is told from the values."""
    from biomarkers.change.pairs import refuse_unknown
    from biomarkers.change.scale import KINDS
    from biomarkers.core.errors import UsageError

    named: dict[str, str] = {}
    whole: str | None = None
    for text in texts:
        name, equals, kind = text.rpartition("=")
        if kind not in KINDS:
            raise UsageError("unknown scale of a level", seen=text, allowed=KINDS, hint="Write KIND or LEVEL=KIND.")
        if equals:
            named[name] = kind
        else:
            whole = kind
    refuse_unknown(named, levels, "a scale")
    stated = named if whole is None else {**dict.fromkeys(levels, whole), **named}
    return {name: stated[name] for name in levels if name in stated}


def _counts(text: str) -> tuple[str, tuple[str, str]]:
    from biomarkers.core.errors import UsageError

    name, _, columns = text.rpartition("=")
    yes, colon, every = columns.partition(":")
    if not (name and yes and colon and every):
        raise UsageError("--counts is not understood", seen=text, allowed="LEVEL=POSITIVE:ALL")
    return name, (yes, every)


def _flag(text: str) -> tuple[str, str]:
    from biomarkers.core.errors import UsageError

    name, _, column = text.rpartition("=")
    if not (name and column):
        raise UsageError("--censored is not understood", seen=text, allowed="LEVEL=COLUMN")
    return name, column


def _offsets(texts: tuple[str, ...]) -> float | dict[str, float] | None:
    from biomarkers.core.errors import UsageError

    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        try:
            return float(texts[0])
        except ValueError as error:
            raise UsageError("--offset needs a number", seen=texts[0]) from error
    return _limits(texts, option="--offset")


def _limits(texts: tuple[str, ...], *, option: str = "--lloq") -> dict[str, float]:
    from biomarkers.core.errors import UsageError

    made = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            made[name] = float(value)
        except ValueError as error:
            raise UsageError(f"{option} is not understood", seen=text, allowed="COLUMN=VALUE") from error
    return made


def _refuse_table_options(given: dict[str, object]) -> None:
    from biomarkers.core.errors import UsageError

    for option, value in given.items():
        if value:
            raise UsageError(f"{option} is for a table; a cohort holds its own", seen=value)


def _summary(made: Change, notes: list[str], written: list[Path], out: Path) -> None:
    """Print the result: a sentence or two a biomarker, or a table where there are many."""
    import textwrap

    few = len(made.table) <= _FEW
    if made.settings.get("reading"):
        click.echo(textwrap.fill(str(made.settings["reading"]), width=_WIDTH, subsequent_indent="  ") + "\n")
    found = made.sentences() if few else [*_result_table(made), "", *_scales_used(made)]
    for line in [*made.opening(), "", *found, *made.closing()]:
        tabular = not few and line in found
        click.echo(line if tabular or not line else textwrap.fill(line, width=_WIDTH, subsequent_indent="  "))
    for note in notes:
        click.echo(f"- {note}")
    click.echo(f"\n{', '.join(path.name for path in written)} -> {out}")


def _result_table(made: Change) -> list[str]:
    from tabulate import tabulate

    rows = []
    for row in made.table.to_dict("records"):
        tested = row["verdict"] != "not_testable"
        change = f"{row['hl_change']:+.2f} ({row['ci_low']:+.2f} to {row['ci_high']:+.2f})" if tested else "-"
        ps = [
            f"{row[name]:.3g}" if row[name] == row[name] else "-" for name in ("p_adjusted", "p_by_response_adjusted")
        ]
        rows.append([row["biomarker"], row["verdict"], row["n_pairs"], change, *(ps if tested else ["-", "-"])])
    headers = ["biomarker", "verdict", "pairs", "change (95% CI)", "p, adjusted", "p by response, adjusted"]
    return tabulate(rows, headers=headers, disable_numparse=True).splitlines()


def _scales_used(made: Change) -> list[str]:
    """Name the scale of every biomarker, those with one scale together."""
    import textwrap

    alike: dict[str, list[str]] = {}
    for row in made.table.to_dict("records"):
        alike.setdefault(str(row["scale"]), []).append(str(row["biomarker"]))
    texts = [
        "Change: Hodges-Lehmann; p: exact signed-rank, exact rank sum by response; medians and more in summary.csv."
    ]
    texts += [f"Scale {scale}: {', '.join(names)}." for scale, names in alike.items()]
    return [line for text in texts for line in textwrap.wrap(text, width=_WIDTH, subsequent_indent="  ")]
