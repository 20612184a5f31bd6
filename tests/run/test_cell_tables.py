"""Cell tables that cannot be used, or not in full: each is told, and the others are scored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError
from biomarkers.run.cell_tables import score_tables

PANEL = """
name = "p"
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


@pytest.fixture
def panel(tmp_path):
    (tmp_path / "panel.toml").write_text(PANEL)
    return tmp_path / "panel.toml"


def table(path, n=400, **changed):
    rng = np.random.default_rng(n)
    level = np.where(np.arange(n) % 4 == 0, 600 * np.exp(rng.normal(0, 0.3, n)), 20) + rng.normal(60, 10, n)
    frame = pd.DataFrame({"CellID": np.arange(1, n + 1), "DAPI": rng.normal(900.5, 90, n), "CD8": level})
    frame["X_centroid"], frame["Y_centroid"], frame["Area"] = *rng.uniform(0, 1000, (2, n)), 90.5
    frame.assign(**changed).to_csv(path, index=False)
    return path


def scored(panel, *tables):
    out = panel.parent / "out"
    rows = score_tables(tables, panel=panel, out=out, fit=True, mpp=0.5, area_mm2={"all": 0.25})
    return rows.set_index("slide"), pd.read_csv(out / "scores.csv")


def test_one_bad_table_of_several_is_a_failed_row(panel, tmp_path):
    empty = table(tmp_path / "empty.csv", 0)
    unmeasured = table(tmp_path / "unmeasured.csv", CD8=np.nan)
    rows, scores = scored(panel, table(tmp_path / "good.csv"), empty, unmeasured)
    assert rows["status"].to_dict() == {"good": "ok", "empty": "failed", "unmeasured": "failed"}
    assert "holds no cells" in rows.loc["empty", "reason"]
    assert "column of CD8 holds no number" in rows.loc["unmeasured", "reason"]
    assert scores["slide"].unique().tolist() == ["good"]
    assert scores.loc[0, "numerator"] == 100


def test_where_no_table_can_be_used_nothing_is_written(panel, tmp_path):
    with pytest.raises(DataError, match="column of CD8 holds no number"):
        scored(panel, table(tmp_path / "unmeasured.csv", CD8=np.nan))
    assert not (tmp_path / "out").exists()


def test_a_marker_that_the_table_lacks_is_another_thing(panel, tmp_path):
    path = table(tmp_path / "lacks.csv")
    pd.read_csv(path).drop(columns="CD8").to_csv(path, index=False)
    with pytest.raises(DataError, match="no such marker"):
        scored(panel, path)


def test_two_tables_of_one_image_stop(panel, tmp_path):
    paths = [table(tmp_path / name, 400 + i, imageid="image 1") for i, name in enumerate(("a.csv", "b.csv"))]
    with pytest.raises(DataError, match="two tables hold an image of one name"):
        scored(panel, *paths)


def test_one_cell_is_not_evaluable(panel, tmp_path):
    rows, scores = scored(panel, table(tmp_path / "one.csv", 1))
    assert rows.loc["one", "status"] == "not_evaluable"
    assert "1 cell, at least 50 wanted" in rows.loc["one", "reason"]
    assert scores["status"].tolist() == ["not_evaluable"]


def test_cells_far_from_all_others_are_told(panel, tmp_path):
    path = table(tmp_path / "far.csv")
    frame = pd.read_csv(path)
    frame.loc[6, "Y_centroid"] = 1e7
    frame.to_csv(path, index=False)
    rows, _ = scored(panel, path)
    assert rows.loc["far", "status"] == "ok_with_warnings"
    assert "1 cell counted that stand outside" in rows.loc["far", "reason"]
    assert "cell 7" in rows.loc["far", "reason"]
