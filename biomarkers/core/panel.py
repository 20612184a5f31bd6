"""Which marker is which: names and aliases of markers, and panels that map a multiplex image's channels to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from biomarkers.core.config import Compartment, Settings, parse
from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.files import read_toml
from biomarkers.core.rules import Call, Comparison, Either, Not, Phenotype, Rule, is_rule_of_calls, parse_rule

NAME_CHANNELS: Final = (
    "Export the image with channel names, give a folder with one TIFF a channel, or name them in Python (names=)."
)
# canonical name -> other names in use, compared without case, blanks and punctuation
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "PD-L1": ("CD274", "B7H1", "PDCD1LG1"),
    "PD-1": ("PDCD1", "CD279", "PD1"),
    "PD-L2": ("PDCD1LG2", "CD273", "B7DC"),
    "CD8": ("CD8A", "CD8alpha"),
    "CD3": ("CD3E", "CD3D"),
    "CD3zeta-pY142": ("CD3Z", "pCD3zeta", "CD247pY142", "CD3zetapY142"),
    "FOXP3": (),
    "CD68": (),
    "CK": ("PANCK", "PANCYTOKERATIN", "CYTOKERATIN", "CKEPCAM", "KERATIN"),
    "TFE3": (),
    "GZMB": ("GRANZYMEB",),
    "DAPI": ("HOECHST", "DNA", "DNA1", "DAPI1", "NUCLEI", "NUCLEIDAPI"),
    "AF": ("AUTOFLUORESCENCE",),
}


def canonical_marker(name: str) -> str:
    """Return the name by which this package knows a marker; unknown markers keep theirs.

    Examples
    --------
    >>> canonical_marker("pdl1"), canonical_marker("CD8a"), canonical_marker("Ki67")
    ('PD-L1', 'CD8', 'Ki67')
    """
    return _LOOKUP.get(_plain(name), name.strip())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_LOOKUP: Final = {_plain(alias): marker for marker, aliases in _ALIASES.items() for alias in (marker, *aliases)}


class PanelChannel(Settings):
    """One channel of a panel: its marker, where in the cell the marker stands, and its exposure time.

    ``role`` is ``marker``, ``nuclei`` (the counterstain that shows nuclei), ``autofluorescence`` or ``ignore``.
    """

    marker: str
    compartment: Compartment = "cell"
    role: Literal["marker", "nuclei", "autofluorescence", "ignore"] = "marker"
    exposure_ms: Annotated[float, Field(gt=0)] | None = None


class PanelScore(Settings):
    """One score of a panel.

    ``density`` counts ``cells`` per mm2, ``fraction`` the share of ``of`` that are also ``cells``, ``ratio`` ``cells``
    per ``of``; ``tps`` and ``h_score`` read ``marker`` in ``of``, ``cps`` also in the immune cells ``cells`` that lie
    within ``reach_um`` of a cell of ``of`` (550 um, as in the H-DAB assays: half a field of 20x; ``inf`` takes all).
    ``cutoff`` declares from where on (``>=``), or below which (``<``), the component counts as present. Shares and
    H-scores of fewer than ``min_cells`` cells are not evaluable.
    """

    name: str
    kind: Literal["density", "fraction", "ratio", "tps", "cps", "h_score"]
    cells: str = ""
    of: str = ""
    marker: str = ""
    regions: tuple[Literal["all", "tumor", "stroma", "margin"], ...] = ("all", "tumor", "stroma", "margin")
    cutoff: float | None = None
    sign: Literal[">=", "<"] = ">="
    min_cells: Annotated[int, Field(ge=0)] = 50
    reach_um: Annotated[float, Field(gt=0)] = 550.0

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> Self:
        needed = {"density": ("cells",), "fraction": ("cells", "of"), "ratio": ("cells", "of"),
                  "tps": ("marker", "of"), "cps": ("marker", "cells", "of"), "h_score": ("marker", "of")}  # fmt: skip
        for field in needed[self.kind]:
            if not getattr(self, field):
                msg = f"the score {self.name!r} of kind {self.kind!r} needs {field!r}"
                raise ValueError(msg)
        return self


class Panel(Settings):
    """A multiplex panel: channels by name, never by position; phenotypes as boolean rules over markers.

    ``bleed_through`` lists ``[from, into, share]``: the share of one marker's signal seen in another's channel.
    ``classes`` maps a cell class (``tumor``, ``lymphocyte``, ``macrophage``) to a rule; ``scores`` lists what is
    reported (densities of all phenotypes and markers when empty). ``margin_um`` is the width of the margin on either
    side of the tumour's border, ``nucleus_um`` the expected diameter of nuclei.

    Examples
    --------
    >>> import biomarkers as bm
    >>> panel = bm.Panel(name="p", channels={"DAPI": {"marker": "DAPI", "role": "nuclei"}})
    >>> list(panel.channels)
    ['DAPI']
    """

    name: str
    channels: Mapping[str, PanelChannel]
    phenotypes: Mapping[str, str] = Field(default_factory=dict)
    bleed_through: tuple[tuple[str, str, Annotated[float, Field(ge=0, lt=1)]], ...] = ()
    classes: Mapping[Literal["tumor", "lymphocyte", "macrophage", "stroma", "other"], str] = Field(default_factory=dict)
    scores: tuple[PanelScore, ...] = ()
    margin_um: Annotated[float, Field(gt=0, le=1000)] = 50.0
    nucleus_um: Annotated[float, Field(gt=1, le=50)] = 10.0
    note: str = ""

    @model_validator(mode="after")
    def _one_nuclear_channel_and_unique_markers(self) -> Self:
        nuclei = [name for name, channel in self.channels.items() if channel.role == "nuclei"]
        if len(nuclei) != 1:
            msg = f"exactly one channel must have the role 'nuclei', found {nuclei}"
            raise ValueError(msg)
        shown = [channel.marker for channel in self.channels.values() if channel.role != "ignore"]
        markers = [canonical_marker(marker) for marker in shown]
        twice = sorted({one for one, marker in zip(shown, markers, strict=True) if markers.count(marker) > 1})
        if twice:
            msg = f"two channels show the same marker: {twice}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rules_can_be_read_and_names_mean_one_thing(self) -> Self:
        rules = [*self.phenotypes.items(), *self.classes.items()]
        rules += [(score.name, rule) for score in self.scores for rule in (score.cells, score.of) if rule]
        try:
            for name, rule in rules:
                if rule.strip() not in self.phenotypes:
                    _read(rule, where=name)
            markers = [channel.marker for channel in self.channels.values()]
            refuse_names_of_markers(self.phenotypes, markers=markers, where="phenotypes")
        except UsageError as error:
            raise ValueError(str(error)) from error
        named = [(score.name, score.kind) for score in self.scores]
        twice = sorted({name for name, kind in named if named.count((name, kind)) > 1})
        called = [score.name for score in self.scores if score.cutoff is not None]
        twice += sorted({name for name in called if called.count(name) > 1})
        if twice:
            msg = f"two scores have one name: {twice}"
            raise ValueError(msg)
        return self

    @property
    def nuclei(self) -> str:
        """The marker that shows nuclei."""
        return next(channel.marker for channel in self.channels.values() if channel.role == "nuclei")

    @property
    def autofluorescence(self) -> str | None:
        """The channel without a dye, if there is one."""
        return next((one.marker for one in self.channels.values() if one.role == "autofluorescence"), None)

    def matched(self, names: Iterable[str], *, where: object = None) -> dict[str, str]:
        """Match an image's channels to the panel's by name or alias.

        Parameters
        ----------
        names
            The image's channel names.
        where
            The file, for errors.

        Returns
        -------
        Image channel name -> panel channel name, for every panel channel but the ignored.

        Raises
        ------
        DataError
            No channel has a name, two have the name of one that the panel names, or the image lacks one. Channels that
        the panel does not name may be unnamed or have one name.
        """
        there = [str(name) for name in names]
        if not any(name.strip() for name in there):
            check_channel_names(there, where=where)
        wanted = {key: channel for key, channel in self.channels.items() if channel.role != "ignore"}
        named = [name for name in there if name.strip()]
        names_of = {key: _find(key, channel, named, where) for key, channel in wanted.items()}
        _refuse_absent([key for key, name in names_of.items() if name is None], there, where)
        found: dict[str, str] = {}
        for key, name in names_of.items():
            if name is None:
                continue
            if name in found:
                message = f"the panel's channels {found[name]!r} and {key!r} both fit one channel of the image"
                raise DataError(message, where=where, seen=name, allowed=there)
            found[name] = key
        return found


def refuse_names_of_markers(rules: Mapping[str, str], *, markers: Iterable[str], where: str) -> None:
    """Refuse phenotypes whose name means something else already: a marker, its call, or a rule over markers.

    ``CD8+`` is what the gate of CD8 says; a phenotype of that name with the rule ``CD8+ CK-`` would give two rows of
    one name. A name that reads as a rule over markers (``CD3+ CD8+``) may stand for that very rule only.

    Raises
    ------
    UsageError
        A phenotype has such a name, or quotes in it.
    """
    known = {canonical_marker(marker) for marker in markers}
    for name, rule in rules.items():
        problem = _taken(name, rule, known)
        if problem:
            hint = "Give the phenotype a name of its own, for example 'CTL'."
            raise UsageError(f"{problem}: two things would have one name", where=where, seen=name, hint=hint)


def _taken(name: str, rule: str, markers: set[str]) -> str:
    if '"' in name or "'" in name or not name.strip():
        return "a phenotype's name is empty or holds quotes"
    if canonical_marker(name.strip().rstrip("+-")) in markers:
        return "a phenotype has the name of a marker"
    if is_rule_of_calls(name) and _canonical(parse_rule(name)) != _canonical(parse_rule(rule)):
        return f"a phenotype's name reads as another rule than its own ({rule})"
    return ""


def _canonical(rule: Rule) -> object:
    """Return what a rule says in a form that does not depend on the order or spelling of its parts."""
    if isinstance(rule, Call):
        return "call", canonical_marker(rule.marker), rule.positive
    if isinstance(rule, Comparison):
        return "level", canonical_marker(rule.marker), rule.compartment, rule.sign, rule.limit
    if isinstance(rule, Phenotype):
        return "phenotype", rule.name
    if isinstance(rule, Not):
        if isinstance(rule.rule, Call):
            return "call", canonical_marker(rule.rule.marker), not rule.rule.positive
        return "not", _canonical(rule.rule)
    return ("or" if isinstance(rule, Either) else "and"), frozenset(map(_canonical, rule.parts))


def _read(rule: str, *, where: str) -> None:
    try:
        parse_rule(rule)
    except UsageError as error:
        raise UsageError(error.what, where=where, seen=error.seen, allowed=error.allowed, hint=error.hint) from error


def check_channel_names(there: Sequence[str], *, where: object) -> None:
    """Refuse channels without names, and one name for two."""
    blank = [number for number, name in enumerate(there, start=1) if not name.strip()]
    if blank or not there:
        which = f"channel {', '.join(map(str, blank))} of {len(there)}"
        seen = f"none of {len(there)} named" if len(blank) == len(there) else f"no name for {which}"
        raise DataError("the image's channels have no names", where=where, seen=seen, hint=NAME_CHANNELS)
    twice = sorted({name for name in there if list(there).count(name) > 1})
    if twice:
        hint = "Rename one of them in the file."
        raise DataError("two channels have the same name", where=where, seen=twice, hint=hint)


def _refuse_absent(absent: list[str], there: list[str], where: object) -> None:
    if not absent:
        return
    many = len(absent) > 1
    which = ", ".join(repr(key) for key in absent)
    what = f"the panel names the channel{'s' if many else ''} {which}, which the image lacks"
    unnamed = [str(number) for number, name in enumerate(there, start=1) if not name.strip()]
    if unnamed:
        what += f" (no name for channel {', '.join(unnamed)} of {len(there)})"
    named = [name for name in there if name.strip()]
    raise DataError(what, where=where, allowed=named, hint=did_you_mean(absent[0], named))


def _find(key: str, channel: PanelChannel, there: list[str], where: object) -> str | None:
    """Find the image's name of a panel's channel: the same, alike, an alias, with a dye, or one word of it."""
    for wanted in (key, channel.marker):
        exact = [name for name in there if name == wanted]
        alike = [name for name in there if _plain(name) == _plain(wanted)]
        same = [name for name in there if canonical_marker(name) == canonical_marker(wanted)]
        bare = [name for name in there if canonical_marker(_without_dye(name)) == canonical_marker(wanted)]
        part = [name for name in there if canonical_marker(wanted) in map(canonical_marker, _words(name))]
        for found in (exact, alike, same, bare, part):
            if len(found) == 1:
                return found[0]
            if len(found) > 1 and len(set(found)) == 1:
                hint = "Rename one of them in the file."
                raise DataError("two channels have the same name", where=where, seen=found, hint=hint)
            if len(found) > 1:
                raise DataError(f"several channels could be {wanted!r}", where=where, seen=found)
    return None


def _without_dye(name: str) -> str:
    """``CD8 (Opal 520)`` -> ``CD8``: names of Akoya and HALO exports carry the dye."""
    return re.sub(r"\s*\([^)]*\)\s*$", "", name)


def _words(name: str) -> list[str]:
    """``570 - CD8_raw`` -> ``570``, ``CD8``, ``raw``; a hyphen inside a word is part of it (``PD-L1``)."""
    return [word for word in re.split(r"[\s_.,:;()\[\]/|]+|(?<=\s)-(?=\s)", name) if word not in ("", "-")]


def load_panel(path: str | Path) -> Panel:
    r"""Load a panel from a TOML file.

    Raises
    ------
    UsageError
        The file is absent, is not TOML, or has unknown keys or values out of range.

    Examples
    --------
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> channels = 'DAPI = {marker = "DAPI", role = "nuclei"}, CD8 = {marker = "CD8", compartment = "cell"}'
    >>> written = Path("panel.toml").write_text(f"name = 'p'\nchannels = {{{channels}}}")
    >>> list(bm.load_panel("panel.toml").channels)
    ['DAPI', 'CD8']
    """
    if not str(path).endswith(".toml"):
        raise UsageError("a panel is a .toml file", seen=str(path))
    return parse(Panel, read_toml(Path(path)), where=str(path))
