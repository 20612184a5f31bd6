"""Labelled cells of several patients -> a classifier with its accuracy on patients it had not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.pheno.classify import CellClassifier, ClassifierFile, expand
from biomarkers.pheno.classify_features import DEFINITION, cell_features

if TYPE_CHECKING:
    from anndata import AnnData

_MIN_LABELLED = 20  # cells a class
_PENALTY = 0.05  # inverse strength of the L2 penalty
_FOLDS = 10  # at most: the more, the nearer each is trained to all that there is
_FEW = 0.1  # share of labels below which a class is named as rare
_ABSENT = -30.0  # logit of a class that a fold's training cells do not hold


@dataclass(frozen=True)
class LabelledCells:
    """The cells of one slide and the class an annotator gave each, (n_cells,) text; empty text for no label.

    ``patient`` is whose slide it is (empty: not known); ``mpp`` (um/px) and ``hematoxylin_vector`` are what the cells
    were measured at and by.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import biomarkers as bm
    >>> cells = ad.AnnData(np.zeros((2, 1)))
    >>> bm.LabelledCells("a", cells, np.array(["tumor", ""]), patient="P1").patient
    'P1'
    """

    slide: str
    cells: AnnData
    labels: np.ndarray
    patient: str = ""
    mpp: float | None = None
    hematoxylin_vector: tuple[float, float, float] | None = None


def train_classifier(
    items: Iterable[LabelledCells], *, penalty: float = _PENALTY, marker: str | None = None
) -> CellClassifier:
    """Train a cell classifier and measure it on patients held out in turn.

    Patients are held out where every slide's is known and there are two or more, slides otherwise: tiles of one patient
    look alike, and a classifier that has seen some of them looks better on the others than on a new patient.
    Probabilities are calibrated by one temperature, fitted to the held-out cells (Guo 2017, ICML 70:1321).

    Parameters
    ----------
    items
        Labelled cells, one entry a slide.
    penalty
        Inverse strength of the L2 penalty of the logistic regression.
    marker
        The stained marker of the slides; kept, so that slides of another are refused.

    Returns
    -------
    The classifier, trained on all slides; its ``content.cross_validation`` holds the balanced accuracy (mean of the
    classes' recalls), recall by class, the confusion table, accuracy, the calibration error, and what was held out.

    Raises
    ------
    UsageError
        No slides, or one slide twice.
    DataError
        Fewer than two classes, or fewer than 20 labelled cells of one.

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
    items = list(items)
    _check(items)
    tables = [cell_features(item.cells) for item in items]
    names = tuple(name for name in tables[0] if all(name in table for table in tables))
    labelled = [item.labels.astype(str) != "" for item in items]
    values = np.vstack(
        [np.column_stack([table[name] for name in names])[keep] for table, keep in zip(tables, labelled, strict=True)]
    )
    truth = np.concatenate([item.labels.astype(str)[keep] for item, keep in zip(items, labelled, strict=True)])
    unit, of_slide = _units(items)
    groups = np.repeat(of_slide, [int(keep.sum()) for keep in labelled])
    centre, spread, weights, offsets, classes = _fit(values, truth, penalty)
    checked, temperature = _cross_validate(values, truth, groups, penalty, unit=unit)
    checked["n_slides"] = len(items)
    sizes = [item.mpp for item in items if item.mpp is not None]
    vectors = [item.hematoxylin_vector for item in items if item.hematoxylin_vector is not None]
    content = ClassifierFile(
        format="biomarkers-cell-classifier",
        version=1,
        feature_definition=DEFINITION,
        features=names,
        classes=tuple(classes),
        centre=_floats(centre),
        spread=_floats(spread),
        weights=tuple(_floats(row / temperature) for row in weights),
        offsets=_floats(offsets / temperature),
        slides={item.slide: _counts(item.labels) for item in items},
        cross_validation=checked,
        mpp=float(np.median(sizes)) if sizes else None,
        hematoxylin_vector=_floats3(np.mean(vectors, axis=0)) if vectors else None,
        marker=marker,
        made_utc=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        made_with=f"biomarkers {metadata.version('biomarkers')}",
    )
    return CellClassifier(content)


def _check(items: list[LabelledCells]) -> None:
    if not items:
        raise UsageError("no labelled slides were given")
    twice = [slide for slide, count in Counter(item.slide for item in items).items() if count > 1]
    if twice:
        raise UsageError("a slide was given twice", seen=twice)
    for item in items:
        if len(item.labels) != item.cells.n_obs:
            raise DataError("as many labels as cells are needed", where=item.slide, seen=len(item.labels))
        unknown = set(item.labels.astype(str)) - {"", *keys.CELL_CLASSES}
        if unknown:
            raise DataError("unknown class", where=item.slide, seen=sorted(unknown), allowed=keys.CELL_CLASSES)
    total: Counter[str] = Counter()
    for item in items:
        total.update(_counts(item.labels))
    if len(total) < 2:
        raise DataError("labels of at least two classes are needed", seen=dict(total))
    few = {name: count for name, count in total.items() if count < _MIN_LABELLED}
    if few:
        raise DataError("too few labelled cells of a class", seen=few, allowed=f"at least {_MIN_LABELLED} of each")


def _fit(
    values: np.ndarray, truth: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    from sklearn.linear_model import LogisticRegression

    centre = np.nanmedian(values, axis=0)
    low, high = np.nanpercentile(values, [15.87, 84.13], axis=0)
    spread = np.maximum((high - low) / 2, 1e-6)
    model = LogisticRegression(C=penalty, max_iter=5000)
    model.fit(expand(values, centre=centre, spread=spread), truth)
    weights, offsets = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # sklearn keeps one row: the odds of the second class
        weights, offsets = np.vstack([np.zeros_like(weights), weights]), np.append(0.0, offsets)
    return centre, spread, weights, offsets, [str(name) for name in model.classes_]


def _units(items: list[LabelledCells]) -> tuple[str, np.ndarray]:
    """Say what is held out, patients or slides, and number it by slide."""
    patients = [item.patient.strip() for item in items]
    if all(patients) and len(set(patients)) > 1:
        return "patients", np.unique(patients, return_inverse=True)[1].ravel()
    return ("slides of one patient" if all(patients) and len(items) > 1 else "slides"), np.arange(len(items))


def _cross_validate(
    values: np.ndarray, truth: np.ndarray, groups: np.ndarray, penalty: float, *, unit: str
) -> tuple[dict[str, Any], float]:
    """Hold out groups in turn; returns what was found, and the temperature that calibrates the logits."""
    classes = sorted(set(truth))
    n_groups = len(set(groups.tolist()))
    logits = np.full((truth.size, len(classes)), _ABSENT)
    for train, test in _folds(truth, groups):
        if len(set(truth[train])) < 2:
            raise DataError(f"one of the {unit} holds all labels but those of one class: label every class on several")
        centre, spread, weights, offsets, known = _fit(values[train], truth[train], penalty)
        columns = np.searchsorted(classes, known)
        found = expand(values[test], centre=centre, spread=spread) @ weights.T + offsets
        logits[np.ix_(test, columns)] = found - found.max(axis=1, keepdims=True)
    guess = np.array(classes)[logits.argmax(axis=1)]
    confusion = {
        name: {other: int(((truth == name) & (guess == other)).sum()) for other in classes} for name in classes
    }
    count = {name: sum(confusion[name].values()) for name in classes}
    recall = {name: confusion[name][name] / max(1, count[name]) for name in classes}
    own = np.searchsorted(classes, truth)
    temperature = _temperature(logits, own)
    held_out = f"whole {unit}" if n_groups > 1 else "cells of the one slide (optimistic)"
    caution = ""
    if unit == "slides" and n_groups > 1:
        caution = "whose slides they are is not known: optimistic where several are of one patient"
    elif unit == "slides of one patient":
        caution = "all are of one patient: how well it does on others is not known"
    return {
        "balanced_accuracy": float(np.mean(list(recall.values()))),
        "accuracy": float((guess == truth).mean()),
        "recall": recall,
        "confusion": confusion,
        "rare": [name for name in classes if count[name] < _FEW * truth.size],
        "calibration_error": _calibration_error(logits / temperature, own),
        "temperature": temperature,
        "n_cells": int(truth.size),
        "n_groups": n_groups,
        "grouped_by": unit,
        "held_out": held_out,
        "caution": caution,
    }, temperature


def _folds(truth: np.ndarray, groups: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold, StratifiedKFold

    n_groups = len(set(groups.tolist()))
    if n_groups > 1:
        return GroupKFold(n_splits=min(_FOLDS, n_groups)).split(truth, truth, groups)
    return StratifiedKFold(n_splits=5).split(truth, truth)


def _probability(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return found


def _temperature(logits: np.ndarray, own: np.ndarray) -> float:
    """Find what logits are divided by so that held-out cells are as likely as they can be."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        chance = _probability(logits / np.exp(log_temperature))[np.arange(own.size), own]
        return float(-np.log(np.maximum(chance, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(20)), method="bounded").x))


def _calibration_error(logits: np.ndarray, own: np.ndarray, *, bins: int = 10) -> float:
    """Mean gap between how sure and how often right, over ten bins of sureness, weighted by their cells."""
    probability = _probability(logits)
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == own
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(sure[place == one].mean() - right[place == one].mean()) * (place == one).mean() for one in set(place)]
    return float(sum(gaps))


def _counts(labels: np.ndarray) -> dict[str, int]:
    found = Counter(str(name) for name in labels if str(name))
    return {name: found[name] for name in sorted(found)}


def _floats(values: np.ndarray) -> tuple[float, ...]:
    # seven digits are more than the fit knows, and keep the file small
    return tuple(float(f"{value:.7g}") for value in values)


def _floats3(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = _floats(values)
    return x, y, z
