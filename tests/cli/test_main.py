"""The command line as a whole: light, helpful, and its exit codes tell the truth."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from biomarkers.cli.main import VERBS, cli, run

HEAVY = ("scanpy", "anndata", "pandas", "numpy", "matplotlib", "statsmodels", "sklearn", "skimage", "numba", "xarray")


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_nothing_heavy():
    assert not loaded_by("import biomarkers") & set(HEAVY)


def test_help_loads_nothing_heavy():
    assert not loaded_by("from biomarkers.cli.main import run; run(['--help'])") & set(HEAVY)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_teaches_without_loading_anything_heavy(verb):
    code = f"from biomarkers.cli.main import run; assert run(['{verb}', '--help']) == 0"
    assert not loaded_by(code) & {"scanpy", "matplotlib", "statsmodels", "sklearn", "skimage", "numba", "anndata"}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_examples_in_its_help(verb):
    text = CliRunner().invoke(cli, [verb, "--help"]).output
    assert f"biomarkers {verb}" in text.split("Usage:")[1].split("\n", 1)[1], "an example to copy"


def test_an_unknown_verb_suggests_the_nearest(capsys):
    assert run(["relat"]) == 2
    assert "relate" in capsys.readouterr().err


def test_a_missing_option_exits_2(capsys):
    assert run(["score", "x.png"]) == 2
    assert "--out" in capsys.readouterr().err


def test_no_verb_shows_help_and_exits_2():
    done = subprocess.run([sys.executable, "-m", "biomarkers"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Verbs" in done.stderr + done.stdout


@pytest.mark.parametrize("verb", ["score", "relate", "change", "power", "cells", "express"])
def test_a_file_in_the_place_of_the_folder_is_a_slip_of_the_pen(verb, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert run([verb, "table.csv", "--out", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
