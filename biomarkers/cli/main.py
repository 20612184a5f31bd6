"""``biomarkers``: finds the verb, runs it, and turns the outcome into an exit code that tells the truth."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from collections.abc import Sequence

import click

from biomarkers.core.errors import BiomarkersError, did_you_mean

# verb -> (module below biomarkers.cli, one line for --help). Help is written here so that --help imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "The whole main job on the simulated sample trial."),
    "info": ("info", "What is in these image files: size, pixel size, channels, problems."),
    "score": ("score", "Slides, tiles or folders -> PD-L1 / PD-1 scores."),
    "cells": ("cells", "Cell tables of inForm, HALO, QuPath, ... -> scores."),
    "gates": ("gates", "One gate table for a batch of multiplex images."),
    "express": ("express", "Expression matrix -> PD-1 / PD-L1 / signature levels per sample."),
    "concordance": ("concordance", "Do protein and mRNA of the same samples agree?"),
    "columns": ("columns", "What a table's columns mean: a draft, or the shipped profiles."),
    "cohort": ("cohort", "Join scores and levels to the clinical table; RECIST, end points, flow."),
    "relate": ("relate", "Do responses occur independently of the levels? One honest verdict."),
    "reliability": ("reliability", "How much of a level is the patient's own, how much the measurement's?"),
    "change": ("change", "Baseline -> on-treatment: paired pharmacodynamic change."),
    "power": ("power", "What could a cohort of this size show?"),
    "simulate": ("simulate", "Simulated slides and trials with known truth."),
    "train": ("train", "Train a cell classifier from labelled cells."),
    "stain": ("stain", "White level and stain vectors that a batch of slides shares."),
    "anchor": ("anchor", "Cuts set by control slides of the same batch."),
    "assays": ("assays", "The table of assays, with their cuts and sources."),
    "scores": ("scores", "The table of scores, with definitions, units and sources."),
    "merge": ("merge", "Join the outputs of several score runs."),
    "verify": ("verify", "Does a finished score run still hold?"),
    "review": ("review", "Look at scored slides, read them blinded, correct them."),
    "rescore": ("rescore", "Scores again with a pathologist's corrections; no pixel is read."),
    "agree": ("agree", "Readers and software: how far do they agree?"),
    "export": ("export", "A run for spatialdata, QuPath or a spreadsheet."),
}

# a command is over before garbage is a burden: by default a tenth of its time goes into walks over loaded libraries
_COLLECT_EVERY = 100_000
EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_NOTHING, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class _LazyGroup(click.Group):
    """A click group that imports a verb's module only when that verb is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"biomarkers.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], VERBS) or f"Verbs: {', '.join(VERBS)}."
            ctx.fail(f"there is no verb {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Log what is done to standard error.")
@click.version_option(package_name="biomarkers")
def cli(verbose: bool) -> None:
    """Did patients respond to PD-1/PD-L1 blockade independently of PD-1 and PD-L1?

    \b
    First look:   biomarkers demo
    Your slides:  biomarkers score SLIDES/ --assay 22c3 --out scores/
    Your table:   biomarkers relate table.csv --level CD274 --response BOR --patient ID --out result/

    \b
    Exit codes: 0 all inputs done; 1 some failed, results written;
    2 usage or configuration, nothing written; 3 nothing succeeded or the
    environment failed; 130 interrupted. Research use only.
    """  # noqa: D301
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(_COLLECT_EVERY)
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (a verb returns an int, or None for 0)."""
    try:
        result = cli.main(args=None if argv is None else list(argv), prog_name="biomarkers", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except BiomarkersError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted: finished results are kept.", err=True)
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else EXIT_OK
