"""From an export to a verdict with two commands: ADTTE, cBioPortal, a GDC folder (all simulated)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from biomarkers.cli.main import cli

N = 30


def run(*words: object) -> Result:
    found = CliRunner().invoke(cli, [str(word) for word in words])
    assert found.exit_code == 0, found.exception
    return found


@pytest.fixture
def levels() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 101, N).astype(float)


def test_adtte(tmp_path: Path, levels: np.ndarray) -> None:
    rows = [
        {"USUBJID": f"S-{i:03d}", "PARAMCD": code, "AVAL": 30 + 7 * i, "AVALU": "DAYS", "CNSR": i % 3, "TPS": levels[i]}
        for i in range(N)
        for code in ("PFS", "OS")
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "adtte.csv", index=False)
    assert "--columns adam_adtte reads them as they are" in run("columns", tmp_path / "adtte.csv").output
    out = tmp_path / "out"
    told = run("relate", tmp_path / "adtte.csv", "--columns", "adam_adtte", "--level", "TPS", "--endpoint", "pfs",
               "--permutations", 99, "--no-figures", "--out", out).output  # fmt: skip
    assert "This is how I read your table: patient = USUBJID" in told
    verdict = pd.read_csv(out / "verdicts.csv").iloc[0]
    assert (verdict["endpoint"], verdict["n"], verdict["n_responders"]) == ("pfs", N, 10)
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["columns"]["endpoints"]["pfs"]["event_when"] == ["0"]
    assert "This is how I read your table" in (out / "report.html").read_text()


def test_cbioportal(tmp_path: Path, levels: np.ndarray) -> None:
    table = pd.DataFrame({
        "PATIENT_ID": [f"P-{i:04d}" for i in range(N)], "OS_MONTHS": 3.0 + np.arange(N),
        "OS_STATUS": ["1:DECEASED" if i % 3 == 0 else "0:LIVING" for i in range(N)], "PDL1_TPS": levels,
    })  # fmt: skip
    path = tmp_path / "data_clinical_patient.txt"
    head = "#Patient\tOS\tStatus\tTPS\n#a\tb\tc\td\n#STRING\tNUMBER\tSTRING\tNUMBER\n#1\t1\t1\t1\n"
    path.write_text(head + table.to_csv(sep="\t", index=False))
    assert "--columns cbioportal reads them as they are" in run("columns", path).output
    run("relate", path, "--columns", "cbioportal", "--level", "PDL1_TPS", "--endpoint", "os", "--permutations", 99,
        "--no-figures", "--out", tmp_path / "out")  # fmt: skip
    assert pd.read_csv(tmp_path / "out" / "verdicts.csv")["n_responders"].item() == 10


def test_a_gdc_folder(tmp_path: Path, levels: np.ndarray) -> None:
    head = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\n"
    sheet = []
    for i in range(N):
        file = tmp_path / "gdc" / f"id{i}" / f"f{i}.rna_seq.augmented_star_gene_counts.tsv"
        file.parent.mkdir(parents=True)
        genes = f"N_unmapped\t\t\t9\t9\t9\t\nENSG1.1\tCD274\tprotein_coding\t1\t0\t0\t{levels[i]}\n"
        file.write_text(
            "# gene-model: GENCODE v36\n" + head + genes + "ENSG2.1\tACTB\tprotein_coding\t1\t0\t0\t500.5\n"
        )
        sheet.append({"File ID": f"id{i}", "File Name": file.name, "Case ID": f"TCGA-AA-{i:04d}",
                      "Sample ID": f"TCGA-AA-{i:04d}-01A"})  # fmt: skip
    pd.DataFrame(sheet).to_csv(tmp_path / "gdc_sample_sheet.tsv", sep="\t", index=False)
    clinical = pd.DataFrame({
        "bcr_patient_barcode": [one["Case ID"] for one in sheet], "OS": [int(i % 3 == 0) for i in range(N)],
        "OS.time": 100 + 10 * np.arange(N),
    })  # fmt: skip
    clinical.to_csv(tmp_path / "clinical.csv", index=False)
    run("express", tmp_path / "gdc", "--samples", tmp_path / "gdc_sample_sheet.tsv", "--patient", "patient", "--gene",
        "CD274", "--out", tmp_path / "levels")  # fmt: skip
    run("relate", tmp_path / "levels" / "levels.csv", "--clinical", tmp_path / "clinical.csv", "--columns", "tcga",
        "--level", "CD274 log2_tpm", "--endpoint", "os", "--permutations", 99, "--no-figures",
        "--out", tmp_path / "out")  # fmt: skip

    verdict = pd.read_csv(tmp_path / "out" / "verdicts.csv").iloc[0]
    assert (verdict["n"], verdict["n_responders"]) == (N, 10)
