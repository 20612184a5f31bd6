"""Small tables for the tests of this room."""

from __future__ import annotations

import pandas as pd

from biomarkers.core import keys


def score_rows(
    *rows: tuple[str, float | None, float, float], marker: str = "PD-L1", score: str = "tps"
) -> pd.DataFrame:
    """Rows of (slide, value, numerator, denominator)."""
    return pd.DataFrame(
        [
            {
                "slide": slide,
                "region": "all",
                "marker": marker,
                "score": score,
                "value": value,
                "unit": "%",
                "numerator": numerator,
                "denominator": denominator,
                "status": keys.OK if value is not None else keys.NOT_EVALUABLE,
                "reason": "" if value is not None else "too few tumor cells",
            }
            for slide, value, numerator, denominator in rows
        ],
        columns=list(keys.SCORE_COLUMNS),
    )


def level_rows(
    values: dict[tuple[str, str], float], *, marker: str = "CD274", unit: str = "log2(CPM+1)"
) -> pd.DataFrame:
    """Levels of (patient, time point) -> value."""
    return pd.DataFrame(
        [
            {
                "sample": f"{patient}-{point}",
                "marker": marker,
                "assay": "rna",
                "score": "log2_cpm",
                "value": value,
                "unit": unit,
                "scale": "log2",
                "status": keys.OK,
                "reason": "",
                "patient": patient,
                "timepoint": point,
            }
            for (patient, point), value in values.items()
        ]
    )


def clinical_rows(**responses: str) -> pd.DataFrame:
    """One row a patient."""
    return pd.DataFrame({"patient": list(responses), "response": list(responses.values())})
