"""Every slot and column name that crosses a room's door, with its unit, in one place.

Names that live and die inside one module are not listed here.
"""

from __future__ import annotations

from typing import Final

# -- tiles: xarray.DataArray, dims (c, y, x) ---
TILE_DIMS: Final = ("c", "y", "x")
MPP: Final = "mpp"  # attrs: micrometres per pixel, a float
MPP_SOURCE: Final = "mpp_source"  # attrs: where the pixel size came from
PADDING_SHARE: Final = "padding_share"  # attrs and slides.csv: share of the image that is padding, 0-1
PROBLEMS: Final = "problems"  # what is odd about the file that a tile was read from, in words
ORIGIN: Final = "origin"  # attrs: (x, y) of the tile's first pixel, in level-0 pixels
DOWNSAMPLE: Final = "downsample"  # attrs of a picture coarser than its image: level-0 pixels on one side of its pixel
RGB_CHANNELS: Final = ("R", "G", "B")
HEMATOXYLIN: Final = "hematoxylin"  # stain channel, optical density (log10)
DAB: Final = "dab"  # stain channel, optical density (log10)
RESIDUAL: Final = "residual"  # stain channel, optical density (log10)

# -- cells: AnnData, obs = cells, var = markers ---
X_UM: Final = "x_um"  # centroid of the nucleus, um from the slide's top left corner
Y_UM: Final = "y_um"
AREA_UM2: Final = "area_um2"  # the whole cell
NUCLEUS_AREA_UM2: Final = "nucleus_area_um2"
CELL_CLASS: Final = "cell_class"
REGION: Final = "region"
TUMOR, LYMPHOCYTE, MACROPHAGE, STROMA, OTHER, UNKNOWN = (
    "tumor",
    "lymphocyte",
    "macrophage",
    "stroma",
    "other",
    "unknown",
)
CELL_CLASSES: Final = (TUMOR, LYMPHOCYTE, MACROPHAGE, STROMA, OTHER, UNKNOWN)
NUCLEUS_MEAN: Final = "nucleus_mean"  # layers, in the unit of X
CYTOPLASM_MEAN: Final = "cytoplasm_mean"
MEMBRANE_MEAN: Final = "membrane_mean"
CELL_MAX: Final = "cell_max"
MEMBRANE_COMPLETENESS: Final = "membrane_completeness"  # layers, share of the outline stained, 0-1
SPATIAL: Final = "spatial"  # obsm, (n, 2) x and y in um


EXCLUDED: Final = "excluded"  # obs, bool: in an Ignore* or Necrosis region, or outside every region to analyse


def od_column(marker: str) -> str:
    """Name of the obs column with the level that was compared with the cuts, in the unit of X."""
    return f"{marker}_od"


def staining_column(marker: str) -> str:
    """Name of the obs column that says what of the cell is stained (:mod:`biomarkers.score.stainings`)."""
    return f"{marker}_staining"


def positive_column(marker: str) -> str:
    """Name of the obs column that says whether a cell is positive for ``marker`` (bool)."""
    return f"{marker}_positive"


def bin_column(marker: str) -> str:
    """Name of the obs column with the intensity bin 0-3 of ``marker`` (int)."""
    return f"{marker}_bin"


# -- scores.csv: tidy rows ---
SCORE_COLUMNS: Final = (
    "slide",
    "region",
    "marker",
    "score",
    "value",
    "unit",
    "ci_low",
    "ci_high",
    "numerator",
    "denominator",
    "status",
    "reason",
)

# -- slides.csv: one row an input ---
OK: Final = "ok"
OK_WITH_WARNINGS: Final = "ok_with_warnings"
FAILED: Final = "failed"
NO_TISSUE: Final = "no_tissue"
NOT_EVALUABLE: Final = "not_evaluable"
SKIPPED_BY_USER: Final = "skipped_by_user"
SLIDE_STATUSES: Final = (OK, OK_WITH_WARNINGS, FAILED, NO_TISSUE, NOT_EVALUABLE, SKIPPED_BY_USER)
SLIDE_COLUMNS: Final = (
    "slide",
    "status",
    "reason",
    "mpp",
    "mpp_source",
    "tissue_mm2",
    "n_cells",
    "n_positive",
    "n_negative",
    "positive_fraction",
)

AREA_CUT_OD: Final = "area_cut_od"  # amount of DAB from which a pixel counts in area scores

# -- cohort: AnnData, obs = samples (a patient at a time point), var = biomarkers ---
PATIENT: Final = "patient"
# what tables call the column of the patient, in small letters with _ for blanks, dots and hyphens
PATIENT_NAMES: Final = (
    PATIENT, "patient_id", "patientid", "patient_no", "patient_number", "subject", "subject_id", "subjid", "usubjid",
    "id",
)  # fmt: skip
TIMEPOINT: Final = "timepoint"
BASELINE: Final = "baseline"
ON_TREATMENT: Final = "on_treatment"
RESPONSE: Final = "response"
CR, PR, SD, PD, NE = "CR", "PR", "SD", "PD", "NE"
RESPONSES: Final = (CR, PR, SD, PD, NE)
CENSORED: Final = "censored"  # layer, bool: the level stands at its lower limit of quantification
FLOW: Final = "flow"  # uns: the REMARK flow table
VAR_COLUMNS: Final = ("marker", "assay", "score", "unit", "scale", "lloq")

# -- levels.csv: tidy rows, one a sample and biomarker ---
SAMPLE: Final = "sample"
LEVEL_COLUMNS: Final = ("sample", "marker", "assay", "score", "value", "unit", "scale", "status", "reason")

# -- relate and change ---
DEPENDENT: Final = "dependent"
DEPENDENT_WITHIN_MARGIN: Final = "dependent_within_margin"
INDEPENDENT_WITHIN_MARGIN: Final = "independent_within_margin"
INCONCLUSIVE: Final = "inconclusive"
NOT_TESTABLE: Final = "not_testable"
VERDICTS: Final = (DEPENDENT, DEPENDENT_WITHIN_MARGIN, INDEPENDENT_WITHIN_MARGIN, INCONCLUSIVE, NOT_TESTABLE)
RELIABILITY_COLUMNS: Final = (
    "reliability",
    "reliability_low",
    "reliability_high",
    "reliability_source",
    "auc_true",
    "auc_true_low90",
    "auc_true_high90",
    "smallest_reliability",
)
VERDICT_COLUMNS: Final = (
    "biomarker",
    "endpoint",
    "n",
    "n_responders",
    "verdict",
    "margin",
    "auc",
    "auc_low95",
    "auc_high95",
    "auc_low90",
    "auc_high90",
    "p_dependence",
    "p_adjusted",
    "p_omnibus",
    "bf01",
    "bf01_ceiling",
    "smallest_margin",
    "largest_effect_excluded",
    "min_detectable_auc",
    "n_needed",
    "responders_in_negative",
    "negatives",
    "reason",
    "p_spread",
    "p_missing",
    "auc_low_missing",
    "auc_high_missing",
    "concordance",
    "concordance_low95",
    "concordance_high95",
    "auc_spread",
    "auc_spread_low90",
    "auc_spread_high90",
    *RELIABILITY_COLUMNS,
)
STATISTIC_COLUMNS: Final = (
    "biomarker",
    "endpoint",
    "method",
    "statistic",
    "value",
    "ci_low",
    "ci_high",
    "p",
    "n",
    "note",
)
