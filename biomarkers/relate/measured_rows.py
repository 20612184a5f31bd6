"""Measurement error in the answer: columns and sentence of each verdict, and the corrected estimates behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import BiomarkersError
from biomarkers.core.keys import NOT_TESTABLE, RELIABILITY_COLUMNS
from biomarkers.relate.answers import Rules, ranked, strata_of
from biomarkers.relate.binary import Row, row
from biomarkers.relate.endpoints import EndPoint
from biomarkers.relate.inputs import AnalysedPatients, at_cut
from biomarkers.relate.measured import Measurement, Source, in_tumor, normal_scores
from biomarkers.stats.misclassification import correct_misclassification
from biomarkers.stats.one_covariate import log_hazard, log_odds
from biomarkers.stats.results import Estimate, undefined_estimate
from biomarkers.stats.simulation_extrapolation import simex

_SIMULATIONS: Final = 60  # of each added error; the Monte Carlo error is a tenth of the interval or less
_PROBIT: Final = "probit of the AUC"
_PER_SD: Final = "per standard deviation of the measured level (normal scores)"


def with_measurement(
    verdicts: pd.DataFrame,
    patients: AnalysedPatients,
    points: Sequence[EndPoint],
    rules: Rules,
    measurement: Measurement,
) -> tuple[pd.DataFrame, list[Row], list[str], dict[str, Any]]:
    """Add what each verdict says of the level in the tumour.

    Returns
    -------
    The verdicts with their columns of reliability and, in ``reason``, the sentence; rows of the statistics; notes; the
    statements in force, for the record.
    """
    by_name = {point.name: point for point in points}
    table = verdicts.copy()
    columns: dict[str, list[Any]] = {name: [] for name in RELIABILITY_COLUMNS}
    rows: list[Row] = []
    notes: list[str] = []
    used: dict[str, Any] = {}
    reasons = []
    for one in table.to_dict("records"):
        point, name = by_name[str(one["endpoint"])], str(one["biomarker"])
        sources = _sources(patients, point, name, rules, measurement)
        found = in_tumor(one, sources, level=1 - 2 * rules.alpha)
        for column, values in columns.items():
            values.append(found.columns.get(column, "" if column == "reliability_source" else math.nan))
        reasons.append(f"{one['reason']}; {found.sentence}" if found.sentence else one["reason"])
        notes += [f"{name} ({point.name}): {source.text}" for source in sources if source.problem]
        if sources:
            used[f"{name} ({point.name})"] = [_recorded(source) for source in sources]
        if one["verdict"] != NOT_TESTABLE:
            rows += _corrected_rows(patients, point, name, rules, sources)
        rows += _table_rows(patients, point, name, rules, measurement.accuracy.get(name), notes)
    for column, values in columns.items():
        table[column] = pd.Series(values, index=table.index, dtype=object if column == "reliability_source" else float)
    table["reason"] = reasons
    return table, rows, notes, used


def _sources(
    patients: AnalysedPatients, point: EndPoint, name: str, rules: Rules, measurement: Measurement
) -> list[Source]:
    groups: np.ndarray | None = None
    if point.kind == "binary":
        groups = point.value.astype(int).astype(str)
        if rules.stratified:
            groups = np.char.add(np.char.add(groups, " "), strata_of(patients, point).astype(str))
    return measurement.sources(name, patients.table, rows=point.rows, groups=groups, where=patients.where)


def _recorded(source: Source) -> dict[str, Any]:
    found = source.estimate
    if found is None:
        return {"source": source.words, "not_used": source.problem}
    return {"source": source.words, "value": found.value, "low": found.low, "high": found.high, "method": found.method,
            "n": found.n}  # fmt: skip


def _corrected_rows(
    patients: AnalysedPatients, point: EndPoint, name: str, rules: Rules, sources: Sequence[Source]
) -> list[Row]:
    """Odds or hazard ratio and AUC by simulation-extrapolation, with the first reliability that can be used."""
    used = next((source for source in sources if source.estimate is not None), None)
    if used is None or used.estimate is None or not 0 < used.estimate.value < 1 or point.kind not in ("binary", "time"):
        return []
    level = ranked(patients, point)[0][:, list(patients.levels.columns).index(name)]
    known = ~np.isnan(level)
    scores = normal_scores(level[known])
    yes = point.value[known] == 1
    groups = [scores[yes], scores[~yes]] if point.kind == "binary" else [scores]
    spread = math.sqrt(float(np.mean([one.var(ddof=1) for one in groups if one.size > 1])))
    error = spread * math.sqrt(1 - used.estimate.value)
    note = f"reliability {used.text}; its uncertainty is not in this interval"
    if point.kind == "time":
        asked = {"hazard ratio": log_hazard(point.time[known], point.event[known])}
    else:
        asked = {"AUC": _probit_auc(yes), "odds ratio": log_odds(yes)}
    made = []
    for statistic, estimate in asked.items():
        found = _simulated(estimate, scores, error, rules.seed, _PROBIT if statistic == "AUC" else f"log {statistic}")
        back = _back(found, statistic)
        made.append(row(name, point.name, back.method, statistic, back, n=int(known.sum()), note=note))
    return made


def _simulated(estimate: Any, scores: np.ndarray, error: float, seed: int, name: str) -> Estimate:
    try:
        return simex(estimate, scores, error_sd=error, n_simulations=_SIMULATIONS, rng=seed, name=name)
    except (BiomarkersError, np.linalg.LinAlgError) as failed:
        return undefined_estimate(level=0.95, n=scores.size, method=f"{name}, SIMEX", note=str(failed))


def _back(found: Estimate, statistic: str) -> Estimate:
    """From the scale on which was extrapolated to the ratio or the AUC."""
    from scipy.special import ndtr

    change: Callable[[float], float] = (
        (lambda at: float(ndtr(at))) if statistic == "AUC" else (lambda at: math.exp(min(at, 700.0)))
    )
    method = found.method if statistic == "AUC" else f"{found.method}, {_PER_SD}"
    value, low, high = (change(at) for at in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.level, found.n, method, found.note)


def _probit_auc(yes: np.ndarray) -> Callable[[np.ndarray], tuple[float, float]]:
    from scipy.special import ndtri

    from biomarkers.stats.roc import auc, auc_variance

    least = 0.5 / (yes.sum() * (~yes).sum())

    def estimate(scores: np.ndarray) -> tuple[float, float]:
        one, two = scores[yes], scores[~yes]
        theta = min(max(auc(one, two), least), 1 - least)
        z = float(ndtri(theta))
        return z, auc_variance(one, two) * 2 * math.pi * math.exp(z * z)

    return estimate


def _table_rows(
    patients: AnalysedPatients,
    point: EndPoint,
    name: str,
    rules: Rules,
    accuracy: tuple[float, float] | str | None,
    notes: list[str],
) -> list[Row]:
    """2 x 2 tables at the cut-offs of a level, corrected for misclassification."""
    if accuracy is None or point.kind != "binary":
        return []
    if isinstance(accuracy, str):
        notes.append(f"{name}: tables at cut-offs are not corrected, {accuracy}")
        return []
    cuts = rules.cutoffs.get(name, ())
    if not cuts:
        notes.append(f"{name}: sensitivity and specificity were given, but no cut-off they belong to")
    made = []
    level = patients.levels[name].to_numpy(dtype=float)[point.rows]
    yes = point.value == 1
    for cut in cuts:
        positive, negative = at_cut(level, patients.limit(name)[point.rows], cut)
        told = positive | negative
        if not (told & yes).any() or not (told & ~yes).any():
            continue
        found = correct_misclassification(
            int((positive & yes).sum()), int((told & yes).sum()), int((positive & ~yes).sum()),
            int((told & ~yes).sum()), sensitivity=accuracy[0], specificity=accuracy[1],
        )  # fmt: skip
        note = f"cut {cut:g}, corrected for sensitivity {accuracy[0]:g}, specificity {accuracy[1]:g}"
        for statistic, estimate in (
            ("share positive, responders", found.positive_responders),
            ("share positive, others", found.positive_others),
            ("difference", found.difference), ("odds ratio", found.odds_ratio),
        ):  # fmt: skip
            made.append(row(name, point.name, estimate.method, statistic, estimate, n=int(told.sum()), note=note))
        if found.note:
            notes.append(f"{name} at {cut:g}: {found.note}")
    return made


def recorded(used: Mapping[str, Any], measurement: Measurement) -> dict[str, Any]:
    """Return what is kept of the measurement in the settings of a result."""
    return {
        "reliability": dict(used), "replicates": {name: list(v) for name, v in measurement.replicates.items()},
        "standard_errors": dict(measurement.errors),
        "accuracy": {name: v if isinstance(v, str) else list(v) for name, v in measurement.accuracy.items()},
    }  # fmt: skip
