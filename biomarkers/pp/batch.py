"""What a staining batch shares: one white level and one pair of stain vectors, from samples of all its slides."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.io.slide import open_slide
from biomarkers.pp.background_light import block_pairs, check_background, doubt_about_glass, white_of_samples
from biomarkers.pp.density import White, optical_density
from biomarkers.pp.evidence import evidence_of_colours
from biomarkers.pp.immunostain_check import plausibility
from biomarkers.pp.pilot_fields import sample_patches
from biomarkers.pp.vector_estimate import vectors_of_densities
from biomarkers.pp.vectors import StainReference, StainVectors

_SPREAD_OD = 0.03  # whites of one scanner and lamp lie closer than this
_SAMPLE = 100_000  # pixels a slide: each slide weighs alike


@dataclass(frozen=True)
class SlideStain:
    """One slide of a batch: its own white level, what its colours say of the stains, and why its white is doubted."""

    slide: str
    white: White
    kind: str
    doubt: str | None


@dataclass(frozen=True)
class BatchStain:
    """What a batch may share, what each slide said, and what a reader must know."""

    reference: StainReference
    slides: tuple[SlideStain, ...]
    notes: tuple[str, ...]


def batch_stain(
    paths: Sequence[str | os.PathLike[str]], *, estimate: bool = False, share_white: bool = True
) -> BatchStain:
    """Find the white level and the stain vectors of a batch.

    Parameters
    ----------
    paths
        Images of one staining run, scanned with one lamp.
    estimate
        Estimate the stain vectors on samples of all slides together, each slide weighing alike; Ruifrok's otherwise.
        Where the samples cannot tell them, Ruifrok's stand and a note says why.
    share_white
        Share the median of the slides' white levels. Without it each slide keeps its own.

    Returns
    -------
    The reference, to be written with :func:`biomarkers.pp.write_reference` and given to ``score --stain``.

    Raises
    ------
    UsageError
        No image was given.
    SlideError
        An image cannot be read, is no immunostain, or no slide shows empty glass.

    References
    ----------
    See :func:`biomarkers.pp.vector_estimate`.
    """
    if not paths:
        raise UsageError("no image was given")
    slides, densities = [], []
    for path in paths:
        slide, density = _look_at(Path(path))
        slides.append(slide)
        densities.append(density)
    vectors, notes = _vectors(densities) if estimate else (StainVectors(), [])
    white = None
    if share_white:
        white, said = _shared_white(slides)
        notes += said
    return BatchStain(StainReference(white, vectors), tuple(slides), tuple(notes))


def _look_at(path: Path) -> tuple[SlideStain, NDArray[np.float32]]:
    with open_slide(path) as slide:
        slide.check_usable()
        if slide.channels == ("grey",):
            raise SlideError("the image is grey: stains cannot be told apart without colour", where=path)
        patches = list(sample_patches(slide))
    pairs = np.concatenate([block_pairs(patch) for patch in patches])
    white = white_of_samples(pairs)
    colours = np.concatenate([patch.reshape(-1, 3) for patch in patches])
    colours = colours[:: max(1, colours.shape[0] // _SAMPLE)]
    evidence = evidence_of_colours(colours, white=white)
    refusal = plausibility(patches, white=white, mpp=None).reason if evidence.scorable else evidence.reason
    if refusal:
        raise SlideError(refusal, where=path)
    doubt = check_background(white) or doubt_about_glass(pairs, white)
    return SlideStain(path.stem, white, evidence.kind, doubt), optical_density(colours[None], white=white)[0]


def _vectors(densities: Sequence[NDArray[np.float32]]) -> tuple[StainVectors, list[str]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        vectors = vectors_of_densities(np.concatenate(densities))
    if said:
        return vectors, [str(one.message) for one in said]
    return StainVectors(vectors.hematoxylin, vectors.dab, f"estimated from {len(densities)} slides"), []


def _shared_white(slides: Sequence[SlideStain]) -> tuple[White, list[str]]:
    """Return the median white of the slides that show glass."""
    sure = [slide for slide in slides if slide.doubt is None]
    if not sure:
        message = "no slide of the batch shows empty glass: its white level cannot be told"
        raise SlideError(message, where=slides[0].slide, hint="Add a slide with glass, or keep each slide's own white.")
    levels = np.array([slide.white for slide in sure])
    red, green, blue = (float(level) for level in np.median(levels, axis=0))
    notes = []
    if len(sure) < len(slides):
        notes.append(f"{len(slides) - len(sure)} of {len(slides)} slides show no glass: their white was left out")
    off = np.abs(np.log10(levels / np.array([red, green, blue]))).max(axis=1)
    if off.max() > _SPREAD_OD:
        worst = sure[int(off.argmax())]
        notes.append(
            f"the white of {worst.slide} lies {off.max():.2f} OD from the shared one: not one scanner or lamp? Then let"
            " each slide keep its own"
        )
    return (red, green, blue), notes
