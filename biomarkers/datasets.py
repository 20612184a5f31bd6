"""Data that comes with the package: the simulated sample trial, and the published counts of the source trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from biomarkers.core.errors import EnvironmentFailure


@dataclass(frozen=True)
class SampleTrial:
    """Paths of the sample trial. Every value in it is simulated; ``folder`` holds its README."""

    folder: Path

    @property
    def manifest(self) -> Path:
        """One row a tile: path, patient, timepoint, assay, mpp, annotations."""
        return self.folder / "simulated_manifest.csv"

    @property
    def clinical(self) -> Path:
        """One row a patient."""
        return self.folder / "simulated_clinical.csv"

    @property
    def tumor_sums(self) -> Path:
        """One row a visit: the sum of target lesions."""
        return self.folder / "simulated_tumor_sums.csv"

    @property
    def expression(self) -> Path:
        """Counts, samples x genes, h5ad."""
        return self.folder / "simulated_expression.h5ad"

    @property
    def truth(self) -> Path:
        """What was planted in each tile."""
        return self.folder / "simulated_truth.csv"

    @property
    def training(self) -> tuple[tuple[Path, Path], ...]:
        """Tiles to train a cell classifier on: (image, GeoJSON with labelled cells)."""
        tiles = sorted((self.folder / "training").glob("*.ome.tif"))
        return tuple((tile, tile.with_name(tile.name.removesuffix(".ome.tif") + ".geojson")) for tile in tiles)


def sample_trial() -> SampleTrial:
    """Find the simulated sample trial, in an installed package or in the project's folder.

    Raises
    ------
    EnvironmentFailure
        It was not installed with the package.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.sample_trial().clinical.name
    'simulated_clinical.csv'
    """
    here = Path(__file__).parent
    for folder in (here / "_sample_data", here.parent / "sample_data"):
        if (folder / "simulated_manifest.csv").is_file():
            return SampleTrial(folder)
    raise EnvironmentFailure("the sample data was not installed with the package", where=here, hint="Install it again.")


@dataclass(frozen=True)
class PublishedCounts:
    """Responders among marker-positive and marker-negative patients, as published."""

    marker: str
    positive_responders: int
    positive: int
    negative_responders: int
    negative: int


@dataclass(frozen=True)
class PublishedTrial:
    """Published counts of a trial: responses among all patients, and by marker among those with a biopsy."""

    name: str
    source: str
    responders: int
    n: int
    markers: tuple[PublishedCounts, ...]


_ASPS: Final = PublishedTrial(
    name="Atezolizumab in alveolar soft part sarcoma (NCT03141684)",
    source="Chen AP et al. N Engl J Med 2023;389:911-921",
    responders=19,
    n=52,
    markers=(
        PublishedCounts("PD-1", positive_responders=5, positive=9, negative_responders=1, negative=8),
        PublishedCounts("PD-L1", positive_responders=6, positive=15, negative_responders=0, negative=1),
    ),
)


def asps_atezolizumab() -> PublishedTrial:
    """Return the published counts of the phase 2 trial whose question this package answers.

    19 of 52 evaluable patients responded (CR 1, PR 18). Of those with an evaluable baseline biopsy, PD-1+ lymphocytes
    were present in PR 5 of 6, SD 3 of 10 and PD 1 of 1; PD-L1 in PR 6 of 6 and SD 9 of 10. These are measured values
    of real patients, as published, not simulated ones.

    References
    ----------
    Chen AP et al. N Engl J Med 2023;389:911-921.

    Examples
    --------
    >>> import biomarkers as bm
    >>> trial = bm.asps_atezolizumab()
    >>> trial.responders, trial.n
    (19, 52)
    >>> [(one.marker, one.positive_responders, one.positive) for one in trial.markers]
    [('PD-1', 5, 9), ('PD-L1', 6, 15)]
    """
    return _ASPS
