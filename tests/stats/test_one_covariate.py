"""Fast fits of one covariate are the fits of the package's regressions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biomarkers.stats.cox_model import cox
from biomarkers.stats.logistic_model import logistic
from biomarkers.stats.one_covariate import log_hazard, log_odds


@pytest.mark.parametrize("seed", range(3))
def test_log_odds_is_that_of_logistic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=60)
    y = rng.random(60) < 1 / (1 + np.exp(-x))
    value, variance = log_odds(y)(x)
    fit = logistic(y, {"x": x}, interval="wald")
    assert value == pytest.approx(fit["x"].estimate.value, abs=1e-8)
    assert variance == pytest.approx(fit.covariance[0][0], rel=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_log_hazard_is_that_of_cox(tied: bool) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=80)
    time = rng.exponential(10 * np.exp(-0.5 * x))
    time = np.ceil(time) if tied else time
    event = (rng.random(80) < 0.7).astype(int)
    value, variance = log_hazard(time, event)(x)
    fit = cox(time, event, {"x": x})
    assert value == pytest.approx(fit["x"].estimate.value, abs=1e-7)
    assert variance == pytest.approx(fit.covariance[0][0], rel=1e-5)


def test_separation_is_infinite() -> None:
    x = np.arange(20.0)
    assert math.isinf(log_odds(x > 9)(x)[0])
    assert math.isinf(log_hazard(20 - x, np.ones(20))(x)[0])
