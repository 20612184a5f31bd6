"""The column contract: what the columns of a table mean, asked once and held to by every verb that takes a table."""

from biomarkers.io.columns.model import (
    ColumnMap,
    EventColumns,
    LevelColumn,
    VisitColumns,
    load_column_map,
    profile_names,
)

__all__ = ["ColumnMap", "EventColumns", "LevelColumn", "VisitColumns", "load_column_map", "profile_names"]
