"""Pictures of multiplex results show what the tables say."""

from __future__ import annotations

import anndata as ad
import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from biomarkers.core.panel import Panel
from biomarkers.io.channels import make_channels
from biomarkers.plot.fluorescence import plot_channel, plot_gate, plot_regions
from biomarkers.plot.style import VERMILION
from biomarkers.score.multiplex_slide import score_channels
from biomarkers.simulate import plant_multiplex, render_if, simulate_scene


def test_a_channel_has_its_name_and_a_bar_of_50_um():
    pixels = np.random.default_rng(0).integers(0, 999, (2, 80, 90)).astype(np.uint16)
    ax = plot_channel(make_channels(pixels, names=["DAPI", "CD8"], mpp=0.5), channel="CD8")
    assert ax.get_title(loc="left") == "CD8" or ax.get_title() == "CD8"
    assert np.ptp(ax.lines[0].get_xdata()) == 100
    np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), pixels[1])


def test_a_gate_stands_where_the_table_says_and_counts_what_it_parts():
    values = np.concatenate([np.random.default_rng(0).normal(0, 5, 90), np.full(10, 500.0)])
    cells = ad.AnnData(values[:, None], obs=pd.DataFrame(index=[str(i) for i in range(100)]))
    cells.var_names = ["CD8"]
    gates = pd.DataFrame({"marker": ["CD8"], "compartment": "cell", "gate": 100.0, "gate_low": 80.0,
                          "gate_high": 120.0, "flags": "low signal: a test"})  # fmt: skip
    ax = plot_gate(cells, gates, marker="CD8")
    line = next(one for one in ax.lines if matplotlib.colors.same_color(one.get_color(), VERMILION))
    assert np.sinh(line.get_xdata()[0]) * 10 == pytest.approx(100)
    assert "10.0% positive" in (ax.get_title(loc="left") or ax.get_title())
    assert any("low signal" in text.get_text() for text in ax.texts)
    assert sum(patch.get_height() for patch in ax.patches[:70]) == 100


@pytest.mark.slow
def test_regions_show_every_cell_of_a_phenotype():
    scene = plant_multiplex(simulate_scene(rng=3, size_px=200, mpp=0.5, lymphocytes_per_mm2=2000), rng=3)
    image = render_if(scene, markers=["CD8", "CK"], rng=3, af_channel=False)
    panel = Panel(
        name="p",
        channels={"DAPI": {"marker": "DAPI", "role": "nuclei"}, "CD8": {"marker": "CD8", "compartment": "membrane"},
                  "CK": {"marker": "CK", "compartment": "cytoplasm"}},
        phenotypes={"CTL": "CD8+"},
        classes={"tumor": "CK+"},
    )  # fmt: skip
    result = score_channels(make_channels(image.pixels, names=image.channels, mpp=0.5), panel=panel, slide="s")
    ax = plot_regions(result, phenotype="CTL")
    n = int((result.cells.obs["phenotype"].astype(str) == "CTL").sum())
    assert n > 5
    assert any(len(one.get_offsets()) == n for one in ax.collections if hasattr(one, "get_offsets"))
