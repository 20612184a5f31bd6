"""What a cohort could show: planted AUCs are real, figures agree with simulation, the rule keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.relate.families import FAMILIES, Family
from biomarkers.relate.power import power
from biomarkers.relate.power_statistics import permuted_p
from biomarkers.relate.precision import (
    independence_power,
    min_detectable_auc,
    patients_needed,
    smallest_provable_margin,
    tie_factor,
)
from biomarkers.stats.permutation_marginal import marginal_permutation
from biomarkers.stats.roc import auc


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("theta", [0.3, 0.5, 0.7])
def test_planted_aucs_are_real(name: str, theta: float) -> None:
    family = Family(name)
    drawn = family.draw(np.random.default_rng(0), n_yes=4000, n_no=4000, size=1, shift=family.shift(theta))[:, 0]
    assert auc(drawn[:4000], drawn[4000:]) == pytest.approx(theta, abs=0.02)  # three standard errors


def test_the_figures_for_52_patients() -> None:
    """The size of the published trial: least AUC .73 at 80% power, a margin of .10 out of reach, best BF01 3.49."""
    found = power(52, n_responders=19, thetas=(0.5,), n_simulations=10, n_permutations=99)
    assert found.min_detectable_auc == pytest.approx(0.73, abs=0.01)
    assert round(found.best_bf01, 2) == 3.49
    needed = found.table.set_index("margin")["n_needed"]
    # 310, 132 and 73 for the interval alone; these by 16,000 cohorts a size, the gates against other patterns counted
    np.testing.assert_allclose(needed.to_numpy(), [388, 170, 92], rtol=0.04)
    assert found.table.set_index("margin")["power"][0.10] == 0
    text = found.explain()
    assert "52 patients with a level, 19 responders" in text
    assert "<table" in found._repr_html_()


def test_text_and_table_are_one() -> None:
    """70% at zero, 12 of 123 respond: ties hold the AUC within .20 of one half below, however many patients."""
    found = power(
        123, n_responders=12, thetas=(0.5,), margins=(0.2,), levels=Family("zero-inflated", zero_share=0.7),
        n_simulations=200, n_permutations=199,
    )  # fmt: skip
    row, simulated = found.table.iloc[0], found.characteristics.iloc[0]
    assert row["power"] == simulated["independent_within_margin"] < 0.2
    assert np.isnan(row["n_needed"])
    assert "out of reach at any size: too many equal levels" in found.explain()
    assert f"shown in {100 * row['power']:.0f}% of simulated cohorts" in found.explain()


def test_a_family_finds_less() -> None:
    """By an independent bound: with 20 unrelated biomarkers p has to reach 1 - .95 ** (1 / 20), not .05."""
    alone, beside = (
        power(
            52, n_responders=19, thetas=(0.73,), margins=(0.2,), n_biomarkers=m, n_simulations=400, n_permutations=499
        )
        for m in (1, 20)
    )
    assert beside.min_detectable_auc > alone.min_detectable_auc + 0.05
    assert alone.characteristics["dependent"].item() == pytest.approx(0.80, abs=0.08)
    assert beside.characteristics["dependent"].item() == pytest.approx(0.40, abs=0.1)
    assert "family of 20 biomarkers" in beside.explain()


def test_relabellings_are_not_shared_by_all_cohorts() -> None:
    """With one set of 19 relabellings for all, the share of rejections would scatter far beyond its binomial error."""
    generator, group = np.random.default_rng(0), np.arange(30) < 10
    shares = []
    for run in range(40):
        p = permuted_p(generator.normal(size=(30, 200)), 10, n_permutations=19, alpha=0.25, rng=run)[0]
        shares.append((p <= 0.25).mean())
    assert np.std(shares) < 2 * np.sqrt(0.25 * 0.75 / 200)
    one = [
        (marginal_permutation(generator.normal(size=(30, 200)), group, n_permutations=19, rng=run).p <= 0.25).mean()
        for run in range(40)
    ]
    assert np.std(one) > 2 * np.sqrt(0.25 * 0.75 / 200)


def test_more_patients_show_more() -> None:
    for a, b in ((10, 20), (19, 33), (80, 120)):
        assert min_detectable_auc(2 * a, 2 * b) < min_detectable_auc(a, b)
        assert smallest_provable_margin(2 * a, 2 * b) < smallest_provable_margin(a, b)
        assert independence_power(2 * a, 2 * b, margin=0.2) >= independence_power(a, b, margin=0.2)
    sizes = [patients_needed(margin, responder_share=0.35) for margin in (0.05, 0.1, 0.15, 0.2, 0.3)]
    assert sizes == sorted(sizes, reverse=True)
    assert independence_power(0.35 * sizes[2], 0.65 * sizes[2], margin=0.15) >= 0.8


def test_ties_are_counted() -> None:
    assert tie_factor([1, 2, 3, 4]) == 1
    assert tie_factor([1, 1, 1, 1]) == 0
    assert tie_factor([0, 0, 1, 1]) == pytest.approx(1 - 12 / 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_errors_stay_below_their_levels(name: str) -> None:
    """400 cohorts a row here; 2,000 in benchmarks/operating_characteristics.py."""
    found = power(
        52, n_responders=19, thetas=(0.5, 0.65, 0.7), levels=name, n_simulations=400, n_permutations=499, rng=5
    ).characteristics.set_index(["theta", "margin"])
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    dependent = found.loc[(0.5, 0.2), "dependent"] + found.loc[(0.5, 0.2), "dependent_within_margin"]
    assert dependent <= most
    assert found.loc[(0.65, 0.15), "independent_within_margin"] <= most
    assert found.loc[(0.7, 0.2), "independent_within_margin"] <= most
    shares = found[[name for name in found.columns if name != "mc_error"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_p_is_uniform_when_labels_are_shuffled(name: str) -> None:
    """P(p <= a) <= a for every a, but for the noise of 1,000 shuffles; and not far below where levels have few ties."""
    generator = np.random.default_rng(3)
    level = Family(name).draw(generator, n_yes=19, n_no=33, size=1, shift=0.0)[:, 0]
    shuffled = np.stack([generator.permutation(level) for _ in range(1000)], axis=1)
    p = marginal_permutation(shuffled, np.arange(52) < 19, n_permutations=499, rng=1).p
    for a in (0.01, 0.05, 0.1, 0.25, 0.5):
        error = np.sqrt(a * (1 - a) / 1000)
        assert (p <= a).mean() <= a + 3.3 * error
        if name != "ordinal":
            assert (p <= a).mean() >= a - 3.3 * error - 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_responders": 0}, "out of range"),
        ({"thetas": (1.0,)}, "AUC"),
        ({"margins": (0.5,)}, "margin"),
        ({"alpha": 0.7}, "alpha"),
        ({"missing_share": 0.95}, "fewer than two"),
        ({"levels": "poisson"}, "shape of levels"),
        ({"n_simulations": 3}, "too few"),
        ({"n_biomarkers": 0}, "biomarkers"),
    ],
)
def test_wrong_calls_stop(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        power(30, **{"n_responders": 10, "n_simulations": 10, "n_permutations": 99, **options})  # type: ignore[arg-type]
