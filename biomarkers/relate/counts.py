"""A marker that is positive or negative: the 2 x 2 table with every statistic, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.relate.binary import Row, row
from biomarkers.stats import bayes, differences, proportions, ratios, tables, unconditional


@dataclass(frozen=True)
class TwoByTwo:
    """Responders among marker-positive and marker-negative patients."""

    positive_responders: int
    positive: int
    negative_responders: int
    negative: int

    def __post_init__(self) -> None:
        pairs = (
            ("positive", self.positive_responders, self.positive),
            ("negative", self.negative_responders, self.negative),
        )
        for name, responders, n in pairs:
            if not 0 <= responders <= n:
                raise DataError(
                    f"more responders than {name} patients, or a negative count", seen=f"{responders} of {n}"
                )
        if self.positive + self.negative == 0:
            raise UsageError("the table is empty", seen="0 patients")

    @property
    def table(self) -> list[list[int]]:
        """Rows: marker positive, negative; columns: responders, others."""
        return [
            [self.positive_responders, self.positive - self.positive_responders],
            [self.negative_responders, self.negative - self.negative_responders],
        ]

    def levels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the table as levels 1 and 0 of responders and of the rest."""
        (a, b), (c, d) = self.table
        return np.repeat([1.0, 0.0], [a, c]), np.repeat([1.0, 0.0], [b, d])


def count_rows(biomarker: str, endpoint: str, counts: TwoByTwo, *, note: str = "") -> list[Row]:
    """Every statistic of the 2 x 2 table, as tidy rows; one that the table leaves undefined says why."""
    table, n = counts.table, counts.positive + counts.negative
    k1, n1, k2, n2 = counts.positive_responders, counts.positive, counts.negative_responders, counts.negative
    rows: list[Row] = []

    def add(method: str, statistic: str, result: Any) -> None:
        rows.append(row(biomarker, endpoint, method, statistic, result, n=n, note=note))

    if n1:
        add("response rate, marker positive, Clopper-Pearson", "rate", proportions.clopper_pearson(k1, n1))
    if n2:
        add("response rate, marker negative, Clopper-Pearson", "rate", proportions.clopper_pearson(k2, n2))
    if min(n1, n2) == 0 or k1 + k2 in (0, n):
        return rows
    add("Fisher exact, two-sided", "odds_ratio", tables.fisher(table))
    add("Fisher mid-p", "odds_ratio", tables.fisher(table, midp=True))
    add("Boschloo, two-sided ordered by Fisher's p", "fisher_p", unconditional.boschloo(table))
    doubled = unconditional.boschloo(table, two_sided="doubled", groups="columns")
    add("Boschloo, smaller side doubled, groups by response", "fisher_p", doubled)
    add("Barnard", "statistic", unconditional.barnard(table))
    add("Barnard, groups by response", "statistic", unconditional.barnard(table, groups="columns"))
    add("conditional odds ratio, exact interval", "odds_ratio", tables.conditional_odds_ratio(table))
    add("risk difference, Newcombe", "risk_difference", differences.newcombe_difference(k1, n1, k2, n2))
    add("risk difference, Miettinen-Nurminen", "risk_difference", differences.miettinen_nurminen(k1, n1, k2, n2))
    add("relative risk", "relative_risk", ratios.relative_risk(table))
    bf10 = bayes.contingency(table)
    add("Gunel-Dickey Bayes factor, independent multinomial", "bf01", 1 / bf10)
    return rows


def stratified_count_rows(
    biomarker: str,
    endpoint: str,
    positive: np.ndarray,
    responder: np.ndarray,
    strata: np.ndarray,
    *,
    note: str = "",
) -> list[Row]:
    """Odds ratio common to the strata, exact, and its test: patients are compared within their stratum only.

    Parameters
    ----------
    biomarker, endpoint
        Names for the rows.
    positive, responder
        (n,) bool.
    strata
        (n,) labels.
    note
        Which cut made them positive.
    """
    cells = [(positive, responder), (positive, ~responder), (~positive, responder), (~positive, ~responder)]
    counts = [[int((one & two & (strata == name)).sum()) for one, two in cells] for name in np.unique(strata)]
    blocks = [np.array(four).reshape(2, 2) for four in counts]
    # a stratum with one kind of patient or of response only tells nothing of the odds ratio
    telling = [block for block in blocks if block.sum(axis=0).all() and block.sum(axis=1).all()]
    n, words = len(positive), f"{len(telling)} of {len(blocks)} strata tell"
    if not telling:
        return []
    told = "; ".join(part for part in (note, words) if part)
    ratio, test = tables.common_odds_ratio(telling), tables.fisher_stratified(telling)
    return [
        row(
            biomarker, endpoint, "common odds ratio within strata, exact interval", "odds_ratio", ratio, n=n, note=told
        ),
        row(biomarker, endpoint, "Fisher exact within strata, two-sided", "odds_ratio", test, n=n, note=told),
    ]
