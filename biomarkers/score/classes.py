"""How the cells of a slide come by their classes and regions: annotations, a classifier, or an assumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.io.annotations import Annotations
from biomarkers.io.annotations_classes import EXCLUDING
from biomarkers.pheno.annotations_apply import OUTSIDE, apply_annotations, region_masks
from biomarkers.pheno.classify import CellClassifier
from biomarkers.score.tally import CLASS_SOURCE

if TYPE_CHECKING:
    import xarray as xr
    from anndata import AnnData

    from biomarkers.io.tile import PlainTile


ASSUMED_TUMOR = "every cell was assumed to be a tumor cell"


def status_of(said: Sequence[str]) -> str:
    """Status of a slide of which this is said: what was asked for is a note, everything else a warning."""
    return keys.OK if all(one == ASSUMED_TUMOR for one in said) else keys.OK_WITH_WARNINGS


@dataclass(frozen=True)
class Classes:
    """What is known about the cells of a slide beforehand."""

    annotations: Annotations | None = None
    classifier: CellClassifier | None = None
    assume_tumor: bool = False

    @property
    def tissues(self) -> tuple[str, ...]:
        """Annotated tissue classes, sorted."""
        return () if self.annotations is None else tuple(sorted(self.annotations.meanings & set(keys.CELL_CLASSES)))

    def record(self) -> dict[str, Any]:
        """Tell what made the classes, for the run's record."""
        return {
            "annotations": None if self.annotations is None else self.annotations.source,
            "classifier": None if self.classifier is None else self.classifier.content.made_utc,
            "assume_tumor": self.assume_tumor,
        }


def classified(cells: AnnData, *, classes: Classes, mpp: float) -> tuple[AnnData, list[str]]:
    """Give every cell a class (``unknown`` where nothing tells), its region, and whether it is left out.

    A classifier tells classes wherever there is one, and annotations then only say where; annotated tissue tells them
    otherwise; an assumption holds for cells that are still unknown.
    """
    found, notes = cells.copy(), []
    if keys.CELL_CLASS not in found.obs:
        found.obs[keys.CELL_CLASS] = np.full(cells.n_obs, keys.UNKNOWN)
    found.obs[keys.EXCLUDED] = np.zeros(cells.n_obs, dtype=bool)
    found.uns[CLASS_SOURCE] = {"method": "none", "classes": []}
    if classes.classifier is not None:
        classes.classifier.check(mpp=mpp)
        found = classes.classifier.apply(found)
    if classes.annotations is not None:
        found, said = apply_annotations(found, classes.annotations, mpp=mpp, classify=classes.classifier is None)
        notes += said
    if classes.assume_tumor and not classes.tissues:
        found.obs[keys.CELL_CLASS] = np.full(cells.n_obs, keys.TUMOR)
        found.uns[CLASS_SOURCE] = {"method": "assumed", "classes": [keys.TUMOR]}
        notes.append(ASSUMED_TUMOR)
    return found, notes


def analysed_masks(tissue: np.ndarray, *, classes: Classes, tile: xr.DataArray | PlainTile) -> dict[str, np.ndarray]:
    """Where was scored: the whole analysed tissue under ``all``, and each annotated tissue under its name.

    Parameters
    ----------
    tissue
        (height, width) bool, tissue against glass.
    classes
        Whose annotations leave pixels out.
    tile
        The tile on whose grid ``tissue`` stands.
    """
    x, y = tile.attrs[keys.ORIGIN]
    return analysed_at(tissue, classes=classes, origin=(float(x), float(y)), downsample=1.0)


def analysed_at(
    tissue: np.ndarray, *, classes: Classes, origin: tuple[float, float], downsample: float
) -> dict[str, np.ndarray]:
    """Return the masks of :func:`analysed_masks` on a grid at ``origin``, ``downsample`` full-resolution px a pixel."""
    if classes.annotations is None:
        return {"all": tissue}
    masks = region_masks(classes.annotations, shape=tissue.shape, origin=origin, downsample=downsample)
    left_out: list[str] = [name for name in EXCLUDING if name in masks]
    if set(masks) - {*EXCLUDING, OUTSIDE}:
        left_out.append(OUTSIDE)
    analysed = tissue.copy()
    for name in left_out:
        analysed &= ~masks[name]
    return {"all": analysed, **{name: tissue & masks[name] for name in classes.tissues}}
