"""Does the verdict survive other choices? Other definitions, margins, cuts, sites left out, missing levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.errors import UsageError
from biomarkers.keys import CR, PR, SD
from biomarkers.relate.engine import DEFAULT_MARGIN, relate
from biomarkers.relate.inputs import flat_cohort
from biomarkers.relate.missing import auc_bounds, tipping_point
from biomarkers.relate.precision import attainable_auc
from biomarkers.relate.relation import Relation
from biomarkers.relate.verdict import SHOWN_MARGINS, leaves_margin
from biomarkers.words import both_groups

if TYPE_CHECKING:
    from anndata import AnnData

SENSITIVITY_COLUMNS = (
    "biomarker", "choice", "setting", "n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "p_dependence",
    "p_adjusted", "changed", "note",
)  # fmt: skip
_KEPT = ("n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "p_dependence", "p_adjusted")


@dataclass(frozen=True)
class Sensitivity:
    """The panel: ``base`` is the relation as asked, ``table`` one row a biomarker and other choice."""

    base: Relation
    table: pd.DataFrame

    def explain(self) -> str:
        """Say which verdicts survive and which do not."""
        lines = []
        for name, rows in self.table.groupby("biomarker", sort=False):
            changed = rows[rows["changed"]]
            verdict = self.base.verdicts.set_index("biomarker")["verdict"][name]
            if changed.empty:
                lines.append(f"{name}: {verdict} under all {len(rows)} choices tried.")
                continue
            told = "; ".join(
                f"{row['choice']} {row['setting']}: {row['verdict']}" for row in changed.to_dict("records")
            )
            lines.append(f"{name}: {verdict} as asked; {told}.")
        lines.append("The first answer stands: these choices are looked at afterwards, to see how firm it is.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, float_format="{:.3g}".format))


def sensitivity(
    table: pd.DataFrame | AnnData,
    *,
    levels: Sequence[str] | None = None,
    response: str | None = None,
    patient: str | None = None,
    margin: float = DEFAULT_MARGIN,
    margins: Sequence[float] = SHOWN_MARGINS,
    site: str | None = None,
    cutoffs: Mapping[str, Sequence[float]] | None = None,
    n_permutations: int = 9_999,
    rng: int = 0,
    **options: Any,
) -> Sensitivity:
    """Ask the same question under other choices, one at a time.

    Parameters
    ----------
    table, levels, response, patient, margin
        As for :func:`biomarkers.relate`; the end point is objective response. A cohort brings its own names.
    margins
        Other margins.
    site
        Column whose values are left out one at a time.
    cutoffs
        Level -> cuts at which the level is made positive / negative and related again.
    n_permutations, rng
        Permutations of each run, seed.
    options
        Handed on to :func:`biomarkers.relate` in every run (``strata``, ``lloq``, ``alpha``, ``responders`` ...).

    Returns
    -------
    Sensitivity: rows for the other rule for NE, disease control (CR, PR, SD) as response, complete response only (not
    for a column that is already yes/no), each margin, each site left out, each cut, and for patients without a level
    the worst and best case and the tipping point.

    Raises
    ------
    UsageError
        An option belongs to the panel itself.
    """
    if taken := {"endpoint", "plan"} & set(options):
        raise UsageError("the panel sets these options itself", seen=", ".join(sorted(taken)))
    if not isinstance(table, pd.DataFrame):
        table, levels, response, patient, options = flat_cohort(table, levels, options)
    if not levels or response is None:
        raise UsageError("the panel needs levels and the column of the response", seen=f"{levels}, {response}")
    shared: dict[str, Any] = {
        "levels": list(levels),
        "response": response,
        "patient": patient,
        "n_permutations": n_permutations,
    }
    shared |= {"rng": rng, "where": options.pop("where", "table"), **options}
    base = relate(table, margin=margin, **shared)
    rows: list[dict[str, Any]] = []
    for choice, setting, changed in _choices(base, table, margin, margins, site):
        found = relate(changed.pop("table", table), **{**shared, "margin": margin, **changed})
        rows += _rows(base, found, choice, setting)
    for name, cuts in (cutoffs or {}).items():
        for cut in cuts:
            positive = table.assign(**{name: (table[name] >= cut).astype(float).where(table[name].notna())})
            found = relate(positive, margin=margin, **{**shared, "levels": [name], "lloq": None, "censored": None})
            rows += _rows(base, found, "cut-off", f"{name} >= {cut:g}")
    rows += [row for name in levels for row in _missing(base, name, margin)]
    return Sensitivity(base, pd.DataFrame(rows, columns=list(SENSITIVITY_COLUMNS)))


def _choices(
    base: Relation, table: pd.DataFrame, margin: float, margins: Sequence[float], site: str | None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if base.settings["non_responders"] is None:
        if base.settings["not_evaluable"] == "exclude":
            yield "response", "NE counts as no response", {"not_evaluable": "nonresponder"}
        else:
            yield "response", "NE is left out", {"not_evaluable": "exclude"}
        for words in ((CR, PR), (CR, PR, SD), (CR,)):
            if set(words) != set(base.settings["responders"]):
                yield "response", f"{', '.join(words)} = response", {"responders": words}
    for other in margins:
        if not math.isclose(other, margin):
            yield "margin", f"{other:g}", {"margin": other}
    if site is not None:
        from biomarkers.cohort.tables import require_columns

        require_columns(table, [site], where="table")
        for value in sorted({str(value) for value in table[site].dropna()}):
            yield "left out", f"{site} {value}", {"table": table[table[site].astype(str) != value]}


def _rows(base: Relation, found: Relation, choice: str, setting: str) -> list[dict[str, Any]]:
    was = base.verdicts.set_index("biomarker")["verdict"]
    return [
        {
            "biomarker": row["biomarker"], "choice": choice, "setting": setting, **{name: row[name] for name in _KEPT},
            "changed": bool(row["verdict"] != was[row["biomarker"]]), "note": row["reason"],
        }
        for row in found.verdicts.to_dict("records")
    ]  # fmt: skip


def _missing(base: Relation, name: str, margin: float) -> list[dict[str, Any]]:
    """Bounds of the AUC and the tipping point of the patients without a level."""
    data = base.data[base.data["responder"].notna()]
    level, responder = data[name].to_numpy(dtype=float), data["responder"].to_numpy(dtype=bool)
    known = ~np.isnan(level)
    yes, no = level[known & responder], level[known & ~responder]
    missing = (int((~known & responder).sum()), int((~known & ~responder).sum()))
    if not sum(missing) or min(len(yes), len(no)) < 2 or np.ptp(level[known]) == 0:
        return []
    from biomarkers.stats.auc import auc

    alpha = float(base.settings["alpha"])
    low, high = auc_bounds(auc(yes, no), known=(len(yes), len(no)), missing=missing)
    tip = tipping_point(yes, no, missing=missing, conclude=lambda a, b: _conclusion(a, b, margin=margin, alpha=alpha))
    empty = dict.fromkeys(_KEPT, math.nan) | {"n": len(level), "n_responders": int(responder.sum())}
    verdict = base.verdicts.set_index("biomarker")["verdict"][name]
    told = f"{both_groups(*missing)} have no level"
    bounds = {**empty, "verdict": verdict, "auc_low95": low, "auc_high95": high}
    reached = (
        "no placement of the missing levels changes the conclusion"
        if math.isnan(tip)
        else f"changes with missing responders at quantile {0.5 + tip:.2f}, missing others at {0.5 - tip:.2f} of the "
        "known levels"
    )
    return [
        {"biomarker": name, "choice": "missing levels", "setting": "worst and best case", **bounds, "changed": False,
         "note": f"{told}; the limits are bounds, no confidence interval"},
        {"biomarker": name, "choice": "missing levels", "setting": "tipping point", **empty, "verdict": verdict,
         "changed": not math.isnan(tip), "note": reached},
    ]  # fmt: skip


def _conclusion(yes: np.ndarray, no: np.ndarray, *, margin: float, alpha: float) -> str:
    """Conclude as the rule does, by the t version of the rank test so that many placements can be tried."""
    from biomarkers.stats.auc import auc_logit_delong
    from biomarkers.stats.ranks import brunner_munzel

    test = brunner_munzel(yes, no)
    if test.p <= alpha:
        return "dependent"
    if not leaves_margin(attainable_auc(np.concatenate([yes, no]), len(yes)), margin=margin):
        return "inconclusive"
    interval = auc_logit_delong(yes, no, level=1 - 2 * alpha)
    inside = interval.low > 0.5 - margin and interval.high < 0.5 + margin
    return "independent_within_margin" if inside else "inconclusive"
