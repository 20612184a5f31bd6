"""Gates lie between populations, say how sure they are, and are flagged where there is nothing to part."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.panel import Panel
from biomarkers.pheno.gate_fit import fit_gate
from biomarkers.pheno.gate_shift import shift_notes
from biomarkers.pheno.gates import apply_gates, fit_gates, gate_values, low_signal, read_gates, write_gates

PANEL = Panel(
    name="p",
    channels={
        "DAPI": {"marker": "DAPI", "role": "nuclei"},
        "A": {"marker": "A", "compartment": "membrane"},
        "B": {"marker": "B", "compartment": "nucleus"},
    },
)


def two(seed, n=2000, share=0.2, bright=800.0, noise=20.0):
    """Negative cells around 0, positive ones log-normal."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    return np.where(positive, bright * np.exp(rng.normal(0, 0.35, n)), 0) + rng.normal(0, noise, n), positive


def cells_of(**columns):
    values = np.column_stack(list(columns.values())).astype(float)
    cells = ad.AnnData(values, obs=pd.DataFrame(index=[str(i) for i in range(len(values))]))
    cells.var_names = list(columns)
    cells.layers["nucleus_mean"], cells.layers["membrane_upper"] = values * 2, values * 3
    return cells


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.04, 0.9), st.floats(300, 5000), st.sampled_from(["valley", "mixture"]))
def test_two_populations_are_parted(seed, share, bright, method):
    values, positive = two(seed, share=share, bright=bright)
    fit = fit_gate(values, method=method)
    assert np.mean((values >= fit.gate) != positive) < 0.02
    assert fit.low <= fit.gate <= fit.high
    assert not any("low signal" in flag for flag in fit.flags)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0.01, 100))
def test_the_unit_of_the_camera_changes_no_call(seed, unit):
    values, _ = two(seed)
    one, other = fit_gate(values), fit_gate(values * unit)
    assert ((values >= one.gate) == (values * unit >= other.gate)).mean() > 0.995


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.sampled_from(["normal", "exponential", "lognormal"]))
def test_noise_alone_is_never_parted(seed, shape):
    rng = np.random.default_rng(seed)
    values = {"normal": rng.normal(0, 5, 1500), "exponential": rng.exponential(5, 1500),
              "lognormal": np.exp(rng.normal(2, 0.4, 1500))}[shape]  # fmt: skip
    fit = fit_gate(values)
    assert np.isnan(fit.gate)
    assert any("low signal" in flag for flag in fit.flags)


def test_a_small_shift_of_most_cells_is_no_positive_population():
    """Bleed-through of 5% of a bright neighbour: the gate stays above it, where the marker's own cells begin."""
    values, positive = two(3, share=0.1, bright=1000)
    shifted = values + np.where(np.random.default_rng(4).random(len(values)) < 0.5, 50, 0)
    gate = fit_gate(shifted).gate
    assert np.mean((shifted >= gate) != positive) < 0.02


def test_few_cells_and_equal_cells_are_flagged():
    assert any("at least 50" in flag for flag in fit_gate(two(1, n=30, share=0.5)[0]).flags)
    flat = fit_gate(np.full(100, 7.0))
    assert any("do not differ" in flag for flag in flat.flags)
    assert np.isnan(flat.gate)


def test_each_marker_is_read_in_its_compartment():
    cells = cells_of(A=np.arange(5), B=np.arange(5))
    assert gate_values(cells, marker="A", compartment="membrane").tolist() == [0, 3, 6, 9, 12]
    assert gate_values(cells, marker="B", compartment="nucleus").tolist() == [0, 2, 4, 6, 8]
    assert gate_values(cells, marker="B", compartment="cell").tolist() == [0, 1, 2, 3, 4]
    cells.layers["membrane_upper"][2] = np.nan
    assert gate_values(cells, marker="A", compartment="membrane")[2] == 2
    with pytest.raises(DataError, match="no such marker"):
        gate_values(cells, marker="C")


def test_a_table_goes_out_and_comes_back(tmp_path):
    values, positive = two(5)
    cells = cells_of(A=values, B=values[::-1])
    gates = fit_gates({"s1": cells, "s2": cells}, panel=PANEL)
    write_gates(gates, tmp_path / "gates.csv")
    back = read_gates(tmp_path / "gates.csv")
    called = apply_gates(cells, back, slide="s1")
    assert (called.obs["A_positive"].to_numpy() == positive).mean() > 0.98
    assert "A_positive" not in cells.obs
    back.loc[(back["slide"] == "s1") & (back["marker"] == "A"), ["gate", "gate_2", "gate_3"]] = [1e9, np.nan, np.nan]
    assert apply_gates(cells, back, slide="s1").obs["A_positive"].sum() == 0
    assert apply_gates(cells, back, slide="s2").obs["A_positive"].sum() > 0


def test_a_slide_without_positives_is_gated_with_its_batch():
    full, _ = two(6)
    none = np.random.default_rng(7).normal(0, 20, 1500)
    slides = {"full": cells_of(A=full, B=full), "none": cells_of(A=none, B=none)}
    assert "A" in low_signal(fit_gates({"none": slides["none"]}, panel=PANEL))
    batch = fit_gates(slides, panel=PANEL, per="batch")
    assert apply_gates(slides["none"], batch, slide="none").obs["A_positive"].mean() < 0.005
    assert apply_gates(slides["full"], batch, slide="full").obs["A_positive"].mean() == pytest.approx(0.2, abs=0.03)


def test_bins_rise_with_the_level():
    gates = pd.DataFrame({"slide": "*", "marker": ["A"], "compartment": "cell", "gate": 1, "gate_2": 2, "gate_3": 4})
    called = apply_gates(cells_of(A=[0, 1, 2, 3, 4, 9], B=np.zeros(6)), gates)
    assert called.obs["A_bin"].tolist() == [0, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slide,marker,gate\n*,A,1\n", "no column 'compartment'"),
        ("slide,marker,compartment,gate\n*,A,cell,high\n", r"row 2 \(A\).*no number"),
        ("slide,marker,compartment,gate,gate_2\n*,A,cell,3,2\n", "must rise"),
        ("slide,marker,compartment,gate\n*,A,golgi,1\n", "no such compartment"),
        ("slide,marker,compartment,gate\n*,A,cell,1\n*,A,cell,2\n", r"row 3.*two gates"),
    ],
)
def test_a_gate_table_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_gates(tmp_path / "g.csv")


def test_wrong_words(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_gates(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="per image or per batch"):
        fit_gates(cells_of(A=[1], B=[1]), panel=PANEL, per="plate")
    with pytest.raises(UsageError, match="Did you mean 'valley'"):
        fit_gates(cells_of(A=[1], B=[1]), panel=PANEL, method="vally")
    other = pd.DataFrame({"slide": ["x"], "marker": ["A"], "compartment": ["cell"], "gate": [1.0]})
    with pytest.raises(DataError, match="no row for this slide"):
        apply_gates(cells_of(A=[1], B=[1]), other, slide="y")


def test_an_image_that_disagrees_with_the_shared_gate_is_told():
    """Stained three times as bright: its negative cells pass the gate of the others."""
    values, _ = two(8, share=0.3, bright=1500.0, noise=60.0)
    alike, shifted = cells_of(A=values, B=values), cells_of(A=3 * values + 400, B=values)
    gates = fit_gates({"x": alike}, panel=PANEL, per="batch")
    assert shift_notes(apply_gates(alike, gates, slide="x")) == []
    (note,) = shift_notes(apply_gates(shifted, gates, slide="y"))
    assert note.startswith("A: this image's own gate")
    own = fit_gates({"y": shifted}, panel=PANEL)
    assert shift_notes(apply_gates(shifted, own, slide="y")) == [], "only shared gates are checked"
    bright = cells_of(A=1500 + values[values < 300][:600], B=np.zeros(600))
    assert "all positive, or shifted?" in shift_notes(apply_gates(bright, gates, slide="z"))[0]
