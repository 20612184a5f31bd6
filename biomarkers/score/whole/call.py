"""Measured cells in reading order -> classes, calls and counts, in bands of fixed height with their surroundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from biomarkers.cells.table import Rows, join_rows
from biomarkers.score.classes import classified
from biomarkers.score.neighbours import NEIGHBOURS_UM, with_neighbours
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.positivity import call_positivity
from biomarkers.score.readings import marker_index
from biomarkers.score.tally import EXCLUDED, Counts, add_counts, class_names, count_cells, tell_reach
from biomarkers.score.whole.decide import Decided, Task

# bands lie at the same place whatever the tiles were, so classes and sums do not depend on tiles; how far around
# themselves they look where classes are told by what lies there, and where only neighbours are asked
BAND_UM, REACH_UM, _NEAR_UM = 512.0, 200.0, NEIGHBOURS_UM + 1.0


class Caller:
    """Takes cells from top to bottom and gives them on, called; keeps counts only.

    Attributes
    ----------
    n_cells, n_excluded
        Cells so far, and those of them that annotations leave out.
    notes
        What the annotations or the assumption have to say.
    """

    def __init__(self, task: Task, decided: Decided, *, give: Callable[[PlainCells], None]) -> None:
        self.n_cells, self.n_excluded = 0, 0
        self.notes: dict[str, None] = {}
        self.named: frozenset[str] | None = frozenset()
        self.class_method = "none"
        self._task, self._decided, self._give = task, decided, give
        self._regions: tuple[str | None, ...] = (None, *task.classes.tissues)
        self._cuts = task.cuts()
        self._counts: dict[tuple[float, str | None], Counts] = {}
        self._held: list[Rows] = []
        self._band = 0
        told_around = task.classes.classifier is not None or task.classes.annotations is not None
        self._reach_um = REACH_UM if told_around else _NEAR_UM

    def take(self, rows: Rows, *, end: int) -> None:
        """Take all cells down to pixel row ``end`` (those above were taken before), in reading order."""
        self._held.append(rows)
        while (self._band + 1) * BAND_UM + self._reach_um <= end * self._decided.plan.mpp:
            self._next_band()

    def finish(self) -> None:
        """Call what is left."""
        lowest = max((float(part.middle[:, 1].max()) for part in self._held if part.count), default=-1.0)
        while self._band * BAND_UM <= (lowest + 0.5) * self._decided.plan.mpp:
            self._next_band()

    def counts(self, *, cut: float, region: str | None) -> Counts:
        """Return the counts at a 1+ cut of the sensitivity curve, of the whole (None) or of an annotated tissue."""
        return self._counts.get((cut, region), add_counts([]))

    def _next_band(self) -> None:
        mpp = self._decided.plan.mpp
        rows = join_rows(self._held)
        y = (rows.middle[:, 1] + 0.5) * mpp
        low = self._band * BAND_UM
        high = low + BAND_UM
        self._band += 1
        # later bands need their own cells and, as soon as there are any, the surroundings above them
        reach = self._reach_um
        again, first, start, stop, last = np.searchsorted(y, [high - reach, low - reach, low, high, high + reach])
        self._held = [rows.taken(slice(again, None))]
        if start < stop:
            self._call(rows.taken(slice(first, last)), slice(start - first, stop - first))

    def _call(self, rows: Rows, own: slice) -> None:
        task, plan = self._task, self._decided.plan
        around: Any = PlainCells.of_rows(rows, mpp=plan.mpp, marker=task.marker)
        around, notes = classified(around, classes=task.classes, mpp=plan.mpp)
        around = with_neighbours(around, column=marker_index(around, task.marker))
        tell_reach(around, assay=task.assay)
        cells = around.taken(own)
        self.notes.update(dict.fromkeys(notes))
        self.named, self.class_method = class_names(cells), str(cells.uns["class_source"]["method"])
        in_force = task.thresholds.dab_od[0]
        for cut, thresholds in self._cuts.items():
            called: Any = call_positivity(
                cells, marker=task.marker, assay=task.assay, thresholds=thresholds, pattern=self._decided.patterns[cut]
            )
            for region in self._regions if cut == in_force else (None,):
                part = count_cells(called, assay=task.assay, marker=task.marker, region=region)
                held = self._counts.get((cut, region))
                self._counts[cut, region] = part if held is None else add_counts([held, part])
            if cut == in_force:
                self._hand_on(called)

    def _hand_on(self, cells: PlainCells) -> None:
        """Give the band's cells away, numbered on from those above."""
        cells.obs["label"] = np.arange(self.n_cells + 1, self.n_cells + cells.n_obs + 1)
        self.n_cells += cells.n_obs
        self.n_excluded += int(np.count_nonzero(cells.obs[EXCLUDED].to_numpy()))
        self._give(cells)
