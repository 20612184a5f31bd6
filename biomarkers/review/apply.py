"""Corrections meet the cells of a slide: each is matched by its id, then by its place; what fits none is counted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.errors import DataError
from biomarkers.review.class_names import Effect, effect_of
from biomarkers.review.corrections import CellCorrection, Corrections
from biomarkers.review.run_cells import RunSlide
from biomarkers.score.outputs import cell_uuid
from biomarkers.score.palette import kinds
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.positivity import call_positivity
from biomarkers.score.sensitivity import scaled
from biomarkers.score.stainings import CYTOPLASM, MEMBRANE, NONE, NUCLEUS

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

REACH_UM: Final = 3.0  # a corrected cell without a known id is the nearest nucleus within this distance
_SAME_UM: Final = 0.01  # measurements are written with six digits
_MOST_FOREIGN: Final = 0.5  # of a file's cells: beyond, it belongs to another run
_LEVEL_UNTOLD: Final = -1
_STAINING_OF: Final = {"nucleus": NUCLEUS, "membrane": MEMBRANE}


@dataclass(frozen=True)
class Applied:
    """Cells after corrections, and what became of each correction.

    ``changed`` (n,) bool says which cells differ from the run's in class, bin or in being left out.
    """

    cells: PlainCells
    changed: NDArray[np.bool_]
    counts: Mapping[str, int]
    foreign: Sequence[str]
    not_understood: Sequence[str]
    thresholds_moved: bool
    areas_changed: bool
    notes: Sequence[str] = field(default=())


def apply_corrections(slide: RunSlide, asked: Corrections, *, classes: Mapping[str, str] | None = None) -> Applied:
    """Apply corrections to the cells of one slide; no pixel is read.

    Regions come first, then single cells; of two corrections of one cell the later holds. Cells whose class changed and
    whose level was not told are called again by the compartment of their new class. A moved cut calls all cells again,
    2+ and 3+ in proportion; levels that were told stay.

    Parameters
    ----------
    slide
        The slide's cells as the run counted them.
    asked
        What to correct.
    classes
        What further class names mean.

    Raises
    ------
    DataError
        The file was made for another slide, image or run, most of its cells are not those of this run, or one cell
        stands in it twice with two classes and no time tells which holds.
    """
    check_head(slide, asked)
    names, index = kinds(slide.cells, marker=slide.marker)
    shown = np.array([kind.name for kind in names], dtype=object)[index] if len(names) else np.zeros(0, dtype=object)
    found, foreign = _matched(slide, asked.cells)
    state = _State.of(slide)
    regions = sorted(asked.regions, key=lambda one: one.time)
    empty = sum(_apply_region(state, slide, one.geometry, effect_of(one.name, classes)) == 0 for one in regions)
    given = _last_of_each(found, asked.source, slide.names)
    not_understood = []
    for row, one in given.items():
        if one.name == shown[row]:
            continue
        effect = effect_of(one.name, classes)
        if effect is None:
            not_understood.append(f"cell {slide.names[row]}: {one.name or 'no class'}")
            continue
        state.change(np.array([row]), effect)
    cells, moved = _called(slide, state, asked.cut_od)
    changed = _differs(slide, cells)
    notes = list(asked.notes)
    notes += [f"{empty} regions hold no cell"] if empty else []
    return Applied(
        cells=cells,
        changed=changed,
        counts={
            "n_in_file": len(asked.cells),
            "n_matched": len(given),
            "n_changed": int(changed.sum()),
            "n_foreign": len(foreign),
            "n_not_understood": len(not_understood),
            "n_overridden": len(found) - len(given),
            "n_regions": len(asked.regions),
        },
        foreign=[one.cell_id or "without an id" for one in foreign],
        not_understood=not_understood,
        thresholds_moved=moved,
        areas_changed=bool(state.areas_changed),
        notes=notes,
    )


def check_head(slide: RunSlide, asked: Corrections) -> None:
    """Refuse a file that says it was made for another slide or another set of cells."""
    told = asked.head
    for name, own in (("slide", slide.slide), ("n_cells", len(slide.table)), ("marker", slide.marker)):
        if name in told and told[name] != own:
            what = f"the corrections were made for another {'run' if name == 'n_cells' else name}"
            raise DataError(what, where=asked.source, seen=told[name], allowed=own)
    if "mpp" in told and not np.isclose(float(told["mpp"]), slide.mpp, rtol=1e-6):
        what = "the corrections were made for another pixel size"
        raise DataError(what, where=asked.source, seen=told["mpp"], allowed=slide.mpp)


def _matched(
    slide: RunSlide, asked: Sequence[CellCorrection]
) -> tuple[list[tuple[int, CellCorrection]], list[CellCorrection]]:
    """Find each corrected cell among the run's, by id, then by place; refuse a file most of which fits nothing."""
    if not asked:
        return [], []
    found: list[tuple[int, CellCorrection]] = []
    rest: list[CellCorrection] = []
    for one in asked:
        told = _plain_id(one.cell_id)
        row = slide.row_of.get(one.cell)
        if row is None or cell_uuid(slide.slide, slide.marker, one.cell) != told:
            row = slide.row_of_id.get(told)
        rest.append(one) if row is None else found.append((row, one))
    foreign = _matched_by_place(slide, rest, found)
    if len(foreign) > _MOST_FOREIGN * len(asked):
        raise DataError(
            "most corrected cells are none of this run's: the file belongs to another run, slide or image size",
            where=asked[0].cell_id and f"{slide.slide}",
            seen=f"{len(foreign)} of {len(asked)}, the first {foreign[0].cell_id or 'without an id'}",
            hint="Correct the cells of this run's geojson/, or of 'biomarkers export RUN --to qupath'.",
        )
    return found, foreign


def _matched_by_place(
    slide: RunSlide, rest: Sequence[CellCorrection], found: list[tuple[int, CellCorrection]]
) -> list[CellCorrection]:
    if not rest or not slide.cells.n_obs:
        return list(rest)
    from scipy.spatial import KDTree

    centres = np.column_stack([slide.cells.obs[name].to_numpy() for name in (keys.X_UM, keys.Y_UM)])
    tree, foreign = KDTree(centres), []
    for one in rest:
        told, px = one.place_um, one.place_px
        place = told if told is not None else (px[0] * slide.mpp, px[1] * slide.mpp) if px is not None else None
        if place is None:
            foreign.append(one)
            continue
        away, row = tree.query(place)
        if away <= (_SAME_UM if told is not None else REACH_UM):
            found.append((int(row), one))
        else:
            foreign.append(one)
    return foreign


def _plain_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


def _last_of_each(
    found: Sequence[tuple[int, CellCorrection]], source: str, names: Sequence[str]
) -> dict[int, CellCorrection]:
    """Keep the last correction of each cell; two classes of one cell at one time are a contradiction."""
    last: dict[int, CellCorrection] = {}
    for row, one in sorted(found, key=lambda pair: pair[1].time):
        held = last.get(row)
        if held is not None and held.time == one.time and held.name != one.name:
            seen = f"cell {names[row]}: {held.name!r} and {one.name!r}"
            raise DataError("one cell was given two classes at one time", where=source, seen=seen)
        last[row] = one
    return last


@dataclass
class _State:
    """Class, told level and exclusion of every cell while corrections are applied."""

    cell_class: NDArray[np.str_]
    level: NDArray[np.int64]
    positive: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    areas_changed: bool = False

    @classmethod
    def of(cls, slide: RunSlide) -> _State:
        obs = slide.cells.obs
        classes = obs[keys.CELL_CLASS].to_numpy().astype(object)
        n = slide.cells.n_obs
        left_out = obs[keys.EXCLUDED].to_numpy(bool).copy()
        return cls(classes, np.full(n, _LEVEL_UNTOLD), np.zeros(n, dtype=bool), left_out)

    def change(self, rows: NDArray[np.intp], effect: Effect) -> None:
        """Give cells what a class name asks for."""
        self.excluded[rows] = effect.excluded
        if effect.excluded:
            return
        if effect.cell_class is not None:
            # QuPath's one class of immune cells is both of ours
            same = (effect.cell_class == keys.LYMPHOCYTE) & (self.cell_class[rows] == keys.MACROPHAGE)
            self.cell_class[rows] = np.where(same, keys.MACROPHAGE, effect.cell_class)
        if effect.level is not None:
            self.level[rows] = effect.level
        self.positive[rows] = effect.positive


def _apply_region(state: _State, slide: RunSlide, area: BaseGeometry, effect: Effect | None) -> int:
    """Apply a drawn area to the cells whose centre lies in it; return how many."""
    import shapely

    assert effect is not None  # checked when the file was read
    x, y = (slide.cells.obs[name].to_numpy(np.float64) / slide.mpp for name in (keys.X_UM, keys.Y_UM))
    shapely.prepare(area)
    rows = np.flatnonzero(shapely.contains_xy(area, x, y))
    if effect.excluded or effect.cell_class is None:
        state.areas_changed = True  # tissue was left out or taken in: how much of it, only pixels tell
        state.excluded[rows] = effect.excluded
    else:
        excluded = state.excluded[rows]
        state.change(rows, effect)
        state.excluded[rows] = excluded
    return len(rows)


def _called(slide: RunSlide, state: _State, cut_od: float | None) -> tuple[PlainCells, bool]:
    """Call cells again where their class or the cut changed, then set the levels that were told."""
    marker, before = slide.marker, slide.cells
    bin_of, od_of, positive_of = keys.bin_column(marker), keys.od_column(marker), keys.positive_column(marker)
    staining_of = keys.staining_column(marker)
    cells = before.copy()
    cells.once = {}
    cells.obs[keys.CELL_CLASS] = state.cell_class.astype(str)
    cells.obs[keys.EXCLUDED] = state.excluded
    moved = cut_od is not None and not np.isclose(cut_od, slide.thresholds.dab_od[0], rtol=1e-9)
    again = state.cell_class != before.obs[keys.CELL_CLASS].to_numpy()
    if moved:
        again = np.ones(cells.n_obs, dtype=bool)
    held = {name: before.obs[name].to_numpy().copy() for name in (bin_of, od_of, staining_of) if name in before.obs}
    if again.any():
        assert not moved or cut_od is not None
        cuts = scaled(slide.thresholds, to=cut_od) if moved and cut_od is not None else slide.thresholds
        recalled = call_positivity(cells, assay=slide.assay, thresholds=cuts, marker=marker)
        for name, values in held.items():
            held[name] = np.where(again, recalled.obs[name].to_numpy(), values)
    bins = held[bin_of].astype(np.int64)
    bins = np.where(state.level != _LEVEL_UNTOLD, state.level, bins)
    bins = np.where(state.positive, np.maximum(bins, 1), bins)
    told = (state.level != _LEVEL_UNTOLD) | state.positive
    if staining_of in held:
        kind = _STAINING_OF.get(slide.assay.compartment, CYTOPLASM)
        staining = held[staining_of].astype("<U9")
        staining = np.where(told & (bins == 0), NONE, staining)
        held[staining_of] = np.where(told & (bins > 0) & (staining == NONE), kind, staining)
    for name, values in held.items():
        cells.obs[name] = values
    cells.obs[bin_of] = bins
    cells.obs[positive_of] = bins > 0
    return cells, moved


def _differs(slide: RunSlide, cells: PlainCells) -> NDArray[np.bool_]:
    names = (keys.CELL_CLASS, keys.EXCLUDED, keys.bin_column(slide.marker))
    parts = [cells.obs[name].to_numpy() != slide.cells.obs[name].to_numpy() for name in names]
    return np.asarray(np.logical_or.reduce(parts), dtype=bool)
