"""The seeded data set, and the register of which public function answers which row of the reference table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.stats.results import Estimate, Test

NAN = float("nan")
ORDERED = {"recist": "recist_ord"}
Z196 = 0.9500042097035593  # the level whose normal quantile is 1.96: two sources round it


class Data:
    """A seeded data set with its table of reference values: 52 patients, or others with the same kinds of columns.

    Rows of the reference table name their columns, so the handlers take the columns from the row.
    """

    def __init__(self, folder: Path) -> None:
        self.frame = pd.read_csv(folder / "data.csv")
        self.reference = pd.read_csv(folder / "reference.csv", dtype=str, keep_default_na=False)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy()

    def columns(self, *names: str) -> tuple[np.ndarray, ...]:
        """Give columns of the patients who have them all; the ordered response is a number, PD lowest."""
        found = [ORDERED.get(name, name) for name in names]
        known = self.frame.dropna(subset=found)
        return tuple(known[name].to_numpy() for name in found)

    def groups(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        level, response = self.columns(name, "resp")
        return level[response == 1], level[response == 0]

    def cross(self, one: str, two: str) -> np.ndarray:
        return pd.crosstab(self.frame[one], self.frame[two]).to_numpy()

    def table(self, marker: str) -> list[list[int]]:
        """Marker by response: rows are groups, positive first; responders first."""
        return _two_by_two(self.frame, marker).tolist()

    def counts(self, marker: str) -> tuple[int, int, int, int]:
        (k1, m1), (k2, m2) = self.table(marker)
        return k1, k1 + m1, k2, k2 + m2

    def by_site(self, marker: str) -> list[np.ndarray]:
        return [_two_by_two(part, marker) for _, part in self.frame.groupby("site")]

    def changes(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """On-treatment against baseline of the patients with both: log ratio, raw difference, response."""
        before, after, response = self.columns(name, f"{name}_on", "resp")
        return np.log(after / before), after - before, response

    def survival(self, *names: str) -> tuple[np.ndarray, ...]:
        """Times, events, and columns beside them."""
        return self.columns("pfs", "pfs_event", *names)

    def raw_p(self) -> list[float]:
        """Give the family of p-values that the rows of adjustments start from, in their order."""
        rows = self.reference[self.reference["method"].str.startswith("padjust_holm_")].drop_duplicates("method")
        at = rows["method"].str.rpartition("_")[2].astype(int)
        return [float(p) for p in rows["p"].iloc[np.argsort(at.to_numpy())]]


def _two_by_two(frame: pd.DataFrame, marker: str) -> np.ndarray:
    found = pd.crosstab(frame[marker], frame["resp"])
    return found.reindex(index=[1, 0], columns=[1, 0], fill_value=0).to_numpy()


@dataclass(frozen=True)
class Answer:
    value: float = NAN
    low: float = NAN
    high: float = NAN
    p: float = NAN


def est(e: Estimate, p: float = NAN) -> Answer:
    return Answer(e.value, e.low, e.high, p)


def tst(t: Test, value: float | None = None) -> Answer:
    return Answer(t.statistic if value is None else value, p=t.p)


Handler = Callable[[Data, "re.Match[str]", dict[str, str]], Answer]
HANDLERS: list[tuple[str, str, Handler]] = []


def row(pattern: str, function: str) -> Callable[[Handler], Handler]:
    """Register the public function (module.name under biomarkers.stats) that answers rows matching the pattern."""

    def keep(handler: Handler) -> Handler:
        HANDLERS.append((pattern, function, handler))
        return handler

    return keep


def add(pattern: str, function: str, handler: Handler) -> None:
    HANDLERS.append((pattern, function, handler))
