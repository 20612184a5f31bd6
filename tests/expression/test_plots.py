"""Figures draw what the results hold."""

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.datasets import sample_trial
from biomarkers.expression import concordance, express
from biomarkers.plot.expression import plot_agreement, plot_cell_types, plot_differences, plot_sample_levels


def test_levels_by_time_point_draw_every_sample_and_the_medians():
    found = express(sample_trial().expression, genes=["CD274"], signatures=[])
    ax = plot_sample_levels(found, marker="CD274", by="timepoint")
    drawn = np.concatenate([part.get_offsets()[:, 1] for part in ax.collections if len(part.get_offsets()) > 1])
    assert sorted(drawn) == pytest.approx(sorted(found.levels["value"]))
    assert [label.get_text().split("\n")[0] for label in ax.get_xticklabels()] == ["baseline", "on_treatment"]
    with pytest.raises(UsageError, match="Did you mean 'CD274'"):
        plot_sample_levels(found, marker="CD27")
    with pytest.raises(UsageError, match="Did you mean 'timepoint'"):
        plot_sample_levels(found, marker="CD274", by="timepoints")


def test_cell_types_draw_fraction_as_size():
    import anndata as ad

    rng = np.random.default_rng(0)
    counts = rng.poisson(2, (90, 5)).astype(float)
    obs = pd.DataFrame({"who": ["a", "b", "c"] * 30, "type": ["T", "tumor"] * 45}, index=[f"c{i}" for i in range(90)])
    data = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=["CD274", "PDCD1", "ACTB", "GAPDH", "TBP"]))
    found = express(data, sample="who", cell_type="type", signatures=[])
    ax = plot_cell_types(found, marker="PDCD1")
    sizes = np.concatenate([part.get_sizes() for part in ax.collections if len(part.get_offsets()) == 6])
    levels = found.levels
    shares = levels[(levels["marker"] == "PDCD1") & levels["score"].str.startswith("expressing_fraction in")]["value"]
    assert sorted(sizes) == pytest.approx(sorted(8 + 200 * shares))
    with pytest.raises(UsageError, match="no cell types"):
        plot_cell_types(express(data, sample="who"), marker="PDCD1")


def test_agreement_draws_points_bias_and_limits():
    rng = np.random.default_rng(1)
    x = rng.normal(size=30)
    found = concordance(pd.DataFrame({"a": x, "b": x + rng.normal(size=30)}), one="a", two="b", scale="units")
    ax = plot_agreement(found)
    assert len(ax.collections[0].get_offsets()) == 30
    assert "Spearman" in ax.get_title(loc="left")
    ax = plot_differences(found)
    heights = sorted(line.get_ydata()[0] for line in ax.lines)
    names = ["bland_altman_lower_limit", "bland_altman_bias", "bland_altman_upper_limit"]
    assert heights == pytest.approx(found.table.set_index("statistic").loc[names, "value"].tolist())
