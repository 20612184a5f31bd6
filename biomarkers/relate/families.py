"""Shapes of levels for simulated cohorts, each with the AUC planted exactly, ties and all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from biomarkers.core.errors import UsageError

FAMILIES: Final = ("normal", "zero-inflated", "ordinal", "unequal-variance")
_FINE = 4000  # steps that stand for a continuous level when an AUC is calculated
_EDGE = 9.0


@dataclass(frozen=True)
class Family:
    """How levels look.

    Attributes
    ----------
    name
        ``"normal"`` (any continuous level: tests see ranks only), ``"zero-inflated"`` (a share of patients tied at the
        bottom), ``"ordinal"`` (a few levels, equally frequent when nothing is going on), ``"unequal-variance"``
        (responders vary ``spread`` times as much).
    zero_share
        Share at the bottom when responders and others do not differ, 0 to below 1.
    n_levels
        Number of levels of an ordinal marker.
    spread
        Ratio of the standard deviations, responders to others.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.Family("zero-inflated", zero_share=0.7).zero_share
    0.7
    """

    name: str = "normal"
    zero_share: float = 0.4
    n_levels: int = 4
    spread: float = 3.0

    def __post_init__(self) -> None:
        if self.name not in FAMILIES:
            raise UsageError("unknown shape of levels", seen=self.name, allowed=FAMILIES)
        if not 0 <= self.zero_share < 1:
            raise UsageError("the share at zero is out of range", seen=self.zero_share, allowed="0 to below 1")
        if self.n_levels < 2:
            raise UsageError("an ordinal level needs two values", seen=self.n_levels, allowed="2 or more")
        if not self.spread > 0:
            raise UsageError("the ratio of spreads is not positive", seen=self.spread, allowed="above 0")

    @property
    def label(self) -> str:
        """The shape in words."""
        return {
            "normal": "continuous, no ties",
            "zero-inflated": f"{100 * self.zero_share:g}% tied at the bottom",
            "ordinal": f"{self.n_levels} levels",
            "unequal-variance": f"responders vary {self.spread:.3g} times as much",
        }[self.name]

    def ties(self) -> float:
        """Share of the rank variance left by ties: 1 - sum of cubed shares, 1 without ties."""
        if self.name == "zero-inflated":
            return 1 - self.zero_share**3
        return 1 - 1 / self.n_levels**2 if self.name == "ordinal" else 1.0

    def shift(self, theta: float) -> float:
        """Shift of the responders' latent normal level that gives the AUC ``theta``, ties counted half.

        Raises
        ------
        UsageError
            The AUC is not inside (0, 1).
        """
        from scipy.optimize import brentq

        if not 0 < theta < 1:
            raise UsageError("the AUC is out of range", seen=theta, allowed="between 0 and 1")
        if theta == 0.5:
            return 0.0
        return float(brentq(lambda by: self.auc(by) - theta, -_EDGE, _EDGE, xtol=1e-10))

    def auc(self, shift: float) -> float:
        """Return the AUC that a shift gives."""
        from scipy.special import ndtr

        sd = self._sd
        if not self._cuts.size:
            return float(ndtr(shift / math.sqrt(1 + sd**2)))
        edges = self._cuts
        if self.name == "zero-inflated":  # above the bottom the level is continuous: a fine grid stands for it
            edges = np.linspace(edges[0], _EDGE + 3, _FINE)
        below_no = np.concatenate([[0.0], ndtr(edges), [1.0]])
        below_yes = np.concatenate([[0.0], ndtr((edges - shift) / sd), [1.0]])
        share_no, share_yes = np.diff(below_no), np.diff(below_yes)
        return float(share_yes @ (below_no[:-1] + share_no / 2))

    def draw(self, generator: np.random.Generator, *, n_yes: int, n_no: int, size: int, shift: float) -> np.ndarray:
        """Draw ``size`` cohorts: (n_yes + n_no, size) levels, responders first."""
        latent = generator.standard_normal((n_yes + n_no, size))
        latent[:n_yes] = shift + self._sd * latent[:n_yes]
        if self.name == "zero-inflated" and self._cuts.size:
            return np.maximum(latent, self._cuts[0])
        return np.searchsorted(self._cuts, latent).astype(float) if self._cuts.size else latent

    @property
    def _sd(self) -> float:
        return self.spread if self.name == "unequal-variance" else 1.0

    @property
    def _cuts(self) -> np.ndarray:
        """Latent levels at which observed levels change; none for a continuous level."""
        from scipy.special import ndtri

        if self.name == "zero-inflated" and self.zero_share > 0:
            return np.array([float(ndtri(self.zero_share))])
        if self.name == "ordinal":
            return np.asarray(ndtri(np.arange(1, self.n_levels) / self.n_levels), dtype=float)
        return np.array([])
