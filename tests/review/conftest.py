"""A finished run of two simulated tiles."""

import json
import shutil
from pathlib import Path

import pytest

from biomarkers.datasets import sample_trial

SLIDES = ("simulated_SIM-002_baseline_PD-L1", "simulated_SIM-003_baseline_PD-L1")


@pytest.fixture(scope="session")
def scored(tmp_path_factory) -> Path:
    from biomarkers.run.batch import score_batch

    folder = tmp_path_factory.mktemp("run")
    tiles = [next((sample_trial().folder / "tiles").glob(f"{name}.*")) for name in SLIDES]
    score_batch(tiles, out=folder / "scores", assay="22c3", assume_tumor=True, progress=False)
    return folder / "scores"


@pytest.fixture
def run_copy(scored, tmp_path) -> Path:
    return Path(shutil.copytree(scored, tmp_path / "scores"))


@pytest.fixture
def exported(scored):
    """The cells of the first slide as QuPath opens them."""
    return json.loads((scored / "geojson" / f"{SLIDES[0]}.geojson").read_text())
