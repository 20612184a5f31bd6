"""Make the simulated sample trial: ``python sample_data/make.py`` from the project's root (about two minutes)."""

from __future__ import annotations

import shutil
from pathlib import Path

from biomarkers.simulate.files import write_trial
from biomarkers.simulate.trial import simulate_trial

SEED = 52


def main() -> None:
    """Write all files beside this script."""
    folder = Path(__file__).parent
    for name in ("tiles", "regions", "training"):
        shutil.rmtree(folder / name, ignore_errors=True)
    write_trial(simulate_trial(rng=SEED), folder, seed=SEED, progress=True)


if __name__ == "__main__":
    main()
