"""A cohort on disk: an h5ad with plain string indices that R reads too, and the flow beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.cohort.slots import FLOW_COLUMNS, NOTES, PATIENTS
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import atomic_path, write_csv

if TYPE_CHECKING:
    from anndata import AnnData

_REQUIRED = (keys.PATIENT, keys.TIMEPOINT)


def write_cohort(cohort: AnnData, path: str | Path) -> Path:
    """Write a cohort as h5ad, and its flow as ``flow.csv`` beside it, each complete or not at all.

    Parameters
    ----------
    cohort
        As :func:`biomarkers.cohort.join.build_cohort` makes it.
    path
        A name that ends in ``.h5ad``.

    Returns
    -------
    The path.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> path = bm.write_cohort(cohort, "cohort.h5ad")
    >>> bm.read_cohort(path).shape
    (2, 1)
    """
    path = Path(path)
    if path.suffix != ".h5ad":
        raise UsageError("a cohort is written as .h5ad", seen=path.name, allowed="FILE.h5ad")
    stored = cohort.copy()
    stored.obs, stored.var = storable(stored.obs), storable(stored.var)
    for name, value in list(stored.uns.items()):
        if isinstance(value, pd.DataFrame):
            stored.uns[name] = storable(value)
        elif isinstance(value, list):
            stored.uns[name] = np.array([str(item) for item in value], dtype=object)
    with atomic_path(path) as temporary:
        stored.write_h5ad(temporary, compression="gzip")
    write_csv(cohort.uns[keys.FLOW], path.parent / "flow.csv")
    return path


def read_cohort(path: str | Path) -> AnnData:
    """Read a cohort that :func:`write_cohort` wrote.

    Raises
    ------
    UsageError
        There is no such file.
    DataError
        It is not an h5ad, or holds no cohort.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> path = bm.write_cohort(cohort, "cohort.h5ad")
    >>> bm.read_cohort(path).shape
    (2, 1)
    """
    import anndata

    path = Path(path)
    if not path.is_file():
        raise UsageError("no such cohort", where=path)
    refuse_external_links(path)
    try:
        cohort = anndata.read_h5ad(path)
    except Exception as error:  # anndata has no family of errors for what a damaged file makes it meet
        raise _unreadable(path, error) from error
    # an expression matrix may name patient and time point too: what its columns are tells the two apart
    absent = [f"obs without {name}" for name in _REQUIRED if name not in cohort.obs]
    absent += [f"var without {name}" for name in keys.VAR_COLUMNS if name not in cohort.var]
    if absent:
        raise DataError(
            "this h5ad is no cohort",
            where=path,
            seen=", ".join(absent),
            hint="Make one with 'biomarkers cohort'; an expression matrix goes through 'biomarkers express' first.",
        )
    if NOTES in cohort.uns:
        cohort.uns[NOTES] = [str(note) for note in cohort.uns[NOTES]]
    return cohort


def refuse_external_links(path: Path) -> None:
    """Refuse an HDF5 file that reaches out of itself: links to other files, or data stored in them.

    Raises
    ------
    DataError
        The file is no HDF5 file, or holds a link to, or data in, another file.
    """
    import h5py

    def visit(group: h5py.Group) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise DataError("the file links to another file", where=path, seen=f"{group.name}/{name}")
            if isinstance(link, h5py.SoftLink):
                raise DataError("the file holds a soft link", where=path, seen=f"{group.name}/{name}")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                if item.external:
                    raise DataError("the file keeps its data in another file", where=path, seen=item.name)
            elif isinstance(item, h5py.Group):
                visit(item)

    try:
        with h5py.File(path, "r") as stream:
            visit(stream)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    said = " ".join(str(error).split())
    return DataError(f"not a readable h5ad ({said or type(error).__name__})", where=path, hint="Copy or make it again.")


def storable(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring a frame into what HDF5 holds: text with gaps as categories of plain strings, dates as ISO text."""
    made = frame.copy()
    made.columns = pd.Index([str(name).replace("/", "_per_") for name in made.columns], dtype=object)
    made.index = pd.Index([str(name) for name in made.index], dtype=object)
    for name in made.columns:
        values = made[name]
        if values.dtype.kind == "M":
            values = values.dt.strftime("%Y-%m-%d")
        if isinstance(values.dtype, pd.BooleanDtype):
            made[name] = values.astype("Float64").astype(float)
        elif values.dtype.kind not in "iufb":
            made[name] = _as_categories(values)
    return made


def _as_categories(values: pd.Series) -> pd.Categorical:
    words = [None if pd.isna(value) else str(value) for value in values]
    found = sorted({word for word in words if word is not None})
    order = [word for word in keys.RESPONSES if word in found] if set(found) <= set(keys.RESPONSES) else found
    return pd.Categorical(words, categories=pd.Index(order, dtype=object))


def flow_of(cohort: AnnData) -> pd.DataFrame:
    """Return the flow of a cohort, with its text columns as text.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> bm.flow_of(cohort)["n"].tolist()
    [3, 3, 3, 2, 2, 2, 2]
    """
    if keys.FLOW not in cohort.uns:
        raise DataError("the cohort has no flow", hint="Build it with build_cohort().")
    flow = cohort.uns[keys.FLOW]
    text = {name: flow[name].astype(object).where(flow[name].notna(), "") for name in ("step", "of", "reason")}
    return flow.assign(**text)[list(FLOW_COLUMNS)].reset_index(drop=True)


def patients_of(cohort: AnnData) -> pd.DataFrame:
    """Return the whole clinical table of a cohort, index = patient."""
    if PATIENTS not in cohort.uns:
        raise DataError("the cohort does not hold its clinical table", hint="Build it with build_cohort().")
    table = cohort.uns[PATIENTS].copy()
    table.index = pd.Index(table[keys.PATIENT].astype(str), dtype=object, name=keys.PATIENT)
    return table.drop(columns=keys.PATIENT)
