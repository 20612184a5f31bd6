"""The same cohort as a cube: patient x time point x biomarker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import atomic_path

if TYPE_CHECKING:
    import xarray as xr
    from anndata import AnnData

CUBE_DIMS = (keys.PATIENT, keys.TIMEPOINT, "biomarker")


def to_cube(cohort: AnnData) -> xr.Dataset:
    """Lay a cohort out as patient x time point x biomarker.

    Parameters
    ----------
    cohort
        As :func:`biomarkers.build_cohort` makes it: one row a patient and time point.

    Returns
    -------
    Dataset with dims ``(patient, timepoint, biomarker)``: ``level`` (NaN where there is none) and ``censored`` (bool);
    coordinates ``response`` along patient, and marker, assay, score, unit, scale, lloq along biomarker. Baseline is
    the first time point.

    Raises
    ------
    DataError
        A patient has two rows at one time point.

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
    >>> dict(bm.to_cube(cohort).sizes)
    {'patient': 2, 'timepoint': 1, 'biomarker': 1}
    """
    import xarray as xr

    patients = list(dict.fromkeys(cohort.obs[keys.PATIENT].astype(str)))
    points = list(dict.fromkeys(cohort.obs[keys.TIMEPOINT].astype(str)))
    points.sort(key=lambda point: point != keys.BASELINE)
    rows = [patients.index(name) for name in cohort.obs[keys.PATIENT].astype(str)]
    at = [points.index(name) for name in cohort.obs[keys.TIMEPOINT].astype(str)]
    if len(set(zip(rows, at, strict=True))) < cohort.n_obs:
        raise DataError(
            "a patient has two rows at one time point", where="cohort", hint="Build it with build_cohort()."
        )
    shape = (len(patients), len(points), cohort.n_vars)
    level = np.full(shape, np.nan)
    level[rows, at] = np.asarray(cohort.X, dtype=float)
    censored = np.zeros(shape, dtype=bool)
    if keys.CENSORED in cohort.layers:
        censored[rows, at] = np.asarray(cohort.layers[keys.CENSORED], dtype=bool)
    coords: dict[str, object] = {
        keys.PATIENT: patients,
        keys.TIMEPOINT: points,
        "biomarker": [str(name) for name in cohort.var_names],
    }
    if keys.RESPONSE in cohort.obs:
        words = dict(zip(cohort.obs[keys.PATIENT].astype(str), cohort.obs[keys.RESPONSE].astype(object), strict=True))
        coords[keys.RESPONSE] = (keys.PATIENT, np.array([words[name] for name in patients], dtype=object))
    for name in keys.VAR_COLUMNS:
        values = cohort.var[name]
        plain = values.to_numpy(dtype=float) if name == "lloq" else np.array(values.astype(str), dtype=object)
        coords[name] = ("biomarker", plain)
    return xr.Dataset({"level": (CUBE_DIMS, level), keys.CENSORED: (CUBE_DIMS, censored)}, coords=coords)


def write_cube(cohort: AnnData, path: str | Path) -> Path:
    """Write the cube as netCDF, which xarray, R (ncdf4) and others read; a missing response is an empty text.

    Raises
    ------
    UsageError
        The name does not end in ``.nc``.
    DataError
        A patient has two rows at one time point.

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
    >>> bm.write_cube(cohort, "cube.nc").name
    'cube.nc'
    """
    path = Path(path)
    if path.suffix != ".nc":
        raise UsageError("a cube is written as netCDF", seen=path.name, allowed="FILE.nc")
    cube = to_cube(cohort)
    if keys.RESPONSE in cube.coords:
        words = ["" if pd.isna(word) else str(word) for word in cube[keys.RESPONSE].to_numpy()]
        cube = cube.assign_coords({keys.RESPONSE: (keys.PATIENT, np.array(words, dtype=object))})
    with atomic_path(path) as temporary:
        cube.to_netcdf(temporary, engine="scipy")
    return path
