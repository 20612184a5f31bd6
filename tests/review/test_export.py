"""What other programs open: a spreadsheet, QuPath's objects, spatialdata's store."""

import copy
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from biomarkers.cli.main import run
from biomarkers.core.errors import UsageError
from biomarkers.review import export as module
from biomarkers.review.export import cells_anndata, export_run
from biomarkers.review.rescore import rescore

pytestmark = pytest.mark.slow
FIRST, SECOND = "simulated_SIM-002_baseline_PD-L1", "simulated_SIM-003_baseline_PD-L1"


def test_csv_holds_every_cell_in_parts_that_a_spreadsheet_takes(run_copy, tmp_path, monkeypatch):
    table = pd.read_parquet(run_copy / "cells" / f"{FIRST}.parquet")
    found = export_run(run_copy, to="csv", out=tmp_path / "a")
    assert [path.name for path in found.files[FIRST]] == [f"{FIRST}.csv"]
    kept = pd.read_csv(found.files[FIRST][0], float_precision="round_trip")
    assert kept["x_um"].tolist() == table["x_um"].tolist()
    monkeypatch.setattr(module, "SHEET_ROWS", 100)
    parts = export_run(run_copy, to="csv", out=tmp_path / "b").files[FIRST]
    assert len(parts) == -(-len(table) // 100)
    assert sum(len(pd.read_csv(path)) for path in parts) == len(table)


def test_cells_of_a_slide_without_outlines_come_back_from_qupath_as_corrections(run_copy, tmp_path):
    """Whole slides keep no outlines: their cells are octagons, with the identifiers that corrections are matched by."""
    shutil.rmtree(run_copy / "geojson")
    before = pd.read_parquet(run_copy / "cells" / f"{FIRST}.parquet")
    path = export_run(run_copy, to="qupath", out=tmp_path / "q", slides=[FIRST]).files[FIRST][0]
    content = json.loads(path.read_text())
    assert len(content["features"]) == len(before)
    from shapely.geometry import shape

    areas = np.array([shape(one["geometry"]).area for one in content["features"]]) * 0.25
    np.testing.assert_allclose(areas, before["area_um2"], rtol=0.02)
    changed = [one for one in content["features"] if one["properties"]["classification"]["name"] == "Tumor: Negative"][
        :25
    ]
    for one in changed:
        one["properties"]["classification"]["name"] = "Tumor: 1+"
    path.write_text(json.dumps(content))
    told = rescore(run_copy, out=tmp_path / "out", corrections=tmp_path / "q").corrections.iloc[0]
    assert (told["status"], told["n_changed"], told["n_foreign"]) == ("applied", 25, 0)


def test_tiles_keep_their_outlines(run_copy, exported, tmp_path):
    path = export_run(run_copy, to="qupath", out=tmp_path / "q").files[FIRST][0]
    assert json.loads(path.read_text()) == copy.deepcopy(exported)


def test_the_cells_as_anndata(run_copy):
    table = pd.read_parquet(run_copy / "cells" / f"{FIRST}.parquet")
    cells = cells_anndata(table)
    assert list(cells.var_names) == ["PD-L1", "hematoxylin"]
    assert cells.n_obs == len(table)
    np.testing.assert_array_equal(cells.layers["membrane_mean"][:, 0], table["PD-L1_membrane_mean"])
    np.testing.assert_array_equal(cells.X[:, 1], table["hematoxylin_mean"])
    assert {"PD-L1_bin", "PD-L1_positive", "cell_class"} <= set(cells.obs)
    assert not any(name.endswith("_mean") for name in cells.obs)


def test_spatialdata_reads_the_store_back(run_copy, tmp_path):
    spatialdata = pytest.importorskip("spatialdata", reason="the extra 'spatialdata' is not installed")
    path = export_run(run_copy, to="spatialdata", out=tmp_path / "s").files[FIRST][0]
    table = pd.read_parquet(run_copy / "cells" / f"{FIRST}.parquet")
    found = spatialdata.read_zarr(path)
    assert found["table"].n_obs == len(found["cells"]) == len(table)
    np.testing.assert_allclose(found["cells"].geometry.x, table["x_um"] / 0.5)
    assert found["image"].shape == (3, 512, 512)
    with_cells, _ = spatialdata.match_element_to_table(found, element_name="cells", table_name="table")
    assert len(with_cells["cells"]) == len(table)


def test_what_cannot_be_exported_says_so(run_copy, tmp_path, capsys):
    with pytest.raises(UsageError, match="unknown target"):
        export_run(run_copy, to="halo")
    with pytest.raises(UsageError, match="no such slide"):
        export_run(run_copy, to="csv", slides=["x"])
    with pytest.raises(UsageError):
        export_run(tmp_path, to="csv")
    (run_copy / "cells" / f"{SECOND}.parquet").unlink()
    assert run(["export", str(run_copy), "--to", "csv"]) == 0
    assert "1 slide without cells" in capsys.readouterr().out
    assert (run_copy / "export" / "csv" / f"{FIRST}.csv").is_file()
    (run_copy / "cells" / f"{FIRST}.parquet").write_bytes(b"no table")
    assert run(["export", str(run_copy), "--to", "csv"]) == 3
    assert FIRST in capsys.readouterr().out
