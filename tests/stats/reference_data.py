"""The seeded data set, and the register of which public function answers which row of the reference table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.stats.results import Estimate, Test

NAN = float("nan")
Z196 = 0.9500042097035593  # the level whose normal quantile is 1.96: two sources round it


class Data:
    """The seeded data set of 52 patients."""

    def __init__(self, folder: Path) -> None:
        self.frame = pd.read_csv(folder / "data.csv")

    def __getitem__(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy()

    def groups(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        yes = self["resp"] == 1
        return self[name][yes], self[name][~yes]

    def cross(self, one: str, two: str) -> np.ndarray:
        return pd.crosstab(self.frame[one], self.frame[two]).to_numpy()

    @cached_property
    def table(self) -> list[list[int]]:
        """PD-L1 positive (>= 1) against response: rows are groups, responders first."""
        return self.cross("tc_pos1", "resp")[::-1, ::-1].tolist()

    @cached_property
    def counts(self) -> tuple[int, int, int, int]:
        (k1, m1), (k2, m2) = self.table
        return k1, k1 + m1, k2, k2 + m2

    @cached_property
    def by_site(self) -> list[np.ndarray]:
        frames = [part for _, part in self.frame.groupby("site")]
        return [
            pd.crosstab(part["tc_pos1"], part["resp"]).reindex(index=[1, 0], columns=[1, 0], fill_value=0).to_numpy()
            for part in frames
        ]

    @cached_property
    def changes(self) -> tuple[np.ndarray, np.ndarray]:
        """On-treatment against baseline PD-1: log ratio and raw difference of the patients with both."""
        pairs = self.frame.dropna(subset=["pd1_on"])
        return np.log(pairs["pd1_on"] / pairs["pd1"]).to_numpy(), (pairs["pd1_on"] - pairs["pd1"]).to_numpy()

    @cached_property
    def change_groups(self) -> np.ndarray:
        return self.frame.dropna(subset=["pd1_on"])["resp"].to_numpy()

    @property
    def log_tc(self) -> np.ndarray:
        return np.log1p(self["tc"])

    @property
    def pfs(self) -> tuple[np.ndarray, np.ndarray]:
        return self["pfs"], self["pfs_event"]


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
