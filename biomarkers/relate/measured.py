"""How well a level was measured, and what a verdict on the measured level says of the level in the tumour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.cohort.tables import numeric_column, require_columns
from biomarkers.core.errors import BiomarkersError, UsageError
from biomarkers.core.keys import (
    DEPENDENT,
    DEPENDENT_WITHIN_MARGIN,
    INDEPENDENT_WITHIN_MARGIN,
)
from biomarkers.relate.published import published_value
from biomarkers.stats.measurement_error import corrected_auc, smallest_reliability
from biomarkers.stats.misclassification import check_accuracy
from biomarkers.stats.reliability import ReliabilityEstimate, error_reliability, one_way_reliability
from biomarkers.stats.results import Estimate

IN_TUMOR: Final = "for the level in the tumour"
NOT_USED: Final = "not used"
_ANY: Final = 0.0  # least reliability at which an association stands: error that is alike in both groups only hides it
_UNDER_MARGIN: Final = (INDEPENDENT_WITHIN_MARGIN, DEPENDENT_WITHIN_MARGIN)


@dataclass(frozen=True)
class Source:
    """One statement about the reliability of a level; without ``estimate`` it could not be used: ``problem``."""

    words: str
    estimate: ReliabilityEstimate | None = None
    problem: str = ""

    @property
    def text(self) -> str:
        """The value, its interval and where it is from."""
        if self.estimate is None:
            return f"{self.words}: {NOT_USED}, {self.problem}"
        found = self.estimate
        limits = "" if found.is_known else f" ({_two(found.low)}-{_two(found.high)})"
        return f"{self.words}: {_two(found.value)}{limits}"


@dataclass(frozen=True)
class Measurement:
    """What is said about the measurement of each level, checked for form but not yet looked up in the data.

    Attributes
    ----------
    given
        Level -> statements of a reliability.
    replicates
        Level -> columns with further measurements of it.
    errors
        Level -> column with its standard error.
    accuracy
        Level -> sensitivity and specificity at its cut-offs, or what is wrong with them.
    """

    given: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    replicates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    accuracy: Mapping[str, tuple[float, float] | str] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any], *, levels: Sequence[str], table: pd.DataFrame, where: str) -> Measurement:
        """Read the options ``reliability``, ``replicates``, ``standard_errors`` and ``accuracy`` of ``relate``.

        A number that cannot be a reliability is kept with what is wrong with it, so that the verdict is given all the
        same.

        Raises
        ------
        UsageError
            A level or a column does not exist, a name is not that of a published value, or the form is wrong.
        """
        said = {name: dict(options.get(name) or {}) for name in ("reliability", "replicates", "standard_errors",
                                                                 "accuracy")}  # fmt: skip
        for option, values in said.items():
            for name in values:
                if name not in levels:
                    raise UsageError(f"{option} names no level", where=where, seen=name, allowed=list(levels))
        replicates = {
            name: (columns,) if isinstance(columns, str) else tuple(columns)
            for name, columns in said["replicates"].items()
        }
        for name, columns in replicates.items():
            require_columns(table, columns, where=where)
            if name in columns or len(set(columns)) < len(columns):
                raise UsageError(
                    "a column is named twice among the replicates of a level", where=where, seen=(name, *columns),
                    hint="The level itself is the first measurement: name the further ones.",
                )  # fmt: skip
        require_columns(table, list(said["standard_errors"].values()), where=where)
        return cls(
            {name: _sources(value) for name, value in said["reliability"].items()},
            replicates, said["standard_errors"],
            {name: _accuracy(value) for name, value in said["accuracy"].items()},
        )  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self.given or self.replicates or self.errors or self.accuracy)

    def sources(
        self, name: str, table: pd.DataFrame, *, rows: np.ndarray, groups: np.ndarray | None, where: str
    ) -> list[Source]:
        """Every statement about one level in the patients of one end point, those of its own data first.

        Parameters
        ----------
        name
            The level.
        table
            All rows.
        rows
            Positions of the patients that count.
        groups
            Their response (and stratum), within which levels vary; None for an end point without groups.
        where
            The file, for messages.
        """
        found: list[Source] = []
        here = None if groups is None else np.asarray(groups)
        if name in self.replicates:
            words = "from your replicates"
            values = _columns(table, (name, *self.replicates[name]), rows, where)
            found.append(_tried(words, lambda: _from_replicates(values, here)))
        if name in self.errors:
            words = "from standard errors"
            pair = _columns(table, (name, self.errors[name]), rows, where)
            known = ~np.isnan(pair).any(axis=1)
            found.append(
                _tried(words, lambda: error_reliability(pair[known, 0], pair[known, 1],
                                                        groups=None if here is None else here[known]))
            )  # fmt: skip
        return [*found, *self.given.get(name, ())]


@dataclass(frozen=True)
class InTumor:
    """What one verdict says of the level in the tumour: columns of the verdict, and the sentence."""

    columns: dict[str, Any]
    sentence: str


def in_tumor(row: Mapping[Any, Any], sources: Sequence[Source], *, level: float) -> InTumor:
    """Carry a verdict on the measured level to the level in the tumour.

    Parameters
    ----------
    row
        A row of the verdicts.
    sources
        Statements about the reliability, the one for the columns first.
    level
        Confidence level of ``auc_low90`` and ``auc_high90``.
    """
    auc, low, high, margin = (_number(row.get(name)) for name in ("auc", "auc_low90", "auc_high90", "margin"))
    verdict = row["verdict"]
    used = next((one for one in sources if one.estimate is not None), None)
    columns: dict[str, Any] = {"reliability_source": "; ".join(one.text for one in sources if one.estimate is None)}
    if used is not None and used.estimate is not None:
        found = used.estimate
        columns = {
            "reliability": found.value, "reliability_low": found.low, "reliability_high": found.high,
            "reliability_source": "; ".join(filter(None, (used.words, columns["reliability_source"]))),
        }  # fmt: skip
    if any(math.isnan(at) for at in (auc, low, high, margin)):
        least = _ANY if verdict == DEPENDENT else math.nan
        return InTumor({**columns, "smallest_reliability": least}, "")
    least = _ANY if verdict == DEPENDENT else smallest_reliability(low, high, margin=margin)
    measured = Estimate(auc, low, high, level, int(row["n"]), "AUC")
    corrected = [None if s.estimate is None else corrected_auc(measured, reliability=s.estimate) for s in sources]
    for source, true in zip(sources, corrected, strict=True):
        if source is used and true is not None and not math.isnan(true.value):
            columns |= {"auc_true": true.value, "auc_true_low90": true.low, "auc_true_high90": true.high}
    told = [_told(s, true, verdict, margin) for s, true in zip(sources, corrected, strict=True)]
    return InTumor({**columns, "smallest_reliability": least}, _sentence(verdict, least, told))


def _told(source: Source, true: Estimate | None, verdict: str, margin: float) -> str:
    """One source: its value, and what follows for the claim or the AUC."""
    if true is None:
        return source.text
    if math.isnan(true.value):
        return f"{source.text}: no AUC can be given, and the claim is not shown to stand"
    limits = f"AUC {_two(true.value)}, {100 * true.level:g}% interval {_two(true.low)} to {_two(true.high)}"
    if verdict in _UNDER_MARGIN:
        stands = 0.5 - margin < true.low and true.high < 0.5 + margin
        return f"{source.text}: {'it stands' if stands else 'it does not stand'} ({limits})"
    return f"{source.text}: {limits}"


def _sentence(verdict: str, least: float, told: Sequence[str]) -> str:
    """Make the sentence that stands beside the verdict; empty where there is nothing to say."""
    if verdict in _UNDER_MARGIN:
        upwards = math.ceil(least * 100 - 1e-9) / 100
        head = f"{IN_TUMOR} the claim stands if the measurement's reliability is at least {upwards:.2f}"
    elif verdict == DEPENDENT and told:
        head = f"{IN_TUMOR} the association stands at any reliability (error alike in both groups only weakens it)"
    elif told:
        return f"{IN_TUMOR}, {'; '.join(told)}"
    else:
        return ""
    return "; ".join([head, *told])


def _sources(value: Any) -> tuple[Source, ...]:
    """Read what was given for one level: a number, (value, low, high), a published name, an estimate, or a list."""
    if isinstance(value, list):
        return tuple(one for part in value for one in _sources(part))
    if isinstance(value, str):
        estimate, words = published_value(value)
        return (Source(words, estimate),)
    estimate = getattr(value, "estimate", value)
    if isinstance(estimate, ReliabilityEstimate):
        return (Source("from replicates", estimate),)
    if isinstance(value, tuple) and len(value) != 3:
        raise UsageError(
            "a reliability has another form",
            seen=value,
            allowed="0.6, (0.6, 0.45, 0.75), or the name of a published one",
        )
    if isinstance(value, tuple):
        return (_tried("given", lambda: ReliabilityEstimate.with_interval(*(float(at) for at in value))),)
    return (_tried("given", lambda: ReliabilityEstimate.known(value)),)


def _accuracy(value: Any) -> tuple[float, float] | str:
    try:
        sensitivity, specificity = (float(at) for at in value)
    except (TypeError, ValueError) as error:
        raise UsageError("accuracy has another form", seen=value, allowed="(sensitivity, specificity)") from error
    try:
        check_accuracy(sensitivity, specificity)
    except UsageError as error:
        return str(error)
    return sensitivity, specificity


def _tried(words: str, make: Any) -> Source:
    """Make an estimate, or keep what is wrong: the measured verdict is given all the same."""
    try:
        return Source(words, make())
    except BiomarkersError as error:
        return Source(words, problem=str(error))


def _columns(table: pd.DataFrame, names: Sequence[str], rows: np.ndarray, where: str) -> np.ndarray:
    """Numbers of columns in the patients that count, (n, k)."""
    return np.stack([numeric_column(table, name, where=where).to_numpy(dtype=float)[rows] for name in names], axis=1)


def _from_replicates(values: np.ndarray, groups: np.ndarray | None) -> ReliabilityEstimate:
    """Reliability of one measurement, on the normal scores of all measurements: as the AUC, the same on every scale."""
    has = ~np.isnan(values).all(axis=1)
    scores = normal_scores(values[has])
    lists = [one[~np.isnan(one)] for one in scores]
    return one_way_reliability(lists, groups=None if groups is None else groups[has], scale="normal scores")


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Van der Waerden's scores of all numbers together, missing ones kept: any shape."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    made = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    made[known] = ndtri(rankdata(values[known]) / (known.sum() + 1))
    return made


def _number(value: Any) -> float:
    return math.nan if value is None or value is pd.NA else float(value)


def _two(value: float) -> str:
    return f"{value:.2f}"
