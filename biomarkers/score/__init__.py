"""Cells -> TPS, CPS, IC, H-score, densities: a registry of scores with their metadata."""

from biomarkers.score.anchor import Anchor, anchor_thresholds, read_thresholds, write_anchor
from biomarkers.score.assays import assay_table
from biomarkers.score.compute import category, compute_scores
from biomarkers.score.pool import pool_scores
from biomarkers.score.positivity import call_positivity
from biomarkers.score.registry import SCORES, Score, score_table
from biomarkers.score.sensitivity import sensitivity_curve

__all__ = [
    "SCORES",
    "Anchor",
    "Score",
    "anchor_thresholds",
    "assay_table",
    "call_positivity",
    "category",
    "compute_scores",
    "pool_scores",
    "read_thresholds",
    "score_table",
    "sensitivity_curve",
    "write_anchor",
]
