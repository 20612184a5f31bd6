"""Scores and expression levels -> one tidy table of measurements, each with its sample, patient and time point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.cohort.ids import identifiers
from biomarkers.cohort.tables import numeric_column, read_table, require_columns, row_names
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.columns.model import LevelColumn, LevelUnit
from biomarkers.io.columns.units import check_level, unit_of_level

ASSAY, BIOMARKER, SOURCE, NUMERATOR, DENOMINATOR = "assay", "biomarker", "source", "numerator", "denominator"
MEASURED = (
    keys.SAMPLE,
    keys.PATIENT,
    keys.TIMEPOINT,
    "marker",
    ASSAY,
    "score",
    "region",
    "value",
    "unit",
    "scale",
    NUMERATOR,
    DENOMINATOR,
    "status",
    "reason",
    SOURCE,
)
_WHOLE_SLIDE = "all"
_RANGE_OF_UNIT: Mapping[str, LevelUnit] = {"%": "percent", "percent": "percent", "fraction": "fraction",
                                           "cells/mm2": "cells_per_mm2"}  # fmt: skip
_SCALE_OF_UNIT = {"%": "percent", "fraction": "fraction"}
_BAD_SLIDES = (keys.FAILED, keys.NO_TISSUE, keys.NOT_EVALUABLE, keys.SKIPPED_BY_USER)
_IDS = (keys.SAMPLE, "slide", keys.PATIENT, keys.TIMEPOINT)


def read_scores(source: str | Path | pd.DataFrame, slides: pd.DataFrame | None = None) -> pd.DataFrame:
    """Bring what ``biomarkers score`` wrote into measurements.

    Parameters
    ----------
    source
        The folder with ``scores.csv`` and ``slides.csv``, or the scores table.
    slides
        The slides table that belongs to a scores table given in memory; it may name patient, time point and assay.

    Raises
    ------
    UsageError
        The folder holds no scores, or a column is absent.
    DataError
        A cell is no number, or one score of one slide stands twice.
    """
    if isinstance(source, pd.DataFrame):
        name, scores = "scores", source
    else:
        folder = Path(source)
        if not (folder / "scores.csv").is_file():
            raise UsageError("no scores.csv here", where=folder, hint="Give a folder that 'biomarkers score' wrote.")
        name = f"{folder.name}/scores.csv"
        scores = read_table(folder / "scores.csv", text=_IDS)
        slides = read_table(folder / "slides.csv", text=_IDS) if (folder / "slides.csv").is_file() else None
    require_columns(scores, keys.SCORE_COLUMNS, where=name)
    made = pd.DataFrame({keys.SAMPLE: identifiers(scores["slide"], where=f"{name} column 'slide'")})
    for column in ("marker", "score", "region", "unit", "status", "reason"):
        made[column] = _text(scores[column])
    for column in ("value", NUMERATOR, DENOMINATOR):
        made[column] = numeric_column(scores, column, where=name)
    made["scale"] = made["unit"].map(_SCALE_OF_UNIT).fillna("linear")
    for column in (keys.PATIENT, keys.TIMEPOINT, ASSAY):
        made[column] = _text(scores[column]) if column in scores else np.nan
    made[SOURCE] = name
    _check_units(made, scores, name)
    if slides is not None:
        made = _with_slides(made, slides, name)
    return _checked(made, name)


def read_levels(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Bring what ``biomarkers express`` wrote, or any table with its columns, into measurements.

    Raises
    ------
    UsageError
        A column is absent.
    DataError
        A cell is no number, or one level of one sample stands twice.
    """
    name = "levels" if isinstance(source, pd.DataFrame) else Path(source).name
    levels = source if isinstance(source, pd.DataFrame) else read_table(source, text=_IDS)
    require_columns(levels, keys.LEVEL_COLUMNS, where=name)
    made = pd.DataFrame({keys.SAMPLE: identifiers(levels[keys.SAMPLE], where=f"{name} column 'sample'")})
    for column in ("marker", ASSAY, "score", "unit", "scale", "status", "reason"):
        made[column] = _text(levels[column])
    made["value"] = numeric_column(levels, "value", where=name)
    for column in (keys.PATIENT, keys.TIMEPOINT):
        made[column] = _text(levels[column]) if column in levels else np.nan
    _check_units(made, levels, name)
    made["region"] = ""
    made[NUMERATOR] = made[DENOMINATOR] = np.nan
    made[SOURCE] = name
    return _checked(made, name)


def gather(scores: Sequence[str | Path | pd.DataFrame], levels: Sequence[str | Path | pd.DataFrame]) -> pd.DataFrame:
    """All measurements of all sources, one row each; ``biomarker`` names the column each will be.

    A biomarker is called ``marker score``; the assay, then the region, is added only where two would share a name.

    Raises
    ------
    UsageError
        Nothing was given.
    """
    parts = [*(read_scores(source) for source in scores), *(read_levels(source) for source in levels)]
    if not parts:
        raise UsageError("no levels were given", hint="Give folders of scores, tables of levels, or both.")
    rows = pd.concat(parts, ignore_index=True)
    rows = _whole_slides(rows)
    rows[BIOMARKER] = _biomarker_names(rows)
    return rows


def _check_units(made: pd.DataFrame, table: pd.DataFrame, name: str) -> None:
    """Refuse a value outside the range of its unit, or of its score's name where the unit is not said."""
    units = made["unit"].map(lambda unit: _RANGE_OF_UNIT.get(str(unit).strip().casefold()), na_action="ignore")
    scores = made["score"].astype(object)
    for score in scores.dropna().unique():
        here = (scores == score).to_numpy()
        by_name = unit_of_level(str(score))
        for unit in {*units[here].dropna(), *([by_name] if by_name and units[here].isna().all() else [])}:
            mine = here & ((units == unit).to_numpy() | units.isna().to_numpy())
            values = pd.Series(np.where(mine, made["value"].to_numpy(dtype=float), np.nan), index=table.index)
            check_level(values, str(score), LevelColumn(unit=unit), where=name)


def _with_slides(made: pd.DataFrame, slides: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take patient, time point and assay from the slides table, and add a row for each slide without any score."""
    require_columns(slides, ("slide", "status", "reason"), where=f"{name} (slides)")
    table = slides.copy()
    table["slide"] = identifiers(slides["slide"], where="slides.csv column 'slide'")
    if table["slide"].duplicated().any():
        twice = [int(i) for i in np.flatnonzero(table["slide"].duplicated(keep=False).to_numpy())]
        raise DataError("one slide stands twice", where=f"slides.csv {row_names(slides, twice)}")
    table = table.set_index("slide")
    for column in (keys.PATIENT, keys.TIMEPOINT, ASSAY):
        if column in table:
            made[column] = _text(made[keys.SAMPLE].map(table[column]))
    scored, valued = set(made[keys.SAMPLE]), set(made.loc[made["value"].notna(), keys.SAMPLE])
    bad = set(table.index[table["status"].astype(str).isin(_BAD_SLIDES)])
    lost = [slide for slide in table.index if (slide not in scored or slide in bad) and slide not in valued]
    extra = pd.DataFrame(
        {
            keys.SAMPLE: lost,
            "status": [str(table["status"][slide]) for slide in lost],
            "reason": ["" if pd.isna(table["reason"][slide]) else str(table["reason"][slide]) for slide in lost],
        }
    )
    for column in (keys.PATIENT, keys.TIMEPOINT, ASSAY):
        extra[column] = [table[column][slide] for slide in lost] if column in table else np.nan
    extra = extra[~extra[keys.SAMPLE].isin(made[keys.SAMPLE])]
    extra[SOURCE] = name
    return pd.concat([made, extra], ignore_index=True) if len(extra) else made


def _whole_slides(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep a slide's whole-slide rows only, where it has them: its regions are parts of the same tissue."""
    whole = rows["region"].isin([_WHOLE_SLIDE, ""]) | rows["region"].isna()
    key = [keys.SAMPLE, "marker", "score", SOURCE]
    has_whole = whole.groupby([rows[name].astype(object).fillna("") for name in key]).transform("any")
    return rows[whole | ~has_whole].reset_index(drop=True)


def _biomarker_names(rows: pd.DataFrame) -> pd.Series:
    """``marker score``, with the assay behind it where one marker was scored alike by several assays."""
    short = rows["marker"].astype(object).str.cat(rows["score"].astype(object), sep=" ")
    assays = rows[ASSAY].astype(object).where(rows[ASSAY].notna(), "")
    several = assays.where(assays != "", np.nan).groupby(short).transform("nunique") > 1
    named = short.where(~several | (assays == ""), short + " (" + assays.astype(object) + ")")
    return named.astype(object)


def _checked(made: pd.DataFrame, name: str) -> pd.DataFrame:
    made = made.reindex(columns=list(MEASURED))
    key = [keys.SAMPLE, "marker", ASSAY, "score", "region"]
    twice = made[key].astype(object).fillna("").duplicated(keep=False) & made["marker"].notna()
    if twice.any():
        row = made[twice].iloc[0]
        raise DataError(
            "one level of one sample stands twice",
            where=name,
            seen=f"{row[keys.SAMPLE]}: {row['marker']} {row['score']}",
            hint="Give each result once.",
        )
    return made


def _text(values: pd.Series) -> pd.Series:
    """Text cells as objects in any pandas; numbers (a patient called 7) lose their ``.0``."""
    return identifiers_or_missing(values).astype(object)


def identifiers_or_missing(values: pd.Series) -> pd.Series:
    """As :func:`biomarkers.cohort.ids.identifiers`, with missing cells left missing."""
    made = pd.Series(np.nan, index=values.index, name=values.name, dtype=object)
    filled = values.notna()
    made[filled] = identifiers(values[filled], where=str(values.name))
    return made
