"""Do protein and mRNA of the same samples agree? Rank correlation, concordance, limits of agreement, with intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.keys import CENSORED, PATIENT, PATIENT_NAMES, TIMEPOINT
from biomarkers.core.result import Overview, Result
from biomarkers.io.columns.cells import cell_text, missing, refuse_rows, require_columns
from biomarkers.io.columns.frames import as_frame, fit_table
from biomarkers.io.columns.identity import refuse_look_alikes
from biomarkers.io.columns.levels import Reading, describe_level, read_words
from biomarkers.io.columns.model import ColumnMap, LevelColumn, load_column_map
from biomarkers.stats.agreement import bland_altman, concordance_correlation
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.trend import kendall, spearman

if TYPE_CHECKING:
    from anndata import AnnData

COLUMNS: Final = ("stratum", "method", "statistic", "value", "ci_low", "ci_high", "p", "n", "note")
_SPEARMAN: Final = "Spearman rank correlation, Bonett-Wright 95%"
AUTO, UNITS, Z = "auto", "units", "z"
_DRAWS: Final = 2000
_MOST_DRAWN: Final = 3000
_LEAST: Final = 4


@dataclass(frozen=True, repr=False)
class Concordance(Result):
    """How two levels of the same samples agree.

    ``table`` is tidy (``COLUMNS``), ``points`` holds each sample's two levels, as given and as compared, their mean and
    their difference (one minus two), ``warnings`` what a reader must know, ``settings`` what made it.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> level = np.arange(12.0)
    >>> found = bm.concordance(pd.DataFrame({"rna": level, "protein": level**2}), one="rna", two="protein")
    >>> found.table["statistic"][0], round(float(found.table["value"][0]), 3)
    ('spearman', 1.0)
    """

    table: pd.DataFrame
    points: pd.DataFrame
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]

    def explain(self) -> str:
        """Say the result in a few lines."""
        names = f"{self.settings['one']} and {self.settings['two']}"
        lines = [str(self.settings["reading"])] if self.settings.get("reading") else []
        lines += [f"{names}: {len(self.points)} samples with both."]
        for row in self.table[self.table["stratum"] == ""].to_dict("records"):
            value, low, high, p, note = (row[name] for name in ("value", "ci_low", "ci_high", "p", "note"))
            text = "undefined" if math.isnan(value) else f"{value:.2f}"
            text += "" if math.isnan(low) else f" (95% CI {low:.2f} to {high:.2f})"
            text += "" if math.isnan(p) else f", p = {p:.2g}"
            lines.append(f"  {row['statistic']}: {text}" + (f" [{note}]" if note else ""))
        return "\n".join([*lines, *(f"Note: {text}" for text in self.warnings)])

    def _overview(self) -> Overview:
        names = f"{self.settings['one']} and {self.settings['two']}"
        return Overview(f"{names}: {len(self.points)} samples with both", self.table, self.warnings)


def concordance(
    data: AnnData | pd.DataFrame | Mapping[str, Any],
    *,
    one: str,
    two: str,
    patient: str | None = None,
    timepoint: str | None = None,
    strata: str | None = None,
    order: Sequence[str] = (),
    scale: str = AUTO,
    columns: ColumnMap | str | Path | Mapping[str, Any] | None = None,
    rng: int = 0,
) -> Concordance:
    """Measure how two levels of the same samples agree, such as PD-L1 protein and CD274 mRNA.

    Spearman (Bonett-Wright interval) and Kendall's tau-b (bootstrap over samples) ask whether the two rank samples
    alike. Lin's concordance and Bland and Altman's limits ask whether they give the same number, which needs one unit;
    levels in different units are standardised first, and the note says what that leaves of the question.

    Parameters
    ----------
    data
        A cohort, or one row a sample: a pandas, Polars or Arrow table, or a dict of columns.
    one, two
        Columns, or biomarkers of a cohort.
    patient
        Column of the patient; by default the one that has a usual name (patient, subject_id, USUBJID, ...).
    timepoint
        Keep the samples of this time point (column ``timepoint``).
    strata
        Column of batch, site or tumor type: the correlation within each, and within all.
    order
        Words of an ordered level, lowest first (IC0, IC1, IC2+), where they do not say their order themselves.
    scale
        ``units``: compared as given; ``z``: standardised; ``auto``: as given where a cohort says both have one unit.
    columns
        What the columns mean (:class:`biomarkers.ColumnMap`, its TOML file, or the name of a shipped profile).
    rng
        Seed of the bootstrap.

    Returns
    -------
    Concordance

    Raises
    ------
    UsageError
        No such column, biomarker, time point or scale.
    DataError
        A patient stands several times or under two spellings, a level is no number or outside its unit, or fewer than
        four samples have both.

    References
    ----------
    Bonett DG, Wright TA. Psychometrika 2000;65:23-28. Lin LI. Biometrics 1989;45:255-268. Bland JM, Altman DG. Lancet
    1986;327:307-310.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> level = np.arange(12.0)
    >>> found = bm.concordance(pd.DataFrame({"rna": level, "protein": level**2}), one="rna", two="protein")
    >>> found.table["statistic"][0], round(float(found.table["value"][0]), 3)
    ('spearman', 1.0)
    """
    if scale not in (AUTO, UNITS, Z):
        raise UsageError(
            "no such scale", seen=scale, allowed=(AUTO, UNITS, Z), hint=did_you_mean(scale, (AUTO, UNITS, Z))
        )
    if one == two:
        raise UsageError("a level always agrees with itself", seen=one, hint="Name two.")
    contract, reading, where = load_column_map(columns), Reading(), "table"
    if not hasattr(data, "var_names"):
        data, contract = fit_table(as_frame(data), contract, where=where)
        warnings = list(data.attrs.get("notes", []))
        table, units = data, ("", "")
        patient = patient or contract.patient
    else:
        table, units, warnings = _table(data, one, two)
        contract = contract.model_copy(update={"look_alikes": "distinct"})
    for name in (one, two, *((strata,) if strata else ()), *((patient,) if patient else ())):
        if name not in table:
            known = [str(column) for column in table.columns]
            raise UsageError("no such column", seen=name, allowed=known, hint=did_you_mean(name, known))
    require_columns(table, (one, two), where=where)
    table = _at(table, timepoint)
    said = {name: contract.level(name) for name in (one, two)}
    if hasattr(data, "var_names"):  # a cohort's units are known, and were held to when it was joined
        said = {name: level.model_copy(update={"unit": "linear"}) for name, level in said.items()}
    values, words = _numbers(table, (one, two), order, said, reading, where)
    both = np.isfinite(values).all(axis=1)
    for at, (name, other) in enumerate(((one, two), (two, one))):
        alone = int((np.isfinite(values[:, at]) & ~both).sum())
        if alone:
            warnings.append(f"{alone} samples have {name} but no {other}, and are left out")
    patient = patient or _patient_column(table)
    if patient is not None:
        if contract.look_alikes == "refuse":
            named = [cell_text(name) for name in table[patient] if not missing(name)]
            refuse_look_alikes(named, where=f"{where} column {patient!r}")
        warnings += _once(table.loc[both, patient])
        reading.say("patient", patient)
    if both.sum() < _LEAST:
        raise DataError("too few samples have both levels", seen=int(both.sum()), allowed=f">= {_LEAST}")
    x, y = values[both].T
    as_given = scale == UNITS or (scale == AUTO and units[0] == units[1] != "")
    rows = [*_ranks(x, y, rng), *_numbers_agree(x, y, as_given=as_given, words=words)]
    if strata is not None:
        rows += _within(x, y, table.loc[both, strata].astype(str).to_numpy())
    return Concordance(
        table=pd.DataFrame(rows, columns=list(COLUMNS)),
        points=_points(table.index[both], (one, two), x, y, as_given=as_given),
        warnings=tuple(warnings),
        settings={
            "one": one, "two": two, "units": list(units), "patient": patient, "timepoint": timepoint, "strata": strata,
            "order": list(order), "scale": scale, "reading": reading.paragraph(),
            "compared": "as given" if as_given else "standardised", "rng": rng,
        },
    )  # fmt: skip


def _table(data: AnnData, one: str, two: str) -> tuple[pd.DataFrame, tuple[str, str], list[str]]:
    known = [str(name) for name in data.var_names]
    for name in (one, two):
        if name not in known:
            raise UsageError("no such biomarker", seen=name, allowed=known, hint=did_you_mean(name, known))
    levels = data[:, [one, two]].to_df()
    unit = data.var["unit"].astype(str) if "unit" in data.var else pd.Series("", index=data.var_names)
    warnings = []
    if CENSORED in data.layers:
        limited = pd.DataFrame(np.asarray(data.layers[CENSORED], dtype=bool), columns=known)
        warnings = [
            f"{int(limited[name].sum())} samples of {name} stand at its lower limit" for name in (one, two)
            if limited[name].any()
        ]  # fmt: skip
    beside = data.obs.drop(columns=[name for name in (one, two) if name in data.obs])
    return levels.join(beside), (str(unit[one]), str(unit[two])), warnings


def _at(table: pd.DataFrame, timepoint: str | None) -> pd.DataFrame:
    if timepoint is None:
        return table
    if TIMEPOINT not in table:
        raise UsageError(f"there is no column {TIMEPOINT!r}", seen=timepoint, allowed=list(table.columns))
    chosen = table[table[TIMEPOINT].astype(str) == timepoint]
    if chosen.empty:
        known = sorted(set(table[TIMEPOINT].astype(str)))
        raise UsageError("no such time point", seen=timepoint, allowed=known, hint=did_you_mean(timepoint, known))
    return chosen


def _patient_column(table: pd.DataFrame) -> str | None:
    """Name the column of the patient by its usual names; None where there is none."""
    plain = {str(name): re.sub(r"[ .-]", "_", str(name).strip().casefold()) for name in table.columns}
    found = [name for name, text in plain.items() if text in PATIENT_NAMES]
    if PATIENT in found or len(found) < 2:
        return PATIENT if PATIENT in found else next(iter(found), None)
    raise UsageError("several columns could be the patient", seen=", ".join(found), hint="Name one with --patient.")


def _once(patients: pd.Series) -> list[str]:
    """Refuse a patient who stands several times with both levels: patients are what is independent.

    Rows without a patient are no repeats of each other; how many there are is told.
    """
    text = patients.astype(object).where(patients.notna(), "").astype(str).str.strip()
    named = text[text != ""]
    twice = named[named.duplicated()]
    if len(twice):
        raise DataError(
            "a patient stands several times", where=f"column {patients.name}", seen=str(twice.iloc[0]),
            hint="Choose one time point (--timepoint), or one sample a patient.",
        )  # fmt: skip
    nameless = len(text) - len(named)
    return [f"{nameless} samples have no patient in {patients.name}, and count as one patient each"] if nameless else []


def _numbers(
    table: pd.DataFrame,
    names: tuple[str, str],
    order: Sequence[str],
    said: Mapping[str, LevelColumn],
    reading: Reading,
    where: str,
) -> tuple[np.ndarray, bool]:
    """Return (n, 2) numbers, NaN where there is none, and whether a level was made of words."""
    columns, words = [], False
    for name in names:
        level = said[name]
        numeric = pd.to_numeric(table[name].astype(object).where(table[name].notna(), np.nan), errors="coerce")
        text = numeric.isna() & ~np.array([missing(cell) for cell in table[name]], dtype=bool)
        if text.any() and order and not level.order:
            level = level.model_copy(update={"order": tuple(order)})
        cells, ranked = read_words(table[name], name, level, where=where)
        if ranked is None:
            numbers = pd.to_numeric(cells.astype(object).where(cells.notna(), np.nan), errors="coerce").astype(float)
            strange = numbers.isna() & ~np.array([missing(cell) for cell in cells], dtype=bool)
            refuse_rows(
                cells.astype(object), strange.to_numpy(), "a level is no number", where=f"{where} column {name!r}",
                allowed=list(order) or "numbers",
                hint="Name its words from low to high: --order IC0 --order IC1 ..., or order = [...] in the file of "
                "--columns.",
            )  # fmt: skip
        else:
            numbers, words = cells, True
        describe_level(numbers, name, level, ranked, where=where, reading=reading, cut=False)
        columns.append(numbers.to_numpy(dtype=float))
    return np.column_stack(columns), words


def _ranks(x: np.ndarray, y: np.ndarray, rng: int) -> list[tuple[Any, ...]]:
    rho, tau = spearman(x, y), kendall(x, y)
    return [
        _row("", _SPEARMAN, "spearman", rho, _bonett_wright(rho)),
        _row("", "Kendall tau-b, percentile bootstrap 95%", "kendall_tau_b", tau, _bootstrap(x, y, tau, rng)),
    ]


def _row(stratum: str, method: str, name: str, test: Test, interval: tuple[float, float]) -> tuple[Any, ...]:
    return (stratum, method, name, test.statistic, *interval, test.p, test.n, test.note)


def _bonett_wright(rho: Test) -> tuple[float, float]:
    if rho.n < _LEAST or math.isnan(rho.statistic) or abs(rho.statistic) > 1 - 1e-12:
        return math.nan, math.nan
    half = 1.959963985 * math.sqrt((1 + rho.statistic**2 / 2) / (rho.n - 3))
    centre = math.atanh(rho.statistic)
    return math.tanh(centre - half), math.tanh(centre + half)


def _bootstrap(x: np.ndarray, y: np.ndarray, tau: Test, rng: int) -> tuple[float, float]:
    """Percentile interval of tau-b over samples drawn with replacement, all draws at once.

    A draw is how often each sample was taken, w; tau-b is then w'Cw / sqrt(w'Aw w'Bw), where A and B say which pairs
    are not tied in x and y, and C whether the two agree.
    """
    if math.isnan(tau.statistic):
        return math.nan, math.nan
    if len(x) > _MOST_DRAWN:  # pairs would not fit into memory; ties matter little among so many
        half = 1.959963985 * math.sqrt(0.437 / (len(x) - 4))
        return math.tanh(math.atanh(tau.statistic) - half), math.tanh(math.atanh(tau.statistic) + half)
    order = np.lexsort((y, x))  # the interval does not depend on the order of samples
    a, b = (np.sign(values[order][:, None] - values[order][None, :]).astype(np.float32) for values in (x, y))
    w = np.random.default_rng(rng).multinomial(len(x), np.full(len(x), 1 / len(x)), _DRAWS).astype(np.float32)
    agree, one, two = (((w @ pairs) * w).sum(axis=1, dtype=float) for pairs in (a * b, a * a, b * b))
    varies = (one > 0) & (two > 0)
    low, high = np.quantile(agree[varies] / np.sqrt(one[varies] * two[varies]), [0.025, 0.975])
    return float(low), float(high)


def _numbers_agree(x: np.ndarray, y: np.ndarray, *, as_given: bool, words: bool) -> list[tuple[Any, ...]]:
    names = ("ccc", "bland_altman_bias", "bland_altman_lower_limit", "bland_altman_upper_limit")
    flat = np.ptp(x) == 0 or np.ptp(y) == 0
    if words or (flat and not as_given):
        note = (
            "ordered words have no unit to agree in" if words else "a level that does not vary cannot be standardised"
        )
        return [("", name, name, math.nan, math.nan, math.nan, math.nan, len(x), note) for name in names]
    note = "" if as_given else "standardised: Pearson's correlation, says nothing of a shift"
    limits = "" if as_given else "in standard deviations of each level"
    one, two = (x, y) if as_given else (_z(x), _z(y))
    shift = bland_altman(one, two)
    found = (concordance_correlation(one, two), shift.bias, shift.lower, shift.upper)
    rows = [
        _estimate(name, item, limits if i else note) for i, (name, item) in enumerate(zip(names, found, strict=True))
    ]
    trend = spearman(one - two, one + two)
    method = "difference against mean, Spearman"
    interval = _bonett_wright(trend)
    return [*rows, ("", method, "difference_trend", trend.statistic, *interval, trend.p, trend.n, trend.note)]


def _estimate(name: str, item: Estimate, note: str) -> tuple[Any, ...]:
    told = "; ".join(text for text in (item.note, note) if text)
    return ("", item.method, name, item.value, item.low, item.high, math.nan, item.n, told)


def _within(x: np.ndarray, y: np.ndarray, strata: np.ndarray) -> list[tuple[Any, ...]]:
    """Rank correlation in each stratum, and of ranks within strata over all."""
    from scipy.stats import rankdata

    rows: list[tuple[Any, ...]] = []
    aligned = np.zeros((2, len(x)))
    for label in sorted(set(strata)):
        here = strata == label
        for i, values in enumerate((x, y)):
            aligned[i, here] = rankdata(values[here]) / (here.sum() + 1) - 0.5
        if here.sum() >= _LEAST:
            rho = spearman(x[here], y[here])
            rows.append(_row(label, _SPEARMAN, "spearman", rho, _bonett_wright(rho)))
    pooled = spearman(*aligned)
    method = "Spearman of ranks within strata, Bonett-Wright 95%"
    return [*rows, _row("within strata", method, "spearman", pooled, _bonett_wright(pooled))]


def _points(index: pd.Index, names: tuple[str, str], x: np.ndarray, y: np.ndarray, *, as_given: bool) -> pd.DataFrame:
    compared = (x, y) if as_given or np.ptp(x) == 0 or np.ptp(y) == 0 else (_z(x), _z(y))
    return pd.DataFrame(
        {
            "sample": index.astype(str), names[0]: x, names[1]: y,
            "mean": (compared[0] + compared[1]) / 2, "difference": compared[0] - compared[1],
        }
    )  # fmt: skip


def _z(values: np.ndarray) -> np.ndarray:
    made: np.ndarray = (values - values.mean()) / values.std(ddof=1)
    return made
