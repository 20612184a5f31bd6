"""What a change analysis found: tables, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from biomarkers import keys
from biomarkers.change.group import BY_RESPONSE, ENDPOINT, MIN_PAIRS
from biomarkers.change.pairs import BIOMARKER, BOTH_BELOW
from biomarkers.change.repeatability import DECREASE, INCREASE, Gate, Repeatability
from biomarkers.change.scale import Scale

ROSE, FELL, NOT_SHOWN = "increased", "decreased", "no change shown"
SUMMARY_COLUMNS = (
    BIOMARKER,
    "verdict",
    "n_pairs",
    "n_patients",
    "median_change",
    "hl_change",
    "ci_low",
    "ci_high",
    "p",
    "test",
    "p_adjusted",
    "p_by_response",
    "p_by_response_adjusted",
    "rose",
    "fell",
    "called_increase",
    "called_decrease",
    "both_below_limit",
    "sdw",
    "gate",
    "gate_low",
    "gate_high",
    "scale",
    "in_words",
    "reason",
)


@dataclass(frozen=True, eq=False)
class Change:
    """Pharmacodynamic change of one or more biomarkers.

    Attributes
    ----------
    table
        One row a biomarker (``SUMMARY_COLUMNS``): the verdict is ``increased``, ``decreased``, ``no change shown`` (not
        the same as unchanged) or ``not_testable``; changes are on the scale that stands in ``scale``.
    pairs
        One row a patient and biomarker: both levels, the change, its bound, the per-patient call, or why there is none.
    statistics
        Every statistic (``keys.STATISTIC_COLUMNS``).
    completeness
        Who has both levels, by response.
    states, conversions, chain
        Components by their cut-offs: each state, the conversions with McNemar's test, and who lacks which link.
    notes
        What a reader must know.
    settings
        Everything in force.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    statistics: pd.DataFrame
    completeness: pd.DataFrame
    states: pd.DataFrame
    conversions: pd.DataFrame
    chain: pd.DataFrame
    notes: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def verdicts(self) -> pd.DataFrame:
        """The same as ``table``."""
        return self.table

    def explain(self) -> str:
        """Say in plain words what was found and what could not be."""
        return "\n".join([*self.opening(), "", *self.sentences(), *self.closing()])

    def opening(self) -> list[str]:
        """Say what is compared, and who responded."""
        return [
            f"Change from {self.settings['baseline']} to {self.settings['on_treatment']}, one row a patient.",
            f"Response: {self.settings['response']}.",
        ]

    def closing(self) -> list[str]:
        """Say what became of the components, who lacks which, and what a reader must know; headings included."""
        lines = []
        if len(self.conversions):
            lines += ["", "Components"]
            lines += [f"- {_conversion_sentence(row)}" for row in _records(self.conversions)]
            lines += [f"- {text}" for text in _chain_sentences(self.chain)]
        if self.notes:
            lines += ["", "Notes", *(f"- {note}" for note in self.notes)]
        return [*lines, "", "Associations in one cohort, not predictions. Research use only."]

    def sentences(self) -> list[str]:
        """Say of each biomarker what was found, a sentence or two each."""
        return [_sentence(row) for row in _records(self.table)]

    def _repr_html_(self) -> str:
        shown = self.table[
            ["biomarker", "verdict", "n_pairs", "median_change", "hl_change", "ci_low", "ci_high", "p_adjusted"]
        ]
        head = "".join(f"<th>{escape(str(name))}</th>" for name in shown.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
            for row in shown.itertuples(index=False)
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        title = f"Change from {self.settings['baseline']} to {self.settings['on_treatment']}"
        return (
            f"<p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<ul>{notes}</ul><p>Research use only.</p>"
        )


def summarise(
    pairs: pd.DataFrame,
    statistics: pd.DataFrame,
    scales: Mapping[str, Scale],
    noise: Mapping[str, Repeatability],
    *,
    gate: Gate,
    alpha: float,
) -> pd.DataFrame:
    """One row a biomarker, with Holm's adjustment over the biomarkers."""
    from biomarkers.stats.adjust import adjust

    made = [_summary(name, pairs, statistics, scale, noise.get(name), gate) for name, scale in scales.items()]
    table = pd.DataFrame(made)
    for name in ("p", "p_by_response"):
        p = table[name].to_numpy(dtype=float)
        table[f"{name}_adjusted"] = adjust(p) if table[name].notna().any() else np.nan
    table["verdict"] = [_verdict(row, alpha) for row in _records(table)]
    return table.reindex(columns=list(SUMMARY_COLUMNS))


def _summary(
    name: str,
    pairs: pd.DataFrame,
    statistics: pd.DataFrame,
    scale: Scale,
    noise: Repeatability | None,
    gate: Gate,
) -> dict[str, Any]:
    mine = pairs[pairs[BIOMARKER] == name]
    have = mine[mine["reason"] == ""]
    change = have["change"].to_numpy(dtype=float)
    found = _picker(statistics, name)
    hl = found(ENDPOINT, "Hodges-Lehmann change")
    test = found(ENDPOINT, "signed-rank sum")
    by_response = found(BY_RESPONSE, "rank sum of the changes")
    n = len(have)
    quantified = int((have["bound"] != BOTH_BELOW).sum())
    reason = ""
    if n == 0:
        reason = "no patient has both levels"
    elif quantified == 0:
        reason = "every pair is below its limit: no quantifiable change"
    elif n < MIN_PAIRS:
        reason = f"{n} pair{'' if n == 1 else 's'} cannot reach p < 0.05 two-sided: {MIN_PAIRS} needed"
    return {
        BIOMARKER: name,
        "n_pairs": n,
        "n_patients": mine[keys.PATIENT].nunique(),
        "median_change": float(np.median(change)) if n else np.nan,
        "hl_change": hl["value"],
        "ci_low": hl["ci_low"],
        "ci_high": hl["ci_high"],
        "p": test["p"],
        "test": test["method"] if isinstance(test["method"], str) else "",
        "p_by_response": by_response["p"],
        "rose": int((change > 0).sum()),
        "fell": int((change < 0).sum()),
        "called_increase": int((have["call"] == INCREASE).sum()),
        "called_decrease": int((have["call"] == DECREASE).sum()),
        "both_below_limit": n - quantified,
        "sdw": np.nan if noise is None else noise.sdw,
        "gate": np.nan if noise is None else noise.gate(gate),
        "gate_low": np.nan if noise is None else noise.low,
        "gate_high": np.nan if noise is None else noise.high,
        "scale": scale.label,
        "in_words": scale.in_words(float(np.median(change))) if n else "",
        "reason": reason,
    }


def _picker(statistics: pd.DataFrame, name: str) -> Any:
    def pick(endpoint: str, statistic: str) -> dict[str, Any]:
        rows = statistics[
            (statistics[BIOMARKER] == name)
            & (statistics["endpoint"] == endpoint)
            & (statistics["statistic"] == statistic)
        ]
        empty = dict.fromkeys(("value", "ci_low", "ci_high", "p", "method"), np.nan)
        return _records(rows)[0] if len(rows) else empty

    return pick


def _verdict(row: Mapping[str, Any], alpha: float) -> str:
    if row["reason"] or np.isnan(row["p_adjusted"]):
        return keys.NOT_TESTABLE
    if row["p_adjusted"] > alpha:
        return NOT_SHOWN
    return ROSE if row["hl_change"] > 0 else FELL


def _sentence(row: Mapping[str, Any]) -> str:
    name = row[BIOMARKER]
    if row["verdict"] == keys.NOT_TESTABLE:
        return f"{name}: not testable ({row['reason'] or 'the test is undefined'})."
    text = (
        f"{name} {row['verdict']}: median change {row['median_change']:+.3f} ({row['in_words']}) in {row['n_pairs']} "
        f"pairs, Hodges-Lehmann {row['hl_change']:+.3f} (95% CI {row['ci_low']:+.3f} to {row['ci_high']:+.3f}), "
        f"{signed_rank_words(row['test'])} p = {row['p']:.3g}, adjusted {row['p_adjusted']:.3g}; scale: {row['scale']}."
    )
    if not np.isnan(row["p_by_response"]):
        text += (
            f" Change by response: p = {row['p_by_response']:.3g}, adjusted {row['p_by_response_adjusted']:.3g}"
            " (exact rank sum)."
        )
    if not np.isnan(row["gate"]):
        text += (
            f" Beyond technical noise (gate {row['gate']:.3g}): {row['called_increase']} patients up, "
            f"{row['called_decrease']} down."
        )
    return text


def signed_rank_words(method: str) -> str:
    """Name the signed-rank test by how its p was found; with very many pairs it is no longer counted.

    Examples
    --------
    >>> signed_rank_words("Wilcoxon signed-rank test, exact two-sided")
    'exact signed-rank'
    """
    return "exact signed-rank" if "exact" in method else "signed-rank (normal approximation)"


def _conversion_sentence(row: Mapping[str, Any]) -> str:
    text = (
        f"{row['component']}: {row['becomes positive']} became positive, {row['becomes negative']} negative, "
        f"{row['stays positive']} stayed positive, {row['stays negative']} negative"
    )
    if row["not_evaluable"]:
        text += f", {row['not_evaluable']} not evaluable at one time point or both"
    return text + (
        f"; exact McNemar p = {row['p_mcnemar']:.3g}." if not np.isnan(row["p_mcnemar"]) else f"; {row['note']}."
    )


def _chain_sentences(chain: pd.DataFrame) -> list[str]:
    """Say how many patients have the whole chain at each time point, and which link the others lack first."""
    made = []
    for point, mine in chain.groupby(keys.TIMEPOINT, sort=False):
        counts = mine["chain"].value_counts()
        said = ", ".join(f"{what} {count}" for what, count in counts.items())
        made.append(f"Chain at {point}, {len(mine)} patients by the first link that is missing: {said}.")
    return made


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
