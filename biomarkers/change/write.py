"""A change analysis on disk: tables, figures, report and what made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from biomarkers.change.result import Change
from biomarkers.core.files import write_csv
from biomarkers.core.provenance import run_record, write_run_json


def write_tables(change: Change, folder: Path) -> list[Path]:
    """Write changes.csv, summary.csv, statistics.csv, completeness.csv and, with components, conversions and chain."""
    tables = {
        "changes.csv": change.pairs,
        "summary.csv": change.table,
        "statistics.csv": change.statistics,
        "completeness.csv": change.completeness,
    }
    if len(change.states):
        tables |= {"conversions.csv": change.conversions, "chain.csv": change.chain}
    for name, table in tables.items():
        write_csv(table, folder / name)
    return [folder / name for name in tables]


def write_record(change: Change, folder: Path, *, inputs: Sequence[Path]) -> Path:
    """Write run.json."""
    return write_run_json(run_record("change", settings=dict(change.settings), inputs=inputs), folder)
