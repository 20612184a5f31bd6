"""``biomarkers relate``: from a table to verdicts, statistics, figures and a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from biomarkers.relate import Relation


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--level", "levels", multiple=True, help="Level column, or biomarker of a cohort; repeatable.")
@click.option("--response", help="Column of the best overall response (a cohort has its own).")
@click.option("--patient", help="Column of the patient; each must stand once.")
@click.option("--strata", help="Column of site, batch or tumor type: patients change places within a stratum only.")
@click.option("--time", help="Column of a time above 0; with --event.")
@click.option("--event", help="Column of its event: 1 = it happened, 0 = censored.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    help="orr, dcr, clinical_benefit, recist, or a numeric column such as the best change; repeatable.  [default: orr]",
)
@click.option("--responder", "responders", multiple=True, help="Word that counts as response.  [default: CR, PR]")
@click.option("--non-responder", "non_responders", multiple=True, help="For a yes/no column: the word for no response.")
@click.option(
    "--not-evaluable",
    type=click.Choice(["exclude", "nonresponder"]),
    default="exclude",
    show_default=True,
    help="What NE is: left out, or no response.",
)
@click.option("--margin", type=float, default=0.15, show_default=True, help="Margin of independence, AUC scale.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Level of the tests.")
@click.option("--cutoff", "cutoffs", multiple=True, metavar="COL=1", help="Cut fixed beforehand; repeatable.")
@click.option("--lloq", "limits", multiple=True, metavar="COL=VALUE", help="Lower limit of a level; repeatable.")
@click.option("--plan", type=click.Path(path_type=Path), help="TOML file that fixed all this beforehand.")
@click.option("--permutations", type=click.IntRange(99), default=99_999, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--where", "only", metavar="COL=VALUE", help="Use only rows of a table with this value; repeatable.",
              multiple=True)  # fmt: skip
@click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures/*.png.")
@click.option("--simulated", is_flag=True, help="These patients are simulated: say so on every page and figure.")
def relate(table: Path, out: Path, figures: bool, simulated: bool, only: tuple[str, ...], **options: Any) -> None:
    """Do responses occur independently of the levels? One honest verdict.

    TABLE is a cohort (.h5ad of 'biomarkers cohort') or a CSV, TSV, XLSX or Parquet table with a row a patient.

    \b
    biomarkers relate cohort.h5ad --out result/
    biomarkers relate table.csv --level CD274 --level PDCD1 --response BOR --patient ID --out result/
    biomarkers relate table.csv --level TPS --cutoff TPS=1,50 --response R --responder yes \\
        --non-responder no --margin 0.20 --out result/

    'dependent': the levels of responders differ (permutation test). 'independent_within_margin': the 90% interval of
    the AUC lies inside 0.5 +- margin and no other pattern was detected. 'inconclusive': the data do not decide, and
    the result says what they could have shown. p > 0.05 alone is never independence.

    Writes verdicts.csv, statistics.csv, flow.csv, figures/, report.html and run.json. Research use only.
    """  # noqa: D301
    from biomarkers.relate.engine import relate as ask

    data, notes = _read(table, only, options)
    arguments = {
        "levels": list(options["levels"]) or None,
        "endpoint": list(options["endpoints"]) or ["orr"],
        "responders": list(options["responders"]) or ["CR", "PR"],
        "non_responders": list(options["non_responders"]) or None,
        "cutoffs": _cuts(options["cutoffs"]),
        "lloq": {name: values[0] for name, values in _cuts(options["limits"]).items()},
        "n_permutations": options["permutations"],
        "rng": options["seed"],
        **{name: options[name] for name in ("response", "patient", "strata", "time", "event", "not_evaluable",
                                            "margin", "alpha", "plan")},
    }  # fmt: skip
    result = ask(data, where=table.name, progress=True, **arguments)
    if simulated:
        import dataclasses

        result = dataclasses.replace(result, simulated=True)
    inputs = [table] + ([options["plan"]] if options["plan"] else [])
    report = _write(result, out, inputs=inputs, figures=figures, only=only)
    _summary(result, notes, report)


def _read(path: Path, only: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[str]]:
    from biomarkers.errors import UsageError

    if path.suffix == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        if only:
            raise UsageError("--where is for a table", seen=only[0], hint="Of a cohort, all patients are used.")
        return read_cohort(path), []
    from biomarkers.cohort.tables import read_table, table_notes

    text = [options[role] for role in ("patient", "strata") if options[role]]
    table = read_table(path, text=text)
    notes = table_notes(table)
    for condition in only:
        table = _only(table, condition, path.name)
        notes.append(f"only rows with {condition}: {len(table)}")
    return table, notes


def _only(table: pd.DataFrame, condition: str, where: str) -> pd.DataFrame:
    """Keep the rows that the option asks for."""
    from biomarkers.cohort.tables import require_columns
    from biomarkers.errors import UsageError

    column, equals, value = condition.partition("=")
    if not equals:
        raise UsageError("--where is not understood", seen=condition, allowed="COLUMN=VALUE")
    require_columns(table, [column], where=where)
    kept = table[table[column].astype(str) == value]
    if kept.empty:
        values = sorted({str(cell) for cell in table[column].dropna()})
        raise UsageError("no row has this value", where=f"{where} column {column!r}", seen=value, allowed=values[:20])
    return kept


def _cuts(texts: tuple[str, ...]) -> dict[str, list[float]]:
    """Read COL=1 or COL=1,50."""
    from biomarkers.errors import UsageError

    made: dict[str, list[float]] = {}
    for text in texts:
        name, equals, values = text.rpartition("=")
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError as error:
            raise UsageError("this option is not understood", seen=text, allowed="COLUMN=NUMBER") from error
        if not equals or not name:
            raise UsageError("this option names no column", seen=text, allowed="COLUMN=NUMBER")
        made.setdefault(name, []).extend(numbers)
    return made


def _write(result: Relation, out: Path, *, inputs: list[Path], figures: bool, only: tuple[str, ...]) -> Path:
    from biomarkers.files import write_csv
    from biomarkers.provenance import run_record, write_run_json
    from biomarkers.report import write_relation_report

    write_csv(result.verdicts, out / "verdicts.csv")
    write_csv(result.table, out / "statistics.csv")
    write_csv(result.flow, out / "flow.csv")
    if figures:
        from biomarkers.plot.relation_files import save_relation_figures

        save_relation_figures(result, out / "figures")
    report = write_relation_report(result, out / "report.html", figures=out / "figures" if figures else None)
    settings = {**result.settings, "where": list(only), "definition": result.definition}
    record = run_record("relate", settings=settings, inputs=inputs, seed=result.settings["seed"])
    write_run_json(record, out)
    return Path(report)


def _summary(result: Relation, notes: list[str], report: Path) -> None:
    import shutil
    import textwrap

    from tabulate import tabulate

    rule = "NE counts as no response" if result.settings["not_evaluable"] == "nonresponder" else "NE is left out"
    click.echo(f"Response: {result.definition} ({rule}).\n")
    rows = [_line(row) for row in result.verdicts.to_dict("records")]
    heads = ["biomarker", "end point", "n", "responders", "verdict", "AUC", "95% CI", "p", "p adjusted", "p omnibus"]
    click.echo(tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True))
    for line in _conventional(result):
        click.echo(line)
    width = min(110, shutil.get_terminal_size((110, 24)).columns)
    click.echo("")
    for paragraph in result.explain().split("\n\n")[1:]:
        click.echo(textwrap.fill(paragraph, width=width, subsequent_indent="  "))
    for note in notes:
        click.echo(f"Note: {note}.")
    click.echo(f"\nReport: {report}")


def _line(row: Mapping[Any, Any]) -> list[str]:
    return [
        str(row["biomarker"]), str(row["endpoint"]), str(row["n"]), str(row["n_responders"]), str(row["verdict"]),
        _number(row["auc"], 3), f"{_number(row['auc_low95'], 3)}-{_number(row['auc_high95'], 3)}",
        _number(row["p_dependence"], 4), _number(row["p_adjusted"], 4), _number(row["p_omnibus"], 4),
    ]  # fmt: skip


def _conventional(result: Relation) -> list[str]:
    """Show the same AUC and test as most papers print them, for comparison; the verdict rests on the table above."""
    lines = []
    for name, rows in result.table.groupby("biomarker", sort=False):
        auc = rows[rows["method"] == "DeLong 95%"]
        test = rows[rows["method"].str.startswith("Wilcoxon-Mann-Whitney")]
        if len(auc) and len(test):
            a, t = auc.iloc[0], test.iloc[0]
            interval = f"{a['value']:.3f} (95% {a['ci_low']:.3f}-{a['ci_high']:.3f})"
            lines.append(f"As papers print it, {name}: AUC {interval} by DeLong; Wilcoxon p {_number(t['p'], 3)}")
    return ["", *lines] if lines else []


def _number(value: float, digits: int) -> str:
    import math

    if value is None or math.isnan(value):
        return "-"
    return f"{value:.1e}" if 0 < abs(value) < 10**-digits else f"{value:.{digits}f}"
