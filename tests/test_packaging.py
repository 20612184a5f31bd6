"""What users install is whole: a wheel with assays, templates and sample data, working where the source is not."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_code_data_and_licence_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("biomarkers/assays/22c3") for name in names)
    assert any(name.startswith("biomarkers/report/") and name.endswith(".html") for name in names)
    assert "biomarkers/_sample_data/simulated_clinical.csv" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert all(top == "biomarkers" or top.endswith(".dist-info") for top in tops)
    tracked = subprocess.run(["git", "ls-files", "sample_data"], cwd=ROOT, capture_output=True, text=True, check=False)
    for name in tracked.stdout.split():
        assert f"biomarkers/_{name}" in names


@pytest.mark.slow
def test_the_installed_wheel_finds_its_sample_data(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import biomarkers; t = biomarkers.sample_trial(); print(biomarkers.__file__, t.clinical, t.clinical.is_file())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    package, clinical, there = done.stdout.split()
    assert package.startswith(str(tmp_path))
    assert clinical.startswith(str(tmp_path))
    assert there == "True"


def test_the_lock_file_records_no_download_address():
    text = (ROOT / "requirements.lock").read_text()
    assert "http" not in text
    assert "--index-url" not in text
    assert "--hash=sha256:" in text
