"""Agreement of found nuclei with annotated ones: recall, duplicates, F1 at IoU 0.5, positivity."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import Labels, flood
from biomarkers.seg.moments import centroids

_IOU = 0.5
_MATCH_IOU = 0.25
_LEAST_ON_TRUTH = 0.2
_COLOUR = 128
_LEAST_PX = 15


@dataclass(frozen=True)
class Truth:
    """Annotated nuclei: labels 1..n, and whether each is positive."""

    labels: Labels
    positive: NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """How found nuclei agree with annotated ones.

    Attributes
    ----------
    recall
        Share of annotated nuclei in which the centroid of at least one found nucleus lies.
    duplicates
        Further found centroids in annotated nuclei, per annotated nucleus.
    f1, recall_iou, precision_iou
        At an intersection over union of at least 0.5. Where not everything is annotated, found nuclei that lie less
        than a fifth on annotated ones count neither for nor against.
    agreement
        Share of matched nuclei (best IoU at least 0.25) whose positivity is the annotated one.
    found_positive, true_positive
        Positive fractions of the matched nuclei.
    """

    n_truth: int
    n_found: int
    n_matched: int
    recall: float
    duplicates: float
    f1: float
    recall_iou: float
    precision_iou: float
    agreement: float
    found_positive: float
    true_positive: float


def compare(
    found: Labels,
    truth: Labels,
    *,
    called: NDArray[np.bool_] | None = None,
    positive: NDArray[np.bool_] | None = None,
    all_annotated: bool = False,
) -> Agreement:
    """Compare found with annotated nuclei.

    Parameters
    ----------
    found, truth
        int32 labels (height, width), 1..n each.
    called, positive
        Positivity of the found and of the annotated nuclei.
    all_annotated
        The annotation is complete: every other detection is false.
    """
    n_found, n_truth = int(found.max()), int(truth.max())
    pairs = truth.ravel().astype(np.int64) * (n_found + 1) + found.ravel()
    shared = np.bincount(pairs, minlength=(n_truth + 1) * (n_found + 1)).reshape(n_truth + 1, n_found + 1)
    sizes_truth, sizes_found = shared.sum(axis=1), shared.sum(axis=0)
    both = shared[1:, 1:]
    iou = both / np.maximum(sizes_truth[1:, None] + sizes_found[None, 1:] - both, 1)
    hits = _hits(found, truth, n_found, n_truth)
    true = int((iou >= _IOU).any(axis=1).sum())
    counted = np.ones(n_found, bool) if all_annotated else both.sum(axis=0) >= _LEAST_ON_TRUTH * sizes_found[1:]
    false = int((counted & ~(iou >= _IOU).any(axis=0)).sum()) if n_truth else int(counted.sum())
    best = iou.argmax(axis=1) if n_found and n_truth else np.zeros(n_truth, int)
    matched = iou.max(axis=1, initial=0.0) >= _MATCH_IOU
    agree, there, true_share = _positivity(called, positive, best, matched)
    return Agreement(
        n_truth=n_truth,
        n_found=n_found,
        n_matched=int(matched.sum()),
        recall=float((hits > 0).mean()) if n_truth else float("nan"),
        duplicates=float(np.maximum(hits - 1, 0).sum() / max(n_truth, 1)),
        f1=2 * true / max(true + false + n_truth, 1),
        recall_iou=true / max(n_truth, 1),
        precision_iou=true / max(true + false, 1),
        agreement=agree,
        found_positive=there,
        true_positive=true_share,
    )


def read_truth(path: str | os.PathLike[str], *, shift_up_px: int = 0) -> Truth:
    """Read an annotation picture: red interior = positive, blue = negative, green = outline, black = background.

    Parameters
    ----------
    path
        PNG file.
    shift_up_px
        How far the annotation lies below its picture.
    """
    from PIL import Image
    from scipy import ndimage

    colours = np.asarray(Image.open(Path(path)).convert("RGB")) > _COLOUR
    if shift_up_px:
        colours = np.concatenate([colours[shift_up_px:], np.zeros_like(colours[:shift_up_px])])
    red, green, blue = np.moveaxis(colours, 2, 0)
    inside = (red ^ blue) & ~green
    labels, count = ndimage.label(inside)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= _LEAST_PX
    keep[0] = False
    numbers = (np.cumsum(keep) * keep).astype(np.int32)
    seeds = numbers[labels]
    share = np.bincount(seeds.ravel(), weights=red.ravel(), minlength=int(keep.sum()) + 1)
    positive = share[1:] > np.bincount(seeds.ravel(), minlength=int(keep.sum()) + 1)[1:] / 2
    whole = flood(seeds, height=np.zeros(seeds.shape, np.int32), mask=inside | green)
    return Truth(whole, positive)


def _hits(found: Labels, truth: Labels, n_found: int, n_truth: int) -> NDArray[np.int64]:
    """Count the found centroids in each annotated nucleus."""
    middle = np.floor(centroids(found, n_found) + 0.5).astype(int)
    rows = middle[:, 1].clip(0, truth.shape[0] - 1)
    columns = middle[:, 0].clip(0, truth.shape[1] - 1)
    return np.bincount(truth[rows, columns], minlength=n_truth + 1)[1:]


def _positivity(
    called: NDArray[np.bool_] | None,
    positive: NDArray[np.bool_] | None,
    best: NDArray[np.intp],
    matched: NDArray[np.bool_],
) -> tuple[float, float, float]:
    if called is None or positive is None or not matched.any():
        return float("nan"), float("nan"), float("nan")
    ours, theirs = called[best[matched]], positive[matched]
    return float((ours == theirs).mean()), float(ours.mean()), float(theirs.mean())
