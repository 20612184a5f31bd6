"""Multiplex images and foreign cell tables become the same files as slides do, and a cohort joins them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile

from biomarkers.cli.cells import cells as cells_command
from biomarkers.cli.main import run
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.keys import SCORE_COLUMNS
from biomarkers.simulate import plant_multiplex, render_if, simulate_scene, write_if

PANEL = """
name = "pd1-cd3"
[channels.DAPI]
marker = "DAPI"
role = "nuclei"
[channels."PD-1"]
marker = "PD-1"
compartment = "membrane"
[channels.CD3]
marker = "CD3"
compartment = "membrane"
[phenotypes]
"T cell" = "CD3+"
[[scores]]
name = "PD-1+ T cells"
kind = "density"
cells = "CD3+ PD-1+"
cutoff = 10
"""
GLOW = '[channels.AF]\nmarker = "AF"\nrole = "autofluorescence"\n'
INFORM = """
name = "inform"
[channels.DAPI]
marker = "DAPI"
role = "nuclei"
[phenotypes]
tumor = "CK+"
[[scores]]
name = "PD-L1 in tumor"
kind = "fraction"
cells = "CK+ PD-L1 > 3"
of = "CK+"
"""


@pytest.mark.slow
def test_an_image_and_a_panel(tmp_path):
    scene = plant_multiplex(simulate_scene(rng=4, size_px=320, mpp=0.5, lymphocytes_per_mm2=2000, pd1_share=0.4), rng=4)
    for name in ("SIM-001_baseline", "SIM-002_baseline"):
        write_if(tmp_path / f"{name}.ome.tif", render_if(scene, markers=["PD-1", "CD3"], rng=4))
    (tmp_path / "panel.toml").write_text(PANEL + GLOW)
    out = tmp_path / "out"
    words = ["score", str(tmp_path / "*.ome.tif"), "--panel", str(tmp_path / "panel.toml"), "--out", str(out)]
    assert run([*words, "--quiet"]) == 0
    scores = pd.read_csv(out / "scores.csv")
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert set(scores["slide"]) == {"SIM-001_baseline", "SIM-002_baseline"}
    slides = pd.read_csv(out / "slides.csv")
    assert set(slides["assay"]) == {"pd1-cd3"}
    assert set(slides["PD-1+ T cells present"]) == {"positive"}
    assert "Gates of SIM-001_baseline" in (out / "gates" / "SIM-001_baseline.html").read_text()
    gates = pd.read_csv(out / "gates" / "SIM-001_baseline.csv")
    assert set(gates["marker"]) == {"PD-1", "CD3"}
    assert set(gates["slide"]) == {"*"}, "images of one batch share their gates"
    assert len(pd.read_csv(out / "gates.csv")) == 2
    for end in ("low", "high"):
        assert slides[f"positive_fraction_{end}"].notna().all()
    assert run([*words[:-1], str(tmp_path / "alone"), "--gates", "image", "--quiet", "--no-overlays"]) == 0
    alone = pd.read_csv(tmp_path / "alone" / "gates" / "SIM-001_baseline.csv")
    assert set(alone["slide"]) == {"SIM-001_baseline"}
    assert not (tmp_path / "alone" / "gates.csv").exists()
    fitted = ["gates", str(out), "--panel", str(tmp_path / "panel.toml"), "--out", str(tmp_path / "batch.csv")]
    assert run(fitted) == 0
    batch = pd.read_csv(tmp_path / "batch.csv").set_index("marker")
    assert batch["slide"].tolist() == ["*", "*"]
    assert batch["n_cells"].tolist() == [slides["n_cells"].sum()] * 2
    assert (tmp_path / "batch.html").read_text().count("<svg") == 2
    assert (
        run([*words[:-1], str(tmp_path / "out3"), "--gates", str(tmp_path / "batch.csv"), "--quiet", "--no-overlays"])
        == 0
    )
    called = pd.concat(pd.read_parquet(one) for one in sorted((tmp_path / "out3" / "cells").glob("*.parquet")))
    assert called["CD3_positive"].sum() == batch.loc["CD3", "n_positive"]
    assert run([*fitted[:1], str(tmp_path / "cells"), *fitted[2:]]) == 2
    gates.assign(slide="*", gate=1e6, gate_2=2e6, gate_3=3e6).to_csv(tmp_path / "gates.csv", index=False)
    again = [*words[:-1], str(tmp_path / "out2"), "--gates", str(tmp_path / "gates.csv"), "--quiet", "--no-overlays"]
    assert run(again) == 0
    assert (pd.read_csv(tmp_path / "out2" / "scores.csv")["numerator"] == 0).all()


@pytest.mark.slow
def test_maps_made_elsewhere(tmp_path, shared_data):
    folder = shared_data / "images" / "phenoptr" / "FIHC4" / "test_data"
    image = folder / "FIHC4__0929309_HP_IM3_2_component_data.tif"
    (tmp_path / "panel.toml").write_text(
        'name = "fihc4"\n[channels.DAPI]\nmarker = "DAPI"\nrole = "nuclei"\n'
        '[channels.Cy5]\nmarker = "Cy5"\ncompartment = "nucleus"\n'
    )
    words = ["score", str(image), "--panel", str(tmp_path / "panel.toml"), "--labels", str(folder), "--quiet"]
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    cells = pd.read_parquet(next((tmp_path / "out" / "cells").glob("*.parquet")))
    assert sorted(cells["label"]) == list(range(1, 271))
    assert run([*words, "--out", str(tmp_path / "o2"), "--labels", str(tmp_path)]) == 2


def test_panel_and_assay_contradict_each_other(tmp_path):
    (tmp_path / "panel.toml").write_text(PANEL)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40, 3), np.uint8), photometric="rgb")
    words = ["score", str(tmp_path / "a.tif"), "--out", str(tmp_path / "out")]
    assert run([*words, "--panel", str(tmp_path / "panel.toml"), "--assay", "22c3"]) == 2
    assert run([*words, "--assay", "22c3", "--gates", "gates.csv"]) == 2
    assert not (tmp_path / "out" / "scores.csv").exists()


def cells(*words):
    return cells_command.main([str(word) for word in words], standalone_mode=False)


def test_a_table_of_inform(tmp_path, shared_data):
    table = shared_data / "images" / "phenoptr" / "sample_cell_seg_data_slim.csv.gz"
    (tmp_path / "panel.toml").write_text(INFORM)
    assert cells(table, "--panel", tmp_path / "panel.toml", "--out", tmp_path / "out") == 0
    scores = pd.read_csv(tmp_path / "out" / "scores.csv").set_index("region")
    assert list(scores.reset_index()[list(SCORE_COLUMNS)].columns) == list(SCORE_COLUMNS)
    assert scores.loc["all", ["numerator", "denominator"]].tolist() == [531, 2257]
    assert scores.loc["tumor", ["numerator", "denominator"]].tolist() == [503, 2192]
    assert (tmp_path / "out" / "run.json").is_file()
    frame = pd.read_parquet(next((tmp_path / "out" / "cells").glob("*.parquet")))
    assert len(frame) == 6072
    markers = '[channels.CD8]\nmarker = "CD8"\n'
    (tmp_path / "panel.toml").write_text(INFORM.replace("[phenotypes]", f"{markers}[phenotypes]"))
    words = [table, "--panel", tmp_path / "panel.toml", "--fit-gates", "--out", tmp_path / "o2"]
    assert cells(*words) == 0
    assert "CD8, all slides" in (tmp_path / "o2" / "gates.html").read_text()


def test_areas_of_regions(tmp_path, shared_data):
    table = shared_data / "images" / "phenoptr" / "sample_cell_seg_data_slim.csv.gz"
    text = INFORM + '[[scores]]\nname = "CD8"\nkind = "density"\ncells = "CD8+"\n'
    (tmp_path / "panel.toml").write_text(text)
    words = [table, "--panel", tmp_path / "panel.toml", "--area-mm2"]
    assert cells(*words, "0.65", "--area-mm2", "tumor=0.5", "--out", tmp_path / "out") == 0
    scores = pd.read_csv(tmp_path / "out" / "scores.csv").query("marker == 'CD8'").set_index("region")
    assert scores["value"].tolist()[:2] == [228 / 0.65, 51 / 0.5]
    assert scores.loc["stroma", "status"] == "not_evaluable"
    for wrong in ("tumour=0.5", "tumor=-1", "much"):
        with pytest.raises(UsageError, match="is no area"):
            cells(*words, wrong, "--out", tmp_path / "o2")


def test_two_tables_of_one_image(tmp_path, shared_data):
    table = shared_data / "images" / "phenoptr" / "sample_cell_seg_data_slim.csv.gz"
    (tmp_path / "panel.toml").write_text(INFORM)
    with pytest.raises(DataError, match="one name"):
        cells(table, table, "--panel", tmp_path / "panel.toml", "--out", tmp_path / "out")
    with pytest.raises(UsageError, match="choose one"):
        cells(table, "--panel", tmp_path / "panel.toml", "--out", tmp_path / "o", "--fit-gates", "--gates", "g.csv")


def test_an_image_without_a_single_cell_of_a_kind(tmp_path):
    names = ("Sample Name", "Cell ID", "Cell X Position", "Cell Y Position", "Nucleus Area (sq microns)", "Phenotype")
    header = "\t".join((*names, "Entire Cell PD1 Mean")) + "\n"
    for name, kinds in (("one", ("CD8+", "Treg", "other")), ("two", ("CD8+", "other", "other"))):
        rows = [f"{name}\t{k}\t{k}\t1\t40\t{kind}\t2\n" for k, kind in enumerate(kinds)]
        (tmp_path / f"{name}.txt").write_text(header + "".join(rows))
    (tmp_path / "panel.toml").write_text(
        'name = "p"\n[channels.DAPI]\nmarker = "DAPI"\nrole = "nuclei"\n'
        '[[scores]]\nname = "Treg"\nkind = "density"\ncells = "\\"Treg\\" PD-1 > 1"\n'
        '[[scores]]\nname = "CTL"\nkind = "density"\ncells = "CD8+"\n'
    )
    words = [tmp_path / "one.txt", tmp_path / "two.txt", "--panel", tmp_path / "panel.toml", "--area-mm2", "2"]
    assert cells(*words, "--out", tmp_path / "out") == 0
    scores = pd.read_csv(tmp_path / "out" / "scores.csv").set_index(["slide", "marker"])["numerator"]
    assert scores.to_dict() == {("one", "Treg"): 1, ("one", "CTL"): 1, ("two", "Treg"): 0, ("two", "CTL"): 1}


def test_a_rule_that_names_nothing_stops_before_any_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 40, 40), np.uint16), photometric="minisblack")
    for wrong in (PANEL.replace('"CD3+"', '"CD33+"'), PANEL.replace('"CD3+ PD-1+"', '"CD3+ (PD-1+"')):
        (tmp_path / "panel.toml").write_text(wrong)
        words = ["score", str(tmp_path / "a.tif"), "--panel", str(tmp_path / "panel.toml")]
        assert run([*words, "--out", str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out" / "slides.csv").exists()


GATED = """
name = "gated"
[channels.DAPI]
marker = "DAPI"
role = "nuclei"
[channels.CD8]
marker = "CD8"
[[scores]]
name = "CD8"
kind = "density"
cells = "CD8+"
"""


@pytest.mark.parametrize("name", ["gate_clipped_none_positive", "gate_gamma_none_positive"])
def test_a_table_of_noise_has_no_positive_cells(tmp_path, shared_data, name):
    folder = shared_data / "faults" / "panels"
    words = [folder / f"{name}.csv", "--panel", folder / "panel_cd8.toml", "--fit-gates", "--mpp", 0.5, "--area-mm2", 1]
    assert cells(*words, "--out", tmp_path / "out") == 0
    (row,) = pd.read_csv(tmp_path / "out" / "scores.csv").to_dict("records")
    assert (row["status"], np.isnan(row["value"])) == ("not_evaluable", True)
    assert "no gate of CD8 could be told" in row["reason"]
    (slide,) = pd.read_csv(tmp_path / "out" / "slides.csv").to_dict("records")
    assert slide["status"] == "not_evaluable"
    assert np.isnan(slide["positive_fraction"])
    assert slide["area_source"] == "stated"
    assert "not evaluable" in (tmp_path / "out" / "gates.html").read_text()


def test_a_compartment_that_a_table_does_not_have_is_refused(tmp_path, shared_data):
    table = shared_data / "images" / "spatialtime" / "cells_TMA1_3_B.csv.gz"
    panel = tmp_path / "panel.toml"
    panel.write_text(GATED)
    words = [table, "--panel", panel, "--mpp", 0.5, "--area-mm2", 1, "--fit-gates", "--out", tmp_path / "out"]
    with pytest.raises(DataError, match="no cell level of CD8") as refused:
        cells(*words)
    assert "nucleus, cytoplasm" in str(refused.value)
    assert not (tmp_path / "out" / "scores.csv").exists()
    panel.write_text(GATED.replace('marker = "CD8"', 'marker = "CD8"\ncompartment = "cytoplasm"'))
    assert cells(*words) == 0


@pytest.mark.parametrize("area", [0.000001, 1000.0])
def test_an_implausible_density_is_told(tmp_path, area):
    rows = "\n".join(f"{k},{5 if k % 2 else 900},{k % 20}0,{k // 20}0,80,s" for k in range(1, 201))
    (tmp_path / "t.csv").write_text(f"CellID,CD8,X_centroid,Y_centroid,Area,imageid\n{rows}\n")
    (tmp_path / "panel.toml").write_text(GATED)
    (tmp_path / "g.csv").write_text("slide,marker,compartment,gate\n*,CD8,cell,100\n")
    words = [tmp_path / "t.csv", "--panel", tmp_path / "panel.toml", "--mpp", 1, "--gates", tmp_path / "g.csv"]
    assert cells(*words, "--area-mm2", area, "--out", tmp_path / "out") == 0
    (slide,) = pd.read_csv(tmp_path / "out" / "slides.csv").to_dict("records")
    assert slide["status"] == "ok_with_warnings"
    assert "implausible" in slide["reason"]
