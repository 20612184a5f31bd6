"""``biomarkers express`` and ``biomarkers concordance`` as a user runs them."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from biomarkers.cli.concordance import concordance
from biomarkers.cli.main import run
from biomarkers.datasets import sample_trial


def test_levels_of_the_sample_trial(tmp_path, capsys):
    assert run(["express", str(sample_trial().expression), "--out", str(tmp_path / "o")]) == 0
    text = capsys.readouterr().out
    assert "Scale: counts (all values are whole numbers)" in text
    levels = pd.read_csv(tmp_path / "o" / "levels.csv")
    assert levels.groupby(["marker", "score"]).size().eq(71).all()
    assert {"CD274", "PDCD1", "t_cell_inflamed_18", "cytolytic"} <= set(levels["marker"])
    genes = pd.read_csv(tmp_path / "o" / "genes.csv").set_index("gene")
    assert genes.loc["CD274", "rule"] == "symbol"
    record = json.loads((tmp_path / "o" / "run.json").read_text())
    assert record["settings"]["scale"] == "counts"
    assert record["inputs"][0]["sha256"]


def test_a_sheet_with_batch_and_group(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = [f"00{i}" for i in range(12)]  # leading zeros stay
    counts = pd.DataFrame(rng.poisson(50, (30, 12)), index=["CD274", *(f"SIMG{i}" for i in range(29))], columns=names)
    counts.to_csv(tmp_path / "m.csv")
    sheet = pd.DataFrame({"sample": names, "who": [f"P{i}" for i in range(12)], "run": ["a"] * 6 + ["b"] * 6})
    sheet.assign(response=["PR"] * 6 + ["SD"] * 6).to_csv(tmp_path / "sheet.csv", index=False)
    argv = ["express", str(tmp_path / "m.csv"), "--samples", str(tmp_path / "sheet.csv"), "--patient", "who"]
    argv += ["--batch", "run", "--group", "response", "--gene", "PD-L1", "--signature", "cytolytic"]
    assert run([*argv, "--out", str(tmp_path / "o")]) == 0
    assert "every batch holds one response only" in capsys.readouterr().out
    levels = pd.read_csv(tmp_path / "o" / "levels.csv", dtype={"sample": str})
    assert levels["patient"].tolist()[:2] == ["P0", "P1"]
    assert set(levels["score"]) == {"log2_cpm", "log2_cpm within batch"}
    assert (tmp_path / "o" / "batches.csv").is_file()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--gene", "NOSUCH", "--signature", "cytolytic", "--layer", "raw"], "no such layer"),
        (["--scale", "logs"], "unknown scale"),
        (["--normalise", "tpm"], "no such normalisation"),
        (["--batch", "plate"], "no such column"),
        (["--min-cells", "0"], "min-cells"),
    ],
)
def test_a_wrong_option_writes_nothing_and_exits_2(tmp_path, capsys, argv, message):
    assert run(["express", str(sample_trial().expression), "--out", str(tmp_path / "o"), *argv]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_corrupt_matrix_ends_in_a_message_not_a_crash(tmp_path):
    import shutil

    path = tmp_path / "m.h5ad"
    shutil.copy(sample_trial().expression, path)
    with h5py.File(path, "r+") as file:
        item = file["X/indices"] if "indices" in file["X"] else None
        if item is None:
            values = file["X"][:]
            del file["X"]
            from anndata.io import write_elem
            from scipy.sparse import csr_matrix

            write_elem(file, "X", csr_matrix(values))
            item = file["X/indices"]
        values = item[:]
        values[7] = 2**30
        item[:] = values
    argv = [sys.executable, "-m", "biomarkers", "express", str(path), "--out", str(tmp_path / "o")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a sparse matrix is broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_concordance_of_a_table(tmp_path):
    rng = np.random.default_rng(0)
    rna = rng.normal(6, 1, 40)
    words = np.array(["IC0", "IC1", "IC2+"])[np.digitize(rna + rng.normal(0, 0.3, 40), [5.5, 6.5])]
    table = pd.DataFrame({"patient": [f"P{i:02d}" for i in range(40)], "IC": words, "CD274": rna})
    table.to_csv(tmp_path / "t.csv", index=False)
    argv = [str(tmp_path / "t.csv"), "--one", "IC", "--two", "CD274", "--patient", "patient"]
    argv += [part for word in ("IC0", "IC1", "IC2+") for part in ("--order", word)]
    done = CliRunner().invoke(concordance, [*argv, "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, done.output
    assert "spearman: 0." in done.output
    found = pd.read_csv(tmp_path / "o" / "concordance.csv").set_index("statistic")
    assert found.loc["spearman", "ci_low"] > 0.4
    assert len(pd.read_csv(tmp_path / "o" / "points.csv")) == 40
    for name in ("agreement.png", "differences.png", "run.json"):
        assert (tmp_path / "o" / name).stat().st_size > 500


def test_a_zarr_folder_is_recorded_by_its_descriptions(tmp_path):
    import anndata as ad

    ad.read_h5ad(sample_trial().expression).write_zarr(tmp_path / "m.zarr")
    assert run(["express", str(tmp_path / "m.zarr"), "--out", str(tmp_path / "o")]) == 0
    names = {item["name"] for item in json.loads((tmp_path / "o" / "run.json").read_text())["inputs"]}
    assert names
    assert names <= {".zarray", ".zmetadata", "zarr.json"}
