"""Variance components: published data sets, balanced designs in closed form, statsmodels as a peer, the boundary."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.errors import DataError
from biomarkers.stats import component_reliability, one_way_reliability, variance_components

DYESTUFF = [
    1545, 1440, 1440, 1520, 1580, 1540, 1555, 1490, 1560, 1495, 1595, 1550, 1605, 1510, 1560, 1445, 1440, 1595, 1465,
    1545, 1595, 1630, 1515, 1635, 1625, 1520, 1455, 1450, 1480, 1445,
]  # fmt: skip
# Davies OL, Goldsmith PL. Statistical Methods in Research and Production. 1972: 10 batches x 3 casks x 2 assays
PASTES = (
    "62.8 62.6 60.1 62.3 62.7 63.1 60 61.4 57.5 56.9 61.1 58.9 58.7 57.5 63.9 63.1 65.4 63.7 57.1 56.4 56.9 58.6 64.7 "
    "64.5 55.1 55.1 54.7 54.2 58.8 57.5 63.4 64.9 59.3 58.1 60.5 60 62.5 62.6 61 58.7 56.9 57.7 59.2 59.4 65.2 66 64.8 "
    "64.1 54.8 54.8 64 64 57.7 56.8 58.3 59.3 59.2 59.2 58.9 56.6"
)


def test_dyestuff_as_lme4_prints_it() -> None:
    found = variance_components(DYESTUFF, {"batch": np.repeat(np.arange(6), 5)})
    assert found.variances["batch"] == pytest.approx(1764.05, abs=1e-6)
    assert found.variances["residual"] == pytest.approx(2451.25, abs=1e-6)
    assert found.criterion == pytest.approx(319.6543, abs=5e-5)


def test_pastes_nested_as_lme4_prints_it() -> None:
    values = np.array(PASTES.split(), dtype=float).reshape(10, 3, 2)
    batch, cask, _ = np.indices(values.shape)
    labels = {"batch": batch.ravel(), "cask": (3 * batch + cask).ravel()}
    found = variance_components(values.ravel(), labels)
    for name, sd in {"batch": 1.2874, "cask": 2.9041, "residual": 0.8234}.items():
        assert found.variances[name] ** 0.5 == pytest.approx(sd, abs=5e-5)
    assert found.criterion == pytest.approx(246.9907, abs=5e-5)


def _two_way(table: np.ndarray) -> tuple[float, float, float]:
    """Balanced crossed random effects in closed form, from the mean squares."""
    n, k = table.shape
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    rows = (k * float(table.mean(axis=1).var(ddof=1)) - error) / k
    columns = (n * float(table.mean(axis=0).var(ddof=1)) - error) / n
    return rows, columns, error


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 5])
def test_balanced_designs_equal_the_mean_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = 12 + seed % 5, 3 + seed % 3
    table = 2 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(1, k)) + rng.normal(size=(n, k))
    patient, reader = np.indices(table.shape)
    closed = _two_way(table)
    assert min(closed) > 0, "choose a seed whose closed form is not at the boundary"
    found = variance_components(table.ravel(), {"patient": patient.ravel(), "reader": reader.ravel()})
    for name, variance in zip(("patient", "reader", "residual"), closed, strict=True):
        assert found.variances[name] == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_unbalanced_designs_equal_statsmodels(seed: int) -> None:
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    rng = np.random.default_rng(100 + seed)
    patient = np.repeat(np.arange(15), rng.integers(1, 5, size=15))
    values = 1.5 * rng.normal(size=15)[patient] + rng.normal(size=patient.size)
    found = variance_components(values, {"patient": patient})
    peer = MixedLM(values, np.ones((values.size, 1)), groups=pd.Series(patient)).fit(
        reml=True, method="bfgs", gtol=1e-9
    )
    assert found.variances["patient"] == pytest.approx(float(np.asarray(peer.cov_re)[0, 0]), rel=1e-3)
    assert found.variances["residual"] == pytest.approx(float(peer.scale), rel=1e-3)
    assert -found.criterion / 2 >= float(peer.llf) - 1e-7


def test_boundary_gives_an_interval_from_zero() -> None:
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(10), 2)
    values = np.tile([0.0, 3.0], 10) + 0.1 * rng.normal(size=20)
    found = component_reliability(values, {"patient": patient}, signal="patient", weights={})
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.low == pytest.approx(0, abs=1e-9)
    assert 0 < found.high < 1


def test_profile_interval_is_near_the_exact_one_in_a_one_way_design() -> None:
    rng = np.random.default_rng(8)
    table = rng.normal(size=(30, 1)) + rng.normal(size=(30, 2))
    exact = one_way_reliability(table)
    patient = np.repeat(np.arange(30), 2)
    found = component_reliability(table.ravel(), {"patient": patient}, signal="patient", weights={})
    assert found.value == pytest.approx(exact.value, abs=1e-6)
    assert found.low == pytest.approx(exact.low, abs=0.03)
    assert found.high == pytest.approx(exact.high, abs=0.03)


def test_weights_say_what_enters_a_level() -> None:
    rng = np.random.default_rng(9)
    table = rng.normal(size=(20, 1)) + 2 * rng.normal(size=(1, 4)) + 0.5 * rng.normal(size=(20, 4))
    patient, reader = (a.ravel() for a in np.indices(table.shape))
    factors = {"patient": patient, "reader": reader}
    s = variance_components(table.ravel(), factors).variances
    one = component_reliability(table.ravel(), factors, signal="patient", weights={"reader": 0.0})
    assert one.value == pytest.approx(s["patient"] / (s["patient"] + s["residual"]), abs=1e-6)
    both = component_reliability(table.ravel(), factors, signal="patient", weights={"reader": 0.5, "residual": 0.5})
    assert both.value == pytest.approx(s["patient"] / (s["patient"] + (s["reader"] + s["residual"]) / 2), abs=1e-6)


def test_designs_that_cannot_tell_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be told apart"):
        variance_components([1.0, 2.0, 3.0], {"patient": [1, 2, 3]})
    with pytest.raises(DataError, match="copies"):
        variance_components([1.0, 1.0, 3.0, 3.0], {"patient": [1, 1, 2, 2]})
