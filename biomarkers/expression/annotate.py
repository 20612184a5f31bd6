"""Patient, time point, batch and group of every sample, from the matrix itself or from a sample sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.keys import PATIENT, SAMPLE
from biomarkers.expression.matrix import Matrix
from biomarkers.io.columns.cells import cell_text, missing
from biomarkers.io.columns.identity import refuse_look_alikes
from biomarkers.io.columns.model import ColumnMap

_GDC_ENDING = r"\.(rna_seq\.)?augmented_star_gene_counts\.tsv(\.gz)?$"


def annotated(
    matrix: Matrix, sheet: pd.DataFrame | None, names: Mapping[str, str | None], where: object
) -> tuple[Matrix, list[str]]:
    """Return the matrix with the sheet's columns in ``obs``, and chosen columns under their own names.

    Parameters
    ----------
    matrix
        Its rows are samples.
    sheet
        One row a sample; names match letter for letter.
    names
        ``{"patient": column or None, ...}``.
    where
        For messages.

    Returns
    -------
    The matrix, and notes on samples without a partner.

    Raises
    ------
    UsageError
        There is no such column.
    DataError
        A sample stands twice in the sheet, or none of its samples is in the matrix.
    """
    obs = matrix.obs.set_axis(pd.Index(matrix.samples))
    notes: list[str] = []
    if sheet is not None:
        obs, notes = _joined(obs, _gdc_sheet(sheet), where)
    for name, column in names.items():
        if column is None:
            continue
        if column not in obs:
            known = [str(item) for item in obs.columns]
            raise UsageError("no such column beside the samples", where=where, seen=column, allowed=known or "none",
                             hint=did_you_mean(column, known) or "Give a sample sheet: --samples.")  # fmt: skip
        obs = obs.assign(**{name: obs[column]})
    return replace(matrix, obs=obs), notes


def check_sheet(sheet: pd.DataFrame, patient: str | None, columns: ColumnMap) -> None:
    """Refuse a sample sheet in which one patient may stand under two spellings.

    Raises
    ------
    DataError
        Two identifiers look alike, and the map does not say that they are distinct.
    """
    name = patient or (PATIENT if PATIENT in sheet else None)
    if name is not None and name in sheet and columns.look_alikes == "refuse":
        named = [cell_text(cell) for cell in sheet[name] if not missing(cell)]
        refuse_look_alikes(named, where=f"sample sheet column {name!r}")


def _gdc_sheet(sheet: pd.DataFrame) -> pd.DataFrame:
    """Turn a sample sheet of the GDC into one of samples: the file's name before its ending names the sample.

    ``Case ID`` is the patient; the other columns stay.
    """
    if not {"File Name", "Case ID", "Sample ID"} <= set(sheet.columns):
        return sheet
    names = sheet["File Name"].astype(str).str.replace(_GDC_ENDING, "", regex=True)
    return sheet.assign(**{SAMPLE: names, PATIENT: sheet["Case ID"]})


def _joined(obs: pd.DataFrame, sheet: pd.DataFrame, where: object) -> tuple[pd.DataFrame, list[str]]:
    key = SAMPLE if SAMPLE in sheet else str(sheet.columns[0])
    table = sheet.assign(**{key: sheet[key].astype(str)})
    twice = table[key][table[key].duplicated()]
    if len(twice):
        raise DataError("one sample stands twice in the sample sheet", where=f"column {key}", seen=twice.iloc[0])
    table = table.set_index(key)
    known = obs.index.isin(table.index)
    if not known.any():
        raise DataError(
            "no sample of the sheet is in the matrix",
            where=where,
            seen=f"{table.index[0]} ... against {obs.index[0]} ...",
            hint="Names match letter for letter.",
        )
    notes = []
    strange = table.index[~table.index.isin(obs.index)]
    for lacking, what in (
        (obs.index[~known], "samples of the matrix are not in the sheet"),
        (strange, "samples of the sheet are not in the matrix"),
    ):
        if len(lacking):
            notes.append(f"{len(lacking)} {what} ({', '.join(str(name) for name in lacking[:5])})")
    kept = obs.drop(columns=[column for column in obs.columns if column in table.columns])
    return kept.join(table.reindex(obs.index)), notes
