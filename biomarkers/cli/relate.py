"""``biomarkers relate``: from a table to verdicts, statistics, figures and a report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from biomarkers.cli._tables import contract_of, contract_options, read_with

if TYPE_CHECKING:
    from biomarkers.io.columns import ColumnMap
    from biomarkers.relate import Relation
    from biomarkers.relate.sensitivity import Sensitivity


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--level", "levels", multiple=True, help="Level column, or biomarker of a cohort; repeatable.")
@click.option("--response", help="Column of the best overall response (a cohort has its own).")
@click.option("--patient", help="Column of the patient; each must stand once.")
@click.option(
    "--strata",
    multiple=True,
    help="Column of site, batch or tumor type: patients change places within a stratum only; repeatable.",
)
@click.option(
    "--time",
    "times",
    multiple=True,
    metavar="COL",
    help="Column of a time (0 or more); with --event. ENDPOINT=COL, repeatable, where several times are asked for.",
)
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="COL",
    help="Column of its event: 1 = it happened, 0 = censored; or ENDPOINT=COL.",
)
@click.option(
    "--event-when",
    "happened",
    multiple=True,
    metavar="[COL=]VALUE",
    help="Value of the event column that means it happened (CNSR=0, 'STATUS=1:DECEASED'); several as A|B; repeatable.",
)
@click.option(
    "--censored-when",
    "still_censored",
    multiple=True,
    metavar="[COL=]VALUE",
    help="Values that mean censored, where there are several: CNSR='1|2|3'; repeatable.",
)
@click.option(
    "--time-unit",
    "units",
    multiple=True,
    metavar="[COL=]UNIT",
    help="Unit of the times: days, weeks, months or years; they are turned into months; repeatable.",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    help="orr, dcr, clinical_benefit, recist, best_change, pfs, os, dor, ttr, or a numeric column (larger is better); "
    "repeatable, the first is primary.  [default: orr]",
)
@click.option("--best-change", help="Column of the best change of the tumor sum in per cent (negative = shrinkage).")
@click.option(
    "--benefit-months",
    type=float,
    help="How long SD must last to count as clinical benefit.  [default: 6]",
)
@click.option("--covariate", "covariates", multiple=True, help="Numeric column to adjust an estimate for; repeatable.")
@click.option("--responder", "responders", multiple=True, help="Word that counts as response.  [default: CR, PR]")
@click.option("--non-responder", "non_responders", multiple=True, help="For a yes/no column: the word for no response.")
@click.option(
    "--not-evaluable",
    type=click.Choice(["exclude", "nonresponder"]),
    help="What NE is: left out, or no response.  [default: exclude]",
)
@click.option("--margin", type=float, help="Margin of independence, AUC scale.  [default: 0.15]")
@click.option("--alpha", type=float, help="Level of the tests.  [default: 0.05]")
@click.option("--cutoff", "cutoffs", multiple=True, metavar="COL=1",
              help="Cut fixed beforehand, of ordered words the lowest positive one (IC=IC2); repeatable.")  # fmt: skip
@click.option(
    "--search-cuts", is_flag=True, help="Search the best cut too, with p and effect corrected for the search."
)
@click.option("--lloq", "limits", multiple=True, metavar="COL=VALUE", help="Lower limit of a level; repeatable.")
@click.option(
    "--censored",
    "flags",
    multiple=True,
    metavar="COL=FLAG",
    help="Column FLAG is 1 where level COL stands at its own lower limit; repeatable.",
)
@click.option(
    "--reliability",
    "reliabilities",
    multiple=True,
    metavar="COL=0.6",
    help="How well level COL was measured: 0.6, 0.6:0.45:0.75 (95% interval), or the name of a published value "
    "('biomarkers reliability --published'); repeatable.",
)
@click.option(
    "--replicate",
    "replicates",
    multiple=True,
    metavar="COL=COL2",
    help="Column with a second measurement of level COL, from which its reliability is estimated; repeatable.",
)
@click.option(
    "--standard-error", "errors", multiple=True, metavar="COL=SECOL", help="Column with the standard errors of COL."
)
@click.option(
    "--accuracy",
    "accuracies",
    multiple=True,
    metavar="COL=0.9,0.8",
    help="Sensitivity and specificity of the reading of COL at its cut-off.",
)
@click.option("--timepoint", default="baseline", show_default=True, help="Which samples of a cohort.")
@click.option(
    "--sensitivity",
    "panel",
    is_flag=True,
    help="Ask again under other definitions, margins, cuts, without each site; writes sensitivity.csv.",
)
@click.option("--site", help="With --sensitivity: column whose values are left out one at a time.")
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="TOML file that fixed margin, levels, endpoints, responders, cutoffs ... beforehand; its hash is kept, "
    "what is not in it is labelled exploratory.",
)
@click.option("--permutations", type=click.IntRange(99), default=99_999, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--where", "only", metavar="COL=VALUE", help="Use only rows of a table with this value; repeatable.",
              multiple=True)  # fmt: skip
@click.option(
    "--clinical",
    type=click.Path(path_type=Path),
    help="TABLE is levels.csv of 'biomarkers express', or a folder of 'biomarkers score': join it to this clinical "
    "table first, as 'biomarkers cohort' does; --columns and --where are about the clinical table.",
)
@contract_options
@click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures/*.png.")
@click.option("--simulated", is_flag=True, help="These patients are simulated: say so on every page and figure.")
def relate(
    table: Path, out: Path, figures: bool, simulated: bool, panel: bool, only: tuple[str, ...], **options: Any
) -> None:
    """Do responses occur independently of the levels? One honest verdict.

    TABLE is a cohort (.h5ad of 'biomarkers cohort') or a CSV, TSV, XLSX or Parquet table with a row a patient.

    \b
    biomarkers relate cohort.h5ad --out result/
    biomarkers relate table.csv --level CD274 --level PDCD1 --response BOR --patient ID --out result/
    biomarkers relate adtte.csv --columns adam_adtte --level TPS --endpoint pfs --out result/
    biomarkers relate levels/levels.csv --clinical clinical.csv --columns cbioportal --endpoint os --out result/
    biomarkers relate table.csv --level TPS --cutoff TPS=1,50 --response R --responder yes \\
        --non-responder no --margin 0.20 --out result/

    'dependent': the levels of responders differ (permutation test). 'independent_within_margin': the 90% interval of
    the AUC lies inside 0.5 +- margin and no other pattern was detected. 'inconclusive': the data do not decide, and
    the result says what they could have shown. p > 0.05 alone is never independence.

    Writes verdicts.csv, statistics.csv, flow.csv, figures/, report.html and run.json. Research use only.
    'biomarkers power' says beforehand what a cohort of a size can show.
    """  # noqa: D301
    from biomarkers.relate.engine import relate as ask

    contract = contract_of(options["map_file"], sheet=options["sheet"], rows=only)
    data, fitted, notes = _read(table, contract, only, options)
    arguments = {
        "levels": list(options["levels"]) or None,
        "endpoint": list(options["endpoints"]) or ["orr"],
        "responders": list(options["responders"]) or None,
        "non_responders": list(options["non_responders"]) or None,
        "cutoffs": _cuts(options["cutoffs"]),
        "lloq": _limits(options["limits"]),
        "censored": dict(_pair(text) for text in options["flags"]),
        "n_permutations": options["permutations"],
        "rng": options["seed"],
        "time": _columns(options["times"], "--time"),
        "event": _columns(options["events"], "--event"),
        "event_when": _stated(options["happened"]),
        "censored_when": _stated(options["still_censored"]),
        "time_unit": _unit(options["units"]),
        "columns": fitted,
        "filters": list(only),
        **{name: options[name] for name in ("response", "patient", "strata", "best_change",
                                            "benefit_months", "covariates", "search_cuts", "not_evaluable", "margin",
                                            "alpha", "plan", "timepoint")},
    }  # fmt: skip
    if options["site"] and not panel:
        raise click.UsageError("--site belongs to --sensitivity")
    from biomarkers.cli._measurement import measurement_options

    result = ask(data, where=table.name, progress=sys.stderr.isatty(), **arguments, **measurement_options(options))
    others = _panel(data, result, options, arguments, where=table.name) if panel else None
    if simulated:
        import dataclasses

        result = dataclasses.replace(result, simulated=True)
        if others is not None:
            others = dataclasses.replace(others, base=dataclasses.replace(others.base, simulated=True))
    read = [table / "scores.csv"] if table.is_dir() else [table]
    inputs = [*read, *(options[name] for name in ("plan", "clinical") if options[name])]
    if options["map_file"] is not None and Path(options["map_file"]).is_file():
        inputs.append(Path(options["map_file"]))
    report = _write(result, out, inputs=inputs, figures=figures, only=only, panel=others, contract=contract)
    _summary(result, notes, report, panel=others)


def _read(
    path: Path, contract: ColumnMap, only: tuple[str, ...], options: dict[str, Any]
) -> tuple[Any, ColumnMap, list[str]]:
    from biomarkers.core.errors import UsageError

    if options["clinical"] is not None:
        from biomarkers.cohort.join import build_cohort

        named = contract.model_copy(update={"patient": options["patient"] or contract.patient,
                                            "response": options["response"] or contract.response})  # fmt: skip
        kind = {"scores": [path]} if path.is_dir() else {"levels": [path]}
        made = build_cohort(clinical=options["clinical"], columns=named, **kind)  # type: ignore[arg-type]
        options |= {"response": None, "patient": None}
        return made, type(contract)(), [str(note) for note in made.uns["notes"]]
    if path.suffix == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        if only:
            raise UsageError("--where is for a table", seen=only[0], hint="Of a cohort, all patients are used.")
        return read_cohort(path), contract, []
    return read_with(path, contract, text=[options["patient"], *options["strata"], options["site"]])


def _cuts(texts: tuple[str, ...]) -> dict[str, list[float | str]]:
    """Read COL=1, COL=1,50 or, of a level of ordered words, COL=IC2 (the word may hold an equals sign: TPS=>=50%)."""
    from biomarkers.core.errors import UsageError

    made: dict[str, list[float | str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name or not values:
            raise UsageError("this option is not understood", seen=text, allowed="COLUMN=NUMBER")
        made.setdefault(name, []).extend(_number_or_word(value) for value in values.split(","))
    return made


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _limits(texts: tuple[str, ...]) -> dict[str, float]:
    """Read COL=1."""
    from biomarkers.core.errors import UsageError

    made: dict[str, float] = {}
    for name, values in _cuts(texts).items():
        if not isinstance(values[0], float):
            raise UsageError("this option is not understood", seen=values[0], allowed="COLUMN=NUMBER")
        made[name] = values[0]
    return made


def _stated(texts: tuple[str, ...]) -> Any:
    """Read VALUE for the one event column, or COL=VALUE; several values as A|B."""
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0].split("|")
    return {name: values.split("|") for name, values in (_pair(text) for text in texts)}


def _unit(texts: tuple[str, ...]) -> Any:
    """Read UNIT, or COL=UNIT."""
    if not texts:
        return None
    return texts[0] if len(texts) == 1 and "=" not in texts[0] else dict(_pair(text) for text in texts)


def _columns(texts: tuple[str, ...], option: str) -> str | dict[str, str] | None:
    """Read COL once, or ENDPOINT=COL any number of times."""
    from biomarkers.core.errors import UsageError
    from biomarkers.relate.endpoints import KINDS

    named = {end: column for end, equals, column in (text.partition("=") for text in texts) if equals and end in KINDS}
    if len(named) == len(texts):
        return named or None
    if len(texts) > 1:
        raise UsageError(
            f"{option} is given several times",
            seen=" ".join(texts),
            allowed=f"{option} COLUMN, or ENDPOINT=COLUMN each",
        )
    return texts[0]


def _pair(text: str) -> tuple[str, str]:
    """Read COL=FLAG."""
    from biomarkers.core.errors import UsageError

    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError("this option is not understood", seen=text, allowed="COLUMN=COLUMN")
    return name, value


def _panel(
    data: Any, result: Relation, options: dict[str, Any], arguments: Mapping[str, Any], *, where: str
) -> Sensitivity:
    """Ask the primary end point again under other choices, with everything else as it was asked."""
    from biomarkers.relate.endpoints import KINDS
    from biomarkers.relate.sensitivity import sensitivity

    asked = {
        **arguments,
        "levels": result.settings["levels"],
        "endpoint": result.settings["endpoint"][0],
        "search_cuts": False,
        "n_permutations": min(options["permutations"], 9_999),
    }
    named = (arguments["time"], arguments["event"])
    if any(isinstance(columns, dict) for columns in named):  # those of the other end points are not asked for here
        wanted = {asked["endpoint"], "pfs"} if asked["endpoint"] == "clinical_benefit" else {asked["endpoint"]}
        for name in ("time", "event"):
            kept = {end: column for end, column in arguments[name].items() if end in wanted}
            asked[name] = kept or None
    elif (
        KINDS.get(asked["endpoint"]) in ("binary", "ordered", "continuous") and asked["endpoint"] != "clinical_benefit"
    ):
        asked["time"] = asked["event"] = None
    return sensitivity(data, site=options["site"], where=where, **asked)


def _write(
    result: Relation,
    out: Path,
    *,
    inputs: list[Path],
    figures: bool,
    only: tuple[str, ...],
    panel: Sensitivity | None,
    contract: ColumnMap,
) -> Path:
    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.report import write_relation_report

    write_csv(result.verdicts, out / "verdicts.csv")
    write_csv(result.table, out / "statistics.csv")
    write_csv(result.flow, out / "flow.csv")
    if panel is not None:
        write_csv(panel.table, out / "sensitivity.csv")
    if figures:
        from biomarkers.plot.relation_files import save_relation_figures

        save_relation_figures(result, out / "figures", sensitivity=panel)
    drawn = out / "figures" if figures else None
    report = write_relation_report(result, out / "report.html", figures=drawn, sensitivity=panel)
    meaning = contract.model_dump(exclude_defaults=True)  # with the rows and the sheet that were chosen
    settings = {**result.settings, "columns": meaning, "where": list(only), "definition": result.definition}
    record = run_record("relate", settings=settings, inputs=inputs, seed=result.settings["seed"])
    write_run_json(record, out)
    return Path(report)


def _summary(result: Relation, notes: list[str], report: Path, *, panel: Sensitivity | None) -> None:
    import shutil
    import textwrap

    from tabulate import tabulate

    rule = "NE counts as no response" if result.settings["not_evaluable"] == "nonresponder" else "NE is left out"
    yes_no = result.heading == "Responders"
    if result.settings.get("reading"):
        click.echo(f"{textwrap.fill(result.settings['reading'], width=110, subsequent_indent='  ')}\n")
    click.echo(f"Response: {result.definition} ({rule}).\n" if yes_no else f"End point: {result.definition}.\n")
    rows = [_line(row) for row in result.verdicts.to_dict("records")]
    graded = result.verdicts["margin"].isna() & (result.verdicts["verdict"] != "not_testable")
    scale, count = ("AUC", "responders") if not graded.any() else ("concordance", "events")
    if graded.any() and not graded.all():
        scale, count = "AUC / concordance", "responders / events"
    heads = ["biomarker", "end point", "n", count, "verdict", scale, "95% CI", "p", "p adjusted", "p omnibus"]
    click.echo(tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True))
    for line in _conventional(result):
        click.echo(line)
    width = min(110, shutil.get_terminal_size((110, 24)).columns)
    click.echo("")
    for paragraph in result.explain().split("\n\n")[1:]:
        click.echo(textwrap.fill(paragraph, width=width, subsequent_indent="  "))
    for note in notes:
        if note not in result.notes:
            click.echo(f"Note: {note}.")
    if panel is not None:
        click.echo("\nUnder other choices:")
        for line in panel.explain().splitlines():
            click.echo(textwrap.fill(line, width=width, subsequent_indent="  "))
    click.echo(f"\nReport: {report}")


def _line(row: Mapping[Any, Any]) -> list[str]:
    name = "auc" if _number(row["concordance"], 3) == "-" else "concordance"
    value, low, high = (_number(row[column], 3) for column in (name, f"{name}_low95", f"{name}_high95"))
    return [
        str(row["biomarker"]), str(row["endpoint"]), str(row["n"]), _count(row["n_responders"]), str(row["verdict"]),
        value, "-" if low == "-" else f"{low}-{high}",
        _number(row["p_dependence"], 4), _number(row["p_adjusted"], 4), _number(row["p_omnibus"], 4),
    ]  # fmt: skip


def _conventional(result: Relation) -> list[str]:
    """Show the same AUC and test as most papers print them, for comparison; the verdict rests on the table above."""
    lines = []
    for name, rows in result.table.groupby("biomarker", sort=False):
        auc = rows[rows["method"] == "DeLong 95%"]
        test = rows[rows["method"].str.match("Wilcoxon-Mann-Whitney.*continuity correction")]
        if len(auc) and len(test):
            a, t = auc.iloc[0], test.iloc[0]
            interval = f"{a['value']:.3f} (95% {a['ci_low']:.3f}-{a['ci_high']:.3f})"
            p = f"Wilcoxon p {_number(t['p'], 3)} (normal approximation)"
            p += "; strata ignored" if "strata ignored" in str(a["note"]) else ""
            lines.append(f"As papers print it, {name}: AUC {interval} by DeLong; {p}")
    return ["", *lines] if lines else []


def _count(value: Any) -> str:
    return "-" if value is None or str(value) in ("<NA>", "nan") else str(int(value))


def _number(value: float, digits: int) -> str:
    import math

    if value is None or math.isnan(value):
        return "-"
    return f"{value:.1e}" if 0 < abs(value) < 10**-digits else f"{value:.{digits}f}"
