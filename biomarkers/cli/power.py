"""``biomarkers power``: what could a cohort of this size show?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--n", required=True, type=click.IntRange(4), help="Patients whose response is known.")
@click.option("--responders", required=True, type=click.IntRange(1), help="Responders among them.")
@click.option("--auc", "thetas", type=float, multiple=True, help="True AUC to simulate.  [default: .5 .6 .7 .8]")
@click.option("--margin", "margins", type=float, multiple=True, help="Margin on the AUC scale.  [default: .10 .15 .20]")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Level of the tests.")
@click.option("--missing-share", type=float, default=0.0, show_default=True, help="Share without a level.")
@click.option("--zero-share", type=float, default=0.0, show_default=True, help="Share tied at the bottom.")
@click.option("--n-levels", type=click.IntRange(2), help="An ordinal marker with so many levels.")
@click.option("--spread", type=float, help="Responders vary so many times as much as others.")
@click.option(
    "--biomarkers", type=click.IntRange(1), default=1, show_default=True, help="Biomarkers that p is adjusted over."
)
@click.option("--reliability", type=float, help="Of the measured level: figures are then of the level in the tumour.")
@click.option("--patient-cost", type=float, help="With --reliability: of one patient without measurements.")
@click.option("--measurement-cost", type=float, help="With --reliability: of one measurement (core, slide, reader).")
@click.option("--simulations", type=click.IntRange(10), default=2000, show_default=True, help="Cohorts for each AUC.")
@click.option("--permutations", type=click.IntRange(99), default=1999, show_default=True, help="Of each cohort.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for power.csv, power.png and run.json."
)
def power(out: Path | None, **options: Any) -> None:
    """Show what a cohort of this size could find.

    Runs the very decision rule of 'biomarkers relate' on simulated cohorts, and prints the least AUC it would find, the
    least margin within which it could show independence, and how many patients a margin takes.

    \b
    biomarkers power --n 52 --responders 19
    biomarkers power --n 52 --responders 19 --missing-share 0.3 --zero-share 0.4 --out power/
    """  # noqa: D301
    from tabulate import tabulate

    from biomarkers.relate.power import DEFAULT_THETAS
    from biomarkers.relate.power import power as ask
    from biomarkers.relate.verdict import SHOWN_MARGINS

    found = ask(
        options["n"],
        n_responders=options["responders"],
        thetas=options["thetas"] or DEFAULT_THETAS,
        margins=options["margins"] or SHOWN_MARGINS,
        alpha=options["alpha"],
        levels=_family(options),
        missing_share=options["missing_share"],
        n_biomarkers=options["biomarkers"],
        n_simulations=options["simulations"],
        n_permutations=options["permutations"],
        rng=options["seed"],
        reliability=options["reliability"],
        progress=sys.stderr.isatty(),
    )
    click.echo(found.explain())
    click.echo("\nShare of simulated cohorts with each verdict:")
    shown = found.characteristics.drop(columns=["not_testable"])
    click.echo(tabulate(shown.to_numpy().tolist(), headers=list(shown.columns), tablefmt="simple", floatfmt=".3f"))
    plan = _measurements(found, options)
    if out is not None:
        _write(found, out)
        if plan is not None:
            from biomarkers.core.files import write_csv

            write_csv(plan, out / "measurements.csv")
        click.echo(f"\npower.csv, needed.csv, power.png, run.json -> {out}")


def _measurements(found: Any, options: dict[str, Any]) -> Any:
    """Show what further measurements of each patient buy; nothing without a reliability."""
    from biomarkers.core.errors import UsageError

    costs = {name: options[name] for name in ("patient_cost", "measurement_cost")}
    if options["reliability"] is None:
        if any(cost is not None for cost in costs.values()):
            raise UsageError("costs belong to --reliability", seen=costs)
        return None
    from tabulate import tabulate

    from biomarkers.relate.power_reliability import measurement_plan

    margins = found.settings["margins"]
    margin = 0.15 if 0.15 in margins else margins[0]
    plan = measurement_plan(
        found.settings["n_evaluable"], n_responders=found.settings["responders_evaluable"],
        reliability=options["reliability"], margin=margin, alpha=options["alpha"], **costs,
    )  # fmt: skip
    click.echo(f"\nMeasurements averaged in each patient, margin {margin:g} (large-sample figures):")
    click.echo(tabulate(plan.to_numpy().tolist(), headers=list(plan.columns), tablefmt="simple", floatfmt=".3f"))
    return plan


def _family(options: dict[str, Any]) -> Any:
    from biomarkers.core.errors import UsageError
    from biomarkers.relate.families import Family

    asked = [name for name in ("zero_share", "n_levels", "spread") if options[name]]
    if len(asked) > 1:
        raise UsageError(
            "levels have one shape at a time", seen=asked, allowed="one of --zero-share --n-levels --spread"
        )
    if not asked:
        return Family()
    names = {"zero_share": "zero-inflated", "n_levels": "ordinal", "spread": "unequal-variance"}
    return Family(names[asked[0]], **{asked[0]: options[asked[0]]})


def _write(found: Any, out: Path) -> None:
    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.plot.relation_power import plot_power
    from biomarkers.plot.style import save

    write_csv(found.characteristics, out / "power.csv")
    write_csv(found.table, out / "needed.csv")
    save(plot_power(found), out / "power.png")
    write_run_json(run_record("power", settings=found.settings, seed=found.settings["seed"]), out)
