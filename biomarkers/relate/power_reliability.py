"""Planning with a level that is measured with error: what the cohort shows of the level in the tumour."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.relate.precision import (
    check_margin,
    independence_power,
    min_detectable_auc,
    patients_needed,
)
from biomarkers.stats.measurement_error import attenuated_auc, true_auc
from biomarkers.stats.reliability import check_reliability, spearman_brown

if TYPE_CHECKING:
    from biomarkers.relate.power import Power

MEASUREMENTS: Final = (1, 2, 3, 4)


def through_measurement(
    ask: Callable[..., Power], *, reliability: float, thetas: Sequence[float], margins: Sequence[float], **options: Any
) -> Power:
    """Ask for the power at the measured level that stands for AUCs and margins of the level in the tumour.

    An AUC of the level in the tumour is seen nearer to one half; a margin shrinks as well: a claim of independence
    stands for the level in the tumour when the measured interval lies inside the shrunken margin.

    Parameters
    ----------
    ask
        :func:`biomarkers.power` with everything but what is named here.
    reliability
        Of the measurement, above 0, at most 1; taken as known.
    thetas, margins
        Of the level in the tumour.
    options
        The other options of ``ask``.
    """
    check_reliability(reliability)
    for margin in margins:
        check_margin(margin)
    seen_thetas = {attenuated_auc(theta, reliability=reliability): theta for theta in thetas}
    seen_margins = {attenuated_auc(0.5 + margin, reliability=reliability) - 0.5: margin for margin in margins}
    found = ask(thetas=list(seen_thetas), margins=list(seen_margins), **options)
    shares = found.characteristics.assign(
        theta_measured=found.characteristics["theta"], margin_measured=found.characteristics["margin"]
    )
    shares["theta"] = shares["theta"].map(seen_thetas)
    shares["margin"] = shares["margin"].map(seen_margins)
    table = found.table.assign(margin_measured=found.table["margin"])
    table["margin"] = table["margin"].map(seen_margins)
    return replace(
        found,
        characteristics=shares,
        table=table,
        min_detectable_auc=_back(found.min_detectable_auc, reliability),
        smallest_margin=_back(0.5 + found.smallest_margin, reliability) - 0.5,
        settings={**found.settings, "thetas": list(thetas), "margins": list(margins), "reliability": reliability},
    )


def _back(auc: float, reliability: float) -> float:
    return math.nan if math.isnan(auc) else true_auc(auc, reliability=reliability)


def measurement_plan(
    n: int,
    *,
    n_responders: int,
    reliability: float,
    margin: float = 0.15,
    alpha: float = 0.05,
    measurements: Sequence[int] = MEASUREMENTS,
    patient_cost: float | None = None,
    measurement_cost: float | None = None,
) -> pd.DataFrame:
    """Compare what further measurements of each patient buy with what more patients buy (large-sample figures).

    Parameters
    ----------
    n, n_responders
        Patients and responders; their share is kept where numbers change.
    reliability
        Of one measurement.
    margin, alpha
        Margin of the level in the tumour; level of the tests.
    measurements
        Independent measurements (cores, readers) that are averaged in each patient.
    patient_cost, measurement_cost
        Of one patient without measurements, and of one measurement, in one currency: then ``n_equal_cost`` patients
        cost as much as ``n`` measured once.

    Returns
    -------
    One row a number of measurements: ``measurements, reliability, min_detectable_auc, power_independence, n_needed``
    (80% power if the AUC is one half); with costs ``n_equal_cost, power_equal_cost, min_detectable_auc_equal_cost``.

    Raises
    ------
    UsageError
        A number is out of range, or one cost is given without the other.

    Examples
    --------
    >>> plan = measurement_plan(200, n_responders=70, reliability=0.5)
    >>> plan["reliability"].round(3).tolist()
    [0.5, 0.667, 0.75, 0.8]
    """
    check_reliability(reliability)
    check_margin(margin)
    if not 0 < n_responders < n:
        raise UsageError("the number of responders is out of range", seen=n_responders, allowed=f"1 to {n - 1}")
    costs = (patient_cost, measurement_cost)
    if (patient_cost is None) != (measurement_cost is None) or any(c is not None and c < 0 for c in costs):
        raise UsageError("costs are incomplete or negative", seen=costs, allowed="both, 0 or more")
    share = n_responders / n
    rows = []
    for k in measurements:
        if k < 1:
            raise UsageError("the number of measurements is below 1", seen=k)
        r = spearman_brown(reliability, k)
        seen = attenuated_auc(0.5 + margin, reliability=r) - 0.5
        row: dict[str, Any] = {"measurements": k, "reliability": r, **_figures(n, share, seen, alpha, r)}
        row["n_needed"] = patients_needed(seen, responder_share=share, alpha=alpha)
        if patient_cost is not None and measurement_cost is not None:
            equal = int(n * (patient_cost + measurement_cost) / max(patient_cost + k * measurement_cost, 1e-300))
            at = _figures(equal, share, seen, alpha, r)
            row |= {"n_equal_cost": equal, **{f"{name}_equal_cost": value for name, value in at.items()}}
        rows.append(row)
    return pd.DataFrame(rows).rename(columns={"power_independence_equal_cost": "power_equal_cost"})


def _figures(n: int, share: float, margin: float, alpha: float, reliability: float) -> dict[str, float]:
    yes, no = n * share, n * (1 - share)
    return {
        "min_detectable_auc": _back(min_detectable_auc(yes, no, alpha=alpha), reliability),
        "power_independence": independence_power(yes, no, margin=margin, alpha=alpha),
    }
