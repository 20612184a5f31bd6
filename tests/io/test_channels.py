"""Multiplex images of every container give the same channels, by name; what cannot be used is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from biomarkers.core.errors import DataError, SlideError, UsageError
from biomarkers.core.panel import Panel
from biomarkers.io.channel_files import is_channel_folder
from biomarkers.io.channels import make_channels, read_channels
from biomarkers.io.label_maps import read_labels

PIXELS = np.random.default_rng(0).integers(0, 4000, (3, 40, 50)).astype(np.uint16)
NAMES = ["DAPI", "PDL1", "CD8a"]
PANEL = Panel(
    name="p",
    channels={
        "CD8": {"marker": "CD8", "exposure_ms": 40},
        "B7-H1": {"marker": "PD-L1", "compartment": "membrane"},
        "Hoechst": {"marker": "DAPI", "role": "nuclei"},
    },
)


def write_ome(path, pixels=PIXELS, names=NAMES, **metadata):
    with tifffile.TiffWriter(path, ome=True) as writer:
        about = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, **metadata}
        writer.write(pixels, photometric="minisblack", metadata=about)


def write_folder(path):
    path.mkdir()
    for name, plane in zip(NAMES, PIXELS, strict=True):
        tifffile.imwrite(path / f"biopsy 1_{name}.tif", plane)


def write_zarr(path, version):
    import zarr

    array = zarr.create_array(str(path / "0"), shape=PIXELS.shape, chunks=(1, 20, 20), dtype="u2", zarr_format=version)
    array[:] = PIXELS
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx")]
    scale = [{"type": "scale", "scale": [1, 0.5, 0.5]}]
    about = {
        "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}],
        "omero": {"channels": [{"label": name} for name in NAMES]},
    }
    if version == 2:
        (path / ".zattrs").write_text(json.dumps(about))
    else:
        (path / "zarr.json").write_text(
            json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": about}})
        )


@pytest.mark.parametrize("kind", ["ome.tif", "folder", "zarr2", "zarr3", "imagej.tif"])
def test_every_container_gives_the_same_channels_by_name(tmp_path, kind):
    path = tmp_path / kind
    if kind == "ome.tif":
        write_ome(path)
    elif kind == "folder":
        write_folder(path)
    elif kind == "imagej.tif":
        tifffile.imwrite(path, PIXELS, imagej=True, metadata={"axes": "CYX", "Labels": NAMES})
    else:
        write_zarr(path, int(kind[-1]))
    stated = None if kind in ("ome.tif", "zarr2", "zarr3") else 0.5
    tile = read_channels(path, panel=PANEL, mpp=stated)
    assert tile.coords["c"].to_numpy().tolist() == ["CD8", "PD-L1", "DAPI"]
    np.testing.assert_array_equal(tile.to_numpy(), PIXELS[[2, 1, 0]])
    assert tile.attrs["mpp"] == 0.5
    assert tile.attrs["exposure_ms"] == {"CD8": 40}
    assert tile.attrs["channel_names"]["CD8"] == "CD8a"
    part = read_channels(path, panel=PANEL, mpp=stated, region=(7, 5, 30, 20))
    np.testing.assert_array_equal(part.to_numpy(), PIXELS[[2, 1, 0], 5:25, 7:37])
    assert part.attrs["origin"] == (7, 5)


def test_the_order_of_channels_changes_nothing(tmp_path):
    write_ome(tmp_path / "a.ome.tif")
    write_ome(tmp_path / "b.ome.tif", PIXELS[[1, 2, 0]], ["PDL1", "CD8a", "DAPI"])
    first, second = (read_channels(tmp_path / name, panel=PANEL) for name in ("a.ome.tif", "b.ome.tif"))
    np.testing.assert_array_equal(first.to_numpy(), second.to_numpy())


def test_a_component_file_keeps_its_floats_and_its_dyes(shared_data):
    folder = shared_data / "images" / "phenoptr" / "FIHC4" / "test_data"
    tile = read_channels(folder / "FIHC4__0929309_HP_IM3_2_component_data.tif")
    assert tile.dtype == np.float32
    assert tile.coords["c"].to_numpy().tolist() == ["Alexa 594", "Cy3", "Cy5", "DAPI", "FITC"]
    assert tile.attrs["mpp"] == pytest.approx(0.497, abs=0.001)


@pytest.mark.parametrize(
    "names", [["b1_ch0_DAPI", "b1_ch1_PDL1 raw", "b1_ch2_CD8a"], ["DAPI (461)", "570 - PD-L1", "Opal 690 [CD8]"]]
)
def test_a_marker_is_found_among_the_words_of_a_name(tmp_path, names):
    write_ome(tmp_path / "x.ome.tif", names=names)
    tile = read_channels(tmp_path / "x.ome.tif", panel=PANEL)
    np.testing.assert_array_equal(tile.sel(c="PD-L1"), PIXELS[1])


def test_one_channel_cannot_be_two_markers(tmp_path):
    write_ome(tmp_path / "x.ome.tif", names=["DAPI", "PDL1 CD8", "CD3"])
    with pytest.raises(DataError, match=r"'CD8' and 'B7-H1' both fit one channel.*'PDL1 CD8'"):
        read_channels(tmp_path / "x.ome.tif", panel=PANEL)


def test_folders_that_are_one_image(tmp_path):
    write_folder(tmp_path / "one")
    write_zarr(tmp_path / "x.ome.zarr", 2)
    (tmp_path / "mixed").mkdir()
    write_ome(tmp_path / "mixed" / "a.ome.tif")
    tifffile.imwrite(tmp_path / "mixed" / "b.tif", PIXELS[0])
    assert [is_channel_folder(tmp_path / name) for name in ("one", "x.ome.zarr", "mixed")] == [True, True, False]


def test_names_and_exposures_of_a_folder_of_channels(tmp_path):
    for k, name in enumerate(NAMES):
        with tifffile.TiffWriter(tmp_path / f"B1_{name}_raw.ome.tif", ome=True) as writer:
            plane = {"ExposureTime": 10.0 * (k + 1), "ExposureTimeUnit": "ms"}
            about = {"axes": "YX", "Channel": {"Name": "c"}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Plane": plane}
            writer.write(PIXELS[k], photometric="minisblack", metadata=about)
    tile = read_channels(tmp_path)
    assert tile.coords["c"].to_numpy().tolist() == ["CD8a", "DAPI", "PDL1"]
    assert tile.attrs["mpp"] == 0.5
    assert tile.attrs["exposure_ms"] == {"DAPI": 10.0, "PDL1": 20.0, "CD8a": 30.0}


def test_the_one_image_of_bioformats2raw(tmp_path):
    write_zarr(tmp_path / "0", 2)
    (tmp_path / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    np.testing.assert_array_equal(read_channels(tmp_path, panel=PANEL).sel(c="CD8"), PIXELS[2])
    write_zarr(tmp_path / "1", 2)
    with pytest.raises(SlideError, match="does not hold one image"):
        read_channels(tmp_path, panel=PANEL)


def test_a_file_that_was_cut_short_or_holds_several_images(tmp_path):
    write_ome(tmp_path / "a.ome.tif")
    (tmp_path / "cut.ome.tif").write_bytes((tmp_path / "a.ome.tif").read_bytes()[:5000])
    with pytest.raises(SlideError, match="cut short"):
        read_channels(tmp_path / "cut.ome.tif")
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(PIXELS, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": NAMES}})
    with pytest.raises(SlideError, match=r"several multiplex images.*'2 images'"):
        read_channels(tmp_path / "two.ome.tif", mpp=0.5)


def test_exposures_of_akoya_files_but_not_of_unmixed_components(tmp_path):
    text = (
        '<?xml version="1.0" encoding="utf-16"?><PerkinElmer-QPI-ImageDescription>{unmixed}<Name>{name}</Name>'
        "<ExposureTime>{time}</ExposureTime></PerkinElmer-QPI-ImageDescription>"
    )
    for unmixed, expected in (("", {"DAPI": 5.0, "CD8": 40.0}), ("<IsUnmixedComponent>True</IsUnmixedComponent>", {})):
        path = tmp_path / f"{len(expected)}.tif"
        with tifffile.TiffWriter(path) as writer:
            for name, time in (("DAPI", 5000), ("CD8", 40000)):
                about = text.format(unmixed=unmixed, name=name, time=time)
                writer.write(PIXELS[0], photometric="minisblack", description=about, metadata=None)
        assert read_channels(path, mpp=0.5).attrs["exposure_ms"] == expected


def test_dyes_in_brackets_are_no_part_of_a_name(tmp_path):
    write_ome(tmp_path / "a.ome.tif", names=["DAPI (DAPI)", "PDL1 (Opal 520)", "CD8 (Opal 650)"])
    assert read_channels(tmp_path / "a.ome.tif", panel=PANEL).attrs["channel_names"]["PD-L1"] == "PDL1 (Opal 520)"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["DAPI", "PDL1", "CD4"], "channel 'CD8', which the image lacks.*Did you mean 'CD4'"),
        (["DAPI", "CD8a", "CD8"], "'B7-H1'"),
        (["DAPI", "PDL1", "PDL1"], "two channels have the same name"),
        (["DAPI", "", "CD8"], "no name for channel 2 of 3"),
        (["DAPI", "PD-L1", "CD3"], "channel 'CD8', which the image lacks.*Did you mean 'CD3'"),
        (["DNA", "PD-L2", "CD3"], "channels 'CD8', 'B7-H1', which the image lacks"),
        (["CD8", "PD-L1", "CD274"], "several channels could be 'B7-H1'"),
        (["CD8", "Pdl1", "pd_l1"], "several channels could be 'B7-H1'"),
        (["", "", ""], "no names.*none of 3 named"),
    ],
)
def test_wrong_names_are_told(tmp_path, names, message):
    write_ome(tmp_path / "a.ome.tif", names=names)
    with pytest.raises(DataError, match=f"(?s)a.ome.tif.*({message})"):
        read_channels(tmp_path / "a.ome.tif", panel=PANEL)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_name_their_channel(tmp_path, value):
    pixels = PIXELS.astype(np.float32)
    pixels[1, 3, 4] = value
    write_ome(tmp_path / "a.ome.tif", pixels)
    with pytest.raises(DataError, match=r"channel 'PDL1'.*NaN or infinite.*x=4, y=3"):
        read_channels(tmp_path / "a.ome.tif")
    with pytest.raises(DataError, match="channel 'PDL1'"):
        make_channels(pixels, names=NAMES, mpp=0.5)


def test_other_things_that_cannot_be_used(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((20, 20, 3), np.uint8), photometric="rgb")
    with pytest.raises(SlideError, match="colour"):
        read_channels(tmp_path / "rgb.tif", mpp=0.5)
    write_folder(tmp_path / "folder")
    with pytest.raises(UsageError, match="pixel size"):
        read_channels(tmp_path / "folder")
    tifffile.imwrite(tmp_path / "folder" / "biopsy 1_CD3.tif", np.zeros((9, 9), np.uint16))
    with pytest.raises(SlideError, match="size differs"):
        read_channels(tmp_path / "folder", mpp=0.5)
    tifffile.imwrite(tmp_path / "plain.tif", PIXELS)
    with pytest.raises(DataError, match="no names"):
        read_channels(tmp_path / "plain.tif", mpp=0.5)
    with pytest.raises(DataError, match="2 names, 3 channels"):
        read_channels(tmp_path / "plain.tif", mpp=0.5, names=["a", "b"])
    with pytest.raises(UsageError, match="outside"):
        read_channels(tmp_path / "plain.tif", mpp=0.5, names=NAMES, region=(0, 0, 51, 40))


def test_labels_of_every_kind(tmp_path, shared_data):
    labels = np.arange(40 * 50).reshape(40, 50).astype(np.uint32)
    tifffile.imwrite(tmp_path / "nuclei.tif", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "nuclei.tif", shape=(40, 50)).nuclei, labels)
    tifffile.imwrite(tmp_path / "mesmer.tif", np.stack([labels, labels // 2]))
    both = read_labels(tmp_path / "mesmer.tif", shape=(40, 50))
    np.testing.assert_array_equal(both.cells, labels)
    np.testing.assert_array_equal(both.nuclei, labels // 2)
    with pytest.raises(DataError, match=r"another size.*50 x 40.*60 x 40"):
        read_labels(tmp_path / "nuclei.tif", shape=(40, 60))
    tifffile.imwrite(tmp_path / "none.tif", labels * 0)
    with pytest.raises(DataError, match="no label"):
        read_labels(tmp_path / "none.tif", shape=(40, 50))
    tifffile.imwrite(tmp_path / "parts.tif", labels / np.float32(3))
    with pytest.raises(DataError, match="whole numbers"):
        read_labels(tmp_path / "parts.tif", shape=(40, 50))
    folder = shared_data / "images" / "phenoptr" / "FIHC4" / "test_data"
    maps = read_labels(folder / "FIHC4__0929309_HP_IM3_2_binary_seg_maps.tif", shape=(260, 348))
    assert maps.tissue_names == ("Tumor", "Stroma", "Background")
    assert maps.nuclei.max() == 270
