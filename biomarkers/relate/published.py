"""Published agreement of PD-L1 readings: a table with sources, of which a value is used only when asked for by name."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import pandas as pd

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.stats.reliability import ReliabilityEstimate

_FILE: Final = "reliability_published.csv"
USABLE: Final = "ICC"  # the only statistic that is a reliability of the level; a kappa belongs to a cut-off


def published_reliability() -> pd.DataFrame:
    """Return published agreement of readings: one row a value, with assay, cut, what varied and the source.

    Rows with statistic ``ICC`` can be given to :func:`biomarkers.relate` by name; a kappa at a cut-off is no
    reliability of the level and is there to be read.

    Examples
    --------
    >>> table = published_reliability()
    >>> table.loc[table["name"] == "chang-2019-readers", "value"].item()
    0.902
    """
    with (files("biomarkers.relate") / _FILE).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def published_value(name: str) -> tuple[ReliabilityEstimate, str]:
    """Return a published reliability and, in words, what it is.

    Raises
    ------
    UsageError
        There is no such name, or it is the name of a kappa.
    """
    table = published_reliability().set_index("name")
    usable = [str(one) for one in table.index[table["statistic"] == USABLE]]
    if name not in table.index:
        raise UsageError(
            "no published reliability has this name", seen=name, allowed=usable, hint=did_you_mean(name, usable)
        )
    row = table.loc[name]
    if row["statistic"] != USABLE:
        raise UsageError(
            "this published value is a kappa at a cut-off, which is no reliability of the level", seen=name,
            allowed=usable,
        )  # fmt: skip
    words = f"published, {row['varied']} varied, {row['assay']} ({row['source'].partition(',')[0]} {name})"
    return ReliabilityEstimate.known(float(str(row["value"]))), words
