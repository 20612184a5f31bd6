"""Tissue microarrays: cores by grid or by QuPath's objects, missing and rotated ones too; one row a core, pooled."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from biomarkers.cli.main import run
from biomarkers.core.errors import DataError
from biomarkers.review.core_grid import core_name, cores_on_grid
from biomarkers.review.cores import score_cores

FIRST, SECOND = "simulated_SIM-002_baseline_PD-L1", "simulated_SIM-003_baseline_PD-L1"
ROWS, COLUMNS, STEP_UM, RADIUS_UM = 6, 9, 1000.0, 300.0
MISSING = {(0, 0), (2, 5), (5, 8), (3, 3)}


def _array(rng, *, degrees=0.0, jitter_um=60.0, cells=120):
    """Simulated cells on an array, and the name of each cell's core."""
    xy, names = [], []
    for row in range(ROWS):
        for column in range(COLUMNS):
            if (row, column) in MISSING:
                continue
            centre = np.array([column, row]) * STEP_UM + rng.uniform(-jitter_um, jitter_um, 2)
            turn, away = rng.uniform(0, 2 * np.pi, cells), RADIUS_UM * np.sqrt(rng.uniform(0, 1, cells))
            dense = centre + np.column_stack([away * np.cos(turn), away * np.sin(turn)])
            ring = np.linspace(0, 2 * np.pi, 61)[:-1]
            spokes = [centre + r * np.column_stack([np.cos(ring), np.sin(ring)]) for r in range(0, 300, 30)]
            held = np.concatenate([dense, *spokes])  # without gaps, so that a core is one piece
            xy.append(held)
            names += [core_name(row, column)] * len(held)
    a = np.deg2rad(degrees)
    turned = np.concatenate(xy) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return turned + 9000, np.array(names)


@pytest.mark.parametrize("degrees", [0, 3, -8, 20])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_cores_are_found_with_their_names_on_the_map(degrees, seed):
    xy, names = _array(np.random.default_rng(seed), degrees=degrees)
    found = cores_on_grid(xy)
    assert len(found) == ROWS * COLUMNS
    assert {core.name for core in found if core.missing} == {core_name(*place) for place in MISSING}
    told = np.full(len(xy), "", dtype=object)
    for core in found:
        told[core.cells] = core.name
    assert (told == names).all()


def test_debris_is_no_core_and_what_is_no_array_is_refused():
    rng = np.random.default_rng(4)
    xy, names = _array(rng)
    between = np.array([[0.5, 0.5], [3.5, 2.5]]) * STEP_UM + 9000
    found = cores_on_grid(np.concatenate([xy, between]))
    assert len(found) == ROWS * COLUMNS
    assert sum(core.cells.sum() for core in found) == len(names), "two single cells between cores belong to none"
    with pytest.raises(DataError, match="no array"):
        cores_on_grid(rng.uniform(0, 100, (50, 2)))
    with pytest.raises(DataError, match="no array"):
        cores_on_grid(np.zeros((0, 2)))


@pytest.fixture
def array_run(run_copy):
    """A run whose first slide is an array of four cores, made of the cells that were scored."""
    table = pd.read_parquet(run_copy / "cells" / f"{FIRST}.parquet")
    parts = []
    for row in range(2):
        for column in range(2):
            x, y = (table[name] + step * 1500 for name, step in (("x_um", column), ("y_um", row)))
            parts.append(table.assign(x_um=x, y_um=y).iloc[: len(table) - 40 * (2 * row + column)])
    joint = pd.concat(parts, ignore_index=True)
    joint["cell"] = [str(n + 1) for n in range(len(joint))]
    joint.to_parquet(run_copy / "cells" / f"{FIRST}.parquet", index=False)
    for name in ("slides.csv", "scores.csv"):
        held = pd.read_csv(run_copy / name)
        held[held["slide"] == FIRST].to_csv(run_copy / name, index=False)
    return run_copy, parts


@pytest.mark.slow
def test_one_row_a_core_and_patients_pooled(array_run, tmp_path, capsys):
    source, parts = array_run
    (tmp_path / "map.csv").write_text("core,patient\nA-1,P1\nA-2,P1\nB-1,P2\n")
    out = tmp_path / "out"
    given = ["rescore", str(source), "--cores", "grid", "--core-map", str(tmp_path / "map.csv"), "--out", str(out)]
    assert run(given) == 0
    assert "1 cores are of no patient" in capsys.readouterr().out
    slides = pd.read_csv(out / "slides.csv").set_index("core")
    assert slides["n_cells"].to_dict() == dict(zip(("A-1", "A-2", "B-1", "B-2"), map(len, parts), strict=True))
    scores = pd.read_csv(out / "scores.csv").set_index(["slide", "score"])
    for name, part in zip(("A-1", "A-2", "B-1", "B-2"), parts, strict=True):
        tps = scores.loc[(f"{FIRST}/{name}", "tps")]
        assert tps["value"] == pytest.approx(100 * part["PD-L1_positive"].mean())
    density = scores.loc[(f"{FIRST}/A-1", "density_per_mm2")]
    assert (density["status"], density["reason"]) == ("not_evaluable", "the tissue area of single cores needs pixels")
    pooled = pd.read_csv(out / "patients.csv").set_index(["patient", "score"]).loc[("P1", "tps")]
    both = pd.concat(parts[:2])["PD-L1_positive"]
    assert (pooled["numerator"], pooled["denominator"]) == (both.sum(), len(both))


@pytest.mark.slow
def test_cores_of_qupath_keep_their_names_and_missing_flags(array_run, tmp_path):
    source, parts = array_run
    folder = tmp_path / "qupath"
    folder.mkdir()

    def core(name, x, y, **more):
        ring = [[x, y], [x + 600, y], [x + 600, y + 600], [x, y + 600], [x, y]]
        own = {"objectType": "tma_core", "name": name, "isMissing": False, **more}
        return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": own}

    features = [core("1-A", -10, -10), core("1-B", 2990, -10, isMissing=True), core("2-A", -10, 2990)]
    path = folder / f"{FIRST}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = score_cores(source, out=tmp_path / "out", cores=folder)
    slides = found.slides.set_index("core")
    assert slides["n_cells"].to_dict() == {"1-A": len(parts[0]), "1-B": 0, "2-A": len(parts[2])}
    assert slides.loc["1-B", "status"] == "no_tissue"
    for wrong, error in (([core("", 0, 0)], "without a name"), ([core("a", 0, 0)] * 2, "two cores"), ([], "empty")):
        path.write_text(json.dumps({"type": "FeatureCollection", "features": wrong}))
        with pytest.raises(DataError, match=error):
            score_cores(source, out=tmp_path / "no", cores=folder)
    shutil.rmtree(folder)
    assert run(["rescore", str(source), "--cores", str(folder), "--out", str(tmp_path / "no")]) == 2
