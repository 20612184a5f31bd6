"""The pharmacodynamic change: baseline -> on-treatment, per patient and per group, with its noise known or said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.change.chain import Component, chain_table, component_states, conversions, parse_component
from biomarkers.change.group import completeness, group_statistics, model_notes, response_statistics
from biomarkers.change.masking import masking_notes
from biomarkers.change.pairs import (
    BIOMARKER,
    Samples,
    add_scaled,
    make_pairs,
    samples_of_cohort,
    scales_of,
)
from biomarkers.change.reading import reading_notes
from biomarkers.change.repeatability import Gate, Repeatability, call_changes, repeatability
from biomarkers.change.result import ADJUSTMENTS, Adjustment, Change, summarise
from biomarkers.change.scale import Scale
from biomarkers.change.tables import pooled, samples_of_table, unpooled
from biomarkers.cohort.response import NotEvaluable, Responders, classify_response
from biomarkers.cohort.source import table_of
from biomarkers.cohort.tables import numeric_column, require_columns
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.columns.levels import level_names
from biomarkers.io.columns.model import ColumnMap, load_column_map

if TYPE_CHECKING:
    from anndata import AnnData

_NAMED = 6
_ADJUSTED = {
    "holm": "Holm over the biomarkers, exact signed-rank test",
    "max-t": "step-down maximum over the biomarkers, signed-rank statistics, signs flipped by patient",
}


def measure_change(
    table: AnnData | pd.DataFrame | str | Path | Mapping[str, Any],
    *,
    levels: str | Sequence[str] | None = None,
    patient: str | None = None,
    timepoint: str | None = None,
    baseline: str = keys.BASELINE,
    on_treatment: str = keys.ON_TREATMENT,
    response: str | None = None,
    scale: str | Mapping[str, str] | None = None,
    offset: float | Mapping[str, float] | None = None,
    lloq: Mapping[str, float] | None = None,
    censored: Mapping[str, str] | None = None,
    replicates: pd.DataFrame | None = None,
    replicate_of: str = keys.SAMPLE,
    gate: Gate = "coefficient",
    counts: Mapping[str, tuple[str, str]] | None = None,
    several: str = "refuse",
    components: Sequence[Component | str] = (),
    drug: str | None = None,
    responders: Sequence[str] = (keys.CR, keys.PR),
    not_evaluable: NotEvaluable = "exclude",
    alpha: float = 0.05,
    adjustment: Adjustment = "holm",
    columns: ColumnMap | str | Path | Mapping[str, Any] | None = None,
    where: str = "table",
) -> Change:
    """Measure the change of levels from baseline to on-treatment.

    The scale is fixed: log2 ratios for levels, differences of logits for proportions. It is printed with every result.

    Parameters
    ----------
    table
        A cohort (see :func:`biomarkers.build_cohort`), or a table with a row a sample: a pandas, Polars or Arrow table,
        a dict of columns, or the path of one.
    levels
        Biomarkers: columns of the table, or biomarkers of the cohort (all of them by default).
    patient, timepoint
        Columns of a table (``patient`` and ``timepoint`` when nothing names them); a cohort has its own.
    baseline, on_treatment
        The two time points as they are spelled there.
    response
        Column of the best overall response in a table; a cohort has its own.
    scale
        What the levels of a table are: ``linear``, ``log2``, ``percent`` or ``fraction``, for all or by name. A cohort
        says it itself. Of a level for which nothing is said, linear or log2 is told from the values, and a note says
        so.
    offset
        What is added before a logarithm, for all or by name. By default half a count where counts are known, else 1
        (linear), 0.5 (percent), 0.005 (fraction).
    lloq
        Lower limits of quantification of a table's levels, by name. Below, a level is censored: with one of the two
        below, the change is a bound; with both, there is no quantifiable change. A cell ``<1`` is read beside a
        limit of 1.
    censored
        Columns of a table that say yes where a level stands at its lower limit, by name of the level.
    replicates
        Technical replicates: one row a measurement, with ``replicate_of`` and the level columns in the unit of the
        table. Without them no patient's change is called.
    replicate_of
        Column of the replicates that says which sample was measured.
    gate
        ``coefficient``: 2.77 times the within-sample standard deviation; ``prediction``: with the small-sample factor.
    counts
        Columns of the counts behind a table's level, by name: (positive, all), or (positive, area) for a density. Then
        half a count is the offset, and samples can be pooled.
    several
        Several samples of a patient at a time point: ``refuse``; ``pool`` sums their counts and areas; ``mean`` is
        taken on the scale of change. The mixed model sees every sample in any case.
    components
        Cut-offs in the order of the chain, as :class:`Component` or text (``"PD-L1 tps=1"``, ``"Treg:CTL<1"``).
    drug
        The treatment, so that masking of the epitope by the drug can be judged.
    responders, not_evaluable
        Who responded (see :func:`biomarkers.classify_response`).
    alpha
        Two-sided level of the group tests, after adjustment over the biomarkers.
    adjustment
        ``holm``, or ``max-t``: step-down maximum of the signed-rank statistics, the signs of a patient's changes
        flipped jointly. Both stand in the table.
    columns
        What the columns mean (:class:`biomarkers.ColumnMap`, its TOML file, or the name of a shipped profile); what
        the call names itself comes first.
    where
        Name of the table for messages.

    Raises
    ------
    UsageError
        A column, biomarker, time point or option does not exist.
    DataError
        Text among numbers, several samples without a rule, a level outside its scale; rows are named.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame(
    ...     {
    ...         "patient": list("abcdefgh") * 2,
    ...         "timepoint": ["baseline"] * 8 + ["on_treatment"] * 8,
    ...         "CD8": [100.0] * 8 + [200.0, 150, 300, 120, 400, 250, 180, 500],
    ...     }
    ... )
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear")
    >>> change.table[["biomarker", "n_pairs", "verdict"]].to_numpy().tolist()
    [['CD8', 8, 'increased']]
    """
    if not 0 < alpha < 1:
        raise UsageError("alpha must lie between 0 and 1", seen=alpha)
    if adjustment not in ADJUSTMENTS:
        raise UsageError("unknown adjustment over the biomarkers", seen=adjustment, allowed=ADJUSTMENTS)
    contract = load_column_map(columns)
    if isinstance(table, str | Path) and Path(table).suffix == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        table = read_cohort(Path(table))
    if isinstance(table, pd.DataFrame) or not hasattr(table, "var_names"):
        table, contract, where = table_of(table, columns=contract, where=where, text=[patient or "", timepoint or ""])
        contract = contract.model_copy(update={"lloq": {**contract.lloq, **(lloq or {})}})
        lloq = dict(contract.lloq)
        samples = samples_of_table(
            table,
            levels=level_names(levels, contract) or [],
            patient=patient or contract.patient or keys.PATIENT,
            timepoint=timepoint or contract.timepoint or keys.TIMEPOINT,
            response=response or contract.response,
            scale=scale,
            columns=contract,
            lloq=lloq,
            censored=censored,
            counts=counts,
            offset=offset,
            where=where,
        )
    else:
        samples = samples_of_cohort(table, level_names(levels, ColumnMap()))
    scales = scales_of(samples, offset=offset)
    points = (baseline, on_treatment)
    rows = add_scaled(samples, scales)
    once = add_scaled(pooled(samples), scales) if several == "pool" else rows
    pairs = make_pairs(once, baseline=baseline, on_treatment=on_treatment, several=several, occurring=samples.points)
    noise = _repeatabilities(replicates, replicate_of, scales, where)
    pairs["call"] = _calls(pairs, noise, gate)
    found = _responders(pairs, responders, not_evaluable)
    statistics = _statistics(pairs, rows, scales, points, found)
    links = [parse_component(item) if isinstance(item, str) else item for item in components]
    logged = [name for name, kind in samples.kinds.items() if kind == "log2"]
    states = component_states(once, links, points=points, logged=logged, known=list(samples.kinds))
    summary = summarise(pairs, statistics, scales, noise, gate=gate, alpha=alpha, adjustment=adjustment)
    notes = _notes(samples, pairs, scales, noise, drug, found, points)
    if several == "pool":
        notes += [
            f"{name}: its samples have no counts to pool (--counts 'LEVEL=POSITIVE:ALL'): their mean on the scale of "
            "change was taken"
            for name in unpooled(samples)
        ]
    return Change(
        table=summary,
        pairs=pairs,
        statistics=statistics,
        completeness=completeness(pairs, found),
        states=states,
        conversions=conversions(states, points=points),
        chain=chain_table(states),
        notes=(*notes, *model_notes(statistics, alpha=alpha)),
        settings={
            "levels": list(scales),
            "baseline": baseline,
            "on_treatment": on_treatment,
            "scale": {name: one.label for name, one in scales.items()},
            "gate": gate if noise else "none: no replicates",
            "several": several,
            "components": [link.title for link in links],
            "drug": drug,
            "lloq": dict(lloq or {}),
            "censored": dict(censored or {}),
            "counts": {name: list(columns) for name, columns in (counts or {}).items()},
            "offset": dict(offset) if isinstance(offset, Mapping) else offset,
            "replicate_of": replicate_of if noise else None,
            "response": "not given" if found is None else found.definition,
            "responders": list(responders),
            "not_evaluable": not_evaluable,
            "alpha": alpha,
            "adjustment": _ADJUSTED[adjustment],
            "scale_told_from_values": list(samples.told),
            "columns": contract.model_dump(exclude_defaults=True, mode="json"),
            "reading": samples.reading,
        },
    )


def _repeatabilities(
    replicates: pd.DataFrame | None, replicate_of: str, scales: Mapping[str, Scale], where: str
) -> dict[str, Repeatability]:
    """Technical variance of each biomarker that the replicates hold, on its scale of change."""
    if replicates is None:
        return {}
    require_columns(replicates, [replicate_of], where="replicates")
    names = [name for name in scales if name in replicates.columns]
    if not names:
        raise UsageError(
            "the replicates hold none of the levels",
            where="replicates",
            seen=", ".join(map(str, replicates.columns)),
            allowed=list(scales),
        )
    made = {}
    for name in names:
        values = numeric_column(replicates, name, where="replicates").to_numpy()
        scale = scales[name]
        if scale.counts:
            raise DataError(
                "replicates as plain levels cannot be brought to a scale in count space",
                where=name,
                hint="Give an offset in the unit of the level, for the levels and the replicates alike.",
            )
        made[name] = repeatability(replicates[replicate_of], scale.apply(values))
    return made


def _calls(pairs: pd.DataFrame, noise: Mapping[str, Repeatability], gate: Gate) -> list[str]:
    calls = np.full(len(pairs), "", dtype=object)
    for name in dict.fromkeys(pairs[BIOMARKER]):
        known, at = noise.get(str(name)), (pairs[BIOMARKER] == name).to_numpy()
        calls[at] = call_changes(pairs[at], None if known is None else known.gate(gate))
    return [str(call) for call in calls]


def _responders(pairs: pd.DataFrame, responders: Sequence[str], not_evaluable: NotEvaluable) -> Responders | None:
    words = pairs.drop_duplicates(keys.PATIENT).set_index(keys.PATIENT)[keys.RESPONSE]
    if words.isna().all():
        return None
    return classify_response(words, responders=responders, not_evaluable=not_evaluable)


def _statistics(
    pairs: pd.DataFrame,
    rows: pd.DataFrame,
    scales: Mapping[str, Scale],
    points: tuple[str, str],
    found: Responders | None,
) -> pd.DataFrame:
    made = []
    for name, scale in scales.items():
        mine = pairs[pairs[BIOMARKER] == name]
        if mine.empty:
            continue
        made.append(group_statistics(mine, rows, scale, points=points))
        if found is not None:
            made.append(response_statistics(mine, found))
    if not made:
        return pd.DataFrame(columns=list(keys.STATISTIC_COLUMNS))
    return pd.concat(made, ignore_index=True)


def _notes(
    samples: Samples,
    pairs: pd.DataFrame,
    scales: Mapping[str, Scale],
    noise: Mapping[str, Repeatability],
    drug: str | None,
    found: Responders | None,
    points: tuple[str, str],
) -> list[str]:
    notes = masking_notes(samples.markers, samples.assays, drug)
    notes += reading_notes(samples, points=points)
    without = [name for name in samples.kinds if name not in noise]
    if without:
        which = ", ".join(without) if noise or len(without) == 1 else "any of the levels (no replicates)"
        notes.append(f"technical variance unknown: no per-patient call for {which}")
    notes += _offset_notes(samples, scales)
    notes += [f"{name}: {known.note}" for name, known in noise.items() if known.note]
    notes += _pair_notes(pairs, found)
    return notes


def _offset_notes(samples: Samples, scales: Mapping[str, Scale]) -> list[str]:
    """Warn where the offset is larger than most levels: it then hides their ratios."""
    notes = []
    for name, scale in scales.items():
        levels = samples.rows.loc[samples.rows[BIOMARKER] == name, "level"]
        if scale.kind == "linear" and not scale.counts and len(levels) and float(levels.median()) < scale.offset:
            notes.append(
                f"{name}: the offset {scale.offset:g} exceeds the median level {levels.median():.3g}, so ratios are "
                f"shrunk towards 1; name a smaller one (--offset '{name}=...')"
            )
    return notes


def _pair_notes(pairs: pd.DataFrame, found: Responders | None) -> list[str]:
    table = completeness(pairs, found)
    alike: dict[str, list[str]] = {}
    for name, mine in table.groupby(BIOMARKER, sort=False):
        patients, paired, p = int(mine["patients"].sum()), int(mine["with_pair"].sum()), float(mine["p_fisher"].iloc[0])
        if paired == patients:
            continue
        text = f"{paired} of {patients} patients have both levels"
        if not np.isnan(p):
            text += f" (who has both, by response: Fisher p = {p:.3g})"
        alike.setdefault(text, []).append(str(name))
    return [f"{_listed(names)}: {text}" for text, names in alike.items()]


def _listed(names: list[str]) -> str:
    """Name a few of many biomarkers."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
