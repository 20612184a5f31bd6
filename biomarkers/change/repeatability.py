"""Technical variance from replicates: how far two measurements of one sample fall apart, and the gate that makes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError

Gate = Literal["coefficient", "prediction"]
GATES: tuple[Gate, ...] = ("coefficient", "prediction")
INCREASE, DECREASE, WITHIN_NOISE = "increase", "decrease", "within technical noise"
NO_QUANTIFIABLE = "no quantifiable change"
UNDETERMINED = "undetermined: a level is below its limit"
UNKNOWN_VARIANCE = "technical variance unknown: no per-patient call"
_FEW_DF = 20


@dataclass(frozen=True)
class Repeatability:
    """Within-sample standard deviation of one biomarker, on the scale of change.

    Attributes
    ----------
    sdw
        Within-sample standard deviation.
    coefficient, low, high
        Repeatability coefficient 1.96 * sqrt(2) * sdw (2.77 sdw) with its 95% interval: two measurements of an
        unchanged sample differ by less in 95% of cases.
    prediction
        The same with the small-sample factor of ``df``: t instead of 1.96.
    df
        Degrees of freedom: replicate measurements minus samples.
    n_samples
        Samples measured at least twice.
    """

    sdw: float
    coefficient: float
    low: float
    high: float
    prediction: float
    df: int
    n_samples: int

    def gate(self, kind: Gate = "coefficient") -> float:
        """Smallest absolute change that is called one."""
        if kind not in GATES:
            raise UsageError("unknown gate", seen=kind, allowed=GATES)
        return self.coefficient if kind == "coefficient" else self.prediction

    @property
    def note(self) -> str:
        """What a reader must know; empty when nothing."""
        if self.df >= _FEW_DF:
            return ""
        return (
            f"technical variance from {self.df} degrees of freedom only: with the small-sample factor the gate "
            f"would be {self.prediction:.3g}"
        )


def repeatability(
    samples: pd.Series | np.ndarray, values: pd.Series | np.ndarray, *, level: float = 0.95
) -> Repeatability:
    """Technical variance from samples that were measured more than once.

    Parameters
    ----------
    samples
        Which sample each measurement is of, (n,).
    values
        Measurements on the scale of change, (n,); missing ones are left out.
    level
        Two-sided coverage of the coefficient and confidence of its interval.

    Raises
    ------
    DataError
        No sample was measured twice, or all replicates are identical.

    References
    ----------
    Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160. Interval: chi-square of the pooled variance.

    Examples
    --------
    >>> round(repeatability(["a", "a", "b", "b"], [1.0, 1.2, 2.0, 1.8]).sdw, 4)
    0.1414
    """
    from scipy.special import chdtri, ndtri, stdtrit

    frame = pd.DataFrame({"sample": np.asarray(samples), "value": np.asarray(values, dtype=float)}).dropna()
    size = frame.groupby("sample")["value"].transform("size")
    frame = frame[size > 1]
    if frame.empty:
        raise DataError(
            "no sample was measured twice", hint="Replicates need one row a measurement and the sample's name in each."
        )
    centred = frame["value"] - frame.groupby("sample")["value"].transform("mean")
    n_samples = frame["sample"].nunique()
    df = len(frame) - n_samples
    squares = float((centred**2).sum())
    if squares <= 0:
        raise DataError("all replicates are identical", seen=f"{len(frame)} measurements", hint="Are they copies?")
    sdw = math.sqrt(squares / df)
    z = float(ndtri(0.5 + level / 2)) * math.sqrt(2)
    tail = (1 - level) / 2
    # chdtri takes the upper tail
    return Repeatability(
        sdw=sdw,
        coefficient=z * sdw,
        low=z * math.sqrt(squares / float(chdtri(df, tail))),
        high=z * math.sqrt(squares / float(chdtri(df, 1 - tail))),
        prediction=float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(2) * sdw,
        df=df,
        n_samples=n_samples,
    )


def call_changes(pairs: pd.DataFrame, gate: float | None) -> list[str]:
    """Call each patient's change against the gate.

    Parameters
    ----------
    pairs
        Rows of one biomarker (see :func:`biomarkers.change.pairs.make_pairs`).
    gate
        Smallest change that counts, on the scale of change; None when the technical variance is unknown.

    Returns
    -------
    One call a row; empty for a patient without a pair.
    """
    calls = []
    for change, bound, reason in zip(pairs["change"], pairs["bound"], pairs["reason"], strict=True):
        if reason:
            calls.append("")
        elif bound == "both below limit":
            calls.append(NO_QUANTIFIABLE)
        elif gate is None:
            calls.append(UNKNOWN_VARIANCE)
        elif abs(change) > gate and not _against(change, bound):
            calls.append(INCREASE if change > 0 else DECREASE)
        else:
            calls.append(UNDETERMINED if bound else WITHIN_NOISE)
    return calls


def _against(change: float, bound: str) -> bool:
    """Say whether a bound lies on the wrong side: a fall of at least a negative number proves no fall."""
    return (bound == "at least" and change < 0) or (bound == "at most" and change > 0)
