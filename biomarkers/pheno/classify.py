"""A cell classifier: trained on labelled cells, kept as plain numbers in JSON, applied without scikit-learn."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from biomarkers.core import keys
from biomarkers.core.config import Settings
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import write_text
from biomarkers.pheno.classify_features import DEFINITION, cell_features

if TYPE_CHECKING:
    from anndata import AnnData

PROBABILITY = "cell_class_probability"  # obs: how sure the classifier is of the class it gave
_SAME_SIZE, _SAME_ANGLE = 1.25, 10.0  # times the pixel size, degrees between stain vectors
_CLIP = 4.0  # spreads from the centre: further out a feature says no more
_NOT_JSON = (b"\x80", b"PK", b"\x1f\x8b", b"\x89HDF")  # pickle, zip (npz, skops), gzip, HDF5
_MAX_BYTES = 50_000_000


class ClassifierFile(Settings):
    """What stands in a classifier file: no code, only names and numbers.

    The model is a multinomial logistic regression on features that were centred, scaled and clipped, and on their
    squares and products: ``weights`` has a row a class, over the features and then the products in row-major order.
    """

    format: Literal["biomarkers-cell-classifier"]
    version: Literal[1]
    feature_definition: int
    features: tuple[str, ...]
    classes: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    offsets: tuple[float, ...]
    slides: dict[str, dict[str, int]] = Field(description="labelled cells by slide and class")
    cross_validation: dict[str, Any]
    made_utc: str
    made_with: str
    note: str = "Research use only."
    mpp: float | None = None
    hematoxylin_vector: tuple[float, float, float] | None = None
    marker: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        k, n_classes = len(self.features), len(self.classes)
        width = k + k * (k + 1) // 2
        unknown = set(self.classes) - set(keys.CELL_CLASSES)
        numbers = [*self.centre, *self.spread, *self.offsets, *(value for row in self.weights for value in row)]
        problem = ""
        if unknown or n_classes < 2 or len(set(self.classes)) != n_classes:
            problem = f"classes {sorted(self.classes)} are not two or more of {list(keys.CELL_CLASSES)}"
        elif len(self.centre) != k or len(self.spread) != k:
            problem = "centre and spread must have one number a feature"
        elif len(self.offsets) != n_classes or [len(row) for row in self.weights] != [width] * n_classes:
            problem = f"weights must be {n_classes} rows of {width}"
        elif not all(math.isfinite(value) for value in numbers) or min(self.spread, default=1) <= 0:
            problem = "numbers must be finite and spreads above 0"
        if problem:
            raise ValueError(problem)
        return self


@dataclass(frozen=True)
class CellClassifier:
    """A trained classifier; :func:`load_classifier` reads one, :func:`train_classifier` makes one.

    Examples
    --------
    >>> import biomarkers as bm
    >>> items = []
    >>> for image, labels in bm.sample_trial().training[:2]:
    ...     tile = bm.read_tile(image)
    ...     cells = bm.find_cells(tile, white=bm.estimate_white(tile)).cells
    ...     marked = bm.tl.cell_labels(cells, bm.read_annotations(labels), mpp=float(tile.attrs["mpp"]))
    ...     items.append(bm.LabelledCells(image.name, cells, marked))
    >>> classifier = bm.train_classifier(items)
    >>> sorted(classifier.content.classes)
    ['lymphocyte', 'macrophage', 'stroma', 'tumor']
    """

    content: ClassifierFile

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it can give."""
        return self.content.classes

    @property
    def accuracy(self) -> float:
        """Share of labelled cells it got right in patients, or slides, it had not seen."""
        return float(self.content.cross_validation["accuracy"])

    def probabilities(self, cells: AnnData) -> np.ndarray:
        """Return the probability of every class for every cell, (n_cells, n_classes).

        Raises
        ------
        DataError
            The cells were not measured for a feature it was trained on.
        """
        found = cell_features(cells)
        missing = [name for name in self.content.features if name not in found]
        if missing:
            raise DataError(
                "the classifier was trained on other features",
                seen=missing,
                allowed=list(found),
                hint="Train it again on cells measured by this version.",
            )
        values = np.column_stack([found[name] for name in self.content.features])
        terms = expand(values, centre=np.array(self.content.centre), spread=np.array(self.content.spread))
        logits = terms @ np.array(self.content.weights).T + np.array(self.content.offsets)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def check(
        self,
        *,
        mpp: float | None = None,
        hematoxylin_vector: tuple[float, float, float] | None = None,
        marker: str | None = None,
    ) -> None:
        """Refuse slides that are not like those it was trained on; what either does not know is not compared.

        Raises
        ------
        DataError
            The pixel size (um/px) differs by more than a quarter, the stain vector by more than 10 degrees, or it is
            another marker.
        """
        own = self.content
        hint = "Train on tiles that were imaged and stained as these slides are."
        if own.mpp is not None and mpp is not None and not 1 / _SAME_SIZE <= mpp / own.mpp <= _SAME_SIZE:
            allowed = f"{own.mpp / _SAME_SIZE:.3g} to {own.mpp * _SAME_SIZE:.3g} um/px"
            raise DataError(
                "the classifier was trained at another pixel size", seen=f"{mpp:.4g} um/px", allowed=allowed, hint=hint
            )
        if own.hematoxylin_vector is not None and hematoxylin_vector is not None:
            from biomarkers.pp.vectors import angle_deg

            apart = angle_deg(own.hematoxylin_vector, hematoxylin_vector)
            if apart > _SAME_ANGLE:
                what = "the classifier was trained on another stain: the hematoxylin vectors differ"
                raise DataError(what, seen=f"{apart:.0f} degrees", allowed=f"up to {_SAME_ANGLE:g}", hint=hint)
        if own.marker is not None and marker is not None and own.marker != marker:
            raise DataError(
                "the classifier was trained on slides of another marker", seen=marker, allowed=own.marker, hint=hint
            )

    def apply(self, cells: AnnData) -> AnnData:
        """Return a copy of ``cells`` (of one slide) with ``cell_class`` and its probability in ``obs``."""
        found = cells.copy()
        if cells.n_obs:
            probability = self.probabilities(cells)
            found.obs[keys.CELL_CLASS] = np.array(self.classes, dtype=object)[probability.argmax(axis=1)].astype(str)
            found.obs[PROBABILITY] = probability.max(axis=1)
        else:
            found.obs[keys.CELL_CLASS] = np.array([], dtype=str)
            found.obs[PROBABILITY] = np.array([], dtype=float)
        found.uns["class_source"] = {"method": "classifier", "classes": list(self.classes)}
        return found

    def save(self, path: str | Path) -> None:
        """Write it as JSON, complete or not at all."""
        write_text(Path(path), json.dumps(self.content.model_dump(mode="json"), indent=1) + "\n")


def load_classifier(path: str | Path) -> CellClassifier:
    """Read a classifier; nothing in the file is ever run.

    Raises
    ------
    UsageError
        There is no such file; it is a pickle or another binary; it is not JSON, not a classifier, of another
        version, or its numbers do not fit together.

    Examples
    --------
    >>> import biomarkers as bm
    >>> items = []
    >>> for image, labels in bm.sample_trial().training[:2]:
    ...     tile = bm.read_tile(image)
    ...     cells = bm.find_cells(tile, white=bm.estimate_white(tile)).cells
    ...     marked = bm.tl.cell_labels(cells, bm.read_annotations(labels), mpp=float(tile.attrs["mpp"]))
    ...     items.append(bm.LabelledCells(image.name, cells, marked))
    >>> classifier = bm.train_classifier(items)
    >>> saved = classifier.save("classifier.json")
    >>> bm.load_classifier("classifier.json").classes == classifier.classes
    True
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError("no such classifier file", where=path)
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError(
            "too large for a classifier file", where=path.name, seen=path.stat().st_size, allowed=_MAX_BYTES
        )
    raw = path.read_bytes()
    if raw.startswith(_NOT_JSON):
        raise UsageError(
            "a pickle or other binary file is refused: it could run code",
            where=path.name,
            hint="Train with 'biomarkers train'; it writes JSON.",
        )
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=path.name) from error
    if not isinstance(values, dict) or values.get("format") != "biomarkers-cell-classifier":
        raise UsageError("not a classifier file", where=path.name, hint="Train one with 'biomarkers train'.")
    for key, known in (("version", 1), ("feature_definition", DEFINITION)):
        if values.get(key) != known:
            raise UsageError(
                f"a classifier of another version ({key})",
                where=path.name,
                seen=values.get(key),
                allowed=known,
                hint="Train it again with this version of biomarkers.",
            )
    try:
        return CellClassifier(ClassifierFile.model_validate(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "content"
        raise UsageError(f"a damaged classifier file: {key}: {first['msg']}", where=path.name) from error


def expand(values: np.ndarray, *, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Centre, scale and clip features and add all squares and products, (n, k) -> (n, k + k (k + 1) / 2).

    A missing feature counts as the centre: it says nothing.
    """
    z = np.clip(np.nan_to_num((values - centre) / spread, nan=0.0), -_CLIP, _CLIP)
    rows, columns = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, rows] * z[:, columns]])
