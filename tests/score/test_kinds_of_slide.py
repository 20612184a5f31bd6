"""Files that were scored wrongly give what the same picture in a plain file gives, or say what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from biomarkers.core.errors import SlideError
from biomarkers.score import score_slide
from biomarkers.score.multiplex_slide import score_multiplex

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faults(shared_data: Path) -> Path:
    return shared_data / "faults" / "slides"


def score(path: Path, **more: object):
    return score_slide(path, assay="22c3", assume_tumor=True, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def control(faults: Path):
    return score(faults / "control.tif")


@pytest.mark.parametrize(
    "name",
    ["z_global.zarr", "z_cm.zarr", "ome_multifile.ome.tif", "ome_bf_labelmacro.ome.tif", "j2k_33003.tif",
     "rgba_a0_unspecified.tif", "pyr_reversed.tif"],
)  # fmt: skip
def test_the_same_picture_gives_the_same_cells(faults: Path, control, name: str) -> None:
    found = score(faults / name)
    assert found.row["mpp"] == pytest.approx(0.5)
    for key in ("n_cells", "n_positive", "tissue_mm2"):
        assert found.row[key] == control.row[key]


def test_ventana_is_stitched(faults: Path) -> None:
    found, truth = score(faults / "ventana.bif"), score(faults / "bif_truth.tif")
    assert found.row["mpp"] == pytest.approx(0.5)
    assert (found.row["n_cells"], found.row["n_positive"]) == (truth.row["n_cells"], truth.row["n_positive"])


def test_black_padding_is_no_tissue_and_its_share_is_told(faults: Path, control) -> None:
    row = score(faults / "blackborder_60.tif").row
    assert row["positive_fraction"] == pytest.approx(control.row["positive_fraction"], abs=0.01)
    assert row["n_cells"] == pytest.approx(control.row["n_cells"], rel=0.01)
    assert row["tissue_mm2"] == pytest.approx(control.row["tissue_mm2"], rel=0.01)
    assert row["padding_share"] == pytest.approx(1 - 768**2 / 888**2, abs=0.02)


def test_contradicting_sizes_stand_in_the_reason(faults: Path) -> None:
    row = score(faults / "ome_conflict_res.ome.tif").row
    assert row["status"] == "ok_with_warnings"
    assert "0.25 um/px by OME PhysicalSizeX, 0.5 um/px by TIFF resolution" in row["reason"]


@pytest.mark.parametrize("times", [10, 12])
def test_a_size_ten_times_too_fine_is_not_evaluable_unless_it_is_stated(
    tmp_path: Path, faults: Path, times: int
) -> None:
    pixels = tifffile.imread(faults / "control.tif")
    per_cm = 10_000 / (0.5 / times) if times == 10 else 10_000 / 0.05
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
    row = score(path).row
    assert row["status"] == "not_evaluable"
    assert "pixel size" in row["reason"]
    assert score(path, mpp=0.5).row["n_cells"] > 500


@pytest.mark.parametrize("value", [0, 700])
def test_a_constant_channel_makes_its_scores_not_evaluable(tmp_path: Path, faults: Path, value: int) -> None:
    planes = tifffile.imread(faults / "control.ome.tif")
    planes[1] = value
    about = {"axes": "CYX", "Channel": {"Name": ["DAPI", "PD-L1", "CD8"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, photometric="minisblack", metadata=about)
    scores = score_multiplex(tmp_path / "a.ome.tif", panel=faults / "panel.toml").scores
    rows = scores
    dead, alive = rows.iloc[0], rows.iloc[1]
    assert (dead["status"], alive["status"]) == ("not_evaluable", "ok")
    assert "channel PD-L1 is constant" in dead["reason"]
    assert np.isnan(float(dead["value"]))


def test_unused_channels_disturb_nobody(faults: Path) -> None:
    with_more = score_multiplex(faults / "dup_unused.ome.tif", panel=faults / "panel.toml")
    plain = score_multiplex(faults / "control.ome.tif", panel=faults / "panel.toml")
    assert with_more.row["n_cells"] == plain.row["n_cells"]
    assert with_more.scores["status"].tolist() == plain.scores["status"].tolist()


def test_a_dead_nuclear_channel_is_not_no_tissue(tmp_path: Path, faults: Path) -> None:
    planes = tifffile.imread(faults / "control.ome.tif")
    planes[0] = 0
    about = {"axes": "CYX", "Channel": {"Name": ["DAPI", "PD-L1", "CD8"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, photometric="minisblack", metadata=about)
    found = score_multiplex(tmp_path / "a.ome.tif", panel=faults / "panel.toml")
    assert (found.row["status"], set(found.scores["status"])) == ("not_evaluable", {"not_evaluable"})
    assert "channel DAPI is constant" in found.row["reason"]


def test_a_ventana_slide_that_cannot_be_stitched_is_refused(tmp_path: Path, faults: Path) -> None:
    content = (faults / "ventana.bif").read_bytes().replace(b'Direction="RIGHT"', b'Direction="WRONG"')
    (tmp_path / "a.bif").write_bytes(content)
    with pytest.raises(SlideError):
        score(tmp_path / "a.bif")
