"""Components as states: positive or negative at each time point, conversions, and who lacks which link of the chain."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from biomarkers.change.pairs import BIOMARKER
from biomarkers.core import keys
from biomarkers.core.errors import UsageError, did_you_mean

POSITIVE, NEGATIVE, UNKNOWN = "positive", "negative", "not evaluable"
CONVERSIONS = ("stays positive", "becomes positive", "becomes negative", "stays negative")
_FORM = re.compile(r"(?P<level>.+?)\s*(?P<sign>>=|<|=)\s*(?P<cutoff>[-+]?[\d.]+)")


@dataclass(frozen=True)
class Component:
    """One link: a level and the cut-off, declared beforehand, from which it counts as present.

    ``sign`` is ``>=`` (present from the cut-off up) or ``<`` (present below it, as a Treg:CTL ratio below 1).
    """

    level: str
    cutoff: float
    sign: Literal[">=", "<"] = ">="
    name: str = ""

    @property
    def title(self) -> str:
        """Name to show."""
        return self.name or f"{self.level} {self.sign} {self.cutoff:g}"

    def state(self, low: float, high: float, *, below: bool) -> str:
        """State of a level that lies between two values, ``below`` the upper one or at it.

        Examples
        --------
        A level of ``<1`` at a cut of 1 is negative, ``<5`` is unknown.

        >>> Component("TPS", 1).state(-np.inf, 1, below=True), Component("TPS", 1).state(-np.inf, 5, below=True)
        ('negative', 'not evaluable')
        """
        if np.isnan(high):
            return UNKNOWN
        under = high <= self.cutoff if below else high < self.cutoff
        if not under and low < self.cutoff:
            return UNKNOWN
        return POSITIVE if under == (self.sign == "<") else NEGATIVE


def parse_component(text: str) -> Component:
    """Read ``COL=1``, ``COL>=1`` or ``COL<1``, with an optional ``NAME:`` before it.

    Raises
    ------
    UsageError
        The text is none of these.

    Examples
    --------
    >>> parse_component("Treg:CTL<1").sign, parse_component("PD-L1 tps=1").cutoff
    ('<', 1.0)
    """
    found = _FORM.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        cutoff = float(found["cutoff"])
    except ValueError as error:
        raise UsageError(
            "a cut-off is not understood", seen=text, allowed="COLUMN=VALUE, COLUMN>=VALUE or COLUMN<VALUE"
        ) from error
    return Component(found["level"].strip(), cutoff, "<" if found["sign"] == "<" else ">=")


def component_states(
    rows: pd.DataFrame,
    components: Sequence[Component],
    *,
    points: tuple[str, str],
    logged: Collection[str] = (),
    known: Sequence[str] = (),
) -> pd.DataFrame:
    """State of every component of every patient at both time points.

    Parameters
    ----------
    rows
        Samples: patient, timepoint, response, biomarker, level (several samples of a patient at a time point count as
        present when their mean does) and, where limits are known, ``censored``: the level lies somewhere below the
        limit that stands in its place, so it is below any cut-off from the limit up, and unknown at a lower one.
    components
        The links, in the order of the chain.
    points
        Baseline and on-treatment time points.
    logged
        Levels that are logarithms: what is below their limit has no least value; of others it is 0.
    known
        Levels that exist beside those of ``rows``, though nobody has a value.

    Returns
    -------
    Columns ``patient, response, component, timepoint, level, state, reason``, every combination present: what was not
    measured is ``not evaluable``, and ``reason`` says why.

    Raises
    ------
    UsageError
        A component's level does not exist, or two components share a name.
    """
    have = [str(name) for name in dict.fromkeys([*rows[BIOMARKER], *known])]
    titles = [component.title for component in components]
    if len(set(titles)) < len(titles):
        raise UsageError("two components share a name", seen=", ".join(titles))
    mine = rows[rows[keys.TIMEPOINT].isin(points)]
    patients = mine.drop_duplicates(keys.PATIENT)[[keys.PATIENT, keys.RESPONSE]]
    between = _between(mine, logged)
    made: list[list[Any]] = []
    for component in components:
        if component.level not in have:
            raise UsageError(
                "no such level for a cut-off",
                seen=component.level,
                allowed=have,
                hint=did_you_mean(component.level, have) or "Name it among the levels (--level) too.",
            )
        for patient, response in zip(patients[keys.PATIENT], patients[keys.RESPONSE], strict=True):
            for point in points:
                low, high, below = between.get((patient, component.level, point), (np.nan, np.nan, False))
                state = component.state(low, high, below=below)
                reason = "" if state != UNKNOWN else _why_unknown(high, component)
                made.append([patient, response, component.title, point, high, state, reason])
    columns = [keys.PATIENT, keys.RESPONSE, "component", keys.TIMEPOINT, "level", "state", "reason"]
    return pd.DataFrame(made, columns=columns)


def _between(rows: pd.DataFrame, logged: Collection[str]) -> dict[tuple[str, str, str], tuple[float, float, bool]]:
    """Least and largest value of each level, and whether it is below the largest."""
    table = rows.assign(below=rows["censored"].astype(bool) if "censored" in rows else False)
    least = np.where(table[BIOMARKER].isin(list(logged)), -np.inf, 0.0)
    table["low"] = np.where(table["below"], least, table["level"])
    found = table.groupby([keys.PATIENT, BIOMARKER, keys.TIMEPOINT], sort=False).agg(
        low=("low", "mean"), high=("level", "mean"), below=("below", "any")
    )
    values = (found[name].tolist() for name in ("low", "high", "below"))
    return dict(zip(found.index.tolist(), zip(*values, strict=True), strict=True))


def _why_unknown(high: float, component: Component) -> str:
    if np.isnan(high):
        return "not measured"
    return f"below {high:g}, and the cut-off is {component.cutoff:g}"


def conversions(states: pd.DataFrame, *, points: tuple[str, str]) -> pd.DataFrame:
    """Count conversions of each component, with the exact McNemar test.

    Returns
    -------
    One row a component: the four of ``CONVERSIONS``, ``not_evaluable`` (a state is unknown), the change of the
    positive share with its Newcombe interval, the exact McNemar p, and a note where it is undefined.
    """
    from biomarkers.stats.paired import mcnemar_exact, paired_difference

    made = []
    for name, mine in states.groupby("component", sort=False):
        before, after = (
            mine[mine[keys.TIMEPOINT] == point].set_index(keys.PATIENT)["state"].rename(point) for point in points
        )
        both = (before != UNKNOWN) & (after.reindex(before.index) != UNKNOWN)
        first, later = (before[both] == POSITIVE).to_numpy(), (after.reindex(before.index)[both] == POSITIVE).to_numpy()
        cells = [
            [int((first & later).sum()), int((first & ~later).sum())],
            [int((~first & later).sum()), int((~first & ~later).sum())],
        ]
        row: dict[str, Any] = {
            "component": str(name),
            **dict(zip(CONVERSIONS, (cells[0][0], cells[1][0], cells[0][1], cells[1][1]), strict=True)),
            "not_evaluable": int((~both).sum()),
        }
        limited = int(mine.loc[mine["reason"].str.startswith("below"), keys.PATIENT].nunique())
        told = f"{limited} below a limit that is above the cut-off" if limited else ""
        row |= {
            "share_change": np.nan,
            "ci_low": np.nan,
            "ci_high": np.nan,
            "p_mcnemar": np.nan,
            "note": "; ".join(text for text in ("no patient has both states", told) if text),
        }
        if both.any():
            test, share = mcnemar_exact(cells), paired_difference(cells)
            row |= {
                "share_change": share.value,
                "ci_low": share.low,
                "ci_high": share.high,
                "p_mcnemar": test.p,
                "note": "; ".join(text for text in (test.note, told) if text),
            }
        made.append(row)
    return pd.DataFrame(made)


def chain_table(states: pd.DataFrame) -> pd.DataFrame:
    """Who has the whole chain, and which component is the first that is missing.

    Returns
    -------
    One row a patient and time point with any state known: ``patient, response, timepoint``, a column a component,
    ``lacking`` (components that are negative, in the order of the chain), ``unknown``, and ``chain``: ``complete``,
    ``lacks <first component>``, or ``not evaluable`` (nothing is negative but something unknown).
    """
    order = [str(name) for name in dict.fromkeys(states["component"])]
    made = []
    for (patient, point), mine in states.groupby([keys.PATIENT, keys.TIMEPOINT], sort=False):
        by_name = dict(zip(mine["component"], mine["state"], strict=True))
        if all(state == UNKNOWN for state in by_name.values()):
            continue
        lacking = [name for name in order if by_name[name] == NEGATIVE]
        unknown = [name for name in order if by_name[name] == UNKNOWN]
        chain = f"lacks {lacking[0]}" if lacking else ("not evaluable" if unknown else "complete")
        made.append(
            {
                keys.PATIENT: patient,
                keys.RESPONSE: mine[keys.RESPONSE].iloc[0],
                keys.TIMEPOINT: point,
                **{name: by_name[name] for name in order},
                "lacking": "; ".join(lacking),
                "unknown": "; ".join(unknown),
                "chain": chain,
            }
        )
    columns = [keys.PATIENT, keys.RESPONSE, keys.TIMEPOINT, *order, "lacking", "unknown", "chain"]
    return pd.DataFrame(made, columns=columns)
