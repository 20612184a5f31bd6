"""Noise of any shape is never parted into negative and positive cells; planted shares come back, or are not told."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.pheno.gate_fit import fit_gate
from biomarkers.pheno.gate_scale import count_step, piled, scale_of, without_steps
from biomarkers.pheno.gate_valley import find_gap

NEGATIVE = {
    "normal": lambda rng, n: rng.normal(0, 20, n),
    "on an offset": lambda rng, n: rng.normal(100, 15, n),
    "cut at zero": lambda rng, n: np.maximum(0, rng.normal(-2, 3, n)),
    "half cut": lambda rng, n: np.maximum(0, rng.normal(1, 3, n)),
    "exponential": lambda rng, n: rng.exponential(5, n),
    "gamma": lambda rng, n: rng.gamma(3, 5, n),
    "lognormal": lambda rng, n: np.exp(rng.normal(2, 0.6, n)),
    "heavy tail": lambda rng, n: 50 + 10 * rng.standard_t(3, n),
    "Poisson": lambda rng, n: rng.poisson(2, n).astype(float),
    "few counts": lambda rng, n: rng.poisson(0.3, n).astype(float),
    "negative binomial": lambda rng, n: rng.negative_binomial(1, 0.2, n).astype(float),
    "zero inflated": lambda rng, n: np.where(rng.random(n) < 0.5, 0, rng.negative_binomial(2, 0.3, n)).astype(float),
}
BRIGHT = {
    "normal": lambda rng, n: 600 * np.exp(rng.normal(0, 0.4, n)),
    "cut at zero": lambda rng, n: 60 * np.exp(rng.normal(0, 0.4, n)),
    "gamma": lambda rng, n: 200 * np.exp(rng.normal(0, 0.4, n)),
    "lognormal": lambda rng, n: np.exp(rng.normal(5, 0.5, n)),
    "Poisson": lambda rng, n: rng.poisson(40, n).astype(float),
    "negative binomial": lambda rng, n: rng.negative_binomial(8, 0.05, n).astype(float),
}


@pytest.mark.parametrize("shape", NEGATIVE)
@pytest.mark.parametrize("n", [300, 5000])
def test_negative_cells_alone_have_no_gate(shape, n):
    for seed in range(4):
        values = NEGATIVE[shape](np.random.default_rng(seed), n)
        fit = fit_gate(values, rng=seed)
        called = np.mean(values >= fit.gate)  # nobody reaches NaN
        assert called <= 0.01, (seed, fit)
        assert np.isfinite(fit.gate) or fit.flags


@pytest.mark.parametrize("shape", BRIGHT)
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9])
def test_planted_shares_come_back_or_are_not_told(shape, share):
    told = 0
    for seed in range(3):
        rng = np.random.default_rng(100 + seed)
        positive = rng.random(4000) < share
        values = np.where(positive, BRIGHT[shape](rng, 4000), NEGATIVE[shape](rng, 4000))
        gate = fit_gate(values, rng=seed).gate
        if np.isfinite(gate):
            told += 1
            assert np.mean(values >= gate) == pytest.approx(positive.mean(), abs=max(0.01, 0.2 * positive.mean()))
    assert told == 3 or share < 0.1, "a share of a tenth or more can be told in all of these shapes"


def test_a_few_bright_cells_above_a_gap_are_positive():
    noise = np.random.default_rng(3).normal(0, 20, 5000)
    values = np.r_[noise, [700.0, 820.0, 900.0, 1010.0, 1200.0]]
    fit = fit_gate(values)
    assert (values >= fit.gate).sum() == 5
    assert noise.max() < fit.low < fit.gate < fit.high < 700


def test_a_few_dark_cells_do_not_make_all_others_positive():
    """Torn cells at the edge of a field stand below the noise of all others."""
    values = np.r_[np.random.default_rng(4).normal(100, 10, 2000), np.zeros(12)]
    assert np.isnan(fit_gate(values).gate)


def test_steps_of_a_camera_are_no_populations():
    counts = np.random.default_rng(5).poisson(1.2, 2000).astype(float)
    assert count_step(counts * 2) == 2
    assert count_step(np.random.default_rng(5).normal(size=2000)) == 0
    spread = without_steps(counts)
    assert len(np.unique(np.round(spread, 6))) > 1500
    assert np.abs(spread - counts).max() < 1
    # means of a few grey levels: 0 to 20 of 255, most cells at exactly one step
    grey = np.where(
        np.random.default_rng(6).random(700) < 0.3, 1.0, 1 + np.abs(np.random.default_rng(7).normal(0, 1, 700))
    )
    assert np.isnan(fit_gate(grey, step=1.0).gate)


def test_noise_that_was_cut_gives_a_unit_from_what_is_left():
    cut = np.maximum(0, np.random.default_rng(8).normal(-2, 3, 5000))
    assert piled(cut).mean() == pytest.approx((cut == 0).mean())
    assert scale_of(cut).unit == pytest.approx(np.median(cut[cut > 0]), rel=1e-6)


def test_a_gap_is_held_against_the_spacing_beside_it():
    evenly = np.linspace(0, 1, 300)
    assert find_gap(evenly, least=-np.inf) is None
    apart = np.r_[evenly, 2.0 + evenly[:30]]
    assert find_gap(apart, least=-np.inf) == pytest.approx(1.5, abs=0.01)


def test_a_gate_that_differs_from_place_to_place_has_a_wider_range():
    rng = np.random.default_rng(9)
    tiles = np.repeat(np.arange(25), 120)
    drift = np.repeat(rng.uniform(0.4, 2.5, 25), 120)
    positive = rng.random(3000) < 0.4
    values = drift * np.where(positive, 300 * np.exp(rng.normal(0, 0.5, 3000)), np.exp(rng.normal(3, 0.5, 3000)))
    by_cell, by_tile = fit_gate(values), fit_gate(values, tiles=tiles)
    assert np.log(by_tile.high / by_tile.low) > 1.5 * np.log(by_cell.high / by_cell.low)


def test_no_gate_for_one_cell_or_none():
    for values in ([], [5.0], [5.0, np.nan]):
        fit = fit_gate(np.array(values, float))
        assert np.isnan(fit.gate)
        assert "low signal: cells do not differ" in fit.flags
