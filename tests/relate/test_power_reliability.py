"""Planning with measurement error: AUCs and margins of the level in the tumour."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from biomarkers.core.errors import UsageError
from biomarkers.relate.power import Power
from biomarkers.relate.power_reliability import measurement_plan, through_measurement
from biomarkers.relate.precision import independence_power, min_detectable_auc, patients_needed


def test_one_measurement_without_error_is_the_plan_without_reliability() -> None:
    row = measurement_plan(200, n_responders=70, reliability=1.0).iloc[0]
    assert row["min_detectable_auc"] == min_detectable_auc(70, 130)
    assert row["power_independence"] == independence_power(70, 130, margin=0.15)
    assert row["n_needed"] == patients_needed(0.15, responder_share=0.35)


def test_plan_by_hand_and_more_measurements_help() -> None:
    plan = measurement_plan(200, n_responders=70, reliability=0.5, patient_cost=10, measurement_cost=1)
    seen = norm.cdf(norm.ppf(0.65) * math.sqrt(0.5)) - 0.5
    assert plan["n_needed"].iloc[0] == patients_needed(seen, responder_share=0.35)
    found = norm.cdf(norm.ppf(min_detectable_auc(70, 130)) / math.sqrt(2 / 3))
    assert plan["min_detectable_auc"].iloc[1] == pytest.approx(found, abs=1e-9)
    assert plan["n_equal_cost"].tolist() == [200, 183, 169, 157]
    assert plan["n_needed"].is_monotonic_decreasing
    assert plan["power_independence"].is_monotonic_increasing


def test_simulation_is_asked_at_what_is_seen_and_answers_for_the_tumor() -> None:
    asked: dict[str, object] = {}

    def fake(**options: object) -> Power:
        import pandas as pd

        asked.update(options)
        thetas, margins = options["thetas"], options["margins"]
        shares = pd.DataFrame([{"theta": t, "margin": m} for t in thetas for m in margins])  # type: ignore[attr-defined]
        return Power(shares, pd.DataFrame({"margin": margins}), 0.70, 0.2, 3.0, {"seed": 0})

    found = through_measurement(fake, reliability=0.64, thetas=[0.5, 0.8], margins=[0.15], n=200)
    assert asked["thetas"] == pytest.approx([0.5, norm.cdf(norm.ppf(0.8) * 0.8)])
    assert asked["margins"] == pytest.approx([norm.cdf(norm.ppf(0.65) * 0.8) - 0.5])
    assert found.characteristics["theta"].tolist() == [0.5, 0.8]
    assert found.table["margin"].tolist() == [0.15]
    assert found.min_detectable_auc == pytest.approx(norm.cdf(norm.ppf(0.7) / 0.8))
    assert found.smallest_margin == pytest.approx(norm.cdf(norm.ppf(0.7) / 0.8) - 0.5)


@pytest.mark.parametrize(
    "options",
    [{"reliability": 0}, {"reliability": 85}, {"reliability": 0.6, "patient_cost": 3},
     {"reliability": 0.6, "margin": 0.7},
     {"reliability": 0.6, "measurements": [0]}],
)  # fmt: skip
def test_impossible_plans_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        measurement_plan(200, n_responders=70, **options)  # type: ignore[arg-type]
