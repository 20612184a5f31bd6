"""Settings that users write down: assays and run settings, validated when they are made."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.core.files import read_toml

# membrane_or_cytoplasm is the higher of the two: how immune cells are read
Compartment = Literal["nucleus", "cytoplasm", "membrane", "cell", "membrane_or_cytoplasm"]
OpticalDensity = Annotated[float, Field(gt=0, lt=3)]
Percent = Annotated[float, Field(ge=0, le=100)]

_Model = TypeVar("_Model", bound="Settings")


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Thresholds(Settings):
    """Chromogen cuts for one assay, as optical density (log10) against the slide's own estimated white.

    ``dab_od`` holds the lower edges of the intensity bins 1+, 2+ and 3+ in the assay's compartment.

    Membrane assays ask each cell whether what is stained is its membrane. Two fifths of its outline must reach the 1+
    cut on the cell's own side of the border that neighbours share, and ``own_share`` of the level up to that border:
    else a neighbour's membrane shows. Of the outline's level at least ``line_share`` must be a thin line (where the
    level is 0.1 OD; times (level / 0.1)^``line_rise``): cytoplasm is broad; and, unless the line is clear, the level
    must be ``cytoplasm_ratio`` times the cell's mean cytoplasm. Or the outline is so dark that no line need be told:
    ``counterstain_ratio`` times the red optical density of the slide's nuclei, and ``inside_ratio`` times the cell's
    nucleus. 0 switches a rule off (no line, no own side, no darkness asked for). ``counterstain_od`` is the red optical
    density of the nuclei; 0 takes it from the slide's own cells.

    ``min_completeness`` is the least share (0-1) of an immune cell's outline that is stained, below which it is read
    over its whole outline; ``granule_share`` the share of a cell's area that is stained darkly, from which on an immune
    cell, or one of no known class, is positive whatever its outline: granular staining. 0 switches it off.

    Where ``follow_sd`` is above 0 the cuts follow each slide's unstained cells, within ``follow_range`` (optical
    density): see :func:`biomarkers.score.adaptive_thresholds`. ``set_at_mpp`` is the pixel size (um/px) of the controls
    that cuts were anchored on; ``source`` says where the numbers come from.
    """

    dab_od: tuple[OpticalDensity, OpticalDensity, OpticalDensity]
    own_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    line_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    line_rise: Annotated[float, Field(ge=-1, le=1)] = 0.0
    cytoplasm_ratio: Annotated[float, Field(ge=0, le=10)] = 0.0
    counterstain_ratio: Annotated[float, Field(ge=0, le=20)] = 0.0
    inside_ratio: Annotated[float, Field(ge=0, le=10)] = 0.0
    counterstain_od: Annotated[float, Field(ge=0, lt=3)] = 0.0
    min_completeness: Annotated[float, Field(ge=0, le=1)] = 0.0
    granule_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    follow_sd: Annotated[float, Field(ge=0, le=20)] = 0.0
    follow_od: Annotated[float, Field(ge=0, lt=1)] = 0.0
    follow_range: tuple[OpticalDensity, OpticalDensity] = (0.07, 0.2)
    set_at_mpp: Annotated[float, Field(gt=0)] | None = None
    source: str

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.dab_od[0] < self.dab_od[1] < self.dab_od[2]:
            msg = f"dab_od must rise from 1+ to 3+, found {list(self.dab_od)}"
            raise ValueError(msg)
        if self.follow_range[0] >= self.follow_range[1]:
            msg = f"follow_range must rise, found {list(self.follow_range)}"
            raise ValueError(msg)
        return self


class Assay(Settings):
    """One stained assay: what is scored, where in the cell, with which cuts and from which source.

    ``compartment`` is where the scored cells are read, ``immune_compartment`` where lymphocytes and macrophages are
    read (the same place when absent), ``immune_reach_um`` how far from the nearest tumour cell an immune cell
    still counts as intratumoural or adjacent. ``cutoffs`` holds the published cut-offs of a score, rising;
    ``min_cells`` the least denominator of a score, below which it is not evaluable.
    """

    name: str
    title: str
    marker: str
    kind: Literal["brightfield", "fluorescence"]
    compartment: Compartment
    immune_compartment: Compartment | None = None
    immune_reach_um: Annotated[float, Field(gt=0)] | None = None
    thresholds: Thresholds
    scores: tuple[str, ...]
    cutoffs: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    min_cells: Mapping[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    scored_class: Literal["tumor", "lymphocyte", "any"] = "any"
    reference: str
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, cuts in self.cutoffs.items():
            if list(cuts) != sorted(set(cuts)):
                msg = f"the cut-offs of {name!r} must rise, found {list(cuts)}"
                raise ValueError(msg)
        for table in (self.cutoffs, self.min_cells):
            for name in table:
                if name not in self.scores:
                    msg = f"{name!r} stands among cutoffs or min_cells but not among the assay's scores"
                    raise ValueError(msg)
        return self


def assay_names() -> tuple[str, ...]:
    """Names of the assays that ship with the package, sorted."""
    folder = files("biomarkers.assays")
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def load_assay(name: str | Path) -> Assay:
    """Load a shipped assay by name, or the user's own from a TOML file.

    Parameters
    ----------
    name
        A shipped name (case does not matter), or the path of a ``.toml`` file.

    Raises
    ------
    UsageError
        There is no such assay, or the file has unknown keys or values out of range.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.load_assay("22c3").marker
    'PD-L1'
    """
    text = str(name)
    if text.endswith(".toml"):
        return parse(Assay, read_toml(Path(text)), where=text)
    known = assay_names()
    if text.lower() not in known:
        raise UsageError(
            "unknown assay",
            seen=text,
            allowed=known,
            hint=did_you_mean(text, known) or "Or give a .toml file.",
        )
    return _shipped_assay(text.lower())


@functools.cache
def _shipped_assay(name: str) -> Assay:
    resource = files("biomarkers.assays") / f"{name}.toml"
    return parse(Assay, read_toml(Path(str(resource))), where=f"assay {name}")


def parse(model: type[_Model], values: Mapping[str, Any], *, where: str) -> _Model:
    """Validate ``values`` as ``model``; the error names the first key at fault and the nearest known one.

    Raises
    ------
    UsageError
        A key is unknown or missing, or a value is out of range.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise _usage_error(error, model, where) from error


def _usage_error(error: ValidationError, model: type[BaseModel], where: str) -> UsageError:
    # a misspelt key is also a missing one: name what the user wrote
    found = error.errors()
    first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
    key = ".".join(str(part) for part in first["loc"]) or "(all)"
    if first["type"] == "extra_forbidden":
        return UsageError(
            f"unknown setting {key!r}",
            where=where,
            hint=did_you_mean(str(first["loc"][-1]), model.model_fields),
        )
    if first["type"] == "missing":
        return UsageError(f"the setting {key!r} is missing", where=where)
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):  # a check of several settings at once
        place = f"{key}: " if first["loc"] else ""
        return UsageError(place + first["msg"].removeprefix("Value error, "), where=where)
    return UsageError(f"setting {key!r}: {first['msg']}", where=where, seen=first["input"])
