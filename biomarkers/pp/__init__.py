"""Pixels -> stain amounts: white level, optical density, stain vectors, evidence of DAB."""

from biomarkers.pp.background_light import estimate_white
from biomarkers.pp.batch import BatchStain, batch_stain
from biomarkers.pp.estimate_vectors import estimate_vectors
from biomarkers.pp.evidence import DabEvidence, NotImmunostainError, dab_evidence
from biomarkers.pp.optical_density import White, optical_density
from biomarkers.pp.plausibility import Plausibility, plausibility
from biomarkers.pp.quality import Quality, measure_quality
from biomarkers.pp.separate import separate_stains
from biomarkers.pp.vectors import StainReference, StainVectors, read_reference, write_reference

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
