"""Lesion measurements -> sums of diameters a visit, with the rules of target selection checked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biomarkers.cohort.ids import identifiers
from biomarkers.cohort.recist import yes_no
from biomarkers.cohort.tables import numeric_column, require_columns, row_names
from biomarkers.core.errors import DataError
from biomarkers.core.keys import PATIENT

MAX_TARGETS, MAX_PER_ORGAN = 5, 2
MIN_LESION_MM, MIN_NODE_MM, NORMAL_NODE_MM = 10.0, 15.0, 10.0


def sums_from_lesions(
    lesions: pd.DataFrame,
    *,
    patient: str = PATIENT,
    day: str = "day",
    lesion: str = "lesion",
    organ: str = "organ",
    diameter_mm: str = "diameter_mm",
    node: str | None = "node",
    where: str = "lesions",
) -> pd.DataFrame:
    """Sum the diameters of target lesions at every visit.

    Parameters
    ----------
    lesions
        One row a target lesion and visit: longest diameter, or short axis for a lymph node, in mm. The lesions of
        the last visit at or before day 1 are the patient's targets. An empty diameter, or no row, means that the
        lesion was not measured at that visit; a lesion that has gone is 0.
    patient, day, lesion, organ, diameter_mm, node
        Its columns; ``node`` says whether a lesion is a lymph node (None: none is).
    where
        The table's name for messages.

    Returns
    -------
    One row a patient and visit: ``patient, day, sum_mm`` (of what was measured), ``n_targets``, ``n_measured``,
    ``all_targets`` and ``targets_gone`` (every other target 0 and every node below 10 mm), as
    :func:`biomarkers.cohort.recist.derive_responses` takes them.

    Raises
    ------
    UsageError
        A column is absent.
    DataError
        More than 5 targets, more than 2 in an organ, a target below 10 mm (node: 15 mm) at baseline, a lesion twice
        at a visit, a lesion that was no target at baseline, a negative diameter; rows are named.

    References
    ----------
    Eisenhauer EA et al. Eur J Cancer 2009;45:228-247, sections 3-4.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> lesions = pd.DataFrame(
    ...     {
    ...         "patient": "P1",
    ...         "day": [0, 0, 56, 56],
    ...         "lesion": ["1", "2", "1", "2"],
    ...         "organ": ["lung", "liver"] * 2,
    ...         "diameter_mm": [30.0, 20.0, 15.0, 10.0],
    ...     }
    ... )
    >>> bm.sums_from_lesions(lesions)[["day", "sum_mm"]].to_numpy().tolist()
    [[0.0, 50.0], [56.0, 25.0]]
    """
    needed = [patient, day, lesion, organ, diameter_mm]
    node = node if node is None or node in lesions or node != "node" else None
    require_columns(lesions, [*needed, *([] if node is None else [node])], where=where)
    table = pd.DataFrame(
        {
            PATIENT: identifiers(lesions[patient], where=f"{where} column {patient!r}"),
            "day": numeric_column(lesions, day, where=where),
            "lesion": lesions[lesion].map(str),
            "organ": lesions[organ].map(lambda word: str(word).strip().casefold()),
            "mm": numeric_column(lesions, diameter_mm, where=where),
            "node": yes_no(lesions, node, default=False, where=where),
        },
        index=lesions.index,
    )
    _refuse(lesions, table["day"].isna(), "a measurement without a day", where)
    _refuse(lesions, table["mm"] < 0, "a negative diameter", where)
    _refuse(
        lesions, table.duplicated([PATIENT, "day", "lesion"], keep=False), "a lesion measured twice at a visit", where
    )
    before = table[table["day"] <= 1]
    last = before.groupby(PATIENT)["day"].transform("max")
    baseline = before[(before["day"] == last) & before["mm"].notna()]
    without = set(table[PATIENT]) - set(baseline[PATIENT])
    _refuse(lesions, table[PATIENT].isin(without), "a patient without a target lesion at or before day 1", where)
    _check_targets(lesions, table, baseline, where)
    return _visits(table, baseline)


def _check_targets(lesions: pd.DataFrame, table: pd.DataFrame, baseline: pd.DataFrame, where: str) -> None:
    least = np.where(baseline["node"], MIN_NODE_MM, MIN_LESION_MM)
    small = table.index.isin(baseline.index[baseline["mm"].to_numpy() < least])
    what = f"a target below {MIN_LESION_MM:g} mm (lymph node: {MIN_NODE_MM:g} mm); in cm? size_unit = 'cm' in [visits]"
    _refuse(lesions, pd.Series(small), what, where)
    for column, most, what in (
        (None, MAX_TARGETS, f"more than {MAX_TARGETS} target lesions at baseline"),
        ("organ", MAX_PER_ORGAN, f"more than {MAX_PER_ORGAN} target lesions in one organ"),
    ):
        group = [PATIENT] if column is None else [PATIENT, column]
        size = baseline.groupby(group)["mm"].transform("size")
        _refuse(lesions, pd.Series(table.index.isin(baseline.index[size > most])), what, where)
    known = set(zip(baseline[PATIENT], baseline["lesion"], strict=True))
    pairs = zip(table[PATIENT], table["lesion"], strict=True)
    stranger = pd.Series([pair not in known for pair in pairs]) & (table["day"] > 1).to_numpy()
    _refuse(lesions, stranger, "a lesion that was not measured at baseline (is it a new lesion?)", where)


def _visits(table: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """Sum every patient's visits from the baseline on; patients in the order of the table."""
    key = [PATIENT, "day"]
    start = table[PATIENT].map(baseline.groupby(PATIENT)["day"].first())
    since = table[table["day"] >= start]
    # measurements of targets only, each with what it was at baseline
    targets = baseline[[PATIENT, "lesion", "node"]].rename(columns={"node": "is_node"})
    mine = since.merge(targets, on=[PATIENT, "lesion"])
    mine["normal"] = np.where(mine["is_node"], mine["mm"] < NORMAL_NODE_MM, mine["mm"] == 0)
    sums = mine.groupby(key, sort=False).agg(
        sum_mm=("mm", "sum"),
        n_measured=("mm", "count"),
        n_normal=("normal", "sum"),
    )
    order = {name: i for i, name in enumerate(dict.fromkeys(table[PATIENT]))}
    made = since[key].drop_duplicates().merge(sums.reset_index(), on=key, how="left")
    made["n_targets"] = made[PATIENT].map(targets.groupby(PATIENT).size())
    made = made.fillna({"n_measured": 0, "n_normal": 0}).astype({"n_measured": int})
    made["sum_mm"] = made["sum_mm"].round(9).where(made["n_measured"] > 0)
    made["all_targets"] = made["n_measured"] == made["n_targets"]
    made["targets_gone"] = made["n_normal"] == made["n_targets"]
    made = made.iloc[np.lexsort((made["day"], made[PATIENT].map(order)))].reset_index(drop=True)
    return made[[PATIENT, "day", "sum_mm", "n_targets", "n_measured", "all_targets", "targets_gone"]]


def _refuse(lesions: pd.DataFrame, wrong: pd.Series, what: str, where: str) -> None:
    bad = [int(i) for i in np.flatnonzero(wrong.to_numpy(dtype=bool))]
    if bad:
        raise DataError(what, where=f"{where} {row_names(lesions, bad)}")
