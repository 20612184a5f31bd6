"""Channels that say nothing are named; unused ones disturb nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr

from biomarkers.core.errors import DataError
from biomarkers.core.panel import Panel
from biomarkers.io.channel_check import unusable_channels
from biomarkers.io.channels import read_channels

PANEL = Panel.model_validate(
    {"name": "p", "channels": {"DAPI": {"marker": "DAPI", "role": "nuclei"}, "PD-L1": {"marker": "PD-L1"}}}
)
NOISE = np.random.default_rng(0).integers(100, 200, (64, 64)).astype(np.uint16)


def tile(plane: np.ndarray) -> xr.DataArray:
    return xr.DataArray(plane[None], dims=("c", "y", "x"), coords={"c": ["CD8"]}, attrs={"mpp": 0.5})


@pytest.mark.parametrize("value", [0, 1, 4095, 65_535])
def test_a_constant_channel_is_named(value: int) -> None:
    found = unusable_channels(tile(np.full((64, 64), value, np.uint16)))
    assert f"constant ({value} everywhere)" in found["CD8"]


@pytest.mark.parametrize(("hot", "dead"), [(1, True), (79, True), (80, False), (500, False)])
def test_a_channel_with_fewer_lit_pixels_than_a_nucleus_has_is_dead(hot: int, dead: bool) -> None:
    plane = np.zeros((64, 64), np.uint16)
    plane.ravel()[:hot] = 900  # 20 um2 at 0.5 um/px are 80 pixels
    assert bool(unusable_channels(tile(plane))) == dead


@pytest.mark.parametrize(("share", "unusable"), [(0.4, False), (0.6, True)])
def test_a_channel_at_its_highest_value_nearly_everywhere_is_saturated(share: float, unusable: bool) -> None:
    plane = NOISE.copy()
    plane.ravel()[: int(share * plane.size)] = 4095
    assert bool(unusable_channels(tile(plane))) == unusable


def test_a_dim_channel_is_none_of_these() -> None:
    assert unusable_channels(tile(NOISE)) == {}
    assert unusable_channels(tile((NOISE % 3).astype(np.uint8))) == {}


def write(path: Path, names: list[str]) -> Path:
    planes = np.stack([NOISE + k for k in range(len(names))])
    about = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, planes, photometric="minisblack", metadata=about)
    return path


@pytest.mark.parametrize("more", [["Empty", "Empty"], ["", "CD8"], ["CD8", "CD8", ""]])
def test_doubled_and_unnamed_channels_that_the_panel_does_not_use_disturb_nobody(
    tmp_path: Path, more: list[str]
) -> None:
    found = read_channels(write(tmp_path / "a.ome.tif", ["DAPI", *more, "PD-L1"]), panel=PANEL)
    assert list(found.coords["c"].to_numpy()) == ["DAPI", "PD-L1"]
    np.testing.assert_array_equal(found.to_numpy()[1], NOISE + len(more) + 1)


def test_doubled_channels_that_the_panel_uses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two channels have the same name"):
        read_channels(write(tmp_path / "a.ome.tif", ["DAPI", "PD-L1", "PD-L1"]), panel=PANEL)
