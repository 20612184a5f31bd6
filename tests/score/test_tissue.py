"""Tissue does not shrink where cells are sparse, and drawn regions hold to the pixel."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.core.panel import Panel
from biomarkers.io.annotations import Annotations, Region
from biomarkers.io.channels import make_channels
from biomarkers.score.multiplex import score_multiplex_cells
from biomarkers.score.multiplex_slide import score_multiplex
from biomarkers.score.regions import TissueRegions, density_notes, regions_from_cells, regions_from_masks
from biomarkers.score.tissue import tissue_in_picture
from biomarkers.score.tissue_cells import tissue_around_cells
from biomarkers.seg.dapi import nuclear_levels


def strewn(per_mm2, *, seed=0, wide_um=1000.0, high_um=1000.0):
    rng = np.random.default_rng(seed)
    return rng.uniform((0, 0), (wide_um, high_um), (rng.poisson(per_mm2 * wide_um * high_um / 1e6), 2))


def drawn(place):
    return tissue_around_cells(place, shape=(250, 250), grid_um=4.0)


def table(place, tumor=False):
    obs = pd.DataFrame({"x_um": place[:, 0], "y_um": place[:, 1], "area_um2": 80.0})
    obs["cell_class"] = np.where(tumor, "tumor", "stroma")
    return ad.AnnData(np.zeros((len(place), 0)), obs=obs.set_index(obs.index.astype(str)))


@pytest.mark.parametrize("per_mm2", [200, 500, 1500, 4000, 8000])
def test_a_field_that_is_tissue_everywhere_stays_one(per_mm2):
    share = np.mean([drawn(strewn(per_mm2, seed=seed)).mask.mean() for seed in range(3)])
    assert share == pytest.approx(1.0, abs=0.01)


def within(shape, place):
    """Cells of a field of 1 mm2 that lie in a shape."""
    x, y = place.T - 500
    return place[
        {
            "half": x < 0,
            "disc": np.hypot(x, y) < 350,
            "hole": np.hypot(x, y) > 300,
            "band": np.abs(y) < 250,
            "wave": x < 120 * np.sin(y / 80),
        }[shape]
    ]


@pytest.mark.parametrize("shape", ["half", "disc", "hole", "band", "wave"])
@pytest.mark.parametrize("per_mm2", [200, 500, 2000, 8000])
def test_the_area_of_tissue_that_ends_is_right_on_average(per_mm2, shape):
    """At 200 per mm2, where 100 cells and fewer are there, an area varies by some 4%: the mean of many is looked at."""
    true = {"half": 0.5, "disc": 0.1225 * np.pi, "hole": 1 - 0.09 * np.pi, "band": 0.5, "wave": 0.5}[shape]
    trials = {200: 30, 500: 12, 2000: 3, 8000: 1}[per_mm2]
    found = [drawn(within(shape, strewn(per_mm2, seed=seed))) for seed in range(100, 100 + trials)]
    error = np.array([one.mask.mean() / true - 1 for one in found])
    told = np.array([one.area_error for one in found])
    assert abs(error.mean()) < (0.05 if per_mm2 == 200 else 0.03)
    assert (np.abs(error) <= 1.96 * told).mean() >= 0.8, "and each says how far it may be off"
    assert told.mean() < (0.1 if per_mm2 == 200 else 0.06)


def test_regular_and_clustered_cells():
    lattice = np.stack(np.meshgrid(np.arange(10, 600, 20.0), np.arange(10, 1000, 20.0)), axis=-1).reshape(-1, 2)
    assert drawn(lattice).mask.mean() == pytest.approx(0.6, rel=0.02)
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        nests = np.repeat(rng.uniform(0, 1000, (rng.poisson(250), 2)), 4, axis=0)
        cells = nests + rng.normal(0, 20, nests.shape)
        found.append(
            drawn(cells[(cells > 0).all(axis=1) & (cells < 1000).all(axis=1) & (cells[:, 0] < 600)]).mask.mean()
        )
    assert np.mean(found) == pytest.approx(0.6, rel=0.05)


def lattice_of_cells(pushed_um=0.0):
    """Ten times ten cells 20 um apart, one of the uppermost pushed inwards."""
    place = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2) * 20.0 + 400
    place[5, 1] += pushed_um
    return place


def test_a_lattice_by_hand():
    """Nine times nine squares, and half a cell's area beyond each of the 36 at the border: 32,400 + 36 x 200 um2."""
    assert drawn(lattice_of_cells()).mask.sum() * 16 == pytest.approx(39_600, abs=32)
    # its angle is 197 degrees: another cell there would have been missed; 60 um2 are lost
    assert drawn(lattice_of_cells(3.0)).mask.sum() * 16 == pytest.approx(39_540, abs=80)
    # 208 degrees: it would lie within the shape of the others
    assert drawn(lattice_of_cells(5.0)).mask.sum() * 16 == pytest.approx(39_300, abs=80)


def test_gaps_of_three_spacings_are_closed_and_wider_ones_are_not():
    """A circle of 1.7 spacings fits between two fields that are more than 68 um apart, cells 20 um from each other."""
    for apart, closed in ((56.0, True), (90.0, False)):
        other = lattice_of_cells() + np.array([180 + apart, 0.0])
        mask = drawn(np.vstack([lattice_of_cells(), other])).mask
        assert mask[120, round((580 + apart / 2) / 4)] == closed


def test_sparse_stroma_beside_dense_tumour():
    nests, stroma = strewn(6000, wide_um=500), strewn(1000, seed=1, wide_um=500) + np.array([500.0, 0.0])
    cells = table(np.vstack([nests, stroma]), np.arange(len(nests) + len(stroma)) < len(nests))
    regions = regions_from_cells(cells, size_um=(1000, 1000), margin_um=50)
    assert regions.area_mm2("stroma") == pytest.approx(0.5, rel=0.05)
    assert regions.area_mm2("tumor") == pytest.approx(0.5, rel=0.05)
    assert regions.area_source == "cells"


def test_the_same_of_a_table(shared_data):
    frame = pd.read_csv(shared_data / "faults" / "panels" / "area_sparse_stroma.csv")
    cells = table(frame[["x_um", "y_um"]].to_numpy(), frame["tumor"].to_numpy())
    regions = regions_from_cells(cells, size_um=(1000, 1000), margin_um=50)
    assert regions.area_mm2("stroma") == pytest.approx(0.5, rel=0.05)


def test_few_cells_and_none():
    assert not drawn(np.zeros((0, 2))).mask.any()
    alone = drawn(np.array([[500.0, 500.0]]))
    assert alone.mask.sum() * 16 == pytest.approx(50**2, rel=0.05), "a spacing of half the longest is assumed"
    assert alone.area_error > 1
    for few in ([[100, 500], [110, 500], [120, 500], [130, 500]], [[500, 500]] * 5, [[500, 500], [530, 540]]):
        assert 0 < drawn(np.array(few, dtype=float)).mask.sum() * 16 < 40_000


def test_cells_outside_the_image_are_in_no_region():
    place = np.vstack([strewn(1000), [[-3.0, 500], [500, 1004.1], [2500, 500], [np.nan, 4]]])
    cells = table(place)
    regions = regions_from_cells(cells, size_um=(1000, 1000), margin_um=50)
    inside = regions.members(cells, "all")
    assert inside[:-4].all()
    assert not inside[-4:].any()
    (note,) = regions.notes
    assert note.startswith("4 cells outside the image (1000 x 1000 um; the first at x -3, y 500)")
    alone = regions_from_cells(table(np.full((3, 2), 5000.0)), size_um=(1000, 1000), margin_um=50)
    assert alone.area_mm2("all") == 0
    assert "3 cells outside" in alone.notes[0]


def test_an_area_that_few_cells_tell_is_in_the_intervals_and_said():
    panel = Panel(
        name="p",
        channels={"DAPI": {"marker": "DAPI", "role": "nuclei"}, "CD8": {"marker": "CD8"}},
        scores=({"name": "CD8", "kind": "density", "cells": "CD8+"},),
    )
    for per_mm2, told in ((200, True), (4000, False)):
        cells = table(strewn(per_mm2, wide_um=600))
        cells = ad.AnnData(np.zeros((cells.n_obs, 1)), obs=cells.obs, var=pd.DataFrame(index=["CD8"]))
        cells.obs["CD8_positive"] = np.arange(cells.n_obs) % 2 == 0
        regions = regions_from_cells(cells, size_um=(1000, 1000), margin_um=50)
        assert any("few cells alone" in note for note in regions.notes) == told
        (wide,), (narrow,) = (
            score_multiplex_cells(cells, panel=panel, slide="a", regions=one)[0].to_dict("records")
            for one in (regions, replace(regions, area_error=0.0))
        )
        assert wide["value"] == narrow["value"] == pytest.approx(per_mm2 / 2, rel=0.2)
        low = wide["value"] - np.hypot(
            wide["value"] - narrow["ci_low"], wide["value"] * (1 - 1 / (1 + 1.96 * regions.area_error))
        )
        assert wide["ci_low"] == pytest.approx(low)
        assert wide["ci_high"] > narrow["ci_high"]


def picture(glow, *, tissue_share=0.6, seed=0):
    """Dim glow on the left of a dark field, 300 um wide, and noise everywhere."""
    rng = np.random.default_rng(seed)
    light = np.full((2, 600, 600), 100.0)
    light[:, :, : round(600 * tissue_share)] += glow
    pixels = (rng.poisson(light) + rng.normal(0, 5, light.shape)).clip(0).astype(np.uint16)
    return make_channels(pixels, names=["DAPI", "AF"], mpp=0.5)


def test_glow_tells_tissue_from_glass():
    few = table(strewn(300, wide_um=170, high_um=300))
    seen = tissue_in_picture(picture(40), few, labels=np.zeros((600, 600), np.int32))
    assert seen.mean() == pytest.approx(0.6, rel=0.03)
    for flat in (picture(0), picture(40, tissue_share=1.0)):
        assert tissue_in_picture(flat, few, labels=np.zeros((600, 600), np.int32)) is None
    everywhere = table(strewn(600, wide_um=300, high_um=300))
    darker = tissue_in_picture(picture(40), everywhere, labels=np.zeros((600, 600), np.int32))
    assert darker is None, "the darker part holds cells: it is no glass"


@pytest.mark.parametrize("mpp", [0.37, 0.5, 1.3, 3.9])
def test_drawn_regions_hold_to_the_pixel(mpp):
    """A grid of 4 um lost up to 7.8%."""
    tissue, tumor = np.zeros((203, 187), bool), np.zeros((203, 187), bool)
    tissue[3:178, 5:184] = True
    tumor[3:60, 5:59] = True
    regions = regions_from_masks(tissue, tumor, mpp=mpp, origin_um=(0, 0), margin_um=20, source="drawn")
    assert regions.area_mm2("all") == pytest.approx(175 * 179 * mpp**2 / 1e6)
    assert regions.area_mm2("tumor") == pytest.approx(57 * 54 * mpp**2 / 1e6)
    assert regions.area_mm2("tumor") + regions.area_mm2("stroma") == pytest.approx(regions.area_mm2("all"))
    assert regions.area_source == "drawn"


def test_ignored_pixels_are_in_no_area():
    kept = np.ones((500, 500), bool)
    kept[:, 301:] = False
    cells = table(strewn(3000, wide_um=250, high_um=250))
    cells.obs["excluded"] = cells.obs["x_um"].to_numpy() >= 150.5
    regions = regions_from_cells(cells, size_um=(250, 250), margin_um=50, kept=kept, mpp=0.5)
    assert regions.area_mm2("all") == pytest.approx(0.1505 * 0.25, rel=0.03)
    assert not regions.masks["all"][:, 301:].any()
    assert regions.masks["all"][:, 300].mean() > 0.9, "and none is lost up to the line that was drawn"
    assert regions.area_source == "cells, within annotations"


def test_implausible_densities_are_told():
    assert density_notes({"all": 2000, "margin": 9000}, {"all": 0.5, "margin": 0.1}) == []
    assert density_notes({"all": 10}, {"all": 1.0}) == [], "a count as small may be chance"
    for count, area in ((50, 1.0), (30_000, 1.0)):
        (note,) = density_notes({"tumor": count}, {"tumor": area})
        assert "implausible" in note
        assert f"{count:,}" in note


def test_nuclei_that_cover_little_are_not_taken_for_noise():
    rng = np.random.default_rng(2)
    plane = rng.normal(100, 10, (1000, 1000))
    for row, column in rng.integers(10, 990, (50, 2)):
        plane[row - 6 : row + 7, column - 6 : column + 7] += 1500
    assert nuclear_levels(plane)[1] > 1400
    empty = nuclear_levels(rng.normal(100, 10, (1000, 1000)))
    assert empty[1] > 100 + 30 * 10, "where there are no nuclei, noise must not reach their level"


@pytest.mark.slow
def test_a_sparse_image_that_is_tissue_everywhere(shared_data):
    folder = shared_data / "faults" / "panels"
    result = score_multiplex(folder / "sparse_1500_per_mm2.ome.tif", panel=folder / "pb.toml")
    assert result.row["tissue_mm2"] == pytest.approx(0.25, rel=0.02)
    assert result.scores.iloc[0]["value"] == pytest.approx(184, rel=0.03)
    assert result.row["area_source"] == "cells"


@pytest.mark.slow
def test_a_marker_that_no_cell_bears(shared_data):
    folder = shared_data / "faults" / "panels"
    result = score_multiplex(folder / "no_cd8_cell.ome.tif", panel=folder / "pb.toml")
    row = result.scores.iloc[0]
    assert (row["status"], row["reason"] != "") == ("not_evaluable", True)
    assert result.row["status"] == "not_evaluable"
    assert isinstance(result.regions, TissueRegions)


@pytest.mark.slow
def test_an_ignored_area_is_in_no_count_of_any_file(shared_data):
    import shapely

    folder = shared_data / "faults" / "panels"
    ignored = Annotations(
        source="drawn",
        regions=(Region(geometry=shapely.box(0, 0, 500, 1000), meaning="ignore", name="fold"),),
    )
    result = score_multiplex(folder / "sparse_1500_per_mm2.ome.tif", panel=folder / "pb.toml", annotations=ignored)
    inside = ~result.cells.obs["excluded"].to_numpy()
    assert 0 < inside.sum() < result.cells.n_obs
    assert result.row["n_cells"] == inside.sum()
    assert result.row["n_positive"] + result.row["n_negative"] == inside.sum()
    assert result.row["tissue_mm2"] == pytest.approx(0.125, rel=0.01)
    assert result.scores.iloc[0]["numerator"] == (result.cells.obs["CD8_positive"].to_numpy() & inside).sum()
