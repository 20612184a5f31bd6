"""What a user may give to score an image, checked and read."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from biomarkers.core.config import Assay, Thresholds, load_assay
from biomarkers.core.errors import UsageError
from biomarkers.io.annotations import Annotations, read_annotations
from biomarkers.io.annotations_classes import read_class_map
from biomarkers.pheno.classify import CellClassifier, load_classifier
from biomarkers.score.anchor import read_thresholds
from biomarkers.score.classes import Classes
from biomarkers.seg.settings import CellSettings

if TYPE_CHECKING:
    from biomarkers.pp import StainVectors

White = tuple[float, float, float]
_File = str | os.PathLike[str]


@dataclass(frozen=True)
class Setup:
    """Assay, marker, cuts, what tells classes, and what is known of the stain (None: found on the slide)."""

    assay: Assay
    marker: str
    thresholds: Thresholds
    classes: Classes
    white: White | None
    vectors: StainVectors | None


def read_setup(
    *,
    assay: Assay | str,
    annotations: Annotations | _File | None = None,
    class_map: Mapping[str, str] | _File | None = None,
    classifier: CellClassifier | _File | None = None,
    assume_tumor: bool = False,
    white: White | None = None,
    vectors: StainVectors | None = None,
    stain: _File | None = None,
    thresholds: Thresholds | _File | None = None,
    marker: str | None = None,
) -> Setup:
    """Read what stands in files; see :func:`biomarkers.score.score_slide`.

    Raises
    ------
    UsageError
        Settings contradict each other, or a file is not what it should be.
    """
    assay = assay if isinstance(assay, Assay) else load_assay(assay)
    if assay.kind != "brightfield":
        raise UsageError("not a brightfield assay", seen=assay.name)
    if classifier is not None and assume_tumor:
        raise UsageError("a classifier and 'assume tumor' contradict each other", hint="Give one of them.")
    if stain is not None and (white is not None or vectors is not None):
        raise UsageError("white or vectors were given twice: once by the stain file", where=stain)
    classes = Classes(
        annotations=_read(annotations, functools.partial(read_annotations, classes=_read(class_map, read_class_map))),
        classifier=_read(classifier, load_classifier),
        assume_tumor=assume_tumor,
    )
    if stain is not None:
        from biomarkers.pp import read_reference

        shared = read_reference(Path(stain))
        white, vectors = shared.white, shared.vectors
    wanted = assay.marker if marker is None else marker
    cuts = _read(
        thresholds, lambda path: read_thresholds(path, assay=assay, marker=wanted, dab_vector=_vectors(vectors).dab)
    )
    if classes.classifier is not None:
        classes.classifier.check(marker=wanted, hematoxylin_vector=_vectors(vectors).hematoxylin)
    return Setup(
        assay=assay,
        marker=wanted,
        thresholds=assay.thresholds if cuts is None else cuts,
        classes=classes,
        white=white,
        vectors=vectors,
    )


def _vectors(given: StainVectors | None) -> StainVectors:
    """Return the vectors that slides are scored by."""
    from biomarkers.pp import StainVectors

    return StainVectors() if given is None else given


def _read(given: Any, reader: Any) -> Any:
    """Read a file; what was read already passes."""
    return reader(Path(given)) if isinstance(given, str | os.PathLike) else given


def cell_settings(assay: Assay, thresholds: Thresholds) -> CellSettings:
    """How cells of an assay are found; its stain was checked before.

    Nuclear markers make nuclei dark, so density finds them; where membranes or cytoplasm are stained hue does. A
    stretch of outline is stained where it would be called 1+.
    """
    by: Literal["density", "hue"] = "density" if assay.compartment == "nucleus" else "hue"
    return CellSettings(check_stain=False, membrane_od=thresholds.dab_od[0], nuclei_by=by)
