"""Pixels -> stain amounts: white level, optical density, stain vectors, evidence of DAB."""

from biomarkers.stain.batch import BatchStain, batch_stain
from biomarkers.stain.density import White, optical_density
from biomarkers.stain.estimate import estimate_vectors
from biomarkers.stain.evidence import DabEvidence, NotImmunostainError, dab_evidence
from biomarkers.stain.plausibility import Plausibility, plausibility
from biomarkers.stain.quality import Quality, measure_quality
from biomarkers.stain.separate import separate_stains
from biomarkers.stain.vectors import StainReference, StainVectors, read_reference, write_reference
from biomarkers.stain.white import estimate_white

__all__ = [
    "BatchStain",
    "DabEvidence",
    "NotImmunostainError",
    "Plausibility",
    "Quality",
    "StainReference",
    "StainVectors",
    "White",
    "batch_stain",
    "dab_evidence",
    "estimate_vectors",
    "estimate_white",
    "measure_quality",
    "optical_density",
    "plausibility",
    "read_reference",
    "separate_stains",
    "write_reference",
]
