"""Cells -> TPS, CPS, IC, H-score, densities: a registry of scores with their metadata.

Names are imported when first used: the table of scores needs no pixel code.
"""

from biomarkers.core.lazy import lazy_names as _lazy_names

_PUBLIC = {
    "SCORES": "registry",
    "Anchor": "anchor",
    "Score": "registry",
    "SlideScore": "slide_score",
    "anchor_thresholds": "anchor",
    "assay_table": "assays",
    "call_positivity": "positivity",
    "category": "compute",
    "cells_geojson": "outputs",
    "cells_table": "outputs",
    "compute_scores": "compute",
    "overlay_image": "overlay",
    "adaptive_thresholds": "own_cut",
    "pool_scores": "pool",
    "read_thresholds": "anchor",
    "score_slide": "pipeline",
    "score_table": "registry",
    "score_tile": "pipeline",
    "sensitivity_curve": "sensitivity",
    "write_anchor": "anchor",
}
__getattr__, __dir__, __all__ = _lazy_names(
    __name__, {name: f"biomarkers.score.{home}" for name, home in _PUBLIC.items()}
)
