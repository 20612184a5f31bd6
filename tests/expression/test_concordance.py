"""Agreement of two levels: held to scipy, to R's published example, to simulated truth, and to real data."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import concordance


def table(n=40, noise=0.7, seed=0):
    rng = np.random.default_rng(seed)
    protein = rng.normal(size=n)
    return pd.DataFrame(
        {"protein": protein, "rna": protein + noise * rng.normal(size=n), "id": [f"p{i}" for i in range(n)]}
    )


def row(found, statistic, stratum=""):
    rows = found.table[(found.table["statistic"] == statistic) & (found.table["stratum"] == stratum)]
    return rows.iloc[0]


def test_rank_correlations_are_scipys():
    data = table()
    found = concordance(data, one="protein", two="rna", patient="id")
    assert row(found, "spearman")["value"] == pytest.approx(spearmanr(data["protein"], data["rna"]).statistic)
    assert row(found, "spearman")["p"] == pytest.approx(spearmanr(data["protein"], data["rna"]).pvalue)
    assert row(found, "kendall_tau_b")["value"] == pytest.approx(kendalltau(data["protein"], data["rna"]).statistic)


def test_spearmans_interval_of_bonett_and_wright():
    # rho = .8, n = 20, by hand: atanh(.8) -+ 1.96 sqrt((1 + .32) / 17)
    x = np.arange(20.0)
    rng = np.random.default_rng(1)
    y = x.copy()
    while abs(spearmanr(x, y).statistic - 0.8) > 0.002:
        i, j = rng.integers(0, 20, 2)
        y[[i, j]] = y[[j, i]]
        if spearmanr(x, y).statistic < 0.8:
            y[[i, j]] = y[[j, i]]
    rho = spearmanr(x, y).statistic
    half = 1.959964 * np.sqrt((1 + rho**2 / 2) / 17)
    found = row(concordance(pd.DataFrame({"a": x, "b": y}), one="a", two="b"), "spearman")
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(
        (np.tanh(np.arctanh(rho) - half), np.tanh(np.arctanh(rho) + half)), abs=1e-6
    )


def test_the_interval_covers_the_true_correlation():
    r = 0.6
    truth = 6 / np.pi * np.arcsin(r / 2)  # Spearman's rho of a bivariate normal
    rng, hits = np.random.default_rng(4), 0
    from biomarkers.expression.concordance import _bonett_wright
    from biomarkers.stats.trend import spearman

    for _ in range(600):
        x = rng.normal(size=30)
        y = r * x + np.sqrt(1 - r * r) * rng.normal(size=30)
        low, high = _bonett_wright(spearman(x, y))
        hits += low <= truth <= high
    assert 0.925 <= hits / 600 <= 0.975


def test_limits_of_agreement_of_a_planted_shift():
    rng = np.random.default_rng(2)
    truth = rng.normal(50, 15, 400)
    data = pd.DataFrame({"a": truth + rng.normal(3, 2, 400), "b": truth + rng.normal(0, 2, 400)})
    found = concordance(data, one="a", two="b", scale="units")
    bias = row(found, "bland_altman_bias")
    assert bias["ci_low"] < 3 < bias["ci_high"]
    spread = 1.959964 * np.sqrt(8)
    for name, expected in (("bland_altman_lower_limit", 3 - spread), ("bland_altman_upper_limit", 3 + spread)):
        assert row(found, name)["ci_low"] < expected < row(found, name)["ci_high"]
    assert row(found, "ccc")["value"] == pytest.approx(2 * 225 / (229 + 229 + 9), abs=0.02)


def test_standardised_levels_say_what_they_leave_of_the_question():
    data = table()
    found = concordance(data, one="protein", two="rna")
    assert found.settings["compared"] == "standardised"
    ccc = row(found, "ccc")
    assert ccc["value"] == pytest.approx(np.corrcoef(data["protein"], data["rna"])[0, 1])
    assert "says nothing of a shift" in ccc["note"]
    assert row(found, "bland_altman_bias")["value"] == pytest.approx(0, abs=1e-12)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31))
def test_order_of_samples_and_increasing_transforms_change_nothing(seed):
    rng = np.random.default_rng(seed)
    data = table(25, seed=seed)
    base = concordance(data, one="protein", two="rna").table
    turned = concordance(data.sample(frac=1, random_state=rng.integers(1000)), one="protein", two="rna").table
    pd.testing.assert_frame_equal(base, turned, rtol=1e-9)
    other = concordance(data.assign(protein=np.exp(data["protein"] * 2)), one="protein", two="rna").table
    ranks = ["spearman", "kendall_tau_b"]
    one, two = (t[t["statistic"].isin(ranks)].drop(columns="note") for t in (base, other))
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


def test_a_cohort_knows_its_units_and_time_points():
    data = table(20)
    values = np.column_stack([data["protein"], data["rna"]])
    obs = pd.DataFrame(
        {"patient": [f"p{i // 2}" for i in range(20)], "timepoint": ["baseline", "on_treatment"] * 10},
        index=[f"s{i}" for i in range(20)],
    )
    var = pd.DataFrame({"unit": ["z", "z"]}, index=["PD-L1 tps", "CD274 log2_cpm"])
    cohort = ad.AnnData(values, obs=obs, var=var, layers={"censored": np.arange(40).reshape(20, 2) < 3})
    with pytest.raises(DataError, match=r"a patient stands several times.*--timepoint"):
        concordance(cohort, one="PD-L1 tps", two="CD274 log2_cpm")
    found = concordance(cohort, one="PD-L1 tps", two="CD274 log2_cpm", timepoint="baseline")
    assert len(found.points) == 10
    assert found.settings["compared"] == "as given"
    assert any("lower limit" in text for text in found.warnings)
    with pytest.raises(UsageError, match="Did you mean 'baseline'"):
        concordance(cohort, one="PD-L1 tps", two="CD274 log2_cpm", timepoint="baselin")
    with pytest.raises(UsageError, match="Did you mean 'PD-L1 tps'"):
        concordance(cohort, one="PD-L1 tp", two="CD274 log2_cpm")


def test_correlation_that_is_only_between_batches_is_told_apart():
    rng = np.random.default_rng(0)
    batch = np.repeat(["a", "b"], 40)
    shift = np.where(batch == "a", 0, 5)
    data = pd.DataFrame({"x": rng.normal(size=80) + shift, "y": rng.normal(size=80) + shift, "batch": batch})
    found = concordance(data, one="x", two="y", strata="batch")
    assert row(found, "spearman")["value"] > 0.6
    assert abs(row(found, "spearman", "within strata")["value"]) < 0.25
    assert abs(row(found, "spearman", "a")["value"]) < 0.4


def test_samples_with_one_level_only_are_counted():
    data = table(20)
    data.loc[:2, "rna"] = np.nan
    found = concordance(data, one="protein", two="rna")
    assert found.warnings == ("3 samples have protein but no rna, and are left out",)
    assert row(found, "spearman")["n"] == 17


def test_a_level_that_does_not_vary_is_undefined_and_says_so():
    data = table(20).assign(protein=0.0)
    found = concordance(data, one="protein", two="rna")
    for name in ("spearman", "kendall_tau_b", "ccc"):
        assert np.isnan(row(found, name)["value"])
        assert row(found, name)["note"]
    assert "undefined" in found.explain()


def test_bad_input():
    data = table()
    with pytest.raises(UsageError, match="always agrees with itself"):
        concordance(data, one="protein", two="protein")
    with pytest.raises(UsageError, match="Did you mean 'rna'"):
        concordance(data, one="protein", two="rnas")
    with pytest.raises(UsageError, match="no such scale"):
        concordance(data, one="protein", two="rna", scale="raw")
    with pytest.raises(DataError, match="too few samples have both"):
        concordance(data.head(3), one="protein", two="rna")
    with pytest.raises(DataError, match=r"column 'protein' row 0 .*: a level is no number; found '<1%'.*--order"):
        concordance(data.assign(protein=["<1%"] + ["5"] * 39), one="protein", two="rna")
    with pytest.raises(DataError, match="a patient stands several times"):
        concordance(data.assign(id="p"), one="protein", two="rna", patient="id")


def test_imvigor_cd274_against_the_immune_cell_level(shared_data):
    """Published data: Spearman .531 over 347 patients; the matrix is read by express, the levels by concordance."""
    from biomarkers.expression import express

    path = shared_data / "cohorts" / "imvigor210" / "imvigor210_IHC_plus_RNA.csv"
    clinical = pd.read_csv(path)
    words = ["X", "Best.Confirmed.Overall.Response", "binaryResponse", "IC.Level", "TC.Level", "Enrollment.IC",
             "Immune.phenotype", "os", "censOS"]  # fmt: skip
    found = express(path, annotations=words, scale="linear", signatures=[])
    level = found.levels[found.levels["marker"] == "CD274"].set_index("sample")["value"]
    assert len(level) == len(clinical)
    both = clinical.set_index("Sample_ID")[["IC.Level"]].join(level.rename("CD274"))
    agreed = concordance(both, one="IC.Level", two="CD274", order=["IC0", "IC1", "IC2+"])
    rho = row(agreed, "spearman")
    assert rho["n"] == 347
    assert rho["value"] == pytest.approx(0.531, abs=0.0005)
    assert rho["ci_low"] < 0.531 < rho["ci_high"]
    assert "no unit to agree in" in row(agreed, "ccc")["note"]
