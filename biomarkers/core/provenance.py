"""What made a result: settings, versions, seed and input hashes, enough to make it again (run.json)."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from biomarkers.core.files import sha256, write_text

# the libraries whose version can move a number
_NUMERIC_LIBRARIES = (
    "anndata",
    "imagecodecs",
    "numba",
    "numpy",
    "openslide-bin",
    "pandas",
    "scanpy",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "statsmodels",
    "tifffile",
    "xarray",
)


__version__ = metadata.version("biomarkers")


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of every library that can move a number."""
    found = {"biomarkers": __version__, "python": platform.python_version()}
    for name in _NUMERIC_LIBRARIES:
        found[name] = metadata.version(name)
    return found


def run_record(
    verb: str, *, settings: Mapping[str, Any], inputs: Iterable[Path] = (), seed: int | None = None
) -> dict[str, Any]:
    """Describe one run.

    Parameters
    ----------
    verb
        The command-line verb, or the public function's name.
    settings
        Every setting in force, defaults included.
    inputs
        The files that were read; their names (not their folders) and sha256 are kept.
    seed
        The seed of whatever was random.
    """
    return {
        "verb": verb,
        "started_utc": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "settings": dict(settings),
        "seed": seed,
        "inputs": [{"name": path.name, "sha256": sha256(path), "bytes": path.stat().st_size} for path in inputs],
        "versions": versions(),
        "note": "Research use only: not a medical device.",
    }


def write_run_json(record: Mapping[str, Any], folder: Path) -> Path:
    """Write ``run.json`` into ``folder``, complete or not at all."""
    path = folder / "run.json"
    write_text(path, json.dumps(record, indent=2, sort_keys=True, default=str) + "\n")
    return path
