"""What the numbers are: recognised, said, and never transformed twice."""

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import express
from biomarkers.expression.genes import HOUSEKEEPING
from biomarkers.expression.scale import to_linear

GENES = ["CD274", "PDCD1", *(f"SIMG{i}" for i in range(60))]


def found_in(tmp_path, values, *, genes=GENES, **options):
    frame = pd.DataFrame(values, index=genes, columns=[f"s{i}" for i in range(values.shape[1])])
    frame.to_csv(tmp_path / "m.csv")
    return express(tmp_path / "m.csv", signatures=[], **options)


def cd274(found):
    return found.levels.query("marker == 'CD274'")["value"].to_numpy()


@pytest.fixture
def counts():
    return np.random.default_rng(0).negative_binomial(3, 0.01, (len(GENES), 8)).astype(float) + 1


def test_normalised_logarithms_tell_their_base_whichever_it_is(tmp_path, counts):
    cpm = counts / counts.sum(axis=0) * 1e4
    natural, binary = found_in(tmp_path, np.log1p(cpm)), found_in(tmp_path, np.log2(cpm + 1))
    assert (natural.scale, binary.scale) == ("log1p", "log2")
    np.testing.assert_allclose(cd274(natural), cd274(binary), rtol=1e-9)


def test_logarithms_of_unknown_base_are_said(tmp_path, counts):
    found = found_in(tmp_path, np.log1p(counts))
    assert found.scale == "log2"
    assert any("base of these logarithms cannot be told" in text for text in found.warnings)
    declared = found_in(tmp_path, np.log1p(counts), scale="log1p")
    np.testing.assert_allclose(cd274(declared), np.log2(counts[0] + 1), rtol=1e-9)


def test_logarithms_with_an_offset_are_no_z_scores(tmp_path, counts):
    counts[5, 2] = 0
    found = found_in(tmp_path, np.log2(counts + 0.001))
    assert found.scale == "log2"
    assert "log2(0.001)" in found.scale_reason
    np.testing.assert_allclose(cd274(found), np.log2(counts[0] + 0.001), rtol=1e-9)


def test_z_scores_stay_as_they_are(tmp_path):
    values = np.random.default_rng(1).normal(size=(len(GENES), 8))
    found = found_in(tmp_path, values)
    assert found.scale == "zscore"
    np.testing.assert_allclose(cd274(found), values[0])


def test_microarray_intensities_stay_as_they_are(tmp_path):
    values = np.random.default_rng(1).uniform(2.5, 13.5, (len(GENES), 8))
    found = found_in(tmp_path, values)
    assert found.scale == "microarray"
    np.testing.assert_allclose(cd274(found), values[0])


def test_a_nanostring_panel_is_normalised_by_its_housekeeping_genes(tmp_path):
    rng = np.random.default_rng(2)
    house = HOUSEKEEPING[:8]
    genes = [*GENES[:40], *house, "POS_A(128)", "NEG_B(0)"]
    base = rng.integers(50, 900, (len(genes), 6)).astype(float)
    found = found_in(tmp_path, base, genes=genes)
    assert found.scale == "nanostring"
    logs = np.log2(base + 1)
    expected = logs[0] - logs[40:48].mean(axis=0)
    np.testing.assert_allclose(cd274(found), expected, rtol=1e-9)
    lane = 2.0 ** np.arange(6)  # a lane that counted twice as much gives the same level, but for the + 1
    again = found_in(tmp_path, np.round(base * lane), genes=genes)
    np.testing.assert_allclose(cd274(again), expected, atol=0.03)
    with pytest.raises(DataError, match="housekeeping genes, and too few are there"):
        found_in(tmp_path, base[:40], genes=genes[:40], scale="nanostring")


def test_whole_numbers_below_zero_are_no_counts(tmp_path, counts):
    counts[3, 3] = -7
    with pytest.raises(DataError, match="counts below 0; found -7"):
        found_in(tmp_path, counts)


def test_only_zero_and_one_is_doubted(tmp_path, counts):
    found = found_in(tmp_path, (counts > 200).astype(float))
    assert any("presence calls" in text for text in found.warnings)


def test_background_subtracted_intensities_say_what_becomes_of_them(tmp_path, counts):
    found = found_in(tmp_path, counts * 3.3 - 500)
    assert found.scale == "linear"
    assert any("are set to 0 before the logarithm" in text for text in found.warnings)


def test_one_sample_with_a_hundred_times_the_reads_is_said(tmp_path, counts):
    counts[:, 0] *= 200
    found = found_in(tmp_path, counts)
    assert any("times the counts of the shallowest" in text for text in found.warnings)


def test_a_sample_of_zeros_is_not_evaluable_on_any_scale(tmp_path, counts):
    for values in (counts, counts / counts.sum(axis=0) * 1e6, counts * 1.37, np.log2(counts + 1)):
        values = values.copy()
        values[:, 4] = 0
        rows = found_in(tmp_path, values).levels.query("marker == 'CD274'").set_index("sample")
        assert rows.loc["s4", "status"] == "not_evaluable"
        assert rows.loc["s4", "reason"] == "all values of the sample are 0"
        assert rows.drop("s4")["value"].notna().all()


def test_an_unknown_scale_suggests_the_nearest(tmp_path, counts):
    with pytest.raises(UsageError, match="Did you mean 'counts'"):
        found_in(tmp_path, counts, scale="count")


@pytest.mark.parametrize(("scale", "log"), [("log2", lambda x: np.log2(x + 1)), ("log1p", np.log1p)])
def test_undoing_a_logarithm(scale, log):
    values = np.array([0, 0.5, 3, 1000.0])
    np.testing.assert_allclose(to_linear(log(values), scale), values, atol=1e-12)


def test_counts_are_scaled_to_the_whole_library_and_not_to_the_genes_asked_for():
    from biomarkers.expression.scale import to_log2

    values = np.array([[10.0, 30.0]])  # two genes of a library of one million reads
    levels, _, unit = to_log2(values, "counts", np.array([1_000_000.0]))
    assert levels[0] == pytest.approx([np.log2(11), np.log2(31)])
    assert unit == "log2(CPM + 1)"
