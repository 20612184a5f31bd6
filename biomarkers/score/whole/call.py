"""Bands of measured cells -> classes, calls and counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core import keys
from biomarkers.score.classes import classified
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.positivity import call_positivity
from biomarkers.score.tally import Counts, add_counts, class_names, count_cells, tell_reach
from biomarkers.score.whole.bands import Band, in_bands
from biomarkers.score.whole.decide import ScoringTask, SlideParameters
from biomarkers.score.whole.stream import TileRow

REACH_UM = 200.0  # how far around itself a band looks, where classes are told by what lies there

_Of = tuple[float, str | None]  # a 1+ cut of the sensitivity curve; an annotated tissue, or None for the whole


@dataclass(frozen=True)
class Called:
    """The cells of a band at the cut in force, their counts at every cut, and what is said of their classes."""

    cells: PlainCells
    counts: Mapping[_Of, Counts]
    named: frozenset[str] | None
    method: str
    notes: Sequence[str]


class Caller:
    """Calls the cells of a slide band by band; keeps counts only.

    Attributes
    ----------
    n_cells, n_excluded
        Cells so far, and those of them that annotations leave out.
    stained_px
        Stained pixels so far, by region.
    notes
        What the annotations or the assumption have to say.
    """

    def __init__(self, task: ScoringTask, decided: SlideParameters) -> None:
        self.n_cells, self.n_excluded = 0, 0
        self.stained_px: dict[str, int] = {}
        self.notes: dict[str, None] = {}
        self.named: frozenset[str] | None = frozenset()
        self.class_method = "none"
        self._task, self._decided = task, decided
        self._regions: tuple[str | None, ...] = (None, *task.classes.tissues)
        self._cuts = task.cuts()
        self._counts: dict[_Of, Counts] = {}

    def bands(self, strips: Iterable[TileRow]) -> Iterator[Band]:
        """Lay strips out in bands, and add up their stained pixels."""
        classes = self._task.classes
        told_around = classes.classifier is not None or classes.annotations is not None
        reach_um = REACH_UM if told_around else 0.0
        return in_bands(map(self._noted, strips), mpp=self._decided.plan.mpp, reach_um=reach_um)

    def call(self, band: Band) -> Called:
        """Call the cells of a band; many threads may, since nothing is kept."""
        task, mpp = self._task, self._decided.plan.mpp
        around: Any = PlainCells.of_rows(band.rows, mpp=mpp, marker=task.marker)
        around, notes = classified(around, classes=task.classes, mpp=mpp)
        tell_reach(around, assay=task.assay)
        cells = around.subset(band.own)
        in_force = task.thresholds.dab_od[0]
        counts: dict[_Of, Counts] = {}
        given: Any = cells
        for cut, thresholds in self._cuts.items():
            called: Any = call_positivity(cells, marker=task.marker, assay=task.assay, thresholds=thresholds)
            for region in self._regions if cut == in_force else (None,):
                counts[cut, region] = count_cells(called, assay=task.assay, marker=task.marker, region=region)
            if cut == in_force:
                given = called
        return Called(given, counts, class_names(cells), str(cells.uns["class_source"]["method"]), notes)

    def add(self, called: Called) -> PlainCells:
        """Add the next band to the counts; return its cells, numbered on from those above."""
        cells = called.cells
        cells.obs["label"] = np.arange(self.n_cells + 1, self.n_cells + cells.n_obs + 1)
        self.n_cells += cells.n_obs
        self.n_excluded += int(np.count_nonzero(cells.obs[keys.EXCLUDED].to_numpy()))
        self.notes.update(dict.fromkeys(called.notes))
        self.named, self.class_method = called.named, called.method
        for of, part in called.counts.items():
            held = self._counts.get(of)
            self._counts[of] = part if held is None else add_counts([held, part])
        return cells

    def counts(self, *, cut: float, region: str | None) -> Counts:
        """Return the counts at a 1+ cut of the sensitivity curve, of the whole (None) or of an annotated tissue."""
        return self._counts.get((cut, region), add_counts([]))

    def _noted(self, strip: TileRow) -> TileRow:
        for region, count in strip.stained_px.items():
            self.stained_px[region] = self.stained_px.get(region, 0) + count
        return strip
