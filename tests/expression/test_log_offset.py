"""What was added before logarithms were taken is undone as it was made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import concordance, express
from biomarkers.expression.scale import from_linear, to_linear

LINEAR = np.array([[0.0, 0.5, 3.0, 20.0], [0.0, 2.0, 3.0, 5.0], [10.0, 4.0, 100.0, 7.0]])
GENES = ["GZMA", "PRF1", "CD274"]
SHOULD = np.log2(LINEAR[:2] + 0.01).mean(axis=0)  # Rooney 2015


def matrix(values, tmp_path, digits=6):
    path = tmp_path / "m.csv"
    pd.DataFrame(values, index=GENES, columns=list("abcd")).round(digits).to_csv(path, index_label="gene")
    return path


def cytolytic(found):
    return found.levels[found.levels["marker"] == "cytolytic"]


@pytest.mark.parametrize("offset", [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0])
def test_a_signature_of_amounts_does_not_depend_on_the_offset(tmp_path, offset):
    found = express(matrix(np.log2(LINEAR + offset), tmp_path), signatures=["cytolytic"], scale="log2")
    rows = cytolytic(found)
    np.testing.assert_allclose(rows["value"], SHOULD, atol=2e-3)
    assert set(rows["unit"]) == {"log2 of the geometric mean of x + 0.01"}
    unit = found.levels.loc[found.levels["marker"] == "CD274", "unit"].iloc[0]
    assert unit == ("log2, as given" if offset == 1 else f"log2(x + {offset:g}), as given")
    assert found.settings["log_offset"] == offset


@pytest.mark.parametrize(("scale", "log"), [("log1p", np.log), ("log10", np.log10)])
def test_other_bases_have_offsets_too(tmp_path, scale, log):
    found = express(matrix(log(LINEAR + 0.001), tmp_path), signatures=["cytolytic"], scale=scale)
    np.testing.assert_allclose(cytolytic(found)["value"], SHOULD, atol=2e-3)


def test_an_offset_can_be_stated_and_is_asked_for_where_none_fits(tmp_path):
    values = np.log2(LINEAR + 0.3)  # no usual one
    guessed = express(matrix(values, tmp_path), signatures=["cytolytic"], scale="log2")
    assert any("state what was added with --log-offset" in text for text in guessed.warnings)
    stated = express(matrix(values, tmp_path), signatures=["cytolytic"], scale="log2", log_offset=0.3)
    np.testing.assert_allclose(cytolytic(stated)["value"], SHOULD, atol=1e-4)
    assert not any("--log-offset" in text for text in stated.warnings)


def test_offsets_that_cannot_be(tmp_path):
    path = matrix(np.log2(LINEAR + 0.001), tmp_path)
    with pytest.raises(DataError, match="below the logarithm of the offset 1"):
        express(path, scale="log2", log_offset=1)
    with pytest.raises(UsageError, match="0 or more"):
        express(path, scale="log2", log_offset=-1)
    with pytest.raises(UsageError, match="belongs to logarithms"):
        express(matrix(LINEAR, tmp_path), scale="tpm", log_offset=1)


def test_cells_are_pooled_from_amounts(tmp_path):
    import anndata as ad

    obs = pd.DataFrame({"who": ["p", "p", "q", "q"]}, index=list("abcd"))
    cells = ad.AnnData(np.log2(LINEAR.T + 0.001), obs=obs, var=pd.DataFrame(index=GENES))
    found = express(cells, sample="who", min_cells=1, min_expressing=1, scale="log2", signatures=["cytolytic"])
    rows = found.levels.set_index(["marker", "score", "sample"])["value"]
    assert rows["CD274", "log2_mean", "p"] == pytest.approx(np.log2(7 + 1))
    given = express(cells, genes=["GZMA"], sample="who", min_cells=1, min_expressing=1, scale="log2", signatures=[])
    shares = given.levels[given.levels["score"] == "expressing_fraction"].set_index("sample")["value"]
    assert shares.to_dict() == {"p": 0.5, "q": 1.0}  # a cell without reads stands at log2(0.001)
    mean = np.log2(LINEAR[:2].reshape(2, 2, 2).mean(axis=2) + 0.01).mean(axis=0)
    np.testing.assert_allclose(cytolytic(found)["value"], mean, atol=1e-6)


def test_the_row_of_the_faults(shared_data):
    found = express(shared_data / "faults" / "panels" / "xena_log2_tpm_0.001.csv", signatures=["cytolytic"])
    np.testing.assert_allclose(cytolytic(found)["value"], [-3.18, -0.97, -0.14, 1.01, 4.32], atol=0.006)
    assert found.scale == "log2"


@pytest.mark.parametrize("scale", ["log2", "log1p", "log10"])
@pytest.mark.parametrize("offset", [0.0, 0.001, 0.5, 1.0])
def test_undone_and_taken_again(scale, offset):
    values = LINEAR + 0.25
    logs = from_linear(values, scale, offset=offset)
    np.testing.assert_allclose(to_linear(logs, scale, offset=offset), values, rtol=1e-12)


def test_z_scores_have_a_mean_and_no_geometric_mean(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 4))
    rows = cytolytic(express(matrix(values, tmp_path), signatures=["cytolytic"], scale="zscore"))
    assert set(zip(rows["score"], rows["unit"], strict=True)) == {("mean", "z, as given")}
    np.testing.assert_allclose(rows["value"], values[:2].mean(axis=0), atol=1e-6)


def table(**columns):
    n = 8
    return pd.DataFrame({"a": np.arange(n) ** 1.5, "b": [1, 0, 2, 3, 5, 4, 6, 7.0], **columns})


@pytest.mark.parametrize("name", ["patient", "Patient ID", "USUBJID", "subject.id", "Patient_No", "SUBJID"])
def test_a_patient_who_stands_twice_is_seen_under_usual_names(name):
    ids = ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p1 "]
    with pytest.raises(DataError, match=rf"column '{name}': identifiers look alike.*'p1' and 'p1 '"):
        concordance(table(**{name: ids}), one="a", two="b")
    with pytest.raises(DataError, match=rf"column {name}: a patient.*'p1'"):
        concordance(table(**{name: [*ids[:-1], "p1"]}), one="a", two="b")


def test_rows_without_id_or_level_are_no_repeats():
    ids = ["p1", "p2", "p3", "p4", "p5", None, "", "p1"]
    data = table(patient_id=ids)
    data.loc[7, "b"] = np.nan  # the second sample of p1 has no second level
    found = concordance(data, one="a", two="b")
    assert len(found.points) == 7
    assert any(text.startswith("2 samples have no patient in patient_id") for text in found.warnings)


def test_two_columns_that_could_be_the_patient():
    with pytest.raises(UsageError, match=r"several columns could be the patient.*subject, usubjid.*--patient"):
        concordance(table(subject=range(8), usubjid=range(8)), one="a", two="b")
    assert len(concordance(table(patient=range(8), subject=0), one="a", two="b").points) == 8
