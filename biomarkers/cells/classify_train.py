"""Labelled cells of several slides -> a classifier with its accuracy on slides it had not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers import keys
from biomarkers.cells.classify import CellClassifier, ClassifierFile, expand
from biomarkers.cells.classify_features import DEFINITION, cell_features
from biomarkers.errors import DataError, UsageError

if TYPE_CHECKING:
    from anndata import AnnData

_MIN_LABELLED = 20  # cells a class
_PENALTY = 0.05  # inverse strength of the L2 penalty
_FOLDS = 5


@dataclass(frozen=True)
class LabelledCells:
    """The cells of one slide and the class an annotator gave each, (n_cells,) text; empty text for no label."""

    slide: str
    cells: AnnData
    labels: np.ndarray


def train_classifier(items: Iterable[LabelledCells], *, penalty: float = _PENALTY) -> CellClassifier:
    """Train a cell classifier and measure it on slides held out in turn.

    Parameters
    ----------
    items
        Labelled cells, one entry a slide.
    penalty
        Inverse strength of the L2 penalty of the logistic regression.

    Returns
    -------
    The classifier, trained on all slides; its ``content.cross_validation`` holds accuracy, the balanced accuracy
    (mean of the classes' recalls), recall by class, the confusion table, and whether slides were held out whole.

    Raises
    ------
    UsageError
        No slides, or one slide twice.
    DataError
        Fewer than two classes, or fewer than 20 labelled cells of one.
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
    groups = np.repeat(np.arange(len(items)), [int(keep.sum()) for keep in labelled])
    centre, spread, weights, offsets, classes = _fit(values, truth, penalty)
    content = ClassifierFile(
        format="biomarkers-cell-classifier",
        version=1,
        feature_definition=DEFINITION,
        features=names,
        classes=tuple(classes),
        centre=_floats(centre),
        spread=_floats(spread),
        weights=tuple(_floats(row) for row in weights),
        offsets=_floats(offsets),
        slides={item.slide: _counts(item.labels) for item in items},
        cross_validation=_cross_validate(values, truth, groups, penalty),
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


def _cross_validate(values: np.ndarray, truth: np.ndarray, groups: np.ndarray, penalty: float) -> dict[str, Any]:
    guess = np.empty(truth.size, dtype=object)
    grouped = len(set(groups.tolist())) > 1
    for train, test in _folds(truth, groups):
        if len(set(truth[train])) < 2:
            raise DataError("one slide holds all labels but those of one class: label every class on several slides")
        centre, spread, weights, offsets, classes = _fit(values[train], truth[train], penalty)
        logits = expand(values[test], centre=centre, spread=spread) @ weights.T + offsets
        guess[test] = np.array(classes, dtype=object)[logits.argmax(axis=1)]
    classes = sorted(set(truth))
    confusion = {
        name: {other: int(((truth == name) & (guess == other)).sum()) for other in classes} for name in classes
    }
    recall = {name: confusion[name][name] / max(1, sum(confusion[name].values())) for name in classes}
    return {
        "accuracy": float((guess == truth).mean()),
        "balanced_accuracy": float(np.mean(list(recall.values()))),
        "recall": recall,
        "confusion": confusion,
        "n_cells": int(truth.size),
        "n_slides": len(set(groups.tolist())),
        "held_out": "whole slides" if grouped else "cells of the one slide (optimistic)",
    }


def _folds(truth: np.ndarray, groups: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold, StratifiedKFold

    n_groups = len(set(groups.tolist()))
    if n_groups > 1:
        return GroupKFold(n_splits=min(_FOLDS, n_groups)).split(truth, truth, groups)
    return StratifiedKFold(n_splits=_FOLDS).split(truth, truth)


def _counts(labels: np.ndarray) -> dict[str, int]:
    found = Counter(str(name) for name in labels if str(name))
    return {name: found[name] for name in sorted(found)}


def _floats(values: np.ndarray) -> tuple[float, ...]:
    # seven digits are more than the fit knows, and keep the file small
    return tuple(float(f"{value:.7g}") for value in values)
