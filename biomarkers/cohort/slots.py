"""Names of what a cohort keeps in ``uns``, and the columns of its flow."""

from __future__ import annotations

from typing import Final

from biomarkers.core import keys

NOTES, PATIENTS, UNMATCHED, NOT_EVALUABLE, SOURCES = "notes", "patients", "unmatched", "not_evaluable", "sources"
VISITS, BEST, CONTRADICTIONS, CONFIRM_DAYS = "visits", "best_responses", "contradictions", "confirm_days"
MISSING: Final = "missing"  # in the flow: a patient whose response is not known
FLOW_COLUMNS: Final = ("step", "of", "n", *keys.RESPONSES, MISSING, "left_out", "reason")
