"""Pixels -> stain amounts: background light, tissue, optical density, stain vectors, evidence of DAB."""

from biomarkers.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(
    __name__,
    {
        "BatchStain": "biomarkers.pp.batch",
        "DabEvidence": "biomarkers.pp.evidence",
        "NotImmunostainError": "biomarkers.pp.evidence",
        "Plausibility": "biomarkers.pp.immunostain_check",
        "Quality": "biomarkers.pp.quality",
        "StainReference": "biomarkers.pp.vectors",
        "StainVectors": "biomarkers.pp.vectors",
        "White": "biomarkers.pp.density",
        "angle_deg": "biomarkers.pp.vectors",
        "batch_stain": "biomarkers.pp.batch",
        "clean_channels": "biomarkers.pp.fluorescence",
        "dab_evidence": "biomarkers.pp.evidence",
        "estimate_vectors": "biomarkers.pp.vector_estimate",
        "estimate_white": "biomarkers.pp.background_light",
        "measure_quality": "biomarkers.pp.quality",
        "optical_density": "biomarkers.pp.density",
        "plausibility": "biomarkers.pp.immunostain_check",
        "read_reference": "biomarkers.pp.vectors",
        "separate_stains": "biomarkers.pp.separate",
        "tissue_mask": "biomarkers.pp.tissue",
        "write_reference": "biomarkers.pp.vectors",
    },
)
