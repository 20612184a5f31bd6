"""One command a slide, as workflow engines call it: repeated at will, then merged."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from biomarkers import render_hdab, simulate_scene

LOOP = """
set -e
for slide in slides/*.png; do
  {python} -m biomarkers score "$slide" --assay 22c3 --assume-tumor --out "parts/$(basename "$slide" .png)" --quiet
done
{python} -m biomarkers merge parts/* --out merged
"""


@pytest.mark.slow
def test_a_shell_loop_can_be_repeated_and_equals_one_run(tmp_path):
    (tmp_path / "slides").mkdir()
    for seed, name in ((1, "simulated one"), (2, "simulated-'two'")):
        tile = render_hdab(simulate_scene(rng=seed, size_px=128), rng=seed)
        Image.fromarray(np.asarray(tile)).save(tmp_path / "slides" / f"{name}.png", dpi=(50_800, 50_800))
    loop = LOOP.format(python=sys.executable)
    first = subprocess.run(["/bin/sh", "-c", loop], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    once = {path.name: path.read_bytes() for path in (tmp_path / "merged").glob("*.csv")}
    again = subprocess.run(["/bin/sh", "-c", loop.replace("merged", "again")], cwd=tmp_path, check=False,
                           capture_output=True, text=True)  # fmt: skip
    assert again.returncode == 0, again.stderr
    whole = [sys.executable, "-m", "biomarkers", "score", "slides", "--assay", "22c3", "--assume-tumor", "--out", "all"]
    subprocess.run([*whole, "--quiet"], cwd=tmp_path, check=True, capture_output=True)
    for other in ("again", "all"):
        assert {path.name: path.read_bytes() for path in (tmp_path / other).glob("*.csv")} == once
