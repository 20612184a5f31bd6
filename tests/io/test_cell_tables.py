"""Tables of other programs come in with their own numbers."""

import re

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.cell_tables.read import import_cells
from biomarkers.pheno.phenotype import select_cells


@pytest.fixture(scope="module")
def images(shared_data):
    return shared_data / "images"


def test_set4_reproduces_its_authors_counts(images):
    cells = import_cells(images / "phenoptr" / "sample_cell_seg_data_slim.csv.gz")
    tumour = cells.obs["region"] == "Tumor"
    positive = select_cells(cells, "CK+ PD-L1 > 3")
    assert (positive.sum(), select_cells(cells, "CK+").sum()) == (531, 2257)
    assert ((positive & tumour).sum(), (select_cells(cells, "CK+") & tumour).sum()) == (503, 2192)
    expected = pd.read_csv(images / "phenoptr" / "phenotype_by_tissue.csv").set_index("Phenotype")
    found = pd.crosstab(cells.obs["phenotype"], cells.obs["region"])
    for phenotype in found.index:
        assert (found.loc[phenotype, ["Stroma", "Tumor"]] == expected.loc[phenotype, ["Stroma", "Tumor"]]).all()


def test_decimal_commas_give_the_same_cells(images):
    folder = images / "phenoptr" / "FIHC4" / "test_data"
    points = import_cells(folder / "FIHC4__0929309_HP_IM3_2_cell_seg_data.txt", mpp=0.5)
    commas = import_cells(folder / "FIHC4__0929309_HP_IM3_2_comma_cell_seg_data.txt", mpp=0.5)
    assert points.n_obs == 270
    np.testing.assert_allclose(points.X, commas.X)
    np.testing.assert_allclose(points.obsm["spatial"], commas.obsm["spatial"])


def test_consolidated_and_merged_tables_agree(images):
    folder = images / "phenoptr" / "FIHC4" / "test_data"
    merged = import_cells(folder / "merge" / "FIHC4_merge_cell_seg_data.txt", mpp=0.5)
    joint = import_cells(folder / "consolidated" / "FIHC4_consolidated_merge_cell_seg_data.txt")
    assert merged.n_obs == joint.n_obs == 619
    assert merged.obs["slide"].nunique() == 4
    np.testing.assert_allclose(merged.obsm["spatial"], joint.obsm["spatial"])
    assert (merged.obs["phenotype"] == "B").sum() == joint.obs["B_positive"].sum()


@pytest.mark.parametrize("core", ["cells_TMA1_3_B", "cells_TMA2_3_B", "cells_TMA3_7_B"])
def test_halo_cores_keep_totals_and_marker_counts(images, core):
    path = images / "spatialtime" / f"{core}.csv.gz"
    raw = pd.read_csv(path)
    cells = import_cells(path, mpp=0.5)
    assert cells.n_obs == len(raw)
    assert cells.obs["PD-1_positive"].sum() == raw["PD1..Opal.650..Positive"].sum()
    assert cells.obs["PD-L1_positive"].sum() == raw["PDL1..Opal.540..Positive"].sum()
    assert cells.obs["CD3+ CD8+_positive"].sum() == raw["CD3..CD8."].sum()
    assert cells.obs["area_um2"].sum() == pytest.approx(raw["Cell.Area..m.."].sum())
    assert not any("Perimeter" in column for column in cells.obs.columns)


@pytest.mark.parametrize(
    ("name", "vendor", "n_cells", "n_markers"),
    [
        ("tiny_inform.txt.gz", "inForm", 9, 8),
        ("tiny_halo.csv.gz", "HALO", 10, 8),
        ("tiny_codex.csv.gz", "CODEX", 9, 6),
        ("tiny_cellprofiler.txt.gz", "CellProfiler", 9, 7),
    ],
)
def test_tiny_exports_of_four_programs(images, name, vendor, n_cells, n_markers):
    cells = import_cells(images / "importers" / name, mpp=0.5)
    assert cells.shape == (n_cells, n_markers)
    assert cells.uns["imported"]["vendor"] == vendor
    assert np.isfinite(cells.obsm["spatial"]).all()


def test_a_tcycif_table(images):
    cells = import_cells(images / "scimap" / "example_data.csv", mpp=0.65)
    raw = pd.read_csv(images / "scimap" / "example_data.csv")
    np.testing.assert_allclose(np.asarray(cells[:, "PD-L1"].X)[:, 0], raw["PDL1"])
    np.testing.assert_allclose(cells.obs["area_um2"], raw["Area"] * 0.65**2)


def test_qupath_measurements(tmp_path):
    (tmp_path / "m.tsv").write_text(
        "Image\tObject ID\tClass\tParent\tCentroid X µm\tCentroid Y µm\tNucleus: Area µm^2\tCell: Area µm^2\t"
        "Nucleus: PDL1: Mean\tCell: PDL1: Mean\n"
        "a.tif\t1-a\tTumor: Positive\tTumor\t10.5\t20\t40\t90\t1.5\t2.5\n"
    )
    cells = import_cells(tmp_path / "m.tsv")
    assert cells.obs[["x_um", "y_um", "nucleus_area_um2", "area_um2"]].iloc[0].tolist() == [10.5, 20, 40, 90]
    assert cells[:, "PD-L1"].X[0, 0] == 2.5
    assert cells.layers["nucleus_mean"][0, 0] == 1.5
    assert cells.obs["phenotype"].iloc[0] == "Tumor: Positive"


def renamed(source, target, rename):
    """Write the table of a program with its headers spelled otherwise."""
    separator = "\t" if ".txt" in source.name else ","
    table = pd.read_csv(source, sep=separator, dtype=str, keep_default_na=False)
    table.rename(columns=rename).to_csv(target, index=False)
    return import_cells(target, mpp=0.5)


def as_r(name):
    return re.sub(r"[^A-Za-z0-9]", ".", name)


def as_janitor(name):
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")


@pytest.mark.parametrize("spelling", [as_r, as_janitor])
@pytest.mark.parametrize(
    "name", ["phenoptr/sample_cell_seg_data_slim.csv.gz", "importers/tiny_inform.txt.gz", "scimap/example_data.csv"]
)
def test_headers_that_r_or_a_data_frame_rewrote(images, tmp_path, name, spelling):
    plain, other = import_cells(images / name, mpp=0.5), renamed(images / name, tmp_path / "t.csv", spelling)
    assert sorted(map(str.casefold, plain.var_names)) == sorted(map(str.casefold, other.var_names))
    np.testing.assert_array_equal(plain.X, other.X)
    assert list(plain.layers) == list(other.layers)
    np.testing.assert_array_equal(plain.obs["area_um2"], other.obs["area_um2"])


def test_halo_headers_in_other_cases(images, tmp_path):
    path = images / "importers" / "tiny_halo.csv.gz"
    plain, other = import_cells(path, mpp=0.5), renamed(path, tmp_path / "t.csv", str.upper)
    np.testing.assert_array_equal(plain.layers["nucleus_mean"], other.layers["nucleus_mean"])
    np.testing.assert_array_equal(plain.obs["area_um2"], other.obs["area_um2"])


def test_qupath_as_stardist_and_composite_classes_write_it(tmp_path):
    text = (
        "Image;Classification;Centroid X \u03bcm;Centroid Y \u03bcm;CD8: Nucleus: Mean;CD8: Cell: Mean;"
        "PD1: Cell: Mean\na.tif;CD8: PD1;10,5;20;1,5;2,5;3\na.tif;CD8: Negative;11;21;1;2;3\na.tif;;12;22;1;2;3\n"
    )
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "m.csv").write_text(text, encoding=encoding)
        cells = import_cells(tmp_path / "m.csv")
        assert cells.obs["x_um"].tolist() == [10.5, 11, 12]
        assert cells[:, "CD8"].X[0, 0] == 2.5
        assert cells.obs["CD8_positive"].tolist() == [True, False, False]
        assert cells.obs["PD-1_positive"].tolist() == [True, False, False]
    (tmp_path / "m.csv").write_text(text.replace("\u03bc", "\u00b5"), encoding="cp1252")
    assert import_cells(tmp_path / "m.csv").obs["x_um"].tolist() == [10.5, 11, 12]


def test_mcmicro_with_masks_annotations_and_a_row_number(tmp_path):
    (tmp_path / "m.csv").write_text(
        ",CellID,CD8_cellMask,CD8_nucleiMask,PD1_cellMask,X_centroid,Y_centroid,Area,Perimeter,cluster\n"
        "0,1,5,6,7,10,20,90,30,T cell\n1,2,5,6,7,11,21,90,30,B cell\n"
    )
    cells = import_cells(tmp_path / "m.csv", mpp=0.5)
    assert list(cells.var_names) == ["CD8", "PD-1"]
    assert cells.X[0].tolist() == [5, 7]
    assert cells.layers["nucleus_mean"][0, 0] == 6


def test_codex_and_cellprofiler_in_their_other_spellings(tmp_path):
    (tmp_path / "c.csv").write_text("cell_id:cell_id,x:x,y:y,z:z,size:size,CD8,blank_1\n1,10,20,1,90,4.5,0\n")
    assert list(import_cells(tmp_path / "c.csv", mpp=0.5).var_names) == ["CD8"]
    (tmp_path / "p.csv").write_text(
        "ImageNumber,ObjectNumber,AreaShape_Center_X,AreaShape_Center_Y,AreaShape_Area,Intensity_MeanIntensity_CD8\n"
        "1,1,10,20,90,0.5\n"
    )
    assert import_cells(tmp_path / "p.csv", mpp=0.5).obs["x_um"].tolist() == [5.0]


INFORM = "Sample Name\tCell ID\tCell X Position\tCell Y Position\tNucleus Area ({unit})\tEntire Cell PD1 Mean\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (INFORM.format(unit="pixels") + "a\t1\t1\t1\t9\t1\n", "pixel size"),
        (INFORM.format(unit="furlongs") + "a\t1\t1\t1\t9\t1\n", "unit of areas"),
        (INFORM.format(unit="sq microns") + "a\t1\t1\t1\t9\t1\na\t1\t2\t2\t9\t1\n", "row 3.*twice.*two images"),
        (INFORM.format(unit="sq microns") + "a\t1\t1\t1\t9\thigh\n", "row 2.*'Entire Cell PD1 Mean'.*'high'"),
        (INFORM.format(unit="sq microns") + "a\t1\t\t1\t9\t1\n", "row 2.*no position"),
        (INFORM.format(unit="sq microns"), "no cells"),
        ("a,b\n1,2\n", "none of the known"),
        ("CellID,X_centroid,Y_centroid,CD8,CD8\n1,1,1,2,3\n", "two columns of one name.*CD8"),
        ("CellID,X_centroid,CD8\n1,1,2\n", "no column 'Y_centroid'"),
        ("CellID,X_centroid,Y_centroid,CD8\n1,1,1,2\n2,1,1,high\n", "row 3.*'CD8'|'CD8'.*row 3"),
        ("", "cannot be read"),
        ("\ufeff", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, text, message):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises((DataError, UsageError), match=f"(?s){message}"):
        import_cells(tmp_path / "t.txt")


def test_an_unknown_vendor_and_a_missing_file(tmp_path):
    (tmp_path / "t.txt").write_text(INFORM.format(unit="sq microns") + "a\t1\t1\t1\t9\t1\n")
    with pytest.raises(UsageError, match="Did you mean 'inform'"):
        import_cells(tmp_path / "t.txt", vendor="infrom")
    with pytest.raises(DataError, match="not the columns of halo"):
        import_cells(tmp_path / "t.txt", vendor="halo")
    with pytest.raises(UsageError, match="no such file"):
        import_cells(tmp_path / "absent.txt")
