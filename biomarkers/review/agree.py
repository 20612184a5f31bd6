"""Readers against each other and against the software: how far they agree, with intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.review.readings import COLUMNS, CORRECTED, SOFTWARE, readings_of
from biomarkers.review.run_cells import records_of
from biomarkers.stats import agreement
from biomarkers.stats.proportions import wilson
from biomarkers.stats.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

AGREEMENT_COLUMNS: Final = (
    "marker", "score", "reader_1", "reader_2", "statistic", "cutoff", "value", "ci_low", "ci_high", "n", "unit",
    "method", "status", "reason",
)  # fmt: skip
EVERYONE: Final = "all readers"
_SUMMARY: Final = ("icc", "ccc", "bias", "loa_low", "loa_high", "kappa_quadratic")
_MEANING: Final = {
    "icc": "intraclass correlation, absolute agreement of single readings, ICC(2,1)",
    "ccc": "Lin's concordance correlation",
    "bias": "mean difference, reader 1 minus reader 2",
    "loa_low": "lower 95% limit of agreement",
    "loa_high": "upper 95% limit of agreement",
    "kappa_quadratic": "Cohen's kappa over the categories, quadratic weights",
    "kappa_linear": "Cohen's kappa over the categories, linear weights",
    "kappa": "Cohen's kappa at one cut-off",
    "agreement_percent": "slides on one side of a cut-off by both",
    "positive_agreement_percent": "of reader 2's positive slides, those positive by reader 1",
    "negative_agreement_percent": "of reader 2's negative slides, those negative by reader 1",
    "repeatability": "95% of two readings of one slide by this reader lie within it",
}


@dataclass(frozen=True)
class Agreement:
    """How far readers and software agree.

    Attributes
    ----------
    table
        Tidy rows, ``AGREEMENT_COLUMNS``: a statistic of two readers, of all readers together, or of one reader's
        repeated readings (``reader_2`` is then empty). What cannot be computed has the status ``not_evaluable`` and a
        reason.
    readings
        Marker, score, slide, and one column a reader: what was compared.
    notes
        What was left out, and why.
    settings
        Cut-offs and level of the intervals.
    """

    table: pd.DataFrame = field(repr=False)
    readings: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...]
    settings: Mapping[str, Any]

    def summary(self) -> pd.DataFrame:
        """One row a pair of readers: ICC, CCC, bias with limits, weighted kappa, each as text with its interval."""
        import pandas as pd

        rows = []
        for names, part in self.table.groupby(["marker", "score", "reader_1", "reader_2"], sort=False):
            held = {row["statistic"]: row for row in part.to_dict("records")}
            if "icc" not in held:
                continue
            told = {name: _with_interval(held[name]) if name in held else "" for name in _SUMMARY}
            start = dict(zip(("marker", "score", "reader_1", "reader_2"), names, strict=True))
            rows.append({**start, "n": int(held["icc"]["n"]), **told})
        return pd.DataFrame(rows, columns=["marker", "score", "reader_1", "reader_2", "n", *_SUMMARY])

    def explain(self) -> str:
        """Say it in plain sentences, one a pair of readers."""
        lines = []
        for row in self.summary().to_dict("records"):
            who = row["reader_1"] if not row["reader_2"] else f"{row['reader_1']} and {row['reader_2']}"
            text = f"{row['marker']} {row['score']}, {who}, {row['n']} slides: ICC {row['icc']}".strip()
            if row["reader_2"]:
                text += f"; mean difference {row['bias']}, limits of agreement {row['loa_low']} and {row['loa_high']}"
            lines.append(f"{text}.")
        lines += [f"Note: {note}." for note in self.notes]
        return "\n".join([*lines, "Research use only."])

    def to_markdown(self) -> str:
        """Lay the summary out as a Markdown table."""
        from tabulate import tabulate

        shown = self.summary()
        return tabulate(
            shown.to_numpy().tolist(), headers=list(shown.columns), tablefmt="github", disable_numparse=True
        )

    def __str__(self) -> str:
        return self.explain()

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False)


def agree(
    sources: str | Path | pd.DataFrame | Sequence[str | Path | pd.DataFrame],
    *,
    cutoffs: Mapping[str, Sequence[float]] | None = None,
    score: str | None = None,
    marker: str | None = None,
    level: float = 0.95,
) -> Agreement:
    """Measure the agreement of readers with each other and with the software.

    Of each reader the first blinded reading of a slide counts; further ones only tell how well the reader repeats it.
    Readings made after the software's value was shown are counted and left out.

    Parameters
    ----------
    sources
        Output folders of ``biomarkers score`` with a ``readings.csv``, tables of readings (frames or CSV files), or
        both; see :func:`biomarkers.review.readings.readings_of`.
    cutoffs
        Cut-offs of each score; when None those of a run's own assay, and for tables those of all assays that ship with
        the package (1, 5, 10, 25 and 50 for TPS).
    score, marker
        What a table without these columns holds.
    level
        Confidence level of the intervals.

    Returns
    -------
    The agreement of every pair of readers, and of all together.

    Raises
    ------
    UsageError
        A source is absent, or no two readers read the same score.
    DataError
        A table cannot be read, or two sources give one reader's slide twice.

    References
    ----------
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428 (ICC). Lin LI. Biometrics 1989;45:255-268 (CCC). Bland JM,
    Altman DG. Lancet 1986;327:307-310. Cohen J. Psychol Bull 1968;70:213-220 (weighted kappa).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"slide": list("abcd"), "A": [0, 5, 40, 80], "B": [1, 5, 50, 70]})
    >>> found = agree(table, score="tps", marker="PD-L1")
    >>> float(found.table.set_index(["statistic", "cutoff"]).loc[("agreement_percent", 50.0), "value"])
    75.0
    """
    import pandas as pd

    given = [sources] if isinstance(sources, (str, Path, pd.DataFrame)) else list(sources)
    if not given:
        raise UsageError("no run and no table of readings was given")
    read = [readings_of(one, score=score, marker=marker) for one in given]
    notes = [note for _, said in read for note in said]
    every = pd.concat([table.assign(source=number) for number, (table, _) in enumerate(read)], ignore_index=True)
    _refuse_twice(every)
    seen = int((~every["blinded"]).sum())
    if seen:
        notes.append(f"{seen} readings made after the software's value was shown: left out")
    every = every[every["blinded"]]
    every = every.assign(repeat=every.groupby(["marker", "score", "slide", "reader"], sort=False).cumcount())
    people = every[~every["reader"].isin([SOFTWARE, CORRECTED])]
    asked = people[["marker", "score"]].drop_duplicates()
    cuts = {
        name: tuple(sorted({float(cut) for cut in given})) for name, given in (cutoffs or _published(given)).items()
    }
    rows: list[dict[str, Any]] = []
    wide: list[pd.DataFrame] = []
    for of_marker, of_score in asked.itertuples(index=False):
        part = every[(every["marker"] == of_marker) & (every["score"] == of_score)]
        first = part[part["repeat"] == 0].set_index(["slide", "reader"])["value"].unstack()  # noqa: PD010
        first = first[sorted(first.columns, key=lambda name: (name in (SOFTWARE, CORRECTED), name))]
        start = {"marker": of_marker, "score": of_score}
        rows += [{**start, **row} for row in _statistics(first, cuts.get(of_score, ()), level)]
        rows += [{**start, **row} for row in _repeats(part, level)]
        wide.append(first.reset_index().rename_axis(columns=None).assign(**start))
    if not any(row["statistic"] != "repeatability" for row in rows):
        found = sorted({*people["reader"]})
        raise UsageError("no two readers read the same score", seen=found or "no readings", hint="See docs/review.md.")
    values = pd.concat(wide, ignore_index=True)
    values = values[["marker", "score", "slide", *(c for c in values.columns if c not in ("marker", "score", "slide"))]]
    table = pd.DataFrame(rows, columns=list(AGREEMENT_COLUMNS))
    settings = {"cutoffs": {name: cuts[name] for name in sorted(set(asked["score"]) & set(cuts))}, "level": level}
    return Agreement(table, values, tuple(dict.fromkeys(notes)), settings)


def _published(sources: Sequence[str | Path | pd.DataFrame]) -> dict[str, list[float]]:
    """Cut-offs of every score in the assays that ship with the package; those of runs are their own assay's."""
    from biomarkers.core.config import assay_names, load_assay

    found: dict[str, set[float]] = {}
    for name in assay_names():
        for score, cuts in load_assay(name).cutoffs.items():
            found.setdefault(score, set()).update(cuts)
    own: dict[str, set[float]] = {}
    for run in (Path(one) for one in sources if isinstance(one, (str, Path)) and (Path(one) / "run.json").is_file()):
        for record in records_of(run).values():
            assay = record.get("assay")
            for score, cuts in (assay.get("cutoffs", {}) if isinstance(assay, dict) else {}).items():
                own.setdefault(score, set()).update(float(cut) for cut in cuts)
    found |= own
    return {score: sorted(cuts) for score, cuts in found.items()}


def _refuse_twice(every: pd.DataFrame) -> None:
    by = ["marker", "score", "slide", "reader"]
    sources = every.groupby(by, sort=False)["source"].nunique()
    twice = sources[sources > 1]
    if len(twice):
        seen = dict(zip(by, twice.index[0], strict=True))
        hint = "Nothing tells which of the two counts: rename one slide, or leave one source out."
        raise DataError("two sources hold a reading of one slide by one reader", seen=seen, hint=hint)


def _statistics(first: pd.DataFrame, cuts: Sequence[float], level: float) -> Iterator[dict[str, Any]]:
    """Yield every statistic of two readers, then that of all together when they are three or more."""
    unit = ""
    for one, two in itertools.combinations(first.columns, 2):
        both = first[[one, two]].dropna().to_numpy(dtype=float)
        start = {"reader_1": one, "reader_2": two, "n": len(both), "unit": unit, "cutoff": math.nan}
        yield from ({**start, **row} for row in _of_pair(both, cuts, level))
    if first.shape[1] > 2:
        whole = first.dropna().to_numpy(dtype=float)
        start = {"reader_1": EVERYONE, "reader_2": "", "n": len(whole), "unit": unit, "cutoff": math.nan}
        yield {**start, **_told("icc", lambda: agreement.intraclass_correlation(whole, level=level))}


def _of_pair(both: np.ndarray, cuts: Sequence[float], level: float) -> Iterator[dict[str, Any]]:
    x, y = both[:, 0], both[:, 1]
    yield _told("icc", lambda: agreement.intraclass_correlation(both, level=level))
    yield _told("ccc", lambda: agreement.concordance_correlation(x, y, level=level))
    for name, part in (("bias", "bias"), ("loa_low", "lower"), ("loa_high", "upper")):
        yield _told(name, lambda part=part: getattr(agreement.bland_altman(x, y, level=level), part))
    if not cuts:
        return
    one, two = (np.searchsorted(cuts, values, side="right").astype(float) for values in (x, y))
    for weights in ("quadratic", "linear"):
        yield _told(f"kappa_{weights}", lambda w=weights: agreement.kappa(one, two, weights=w, level=level))
    for cut in cuts:
        high_1, high_2 = x >= cut, y >= cut
        at = {"cutoff": cut}
        yield {**_told("kappa", lambda a=high_1, b=high_2: agreement.kappa(a * 1.0, b * 1.0, level=level)), **at}
        for name, same, among in (
            ("agreement_percent", high_1 == high_2, np.ones(len(x), dtype=bool)),
            ("positive_agreement_percent", high_1, high_2),
            ("negative_agreement_percent", ~high_1, ~high_2),
        ):
            yield {**_share(name, same[among], level), **at}


def _share(name: str, same: np.ndarray, level: float) -> dict[str, Any]:
    """Return a percentage with Wilson's interval, ``n`` the slides it is of."""
    if not same.size:
        return {**_row(name, None, f"no slide to count: {_MEANING[name]}"), "n": 0, "unit": "percent"}
    found = wilson(int(same.sum()), int(same.size), level=level)
    row = _row(name, found, "")
    return {**row, **{key: 100 * row[key] for key in ("value", "ci_low", "ci_high")}, "n": same.size, "unit": "percent"}


def _repeats(part: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    """Yield the repeatability of every reader who read a slide more than once."""
    for reader, own in part.groupby("reader", sort=True):
        groups = [values.to_numpy(dtype=float) for _, values in own.groupby("slide", sort=True)["value"]]
        again = [values for values in groups if values.size > 1]
        if again:
            row = _told("repeatability", lambda: agreement.repeatability(again, level=level))  # noqa: B023
            yield {"reader_1": reader, "reader_2": "", "n": len(again), "unit": "", "cutoff": math.nan, **row}


def _told(name: str, make: Any) -> dict[str, Any]:
    """Make one statistic; what too few slides leave undefined is said in the row."""
    try:
        found: Estimate = make()
    except BiomarkersError as error:
        return _row(name, None, str(error))
    return _row(name, None, found.note) if math.isnan(found.value) else _row(name, found, found.note)


def _row(name: str, found: Estimate | None, reason: str) -> dict[str, Any]:
    value, low, high = (math.nan,) * 3 if found is None else (found.value, found.low, found.high)
    status = keys.NOT_EVALUABLE if found is None else keys.OK
    method = _MEANING[name] if found is None else found.method
    return {"statistic": name, "value": value, "ci_low": low, "ci_high": high, "method": method, "status": status,
            "reason": reason}  # fmt: skip


def _with_interval(row: Mapping[Any, Any]) -> str:
    if row["status"] != keys.OK:
        return row["status"].replace("_", " ")
    return f"{row['value']:.3g} ({row['ci_low']:.3g} to {row['ci_high']:.3g})"


def compared(found: Agreement) -> Iterable[tuple[str, str, str, str, np.ndarray]]:
    """Yield marker, score, two readers and their values, (n, 2), for every pair of people, or people and software."""
    for (marker, score), part in found.readings.groupby(["marker", "score"], sort=False):
        names = [c for c in part.columns if c not in ("marker", "score", "slide") and part[c].notna().any()]
        for one, two in itertools.combinations(names, 2):
            yield str(marker), str(score), one, two, part[[one, two]].dropna().to_numpy(dtype=float)


__all__ = ["AGREEMENT_COLUMNS", "COLUMNS", "Agreement", "agree", "compared"]
