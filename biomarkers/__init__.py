"""Did patients respond to PD-1/PD-L1 blockade independently of PD-1 and PD-L1 expression?

The public functions are imported when first used, so ``import biomarkers`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

# public name -> module that holds it
_PUBLIC: dict[str, str] = {
    "CellClassifier": "biomarkers.pheno.classify",
    "CellSettings": "biomarkers.seg.settings",
    "ColumnMap": "biomarkers.cohort.columns",
    "Concordance": "biomarkers.expression",
    "Confirmation": "biomarkers.cohort.best_response",
    "Expression": "biomarkers.expression",
    "Family": "biomarkers.relate.families",
    "Relation": "biomarkers.relate",
    "StainVectors": "biomarkers.pp.vectors",
    "anchor_thresholds": "biomarkers.score",
    "apply_gates": "biomarkers.pheno.gates",
    "asps_atezolizumab": "biomarkers.datasets",
    "assay_table": "biomarkers.score",
    "assess": "biomarkers.cohort.assess",
    "assign_phenotypes": "biomarkers.pheno.phenotype",
    "batch_confounding": "biomarkers.expression",
    "best_responses": "biomarkers.cohort.best_response",
    "biopsy_selection": "biomarkers.cohort.flow",
    "build_cohort": "biomarkers.cohort.join",
    "call_positivity": "biomarkers.score",
    "canonical_marker": "biomarkers.core.panel",
    "clean_channels": "biomarkers.pp.fluorescence",
    "compute_scores": "biomarkers.score",
    "concordance": "biomarkers.expression",
    "count_within": "biomarkers.score.space",
    "dab_evidence": "biomarkers.pp.evidence",
    "derive_responses": "biomarkers.cohort.recist",
    "end_points": "biomarkers.cohort.endpoints",
    "estimate_vectors": "biomarkers.pp.estimate_vectors",
    "estimate_white": "biomarkers.pp.background_light",
    "express": "biomarkers.expression",
    "find_cells": "biomarkers.seg.find",
    "fit_gates": "biomarkers.pheno.gates",
    "flow_of": "biomarkers.cohort.store",
    "immune_responses": "biomarkers.cohort.irecist",
    "import_cells": "biomarkers.io.cell_tables.read",
    "load_assay": "biomarkers.core.config",
    "load_classifier": "biomarkers.pheno.classify",
    "load_panel": "biomarkers.core.panel",
    "load_plan": "biomarkers.relate.plan",
    "measure_change": "biomarkers.change.measure",
    "measure_channels": "biomarkers.seg.channels",
    "merge_runs": "biomarkers.run.merge",
    "nearest_distances": "biomarkers.score.space",
    "normalise_responses": "biomarkers.cohort.response",
    "open_slide": "biomarkers.io.slide",
    "plant_multiplex": "biomarkers.simulate",
    "plot_chain": "biomarkers.plot.change_chain",
    "plot_changes": "biomarkers.plot.change_levels",
    "plot_conversions": "biomarkers.plot.change_chain",
    "plot_flow": "biomarkers.plot.cohort_flow",
    "plot_forest": "biomarkers.plot.relation",
    "plot_landmark": "biomarkers.plot.cohort_survival",
    "plot_levels": "biomarkers.plot.relation",
    "plot_pairs": "biomarkers.plot.change_levels",
    "plot_power": "biomarkers.plot.relation_power",
    "plot_resolution": "biomarkers.plot.relation_resolution",
    "plot_response_rate": "biomarkers.plot.relation",
    "plot_roc": "biomarkers.plot.relation",
    "plot_sensitivity": "biomarkers.plot.relation_sensitivity",
    "plot_spider": "biomarkers.plot.cohort_response",
    "plot_survival": "biomarkers.plot.relation_survival",
    "plot_swimmer": "biomarkers.plot.cohort_response",
    "plot_visits": "biomarkers.plot.cohort_levels",
    "plot_waterfall": "biomarkers.plot.cohort_response",
    "pool_scores": "biomarkers.score",
    "power": "biomarkers.relate.power",
    "cross_functions": "biomarkers.score.cross",
    "proximity_test": "biomarkers.score.space",
    "read_annotations": "biomarkers.io.annotations",
    "read_channels": "biomarkers.io.channels",
    "read_cohort": "biomarkers.cohort.store",
    "read_gates": "biomarkers.pheno.gates",
    "read_labels": "biomarkers.io.label_maps",
    "read_patients": "biomarkers.cohort.patients",
    "read_table": "biomarkers.cohort.tables",
    "read_tile": "biomarkers.io.tile",
    "regate": "biomarkers.score.multiplex_slide",
    "relate": "biomarkers.relate",
    "relate_counts": "biomarkers.relate",
    "render_hdab": "biomarkers.simulate",
    "render_if": "biomarkers.simulate",
    "respond": "biomarkers.cohort.response",
    "response_times": "biomarkers.cohort.endpoints",
    "sample_trial": "biomarkers.datasets",
    "save_change_figures": "biomarkers.plot.change_files",
    "save_relation_figures": "biomarkers.plot.relation_files",
    "scene_truth": "biomarkers.simulate",
    "score_batch": "biomarkers.run.batch",
    "score_multiplex": "biomarkers.score.multiplex_slide",
    "score_slide": "biomarkers.score",
    "score_table": "biomarkers.score",
    "score_whole_slide": "biomarkers.score.whole",
    "screen": "biomarkers.relate.screen",
    "segment_dapi": "biomarkers.seg.dapi",
    "select_cells": "biomarkers.pheno.phenotype",
    "sensitivity": "biomarkers.relate.sensitivity",
    "sensitivity_curve": "biomarkers.score",
    "separate_stains": "biomarkers.pp.separate",
    "simulate_scene": "biomarkers.simulate",
    "simulate_trial": "biomarkers.simulate.trial",
    "slide_info": "biomarkers.io.info",
    "summarise_study": "biomarkers.cohort.summary",
    "sums_from_lesions": "biomarkers.cohort.lesions",
    "survival_by_response": "biomarkers.cohort.endpoints",
    "tissue_mask": "biomarkers.pp.tissue",
    "to_cube": "biomarkers.cohort.cube",
    "train_classifier": "biomarkers.pheno.classify_train",
    "verify_run": "biomarkers.run.verify",
    "within_batch": "biomarkers.expression",
    "write_change_report": "biomarkers.report",
    "write_cohort": "biomarkers.cohort.store",
    "write_cohort_report": "biomarkers.report.cohort",
    "write_cube": "biomarkers.cohort.cube",
    "write_gates": "biomarkers.pheno.gates",
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
