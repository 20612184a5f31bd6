"""Batches: what differs is said, what is confounded is warned of, levels within a batch are those minus its median."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import batch_confounding, express

GENES = ["CD274", "PDCD1", "CD8A", "ACTB", "GAPDH", *(f"SIMG{i}" for i in range(60))]


def made(shift=0.0, group=None, n=24):
    rng = np.random.default_rng(0)
    batch = np.repeat(["run1", "run2"], n // 2)
    logs = rng.normal(6, 0.4, (n, len(GENES)))
    logs[batch == "run2", 0] += shift
    share = 2**logs / (2**logs).sum(axis=1, keepdims=True)
    obs = pd.DataFrame({"run": batch, "response": group if group is not None else ["PR", "SD"] * (n // 2)})
    obs.index = [f"s{i}" for i in range(n)]
    return ad.AnnData(rng.poisson(share * 1e6).astype(float), obs=obs, var=pd.DataFrame(index=GENES))


def test_a_planted_batch_effect_is_said_and_gone_within_batches():
    found = express(made(2.0), signatures=[], batch="run")
    assert any("batches differ" in text and "CD274 log2_cpm" in text for text in found.warnings)
    levels = found.levels[found.levels["marker"] == "CD274"]
    raw, within = (levels[levels["score"] == name] for name in ("log2_cpm", "log2_cpm within batch"))
    gap = raw.groupby("batch")["value"].median().diff().iloc[-1]
    assert gap == pytest.approx(2, abs=0.4)
    assert within.groupby("batch")["value"].median().abs().max() < 1e-12
    expected = raw["value"] - raw.groupby("batch")["value"].transform("median")
    np.testing.assert_allclose(within["value"], expected)
    summary = found.batches.query("marker == 'CD274' and score == 'log2_cpm'").set_index("batch")
    assert summary.loc["run1", "n"] == 12
    assert summary["p_kruskal_wallis"].max() < 1e-4


def test_no_batch_effect_no_word():
    found = express(made(0.0), genes=["CD274"], signatures=[], batch="run", group="response")
    assert not any("batches differ" in text or "confounded" in text for text in found.warnings)


def test_complete_confounding_is_named():
    found = express(made(0.0, ["PR"] * 12 + ["SD"] * 12), signatures=[], batch="run", group="response")
    assert any("batch and response are confounded: every batch holds one response only" in t for t in found.warnings)


def test_partial_confounding_is_named_with_its_size():
    group = ["PR"] * 10 + ["SD"] * 2 + ["PR"] * 3 + ["SD"] * 9
    table = pd.DataFrame({"run": np.repeat(["a", "b"], 12), "response": group})
    found = batch_confounding(table, batch="run", group="response")
    from scipy.stats import chi2_contingency, fisher_exact

    counts = [[10, 2], [3, 9]]
    assert found.p == pytest.approx(fisher_exact(counts).pvalue)
    assert found.cramers_v == pytest.approx(np.sqrt(chi2_contingency(counts, correction=False).statistic / 24))
    assert "go together" in found.warning
    assert "relate --strata run" in found.warning


def test_balanced_and_single_batches_say_nothing():
    table = pd.DataFrame({"run": ["a", "a", "b", "b"] * 5, "response": ["PR", "SD"] * 10, "one": "x"})
    assert batch_confounding(table, batch="run", group="response").warning == ""
    assert batch_confounding(table, batch="one", group="response").warning == ""
    with pytest.raises(UsageError, match="Did you mean 'run'"):
        batch_confounding(table, batch="runs", group="response")
    with pytest.raises(DataError, match="no sample has both"):
        batch_confounding(table.assign(run=None), batch="run", group="response")


def test_small_and_unknown_batches_are_not_evaluable_within():
    data = made()
    data.obs["run"] = ["tiny", "tiny", *["run1"] * 10, *["run2"] * 11, ""]
    found = express(data, genes=["CD274"], signatures=[], batch="run").levels.set_index(["sample", "score"])
    assert found.loc[("s0", "log2_cpm within batch"), "reason"] == "fewer than 3 evaluable samples in the batch"
    assert found.loc[("s23", "log2_cpm within batch"), "reason"] == "the batch is not known"
    assert found.loc[("s0", "log2_cpm"), "status"] == "ok"


def test_a_sample_sheet_joins_letter_for_letter_and_says_who_is_missing():
    data = made()
    sheet = pd.DataFrame(
        {"sample": [f"s{i}" for i in range(22)] + ["S23"], "site": ["x", "y"] * 11 + ["x"], "who": "p"}
    )
    found = express(data, genes=["CD274"], signatures=[], sheet=sheet, batch="site", patient="who")
    assert "2 samples of the matrix are not in the sheet (s22, s23)" in found.warnings
    assert "1 samples of the sheet are not in the matrix (S23)" in found.warnings
    rows = found.levels.query("score == 'log2_cpm'").set_index("sample")
    assert rows.loc["s0", ["batch", "patient"]].tolist() == ["x", "p"]
    assert rows.loc["s23", "batch"] == ""
    with pytest.raises(DataError, match="stands twice in the sample sheet"):
        express(data, sheet=pd.concat([sheet, sheet.head(1)]))
    with pytest.raises(DataError, match="no sample of the sheet is in the matrix"):
        express(data, sheet=sheet.assign(sample=sheet["sample"].str.upper().str.replace("S", "T")))
    with pytest.raises(UsageError, match="no such column beside the samples"):
        express(data, batch="plate")
    with pytest.raises(UsageError, match="a group is held against a batch"):
        express(data, group="response")
