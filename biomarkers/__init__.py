"""Did patients respond to PD-1/PD-L1 blockade independently of PD-1 and PD-L1 expression?

The public functions are imported when first used, so ``import biomarkers`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

# public name -> module that holds it
_PUBLIC: dict[str, str] = {
    "CellClassifier": "biomarkers.cells.classify",
    "CellSettings": "biomarkers.cells.settings",
    "ColumnMap": "biomarkers.cohort.columns",
    "Confirmation": "biomarkers.cohort.best_response",
    "StainVectors": "biomarkers.stain.vectors",
    "anchor_thresholds": "biomarkers.score",
    "asps_atezolizumab": "biomarkers.datasets",
    "assay_table": "biomarkers.score",
    "assign_phenotypes": "biomarkers.cells.phenotype",
    "best_responses": "biomarkers.cohort.best_response",
    "biopsy_selection": "biomarkers.cohort.flow",
    "build_cohort": "biomarkers.cohort.join",
    "call_positivity": "biomarkers.score",
    "canonical_marker": "biomarkers.panel",
    "compute_scores": "biomarkers.score",
    "count_within": "biomarkers.score.space",
    "dab_evidence": "biomarkers.stain.evidence",
    "derive_responses": "biomarkers.cohort.recist",
    "estimate_white": "biomarkers.stain.white",
    "find_cells": "biomarkers.cells.find",
    "immune_responses": "biomarkers.cohort.irecist",
    "import_cells": "biomarkers.cells.tables.read",
    "load_assay": "biomarkers.config",
    "load_classifier": "biomarkers.cells.classify",
    "load_panel": "biomarkers.panel",
    "merge_runs": "biomarkers.run.merge",
    "nearest_distances": "biomarkers.score.space",
    "normalise_responses": "biomarkers.cohort.response",
    "open_slide": "biomarkers.slide.slide",
    "pool_scores": "biomarkers.score",
    "power": "biomarkers.relate.power",
    "proximity_test": "biomarkers.score.space",
    "read_annotations": "biomarkers.cells.annotations",
    "read_cohort": "biomarkers.cohort.store",
    "read_table": "biomarkers.cohort.tables",
    "read_tile": "biomarkers.slide.tile",
    "relate": "biomarkers.relate",
    "relate_counts": "biomarkers.relate",
    "render_hdab": "biomarkers.simulate",
    "respond": "biomarkers.cohort.response",
    "sample_trial": "biomarkers.datasets",
    "scene_truth": "biomarkers.simulate",
    "score_batch": "biomarkers.run.batch",
    "score_slide": "biomarkers.score",
    "score_table": "biomarkers.score",
    "screen": "biomarkers.relate.screen",
    "select_cells": "biomarkers.cells.phenotype",
    "sensitivity": "biomarkers.relate.sensitivity",
    "sensitivity_curve": "biomarkers.score",
    "separate_stains": "biomarkers.stain.separate",
    "simulate_scene": "biomarkers.simulate",
    "simulate_trial": "biomarkers.simulate.trial",
    "slide_info": "biomarkers.slide.info",
    "sums_from_lesions": "biomarkers.cohort.lesions",
    "tissue_mask": "biomarkers.slide.tissue",
    "train_classifier": "biomarkers.cells.classify_train",
    "verify_run": "biomarkers.run.verify",
    "write_change_report": "biomarkers.report",
    "write_cohort": "biomarkers.cohort.store",
    "write_relation_report": "biomarkers.report",
    "write_review": "biomarkers.report",
    "write_study_report": "biomarkers.report",
}

__all__ = sorted(_PUBLIC)

logging.getLogger("biomarkers").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        msg = f"module 'biomarkers' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
