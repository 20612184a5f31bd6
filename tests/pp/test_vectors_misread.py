"""Stain vectors in a file that are colours, or exchanged, are refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from biomarkers.core.errors import UsageError
from biomarkers.pp.vectors import RUIFROK_DAB, RUIFROK_HEMATOXYLIN, read_reference


def write(path: Path, hematoxylin: object, dab: object) -> Path:
    path.write_text(f"[vectors]\nhematoxylin = {list(hematoxylin)}\ndab = {list(dab)}\n")  # type: ignore[call-overload]
    return path


@pytest.mark.parametrize(
    ("hematoxylin", "dab"),
    [
        ((80, 70, 140), (140, 85, 45)),
        ((0.31, 0.27, 0.55), (0.55, 0.33, 0.18)),
        ((88.0, 72.0, 150.0), (120.0, 80.0, 50.0)),
    ],
)
def test_colours_are_no_densities(tmp_path: Path, hematoxylin: object, dab: object) -> None:
    with pytest.raises(UsageError, match=r"colours \(RGB\).*write: hematoxylin = \[0\."):
        read_reference(write(tmp_path / "stain.toml", hematoxylin, dab))


def test_exchanged_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exchanged"):
        read_reference(write(tmp_path / "stain.toml", RUIFROK_DAB, RUIFROK_HEMATOXYLIN))


@pytest.mark.parametrize(
    ("hematoxylin", "dab"),
    [(RUIFROK_HEMATOXYLIN, RUIFROK_DAB), ((0.55, 0.75, 0.35), (0.3, 0.5, 0.8)), ((1.3, 1.4, 0.6), (0.27, 0.57, 0.78)),
     ((0.65, 0.70, 0.29), (0.2743, 0.6796, 0.6803))],
)  # fmt: skip
def test_densities_of_any_length_and_other_chromogens_pass(tmp_path: Path, hematoxylin: object, dab: object) -> None:
    read_reference(write(tmp_path / "stain.toml", hematoxylin, dab))
