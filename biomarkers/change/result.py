"""What a change analysis found: tables, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from biomarkers.change.chain import CONVERSIONS
from biomarkers.change.group import BY_RESPONSE, ENDPOINT, MEAN, MIN_PAIRS, PRATT, SIGNED_RANK
from biomarkers.change.pairs import BIOMARKER, BOTH_BELOW, NO_BOUND
from biomarkers.change.repeatability import DECREASE, INCREASE, Gate, Repeatability
from biomarkers.change.scale import Scale
from biomarkers.core import keys
from biomarkers.core.result import Overview, Result

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
    "unchanged",
    "direction",
    "p_pratt",
    "p_paired_t",
    "p_max_t",
    "note",
)
Adjustment = Literal["holm", "max-t"]
ADJUSTMENTS: tuple[Adjustment, ...] = ("holm", "max-t")
UP, DOWN = "up", "down"
_SHOWN = ("biomarker", "verdict", "n_pairs", "median_change", "hl_change", "ci_low", "ci_high", "p_adjusted")


@dataclass(frozen=True, eq=False, repr=False)
class Change(Result):
    """Pharmacodynamic change of one or more biomarkers.

    Attributes
    ----------
    table
        One row a biomarker (``SUMMARY_COLUMNS``): the verdict is ``increased``, ``decreased``, ``no change shown`` (not
        the same as unchanged) or ``not_testable``; changes are on the scale that stands in ``scale``. ``direction`` is
        that of the signed-rank test which decides: pairs without change have none. ``note`` says where the estimate
        over all pairs, or Pratt's version of the test, speaks otherwise.
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

    def _overview(self) -> Overview:
        title = f"Change from {self.settings['baseline']} to {self.settings['on_treatment']}"
        return Overview(title, self.table[list(_SHOWN)], self.notes)


def summarise(
    pairs: pd.DataFrame,
    statistics: pd.DataFrame,
    scales: Mapping[str, Scale],
    noise: Mapping[str, Repeatability],
    *,
    gate: Gate,
    alpha: float,
    adjustment: Adjustment = "holm",
) -> pd.DataFrame:
    """One row a biomarker, adjusted over the biomarkers; ``max-t`` flips a patient's signs jointly."""
    from biomarkers.stats.multiplicity import adjust

    made = [_summary(name, pairs, statistics, scale, noise.get(name), gate) for name, scale in scales.items()]
    table = pd.DataFrame(made)
    table["p_max_t"] = _max_t(pairs, list(scales))
    for name in ("p", "p_by_response"):
        p = table[name].to_numpy(dtype=float)
        table[f"{name}_adjusted"] = adjust(p) if table[name].notna().any() else np.nan
    if adjustment == "max-t":
        table["p_adjusted"] = table["p_max_t"]
    table["verdict"] = [_verdict(row, alpha) for row in _records(table)]
    table["note"] = [_doubt(row, alpha) for row in _records(table)]
    return table.reindex(columns=list(SUMMARY_COLUMNS))


def _max_t(pairs: pd.DataFrame, names: list[str]) -> np.ndarray:
    from biomarkers.stats.paired_family import signed_rank_family

    changes = pairs.pivot_table(index=keys.PATIENT, columns=BIOMARKER, values="change").reindex(columns=names)
    if changes.empty:
        return np.full(len(names), np.nan)
    return np.asarray(signed_rank_family(changes.to_numpy(dtype=float)).p_step_down, dtype=float)


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
    test, pratt, mean = (found(ENDPOINT, statistic) for statistic in (SIGNED_RANK, PRATT, MEAN))
    by_response = found(BY_RESPONSE, "rank sum of the changes")
    n = len(have)
    below = int((have["bound"] == BOTH_BELOW).sum())
    quantified = n - int(have["bound"].isin([BOTH_BELOW, NO_BOUND]).sum())
    reason = ""
    if n == 0:
        reason = "no patient has both levels" if len(mine) else "no sample has a level"
    elif quantified == 0:
        reason = "every pair is below its limit: no quantifiable change"
    elif n < MIN_PAIRS:
        reason = f"{n} pair{'' if n == 1 else 's'} cannot reach p < 0.05 two-sided: {MIN_PAIRS} needed"
    elif not change.any():
        reason = f"none of {n} pairs changed: nothing can be tested"
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
        "p_pratt": pratt["p"],
        "p_paired_t": mean["p"],
        "direction": direction_of(change),
        "unchanged": int((change == 0).sum()),
        "rose": int((change > 0).sum()),
        "fell": int((change < 0).sum()),
        "called_increase": int((have["call"] == INCREASE).sum()),
        "called_decrease": int((have["call"] == DECREASE).sum()),
        "both_below_limit": below,
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
    return ROSE if row["direction"] == UP else FELL


def direction_of(change: np.ndarray) -> str:
    """Direction of the signed-rank test that decides; pairs without change have none."""
    from biomarkers.stats.paired import signed_rank_z

    z = signed_rank_z(change) if change.any() else 0.0
    return UP if z > 0 else (DOWN if z < 0 else "")


def _doubt(row: Mapping[str, Any], alpha: float) -> str:
    """Say where the estimate over all pairs and the test over the changed ones differ."""
    if row["verdict"] == keys.NOT_TESTABLE:
        return ""
    moved, n = row["rose"] + row["fell"], row["n_pairs"]
    made = []
    if moved < MIN_PAIRS:
        made.append(f"only {moved} of {n} pairs changed: the test, over these alone, cannot reach p < 0.05")
    if row["verdict"] in (ROSE, FELL):
        sign = 1 if row["direction"] == UP else -1
        if row["hl_change"] * sign < 0:
            made.append(
                f"direction in doubt: the test over the {moved} pairs that changed speaks for a level that "
                f"{row['verdict']}, the Hodges-Lehmann change over all {n} pairs has the other sign"
            )
        elif row["unchanged"] and row["ci_low"] <= 0 <= row["ci_high"]:
            made.append(
                f"{row['unchanged']} of {n} pairs did not change: the test is over the {moved} others, median and "
                f"Hodges-Lehmann change are over all {n} and their interval holds 0"
            )
    if not np.isnan(row["p_pratt"]) and (row["p"] <= alpha) != (row["p_pratt"] <= alpha):
        made.append(f"with the unchanged pairs ranked (Pratt) p = {row['p_pratt']:.3g}, without them {row['p']:.3g}")
    return "; ".join(made)


def _sentence(row: Mapping[str, Any]) -> str:
    name = row[BIOMARKER]
    if row["verdict"] == keys.NOT_TESTABLE:
        return f"{name}: not testable ({row['reason'] or 'the test is undefined'})."
    shown = f"{name}, {NOT_SHOWN}" if row["verdict"] == NOT_SHOWN else f"{name} {row['verdict']}"
    text = (
        f"{shown}: median change {row['median_change']:+.3f} ({row['in_words']}) in {row['n_pairs']} "
        f"pairs ({row['rose']} rose, {row['fell']} fell, {row['unchanged']} unchanged), Hodges-Lehmann "
        f"{row['hl_change']:+.3f} (95% CI {row['ci_low']:+.3f} to {row['ci_high']:+.3f}), "
        f"{signed_rank_words(row['test'])} p = {row['p']:.3g}, adjusted {row['p_adjusted']:.3g}; scale: {row['scale']}."
    )
    if row["note"]:
        text += f" {row['note'][0].upper()}{row['note'][1:]}."
    if not np.isnan(row["p_by_response"]):
        text += (
            f" Change by response: p = {row['p_by_response']:.3g}, adjusted {row['p_by_response_adjusted']:.3g}"
            " (exact rank sum)."
        )
    if not np.isnan(row["gate"]):
        text += (
            f" Beyond technical noise (gate {row['gate']:.3g}): called an increase in {row['called_increase']} and a "
            f"decrease in {row['called_decrease']} of {row['n_pairs']} patients."
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
    both = sum(int(row[name]) for name in CONVERSIONS)
    if not both:
        return f"{row['component']}: {row['note']}; {row['not_evaluable']} patients not evaluable."
    text = (
        f"{row['component']}: of {both} patients with both states {row['becomes positive']} became positive, "
        f"{row['becomes negative']} became negative, {row['stays positive']} stayed positive, "
        f"{row['stays negative']} stayed negative"
    )
    if row["not_evaluable"]:
        text += f"; {row['not_evaluable']} more are not evaluable at one time point or both"
    if not np.isnan(row["p_mcnemar"]):
        text += f"; exact McNemar p = {row['p_mcnemar']:.3g}"
    return f"{text}; {row['note']}." if row["note"] else f"{text}."


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
