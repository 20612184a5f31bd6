"""Patients without a level in the sensitivity panel: bounds, and the least shift that would change the verdict."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.words import both_groups
from biomarkers.relate.answers import ranked, strata_of
from biomarkers.relate.engine import Question
from biomarkers.relate.judgement import judge
from biomarkers.relate.missing import Missing, tipping_point
from biomarkers.relate.permuted import binary_tests
from biomarkers.relate.relation import Relation

_WORK = 50_000  # permutations times biomarkers of the family that each placement may cost
_LEAST = 999
_EMPTY = ("n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "p_dependence", "p_adjusted")


def missing_choices(asked: Question, base: Relation, name: str) -> list[dict[str, Any]]:
    """Rows of the panel for one biomarker: bounds of the AUC, and the tipping point of its missing levels.

    Placements are judged by the rule itself, in the biomarker's family and within its strata, with levels tied at
    their limits, so that the search starts from the verdict's own conclusion.

    Parameters
    ----------
    asked
        The question, with one end point.
    base
        Its answer.
    name
        The biomarker.
    """
    point = asked.points[0]
    if point.kind != "binary":
        return []
    levels, _ = ranked(asked.patients, point)
    names = list(asked.patients.levels.columns)
    at = names.index(name)
    responder, level = point.value == 1, levels[:, at]
    strata = strata_of(asked.patients, point) if asked.rules.stratified else None
    lost = Missing.of(level, responder, strata)
    known = ~np.isnan(level)
    row = base.verdicts[base.verdicts["biomarker"] == name].iloc[0]
    if not sum(lost.missing) or row["verdict"] == "not_testable":
        return []
    tip = tipping_point(
        level[known & responder],
        level[known & ~responder],
        missing=lost.missing,
        conclude=_Placements(asked, levels, at, strata, start=str(row["verdict"])),
    )
    told = f"{both_groups(*lost.missing)} have no level"
    empty = dict.fromkeys(_EMPTY, math.nan) | {
        "biomarker": name, "choice": "missing levels", "n": len(level), "n_responders": int(responder.sum()),
        "verdict": row["verdict"],
    }  # fmt: skip
    reached = (
        "no placement of the missing levels changes the conclusion"
        if math.isnan(tip)
        else f"changes with missing responders at quantile {0.5 + tip:.2f}, missing others at {0.5 - tip:.2f} of the "
        "known levels"
    )
    return [
        {**empty, "setting": "worst and best case", "auc_low95": lost.low, "auc_high95": lost.high, "changed": False,
         "note": f"{told}; the limits are bounds, no confidence interval"},
        {**empty, "setting": "tipping point", "changed": not math.isnan(tip), "note": reached},
    ]  # fmt: skip


class _Placements:
    """Conclude with the missing levels of one biomarker put somewhere: ``conclude(responders, others) -> verdict``."""

    def __init__(self, asked: Question, levels: np.ndarray, at: int, strata: np.ndarray | None, *, start: str) -> None:
        self.asked, self.strata = asked, strata
        point, rules = asked.points[0], asked.rules
        family = next(some for some in rules.families(list(asked.patients.levels.columns)) if at in some)
        self.levels, self.place = levels[:, family], family.index(at)
        self.responder = point.value == 1
        known = ~np.isnan(levels[:, at])
        self.yes, self.no = int((known & self.responder).sum()), int((known & ~self.responder).sum())
        self.lost = (np.flatnonzero(~known & self.responder), np.flatnonzero(~known & ~self.responder))
        self.n = max(_LEAST, min(rules.n_permutations, _WORK // len(family)))
        if self._verdict(self.levels) != start:
            self.n = rules.n_permutations  # fewer permutations would start from another conclusion

    def __call__(self, yes: np.ndarray, no: np.ndarray) -> str:
        """Levels of all responders and all others; those beyond the known ones are placements."""
        filled = self.levels.copy()
        filled[self.lost[0][: len(yes) - self.yes], self.place] = yes[self.yes :]
        filled[self.lost[1][: len(no) - self.no], self.place] = no[self.no :]
        return self._verdict(filled)

    def _verdict(self, levels: np.ndarray) -> str:
        rules = self.asked.rules
        tests = binary_tests(levels, self.responder, strata=self.strata, n_permutations=self.n, seed=rules.seed).of(
            self.place
        )
        level = levels[:, self.place]
        known = ~np.isnan(level)
        found = judge(
            level[known], self.responder[known], None if self.strata is None else self.strata[known], tests,
            margin=rules.margin, alpha=rules.alpha, missing=Missing.of(level, self.responder, self.strata),
        )  # fmt: skip
        return "not_testable" if isinstance(found, str) else found.verdict.verdict
