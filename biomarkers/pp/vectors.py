"""Stain vectors: the colour of each stain as optical density, fixed or estimated, and shared by file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import UsageError
from biomarkers.pp.density import White, check_white

Vector = tuple[float, float, float]
# Ruifrok AC, Johnston DA. Quantification of histochemical staining by color deconvolution.
# Anal Quant Cytol Histol 2001;23:291-299
RUIFROK_HEMATOXYLIN: Vector = (0.650, 0.704, 0.286)
RUIFROK_DAB: Vector = (0.268, 0.570, 0.776)
MIN_SEPARATION_DEG = 20.0
LEAST_SEPARATION_DEG = 7.0  # closer ones make amounts of more than 30 OD, beyond whole thousandths in 16 bits
MAX_FROM_REFERENCE_DEG = 15.0
_MOST_OD = 4.0  # a component beyond it is a grey level: film and cameras tell no denser stain


@dataclass(frozen=True)
class StainVectors:
    """Colours of hematoxylin and DAB as unit vectors of optical density (R, G, B), and where they come from.

    Any positive length may be given; it is brought to 1.

    Raises
    ------
    UsageError
        A vector is not three finite non-negative numbers, or the two are less than 7 degrees apart.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.StainVectors().dab
    (0.2681475217165787, 0.5703137588748127, 0.7764271524330785)
    """

    hematoxylin: Vector = RUIFROK_HEMATOXYLIN
    dab: Vector = RUIFROK_DAB
    source: str = "Ruifrok 2001"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hematoxylin", _unit(self.hematoxylin, "hematoxylin"))
        object.__setattr__(self, "dab", _unit(self.dab, "dab"))
        if self.separation_deg < LEAST_SEPARATION_DEG:
            seen = f"{self.separation_deg:.1f} degrees"
            raise UsageError(
                "the two stain vectors are nearly one", seen=seen, allowed=f"at least {LEAST_SEPARATION_DEG:g} degrees"
            )

    @property
    def separation_deg(self) -> float:
        """Angle between the two stains, degrees."""
        return angle_deg(self.hematoxylin, self.dab)

    @property
    def residual(self) -> Vector:
        """The third direction: at right angles to both stains, so it holds what neither explains."""
        cross = np.cross(self.hematoxylin, self.dab)
        x, y, z = (float(one) for one in cross / np.linalg.norm(cross))
        return x, y, z

    def unmixing(self) -> NDArray[np.float64]:
        """Return the (3, 3) matrix M with ``amounts = density @ M`` (hematoxylin, dab, residual)."""
        return np.linalg.inv(np.array([self.hematoxylin, self.dab, self.residual]))


@dataclass(frozen=True)
class StainReference:
    """What a batch may share: white level (None: each slide has its own) and stain vectors."""

    white: White | None
    vectors: StainVectors


def write_reference(reference: StainReference, path: Path) -> None:
    """Write white level and stain vectors as TOML, complete or not at all."""
    import tomli_w

    from biomarkers.core.files import write_text

    vectors = reference.vectors
    content: dict[str, Any] = {} if reference.white is None else {"white": list(reference.white)}
    content["vectors"] = {
        "hematoxylin": list(vectors.hematoxylin),
        "dab": list(vectors.dab),
        "source": vectors.source,
    }
    write_text(path, tomli_w.dumps(content))


def read_reference(path: Path) -> StainReference:
    """Read white level and stain vectors from TOML; either may be absent.

    Raises
    ------
    UsageError
        The file is absent, is not TOML, has neither ``white`` nor ``vectors`` or other keys, values out of
        range, colours in place of densities, or the two stains exchanged.
    """
    from biomarkers.core.files import read_toml

    content = read_toml(path)
    unknown = sorted(set(content) - {"white", "vectors"})
    if unknown:
        raise UsageError("unknown key in a stain file", where=path, seen=unknown[0], allowed=("white", "vectors"))
    said = content.get("vectors", {})
    if "white" not in content and not said:
        raise UsageError("'white' and 'vectors' are missing in the stain file", where=path, hint="Give either or both.")
    strange = sorted(set(said) - {"hematoxylin", "dab", "source"})
    if strange:
        allowed = ("hematoxylin", "dab", "source")
        raise UsageError("unknown key in [vectors] of a stain file", where=path, seen=strange[0], allowed=allowed)
    try:
        parts = {name: tuple(said[name]) for name in ("hematoxylin", "dab") if name in said}
        _refuse_misread(parts, path)
        vectors = StainVectors(**parts, source=str(said.get("source", path.name))) if parts else StainVectors()
        white = check_white(tuple(content["white"])) if "white" in content else None
        return StainReference(white=white, vectors=vectors)
    except (TypeError, ValueError) as error:
        raise UsageError(f"white and vectors must be lists of three numbers: {error}", where=path) from error


def _refuse_misread(parts: Mapping[str, Sequence[float]], path: Path) -> None:
    """Refuse vectors that are colours (RGB) in place of densities, and a hematoxylin that is the DAB and vice versa.

    A blue stain absorbs red and lets blue through, so that its colour and its density are each other's opposites: a
    hematoxylin nearer to the reference of DAB than to its own is one or the other.
    """
    given = {name: np.asarray([float(one) for one in vector]) for name, vector in parts.items()}
    if any(len(vector) != 3 or not np.isfinite(vector).all() or vector.min() < 0 for vector in given.values()):
        return  # told where the vectors are made
    colours = {name: _density_of_colour(vector) for name, vector in given.items()}
    large = max((float(vector.max()) for vector in given.values()), default=0.0)
    exchanged = len(given) == 2 and all(_nearer_to_other(vector, name) for name, vector in given.items())
    as_colours = large > _MOST_OD or (exchanged and not any(_nearer_to_other(colours[name], name) for name in given))
    if as_colours and all(vector.any() for vector in colours.values()):
        shown = "; ".join(f"{name} = [{', '.join(f'{one:.3f}' for one in v)}]" for name, v in colours.items())
        what = "stain vectors are given as colours (RGB), not as optical densities (-log10 of colour / white)"
        seen = {name: list(vector) for name, vector in parts.items()}
        raise UsageError(what, where=path, seen=seen, hint=f"If they are colours, write: {shown}.")
    if exchanged:
        what = "hematoxylin and dab are exchanged: each is nearer to the other's reference vector than to its own"
        raise UsageError(what, where=path, seen={name: list(vector) for name, vector in parts.items()})


def _density_of_colour(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read three numbers as a colour of 0-1 or 0-255; return its optical density."""
    full = 255.0 if colour.max() > 1 else 1.0
    return np.maximum(-np.log10(np.maximum(colour, full / 255) / full), 0.0)


def _nearer_to_other(vector: NDArray[np.float64], name: str) -> bool:
    own, other = (RUIFROK_HEMATOXYLIN, RUIFROK_DAB) if name == "hematoxylin" else (RUIFROK_DAB, RUIFROK_HEMATOXYLIN)
    return bool(vector.any()) and angle_deg(vector, own) > angle_deg(vector, other)


def angle_deg(one: Iterable[float], other: Iterable[float]) -> float:
    """Angle between two directions, degrees."""
    a, b = np.asarray(list(one), float), np.asarray(list(other), float)
    cosine = float(a @ b) / (float(np.linalg.norm(a)) * float(np.linalg.norm(b)))
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _unit(vector: Vector, name: str) -> Vector:
    values = tuple(float(one) for one in vector)
    length = math.sqrt(sum(one * one for one in values))
    if len(values) != 3 or not math.isfinite(length) or length == 0 or min(values) < 0:
        allowed = "three finite numbers (R, G, B), none below 0"
        raise UsageError(f"not a stain vector for {name}", seen=vector, allowed=allowed)
    x, y, z = (one / length for one in values)
    return x, y, z
