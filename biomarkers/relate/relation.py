"""The answer: tidy statistics, one verdict a level and end point, and the words that a clinician can quote."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core.keys import (
    DEPENDENT,
    DEPENDENT_WITHIN_MARGIN,
    INCONCLUSIVE,
    INDEPENDENT_WITHIN_MARGIN,
    NOT_TESTABLE,
)
from biomarkers.core.result import Overview, Result
from biomarkers.relate.measured import IN_TUMOR

if TYPE_CHECKING:
    import pandas as pd

_SHOWN: Final = (
    "biomarker", "endpoint", "n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "concordance",
    "p_dependence", "p_adjusted",
)  # fmt: skip
_EVERYTHING: Final = 0.995  # an AUC of 1.00 in print
_SHORT: Final = {
    DEPENDENT: "response is associated with it",
    DEPENDENT_WITHIN_MARGIN: "response is associated with it, but weakly (inside the margin)",
    INDEPENDENT_WITHIN_MARGIN: "response is independent of it, within the margin",
    INCONCLUSIVE: "these data do not decide",
    NOT_TESTABLE: "it could not be tested",
}


@dataclass(frozen=True, repr=False)
class Relation(Result):
    """Do responses occur independently of the levels?

    ``verdicts`` has one row a biomarker and end point, ``table`` every statistic behind it (both tidy), ``flow`` how
    many rows became how many patients, ``data`` the analysed patients (levels, ``responder``, ``response``, and
    ``stratum``, ``time``, ``event`` where given), ``settings`` everything needed to make it again, ``limits`` the limit
    that each patient's level stands at or below (NaN where it was measured), row by row as ``data``.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> relation.verdicts[["biomarker", "n", "n_responders", "verdict"]].to_numpy().tolist()
    [['CD274', 20, 5, 'dependent']]
    """

    verdicts: pd.DataFrame
    table: pd.DataFrame
    flow: pd.DataFrame
    data: pd.DataFrame
    definition: str
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    simulated: bool = field(default=False)
    limits: pd.DataFrame | None = None

    def levels_at_cuts(self, biomarker: str, cuts: Sequence[float]) -> np.ndarray:
        """Levels to be compared with cuts (at or above is positive), (n,): NaN where a limit leaves that unknown."""
        level = self.data[biomarker].to_numpy(dtype=float).copy()
        if self.limits is None or not len(cuts):
            return level
        limit = self.limits[biomarker].to_numpy(dtype=float)
        at_limit = ~np.isnan(limit) & ~np.isnan(level)
        level[at_limit] = np.where(limit[at_limit] <= min(cuts), np.nextafter(limit[at_limit], -np.inf), np.nan)
        return level

    @property
    def heading(self) -> str:
        """What the definition defines: ``Responders`` of a yes/no end point, else ``End point``."""
        return "Responders" if self.data["responder"].notna().any() else "End point"

    def explain(self) -> str:
        """Say it in plain sentences, one paragraph a verdict."""
        parts = [f"{self.heading}: {self.definition}"]
        defined = self.settings.get("definitions", {})
        parts += [f"{name}: {words}" for name, words in defined.items() if words != self.definition]
        parts += [_paragraph(row) for row in self.verdicts.to_dict("records")]
        parts += [f"Note: {note}." for note in self.notes]
        parts.append("Associations with response in this data set; research use only.")
        return "\n\n".join(parts)

    def _overview(self) -> Overview:
        shown = self.verdicts[list(_SHOWN)].dropna(axis="columns", how="all")
        return Overview(f"{self.heading}: {self.definition}", shown, self.notes)


def _paragraph(row: Mapping[Any, Any]) -> str:
    name = f"{row['biomarker']} ({row['endpoint']})"
    label = str(row["reason"]).partition(": ")[0] if str(row["reason"]).startswith("exploratory") else ""
    name = f"{name}, {label}" if label else name
    if row["verdict"] == NOT_TESTABLE:
        return f"{name}: {_SHORT[NOT_TESTABLE]}: {row['reason']}."
    if _gone(row["margin"]):
        return f"{name}: {_graded_sentences(row)}"
    return f"{name}: {_binary_sentences(row)}{_in_tumor(row)}"


def _in_tumor(row: Mapping[Any, Any]) -> str:
    """Return the sentence on the level in the tumour that ends the reason, after saying what the verdict is about."""
    _, mark, rest = str(row["reason"]).partition(f"; {IN_TUMOR}")
    return f" The verdict is one on the measured level; {IN_TUMOR}{rest}." if mark else ""


def _graded_sentences(row: Mapping[Any, Any]) -> str:
    """Speak of concordance and events, and not of a margin or of exclusion."""
    events = "" if _gone(row["n_responders"]) else f" with {counted(int(row['n_responders']), 'event')}"
    short = "the outcome is associated with it" if row["verdict"] == DEPENDENT else _SHORT[row["verdict"]]
    limits = "no interval" if _gone(row["concordance_low95"]) else (
        f"95% interval {row['concordance_low95']:.2f} to {row['concordance_high95']:.2f}"
    )  # fmt: skip
    text = f"{short}. In {int(row['n'])} patients{events} the concordance was {row['concordance']:.2f} ({limits}; "
    text += f"{_p_sentence(row)})."
    if row["verdict"] == INCONCLUSIVE and "are needed" in row["reason"]:
        text += f" Too few to conclude anything: {row['reason'].partition(' (p ')[0]}."
    elif row["verdict"] == INCONCLUSIVE:
        text += " No margin is fixed for this end point, so independence cannot be claimed of it."
    if "omnibus" in row["reason"]:
        text += f" The omnibus test points to a pattern that is not monotone (p {_p(row['p_omnibus'])})."
    return text


def _binary_sentences(row: Mapping[Any, Any]) -> str:
    limits = f"95% interval {row['auc_low95']:.2f} to {row['auc_high95']:.2f}"
    text = (
        f"{_SHORT[row['verdict']]}. In {int(row['n'])} patients, {counted(int(row['n_responders']), 'responder')}, the "
        f"AUC was {row['auc']:.2f} ({limits}; {_p_sentence(row)})."
    )
    if row["verdict"] in (INDEPENDENT_WITHIN_MARGIN, DEPENDENT_WITHIN_MARGIN):
        text += (
            f" The 90% interval, {row['auc_low90']:.2f} to {row['auc_high90']:.2f}, lies inside "
            f"{0.5 - row['margin']:.2f} to {0.5 + row['margin']:.2f}"
        )
        other = ", and no other pattern was detected; a weaker association is not excluded."
        if not _gone(row["auc_spread"]):
            other = f", that of the distance from the middle ({_spread_interval(row)}) as well{other}"
        text += other if row["verdict"] == INDEPENDENT_WITHIN_MARGIN else "."
    if "omnibus" in row["reason"] or "spread p" in row["reason"]:
        text += " Another pattern than a rising or falling one is possible"
        text += f" (omnibus p {_p(row['p_omnibus'])}, spread p {_p(row['p_spread'])})."
    if "a pattern that bends is not excluded" in row["reason"]:
        text += " A pattern that bends, with responses most or least frequent at middle levels, is not excluded"
        text += f" (AUC of the distance from the middle {row['auc_spread']:.2f}, 90% interval {_spread_interval(row)})."
    if row["verdict"] == INCONCLUSIVE and _gone(row["smallest_margin"]):
        text += f" The data could not have shown more: {row['reason'].partition(f'; {IN_TUMOR}')[0]}."
    elif row["verdict"] == INCONCLUSIVE:
        text += " " + could_have_shown(row)
    if not _gone(row["negatives"]) and row["negatives"]:
        k, n = int(row["responders_in_negative"]), int(row["negatives"])
        occur = (
            f"Responses occur in the negative stratum, {k} of {n}" if k else f"None of {n} negative patients responded"
        )
        text += f" {occur}"
        text += (
            "; that by itself is no evidence of independence."
            if k
            else "; Fisher's test of this table stands in the statistics."
        )
    return text


def _spread_interval(row: Mapping[Any, Any]) -> str:
    return f"{row['auc_spread_low90']:.2f} to {row['auc_spread_high90']:.2f}"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _p_sentence(row: Mapping[Any, Any]) -> str:
    alone, family = row["p_dependence"], row["p_adjusted"]
    text = f"permutation p {_p(alone)}"
    if not _gone(family) and family != alone:
        text += f", {_p(family)} adjusted for all levels tested"
    return text


def could_have_shown(row: Mapping[Any, Any]) -> str:
    """State what a sample of this size could have shown, to accompany every inconclusive verdict."""
    parts = []
    if not _gone(row["min_detectable_auc"]):
        found = row["min_detectable_auc"]
        parts.append(f"A sample of this size finds an AUC of {found:.2f} or more with 80% power.")
    elif not _gone(row["n_needed"]):
        parts.append("A sample of this size finds no AUC below 1 with 80% power.")
    excluded, margin = row["largest_effect_excluded"], row["smallest_margin"]
    if not _gone(excluded) and excluded < _EVERYTHING:
        parts.append(f"An AUC of {excluded:.2f} or more, in either direction, is excluded.")
    elif not _gone(excluded):
        parts.append("No AUC is excluded on both sides of one half.")
    if not _gone(margin) and margin < _EVERYTHING - 0.5:
        least = math.ceil(row["smallest_margin"] * 100) / 100  # upwards: 0.151 is not within 0.15
        whose = (
            "interval lies"
            if _gone(row["auc_spread"])
            else "intervals of the AUC and of the distance from the middle lie"
        )
        parts.append(f"The 90% {whose} within a margin of {least:.2f} and of no smaller one.")
    text = " ".join(parts)
    if not _gone(row["n_needed"]):
        text += f" About {int(row['n_needed'])} patients are needed to show independence within {row['margin']:g} "
        text += "(80% power, if the AUC is one half)."
    if not _gone(row["bf01"]):
        text += f" Bayes factor for independence {row['bf01']:.2f} (at most {row['bf01_ceiling']:.2f} at this size)."
    return text


def _gone(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or str(value) == "<NA>"


def _p(value: float) -> str:
    if math.isnan(value):
        return "undefined"
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1e}"
