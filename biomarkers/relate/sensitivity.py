"""Does the verdict survive other choices? Other definitions, margins, cuts, sites left out, missing levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.cohort.source import table_of
from biomarkers.core.errors import UsageError
from biomarkers.core.keys import CR, PR, SD
from biomarkers.core.result import Overview, Result
from biomarkers.io.columns.levels import level_names
from biomarkers.io.columns.model import load_column_map
from biomarkers.relate.engine import ORR, Question, question, relate
from biomarkers.relate.inputs import at_cut, flat_cohort
from biomarkers.relate.plan import Plan, load_plan
from biomarkers.relate.relation import Relation
from biomarkers.relate.tipping import missing_choices
from biomarkers.relate.verdict import SHOWN_MARGINS

if TYPE_CHECKING:
    from anndata import AnnData

SENSITIVITY_COLUMNS = (
    "biomarker", "choice", "setting", "n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "p_dependence",
    "p_adjusted", "changed", "note",
)  # fmt: skip
_KEPT = ("n", "n_responders", "verdict", "auc", "auc_low95", "auc_high95", "p_dependence", "p_adjusted")
_OPTIONS: dict[str, Any] = {
    "levels": None, "response": None, "patient": None, "endpoint": ORR, "responders": None, "non_responders": None,
    "not_evaluable": None, "strata": None, "time": None, "event": None, "event_when": None, "censored_when": None,
    "time_unit": None, "columns": None, "best_change": None, "benefit_months": None,
    "covariates": (), "margin": None, "alpha": None, "cutoffs": None, "search_cuts": False, "lloq": None,
    "censored": None, "n_permutations": 9_999, "rng": 0, "plan": None, "timepoint": "", "filters": (),
    "where": "table",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Sensitivity(Result):
    """The panel: ``base`` is the relation as asked, ``table`` one row a biomarker and other choice.

    Where the end point is no yes/no one, the columns ``auc`` of the panel hold the concordance.
    """

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

    def _overview(self) -> Overview:
        return Overview("The verdicts under other choices", self.table, tuple(self.explain().splitlines()))


def sensitivity(
    table: pd.DataFrame | AnnData,
    *,
    levels: Sequence[str] | None = None,
    response: str | None = None,
    patient: str | None = None,
    endpoint: str = ORR,
    margin: float | None = None,
    margins: Sequence[float] = SHOWN_MARGINS,
    site: str | None = None,
    cutoffs: Mapping[str, Sequence[float]] | None = None,
    n_permutations: int = 9_999,
    rng: int = 0,
    plan: Plan | str | None = None,
    **options: Any,
) -> Sensitivity:
    """Ask the same question under other choices, one at a time: everything else stays as it was asked.

    Parameters
    ----------
    table, levels, response, patient, margin, plan
        As for :func:`biomarkers.relate`. A cohort brings its own names.
    endpoint
        The one end point that is asked again.
    margins
        Other margins (for a yes/no end point).
    site
        Column whose values are left out one at a time.
    cutoffs
        Level -> cuts at which the level is made positive / negative and related again, beside the other levels.
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
        More than one end point is asked, or an option is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> panel = bm.sensitivity(table, levels=["CD274"], response="BOR", n_permutations=199)
    >>> "biomarker" in panel.table.columns, len(panel.table) > 3
    (True, True)
    """
    if not isinstance(endpoint, str):
        raise UsageError("the panel asks one end point again", seen=endpoint, allowed="one end point")
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise UsageError("the panel does not know this option", seen=", ".join(unknown), allowed=sorted(_OPTIONS))
    if not hasattr(table, "obs") or isinstance(table, pd.DataFrame):
        contract = load_column_map(options.get("columns"))
        table, options["columns"], options["where"] = table_of(
            table, columns=contract, where=options.get("where", "table")
        )
        levels = level_names(levels, options["columns"])
        response = response or options["columns"].response
        patient = patient or options["columns"].patient
    fixed = load_plan(plan) if plan is not None and not isinstance(plan, Plan) else plan
    if fixed is not None and endpoint in fixed.endpoints:
        fixed = fixed.model_copy(update={"endpoints": (endpoint,)})  # this one alone is asked again
    if not isinstance(table, pd.DataFrame):
        wanted = levels if fixed is None else fixed.family_of(levels or fixed.levels, table)
        table, names, found, patient, options = flat_cohort(table, wanted, options)
        response, levels = response or found, levels or names
    levels = levels or (fixed.levels if fixed is not None else None)
    if not levels or (response is None and endpoint in _NEED_RESPONSE):
        raise UsageError("the panel needs levels and the column of the response", seen=f"{levels}, {response}")
    options.pop("timepoint", None)
    shared = {
        "levels": list(levels), "response": response, "patient": patient, "endpoint": endpoint,
        "n_permutations": n_permutations, "rng": rng, "plan": fixed, "margin": margin, **options,
    }  # fmt: skip
    base = relate(table, **shared)
    rows: list[dict[str, Any]] = []
    for choice, setting, changed in _choices(base, table, margins, site):
        rows += _rows(base, _again(changed.pop("table", table), shared, changed), choice, setting)
    asked = question(table, {**_OPTIONS, **shared})
    for name, cuts in (cutoffs or {}).items():
        for cut in cuts:
            positive, without = _at_cut(table, asked, name, cut), dict(shared)
            for option in ("lloq", "censored"):
                without[option] = {key: value for key, value in (shared.get(option) or {}).items() if key != name}
            found_rows = _rows(base, _again(positive, without, {}, without=name), "cut-off", f"{name} >= {cut:g}")
            rows += [one for one in found_rows if one["biomarker"] == name]
    rows += [row for name in asked.settings["levels"] for row in missing_choices(asked, base, name)]
    return Sensitivity(base, pd.DataFrame(rows, columns=list(SENSITIVITY_COLUMNS)))


_NEED_RESPONSE = ("orr", "dcr", "clinical_benefit", "recist", "dor", "ttr")


def on_one_scale(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """Put a concordance where the panel has the AUC, for end points that are not yes or no."""
    made = dict(row)
    if math.isnan(made["auc"]) and not math.isnan(made["concordance"]):
        for old, new in (
            ("concordance", "auc"),
            ("concordance_low95", "auc_low95"),
            ("concordance_high95", "auc_high95"),
        ):
            made[new] = made[old]
    return made


def _again(
    table: pd.DataFrame, shared: Mapping[str, Any], changed: Mapping[str, Any], *, without: str | None = None
) -> Relation:
    """Ask again with one thing changed, in the plan too, so that it is the only thing."""
    asked = {**shared, **changed}
    if shared["plan"] is not None:
        update = dict(changed)
        if without is not None:
            update |= {
                option: {key: value for key, value in getattr(shared["plan"], option).items() if key != without}
                for option in ("lloq", "cutoffs", "censored")
            }
        asked["plan"] = shared["plan"].model_copy(update=update)
    return relate(table, **asked)


def _at_cut(table: pd.DataFrame, asked: Question, name: str, cut: float) -> pd.DataFrame:
    """Put 1 and 0 for positive and negative at a cut, nothing where a limit leaves it unknown."""
    patients = asked.patients
    positive, negative = at_cut(patients.levels[name].to_numpy(dtype=float), patients.limit(name), cut)
    return table.assign(**{name: np.where(positive, 1.0, np.where(negative, 0.0, np.nan))})


def _choices(
    base: Relation, table: pd.DataFrame, margins: Sequence[float], site: str | None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    endpoint = base.settings["endpoint"][0]
    if endpoint in ("orr", "dcr", "clinical_benefit") and base.settings["non_responders"] is None:
        if base.settings["not_evaluable"] == "exclude":
            yield "response", "NE counts as no response", {"not_evaluable": "nonresponder"}
        else:
            yield "response", "NE is left out", {"not_evaluable": "exclude"}
        for words in ((CR, PR), (CR, PR, SD), (CR,)) if endpoint == "orr" else ():
            if set(words) != set(base.settings["responders"]):
                yield "response", f"{', '.join(words)} = response", {"responders": words}
    if base.verdicts["margin"].notna().any():
        for other in margins:
            if not math.isclose(other, base.settings["margin"]):
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
            "biomarker": row["biomarker"], "choice": choice, "setting": setting,
            **{name: on_one_scale(row)[name] for name in _KEPT},
            "changed": bool(row["verdict"] != was[row["biomarker"]]), "note": row["reason"],
        }
        for row in found.verdicts.to_dict("records")
    ]  # fmt: skip
