"""QuPath GeoJSON: dialects, repairs, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.annotations import check_inside, read_annotations
from biomarkers.io.annotations_classes import read_class_map
from biomarkers.pheno.annotations_apply import apply_annotations, cell_labels, region_masks
from tests.score.cells_by_hand import make_cells


def box(left, top, right, bottom):
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {"type": "Polygon", "coordinates": [ring]}


def new(name, geometry, **more):
    return {
        "type": "Feature",
        "id": "a",
        "geometry": geometry,
        "properties": {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}, **more},
    }


def old(name, geometry):
    own = {"object_type": "annotation", "classification": {"name": name, "colorRGB": -3670016}, "measurements": []}
    return {"type": "Feature", "id": "PathAnnotationObject", "geometry": geometry, "properties": own}


@pytest.fixture
def save(tmp_path):
    def write(content):
        path = tmp_path / "slide.geojson"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.mark.parametrize("wrap", [lambda f: {"type": "FeatureCollection", "features": f}, list, lambda f: f[0]])
@pytest.mark.parametrize("make", [new, old])
def test_dialects(save, wrap, make):
    found = read_annotations(save(wrap([make("Tumor", box(0, 0, 100, 50))])))
    assert found.meanings == {"tumor"}
    assert found.bounds == (0, 0, 100, 50)


def test_class_spellings(save):
    several = new("x", box(0, 0, 1, 1))
    several["properties"]["classification"] = {"names": ["Tumour"]}
    oldest = {
        "type": "Feature",
        "id": "PathAnnotationObject",
        "geometry": box(0, 0, 1, 1),
        "properties": {"classification": "stroma"},
    }
    found = read_annotations(save([several, oldest, new("Ignore*", box(0, 0, 1, 1)), new("Region*", box(0, 0, 9, 9))]))
    assert found.meanings == {"tumor", "stroma", "ignore", "region"}


@pytest.mark.parametrize(
    "said",
    ["Tumor", ["Tumor"], {"name": "Tumor"}, {"names": ["Tumor"]}, {"name": "Tumor: Positive"}, ["Tumor", "Positive"],
     {"name": None, "names": ["tumour"]}],
)  # fmt: skip
def test_a_class_is_text_list_or_dict(save, said):
    feature = new("x", box(0, 0, 1, 1))
    feature["properties"]["classification"] = said
    assert read_annotations(save([feature])).meanings == {"tumor"}


def test_many_areas_and_nested_holes(save):
    outer, hole = (box(*corners)["coordinates"][0] for corners in ((0, 0, 100, 100), (20, 20, 80, 80)))
    ring = {"type": "Polygon", "coordinates": [outer, hole]}
    island = box(40, 40, 60, 60)
    two = {"type": "MultiPolygon", "coordinates": [ring["coordinates"], island["coordinates"]]}
    found = read_annotations(save([new("Tumor", two), new("Stroma", {"type": "Polygon", "coordinates": [hole]})]))
    masks = region_masks(found, shape=(100, 100), origin=(0.0, 0.0), downsample=1.0)
    assert masks["tumor"].sum() == 100 * 100 - 60 * 60 + 20 * 20
    assert masks["stroma"].sum() == 60 * 60 - 20 * 20
    assert not found.notes
    cells = make_cells(["unknown"] * 3, x=[5.0, 15.0, 25.0], y=[25.0] * 3)  # px 10, 30, 50 of 0.5 um
    assert apply_annotations(cells, found, mpp=0.5)[0].obs["region"].tolist() == ["tumor", "stroma", "tumor"]


def test_areas_that_share_an_edge_are_no_crossing(save):
    two = {"type": "MultiPolygon", "coordinates": [box(0, 0, 5, 9)["coordinates"], box(5, 0, 9, 9)["coordinates"]]}
    found = read_annotations(save([new("Tumor", two)]))
    assert sum(region.geometry.area for region in found.regions) == 81
    assert found.notes == ()


def test_the_root_object_is_no_annotation(save):
    root = {"type": "Feature", "geometry": None, "properties": {"objectType": "root"}}
    assert len(read_annotations(save([root, new("Tumor", box(0, 0, 1, 1))])).regions) == 1


def test_detections_are_left_out_and_said(save):
    cell = new("Tumor", box(0, 0, 1, 1))
    cell["properties"]["objectType"] = "cell"
    found = read_annotations(save([cell, new("Stroma", box(0, 0, 5, 5))]))
    assert len(found.regions) == 1
    assert found.notes == ("1 detections in the file left out",)
    with pytest.raises(DataError, match="no annotations"):
        read_annotations(save([cell]))


def test_own_classes(save):
    path = save([new("Nest", box(0, 0, 1, 1)), new("Fold", box(0, 0, 1, 1))])
    with pytest.raises(DataError, match=r"unknown annotation class.*Fold, Nest"):
        read_annotations(path)
    assert read_annotations(path, classes={"nest": "tumor", "Fold": "ignore"}).meanings == {"tumor", "ignore"}
    with pytest.raises(UsageError, match="unknown meaning"):
        read_annotations(path, classes={"nest": "tumr", "fold": "ignore"})


def test_self_crossing_outline_is_mended_and_said(save):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]}
    found = read_annotations(save([new("Tumor", bow)]))
    assert sum(region.geometry.area for region in found.regions) == pytest.approx(50)
    assert "crosses itself" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not GeoJSON"),
        ("[]", "empty"),
        ('{"type": "FeatureCollection", "features": []}', "empty"),
        ('{"a": 1}', "not GeoJSON as QuPath"),
        ([{**new("Tumor", None)}], "without a geometry"),
        ([new("Tumor", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]})], "not a geometry"),
        ([new("Tumor", {"type": "Polygon", "coordinates": []})], "empty outline"),
        ([new("Tumor", {**box(0, 0, 1, 1), "type": "Poligon"})], "not a geometry"),
        ([new("Tumor", {"type": "Polygon", "coordinates": [[[0, 0], [5, 5], [9, 9], [0, 0]]]})], "encloses no area"),
        ([new("Tumor", {"type": "LineString", "coordinates": [[0, 0], [5, 5]]})], "no area and no point"),
        (
            [{"type": "Feature", "geometry": box(0, 0, 1, 1), "properties": {"objectType": "annotation"}}],
            "carry no class",
        ),
        ([new("Tumr", box(0, 0, 1, 1))], "Did you mean 'Tumor'"),
        ([new("Tumor: Necrosis", box(0, 0, 1, 1))], "unknown annotation class"),
        ([new("Tumor", {"type": "Point", "coordinates": [float("nan"), 0]})], "not numbers"),
        (
            [new("Tumor", {"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 0], [1, 1], [0, 0]]]})],
            "not numbers",
        ),
    ],
)
def test_refused(save, content, message):
    with pytest.raises(DataError, match=message):
        read_annotations(save(content))


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such annotation file"):
        read_annotations(tmp_path / "absent.geojson")


def test_another_pixel_space(save):
    found = read_annotations(save([new("Tumor", box(0, 0, 2000, 1000))]))
    check_inside(found, width=2000, height=1000)
    check_inside(found, width=1970, height=1000)  # drawn a little past the edge
    with pytest.raises(DataError, match=r"another resolution.*full-resolution"):
        check_inside(found, width=1000, height=500)


def spread():
    # at 0.5 um/px the centres stand at pixels 10, 30, 50, 70, 90
    return make_cells(["unknown"] * 5, x=[5.0, 15, 25, 35, 45], y=[5.0] * 5)


def test_cells_take_the_smallest_area_and_ignore_wins(save):
    found = read_annotations(
        save(
            [
                new("Stroma", box(20, 0, 40, 20)),
                new("Tumor", box(0, 0, 80, 20)),
                new("Ignore*", box(60, 0, 80, 20)),
                new("Tumor", box(65, 5, 75, 15)),
            ]
        )
    )
    cells, notes = apply_annotations(spread(), found, mpp=0.5)
    assert cells.obs["region"].tolist() == ["tumor", "stroma", "tumor", "ignore", "outside"]
    assert cells.obs["excluded"].tolist() == [False, False, False, True, True]
    assert cells.obs["cell_class"].tolist() == ["tumor", "stroma", "tumor", "unknown", "unknown"]
    assert any("immune cells among them" in note for note in notes)


def test_ignore_alone_leaves_the_rest_and_knows_no_class(save):
    found = read_annotations(save(new("Ignore*", box(60, 0, 80, 20))))
    cells, _ = apply_annotations(spread(), found, mpp=0.5)
    assert cells.obs["excluded"].tolist() == [False, False, False, True, False]
    assert set(cells.obs["cell_class"]) == {"unknown"}


def test_masks_are_a_partition_and_agree_with_cells(save):
    found = read_annotations(save([new("Tumor", box(10, 10, 50, 50)), new("Necrosis", box(20, 20, 30, 30))]))
    masks = region_masks(found, shape=(30, 40), origin=(0.0, 0.0), downsample=2.0)
    assert (sum(mask.astype(int) for mask in masks.values()) == 1).all()
    assert masks["tumor"].sum() == 20 * 20 - 25
    assert masks["necrosis"].sum() == 25
    assert masks["tumor"][5, 5]
    assert not masks["tumor"][4, 5]


def test_points_label_the_nearest_cell(save):
    dots = {"type": "MultiPoint", "coordinates": [[11, 11], [52, 9]]}
    found = read_annotations(
        save([new("Tumor", dots), new("Immune cells", {"type": "Point", "coordinates": [70, 10]})])
    )
    labels = cell_labels(spread(), found, mpp=0.5)
    assert labels.tolist() == ["tumor", "", "tumor", "lymphocyte", ""]


def test_points_that_contradict_or_miss(save):
    two = [
        new("Tumor", {"type": "Point", "coordinates": [10, 10]}),
        new("Stroma", {"type": "Point", "coordinates": [11, 10]}),
    ]
    with pytest.raises(DataError, match="two labels on one cell"):
        cell_labels(spread(), read_annotations(save(two)), mpp=0.5)
    far = new("Tumor", {"type": "MultiPoint", "coordinates": [[500, 500], [600, 600], [10, 10]]})
    with pytest.raises(DataError, match="most labelled points lie on no cell"):
        cell_labels(spread(), read_annotations(save(far)), mpp=0.5)
    with pytest.raises(DataError, match="label no cell"):
        cell_labels(spread(), read_annotations(save(new("Necrosis", box(0, 0, 9, 9)))), mpp=0.5)


def test_order_of_areas_does_not_matter(save):
    features = [new("Stroma", box(20, 0, 40, 20)), new("Tumor", box(0, 0, 80, 20)), new("Region*", box(0, 0, 100, 20))]
    one, _ = apply_annotations(spread(), read_annotations(save(features)), mpp=0.5)
    two, _ = apply_annotations(spread(), read_annotations(save(features[::-1])), mpp=0.5)
    assert one.obs["region"].tolist() == two.obs["region"].tolist() == ["tumor", "stroma", "tumor", "tumor", "region"]
    assert not np.any(one.obs["excluded"])


def test_shapes_of_foreign_or_no_class_beside_known_ones_are_named_with_their_area(save):
    path = save(
        [
            new("Tumor", box(0, 0, 100, 100)),
            new("Muscle", box(200, 0, 300, 100)),
            new("Muscle", box(300, 0, 400, 100)),
            {"type": "Feature", "geometry": box(0, 200, 50, 250), "properties": {"objectType": "annotation"}},
        ]
    )
    found = read_annotations(path)
    assert [region.meaning for region in found.regions] == ["tumor"]
    assert found.unknown == (("", 1, 2_500.0), ("Muscle", 2, 20_000.0))
    _, notes = apply_annotations(make_cells(["unknown"] * 3), found, mpp=0.5)
    (note,) = [one for one in notes if "--classes" in one]
    assert "Muscle (2, 0.005 mm2)" in note
    assert "without a class (1, 0.000625 mm2)" in note


@pytest.mark.parametrize(
    "written", ['Muscle = "stroma"\nArtefact = "ignore"\n', '[classes]\nmuscle = "Stroma"\nArtefact = "ignore"\n']
)
def test_a_map_says_what_foreign_classes_mean(save, tmp_path, written):
    (tmp_path / "map.toml").write_text(written)
    classes = read_class_map(tmp_path / "map.toml")
    found = read_annotations(save([new("Muscle", box(0, 0, 9, 9)), new("Artefact", box(0, 0, 3, 3))]), classes=classes)
    assert [region.meaning for region in found.regions] == ["stroma", "ignore"]
    assert found.unknown == ()


@pytest.mark.parametrize(
    "written", ['Muscle = "meat"\n', 'x = 1\n[classes]\nMuscle = "stroma"\n', "[classes.deep]\na = 1\n"]
)
def test_a_map_that_means_nothing_is_refused(tmp_path, written):
    (tmp_path / "map.toml").write_text(written)
    with pytest.raises(UsageError, match=r"map\.toml"):
        read_class_map(tmp_path / "map.toml")


def test_cores_of_a_tma_grid_are_areas_to_analyse_but_missing_ones(save):
    def core(left, *, missing):
        own = {"objectType": "tma_core", "name": "A-1", "isMissing": missing}
        return {"type": "Feature", "geometry": box(left, 0, left + 90, 90), "properties": own}

    found = read_annotations(save([core(0, missing=False), core(100, missing=True), new("Tumor", box(10, 10, 20, 20))]))
    assert [region.meaning for region in found.regions] == ["region", "tumor"]
    assert "1 TMA cores marked as missing" in found.notes[0]
    assert [region.meaning for region in read_annotations(save([core(0, missing=False)])).regions] == ["region"]
