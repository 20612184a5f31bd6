"""How reliable is a level? Variance components from several slides, cores, readers or runs of the same patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.cohort.tables import numeric_column, require_columns
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.result import Overview, Result
from biomarkers.relate.replicate_scale import SCALES, even_errors, even_scale
from biomarkers.stats.reliability import ReliabilityEstimate, one_way_reliability
from biomarkers.stats.reml import RESIDUAL, component_reliability, variance_components

PLACE, READER, COUNTING = "place", "reader", "counting"
_WIDEST: Final = (3, 3)  # places and readers in the table of designs
_FEW: Final = 10


@dataclass(frozen=True, repr=False)
class Reliability(Result):
    """How much of a level's variance is the patients' own.

    Attributes
    ----------
    level, scale
        The level, and the scale on which its error was taken as even.
    estimate
        Reliability of one measurement with its interval.
    components
        One row a source of variance: ``component, variance, share, levels``; the patients' first, on ``scale``.
    designs
        Reliability of the mean of several ``places`` and ``readers``, where these were told apart.
    limits
        The error component with the largest variance.
    notes
        What a reader must know.
    settings
        Everything in force.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> cores = pd.DataFrame({"patient": list("aabbccdd"), "tps": [1, 3, 20, 30, 60, 70, 90, 80]})
    >>> found = bm.reliability(cores, level="tps", scale="percent")
    >>> found.components["component"].tolist()[0]
    'patient'
    """

    level: str
    scale: str
    estimate: ReliabilityEstimate
    components: pd.DataFrame
    designs: pd.DataFrame
    limits: str
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def option(self) -> str:
        """What ``--reliability`` takes; empty where the estimate stands at 0."""
        found = self.estimate
        return f"{self.level}={found.value:.3f}:{found.low:.3f}:{found.high:.3f}" if found.value > 0 else ""

    @property
    def table(self) -> pd.DataFrame:
        """The same as ``components``."""
        return self.components

    def _overview(self) -> Overview:
        found = self.estimate
        title = f"{self.level}: reliability {found.value:.2f} (95% interval {found.low:.2f} to {found.high:.2f})"
        return Overview(title, self.components, self.notes)

    def explain(self) -> str:
        """Say it in plain sentences."""
        found = self.estimate
        lines = [
            (
                f"{self.level}: reliability of one measurement {found.value:.2f} ({100 * found.level:g}% interval "
                f"{found.low:.2f} to {found.high:.2f}; {self.scale}; {found.method})."
            )
        ]
        if found.value <= 0:
            lines.append(
                "Measurements of one patient differ as much as those of different patients: the estimate stands at the "
                "boundary, and no AUC is corrected with it."
            )
        lines.append(f"The largest error: {self.limits}.")
        shares = [f"{row['component']} {100 * row['share']:.0f}%" for row in self.components.to_dict("records")]
        lines.append(f"Of the variance: {', '.join(shares)}.")
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)])


def reliability(
    table: pd.DataFrame,
    *,
    level: str,
    patient: str = keys.PATIENT,
    replicates: Sequence[str] = (),
    place: str | None = None,
    reader: str | None = None,
    response: str | None = None,
    standard_error: str | None = None,
    scale: str = "normal-scores",
    one_reader: bool = False,
    confidence: float = 0.95,
    where: str = "table",
) -> Reliability:
    """Estimate how reliable a level is, from patients that were measured more than once.

    Parameters
    ----------
    table
        One row a measurement (several slides, cores, blocks, readers or runs of a patient), or one row a patient with
        further measurements in the columns ``replicates``.
    level
        Column of the level.
    patient
        Column of the patient.
    replicates
        Columns with further measurements of the same patient, in the unit of ``level``.
    place
        Column of the core, block or biopsy within the patient: what differs between places is told apart.
    reader
        Column of who or what read: constant differences between readers are told apart.
    response
        Column of groups with means of their own (response), within which patients vary.
    standard_error
        Column of the standard error of each level, in its unit: how much of the error is counting.
    scale
        Where error is taken as even: ``normal-scores`` (as the AUC, the same for every increasing transformation),
        ``linear`` (levels and densities, log2 of them), ``log2`` (as given), ``percent`` or ``fraction`` (logit).
    one_reader
        One reader reads every patient of the cohort: constant differences between readers are no error there.
    confidence
        Level of the interval.
    where
        The table's name, for messages.

    Returns
    -------
    Reliability
        The interval is the F interval for patients alone, and a profile of the restricted likelihood with places or
        readers.

    Raises
    ------
    UsageError
        A column or scale does not exist.
    DataError
        Nobody or one patient only was measured twice, replicates are copies of each other, or a level lies outside its
        scale.

    References
    ----------
    Patterson HD, Thompson R. Biometrika 1971;58:545-554 (REML). Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428.

    Examples
    --------
    >>> cores = pd.DataFrame({"patient": list("aabbccdd"), "tps": [1, 3, 20, 30, 60, 70, 90, 80]})
    >>> found = reliability(cores, level="tps", scale="percent")
    >>> f"{found.estimate.value:.2f} ({found.estimate.low:.2f} to {found.estimate.high:.2f})"
    '0.96 (0.67 to 1.00)'
    """
    columns = [c for c in (place, reader, response, standard_error) if c is not None]
    require_columns(table, [level, patient, *replicates, *columns], where=where)
    if scale not in SCALES:
        raise UsageError("unknown scale", seen=scale, allowed=SCALES)
    long = _long(table, level, patient, replicates, columns, where)
    notes: list[str] = []
    if absent := int(long[level].isna().sum()):
        notes.append(f"{absent} measurements without a level left out")
    unnamed = long[[patient, *(c for c in (place, reader, response) if c is not None)]].isna().any(axis=1)
    if unnamed.any():
        notes.append(f"{int(unnamed.sum())} measurements without a {patient}, place, reader or response left out")
    long = long[long[level].notna() & ~unnamed].reset_index(drop=True)
    values = even_scale(long[level].to_numpy(dtype=float), scale, level=level, where=where)
    who = long[patient].astype(str).to_numpy()
    groups = None if response is None else long[response].astype(str).to_numpy()
    lists, group = _by_patient(values, who, groups)
    one_way = one_way_reliability(lists, groups=group, level=confidence, scale=scale)  # refuses what says nothing
    if one_way.n < _FEW:
        notes.append(f"{one_way.n} patients were measured more than once: the interval is wide, and rests on normality")
    factors, rest = _factors(long, who, place, reader, notes)
    found = variance_components(values, {"patient": who, **factors}, fixed=groups)
    weights = {READER: 0.0} if one_reader else {}
    estimate = (
        component_reliability(values, {"patient": who, **factors}, signal="patient", weights=weights, fixed=groups,
                              level=confidence)
        if factors else one_way
    )  # fmt: skip
    errors = None if standard_error is None else even_errors(
        long[level].to_numpy(dtype=float), numeric_column(long, standard_error, where=where).to_numpy(), scale
    )  # fmt: skip
    components = _components(found.variances, found.levels, rest, errors, notes)
    wrong = components.iloc[1:]
    if one_reader:
        wrong = wrong[wrong["component"] != READER]
    limits = str(wrong["component"].iloc[int(wrong["variance"].to_numpy().argmax())])
    return Reliability(
        level, scale, estimate, components, _designs(found.variances, one_reader=one_reader), limits, tuple(notes),
        {
            "level": level, "patient": patient, "replicates": list(replicates), "place": place, "reader": reader,
            "response": response, "standard_error": standard_error, "scale": scale, "one_reader": one_reader,
            "confidence": confidence, "measurements": len(long), "patients": int(np.unique(who).size),
        },
    )  # fmt: skip


def _long(
    table: pd.DataFrame, level: str, patient: str, replicates: Sequence[str], columns: Sequence[str], where: str
) -> pd.DataFrame:
    """One row a measurement."""
    kept = [patient, *dict.fromkeys(columns)]
    parts = []
    for name in (level, *replicates):
        part = table[kept].copy()
        part[level] = numeric_column(table, name, where=where).to_numpy(dtype=float)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _by_patient(
    values: np.ndarray, who: np.ndarray, groups: np.ndarray | None
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Measurements of each patient, and the patient's group."""
    order, first, code = np.unique(who, return_index=True, return_inverse=True)
    lists = [values[code == at] for at in range(order.size)]
    if groups is None:
        return lists, None
    mixed = [str(order[at]) for at in range(order.size) if np.unique(groups[code == at]).size > 1]
    if mixed:
        raise DataError("a patient stands in two groups", where="response", seen=mixed[0], allowed="one a patient")
    return lists, groups[first]


def _factors(
    long: pd.DataFrame, who: np.ndarray, place: str | None, reader: str | None, notes: list[str]
) -> tuple[dict[str, np.ndarray], str]:
    """Factors beside the patient that can be told apart from what is left, and the name of what is left."""
    factors: dict[str, np.ndarray] = {}
    rest = "repeated measurement"
    if place is not None:
        nested = np.array([f"{one}\x1f{at}" for one, at in zip(who, long[place].astype(str), strict=True)])
        n = np.unique(nested).size
        if n == np.unique(who).size:
            notes.append("every patient has one place: differences between places are not known, and not in the error")
        elif n == len(long):
            rest = "place and repeated measurement"
        else:
            factors[PLACE] = nested
    if reader is not None:
        readers = long[reader].astype(str).to_numpy()
        if np.unique(readers).size == 1:
            notes.append("one reader only: differences between readers are not known, and not in the error")
        else:
            factors[READER] = readers
    return factors, rest


def _components(
    variances: Mapping[str, float], levels: Mapping[str, int], rest: str, errors: np.ndarray | None, notes: list[str]
) -> pd.DataFrame:
    rows = [{"component": name, "variance": v, "levels": levels.get(name)} for name, v in variances.items()]
    rows[-1]["component"] = rest
    if errors is not None:
        counted = float((errors[~np.isnan(errors)] ** 2).mean())
        left = variances[RESIDUAL] - counted
        if left < 0:
            notes.append("the standard errors are larger than the differences between measurements: are they right?")
        rows[-1]["variance"] = max(left, 0.0)
        rows.append({"component": COUNTING, "variance": min(counted, variances[RESIDUAL]), "levels": None})
    made = pd.DataFrame(rows)
    made.insert(2, "share", made["variance"] / made["variance"].sum())
    made["levels"] = made["levels"].astype("Int64")
    return made


def _designs(variances: Mapping[str, float], *, one_reader: bool) -> pd.DataFrame:
    """Reliability of the mean over places and readers: what a second core or a second reader buys."""
    signal = variances["patient"]
    rows = []
    for places in range(1, _WIDEST[0] + 1):
        for readers in range(1, _WIDEST[1] + 1):
            error = variances[RESIDUAL] / (places * readers)
            error += variances.get(PLACE, 0.0) / places
            error += 0.0 if one_reader else variances.get(READER, 0.0) / readers
            total = signal + error
            rows.append({"places": places, "readers": readers, "reliability": signal / total if total > 0 else 0.0})
    return pd.DataFrame(rows)


__all__ = ["Reliability", "reliability"]
