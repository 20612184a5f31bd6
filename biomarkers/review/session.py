"""What the review page asks for and hands in: slides, tiles, cells, readings, corrections; blinding is kept here."""

from __future__ import annotations

import json
import math
import os
import struct
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.core.files import file_name
from biomarkers.core.finished import CORRECTIONS, REVEALED, numbers, read_output
from biomarkers.review import store
from biomarkers.review.apply import Applied, apply_corrections
from biomarkers.review.cohort_list import CohortList, read_list
from biomarkers.review.corrections import read_corrections
from biomarkers.review.readings import Reading, append_line, append_reading, read_readings
from biomarkers.review.rescore import corrected_scores
from biomarkers.review.run_cells import RunSlide, cells_to_show, read_slide, records_of
from biomarkers.review.tiles import TilePyramid
from biomarkers.score.palette import kinds

if TYPE_CHECKING:
    import pandas as pd

_REVEALED_COLUMNS: Final = ("slide", "reader", "time")
_HELD_SLIDES: Final = 2  # whose cells stay in memory
_ASKED: Final = ("value", "unit", "ci_low", "ci_high", "status", "reason")


class ReviewSession:
    """One run under review.

    Parameters
    ----------
    run
        An output folder of ``biomarkers score``.
    read_only
        Nothing is written, and everything is shown.
    blinded
        A reader sees the software's values, and the cells' colours, only after an own reading of that slide; other
        people's readings never before it. Who asks to see them first is remembered, and reads unblinded from then on.

    Raises
    ------
    UsageError, DataError
        The folder holds no finished run, or its tables cannot be read.
    """

    def __init__(self, run: Path, *, read_only: bool = False, blinded: bool = True) -> None:
        self.run, self.read_only, self.blinded = run, read_only, blinded and not read_only
        self._records = records_of(run)
        self._list: CohortList = read_list(run)
        self._jobs = jobs_of(run)
        self._tiles: dict[int, TilePyramid] = {}
        self._slides: OrderedDict[int, RunSlide] = OrderedDict()
        self._applied: dict[int, tuple[tuple[float, int], Applied]] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Let go of the slides' files."""
        with self._lock:
            for one in self._tiles.values():
                one.close()
            self._tiles.clear()

    # -- looking ---

    def cohort(self, reader: str) -> dict[str, Any]:
        """List the slides, each with its scores where this reader may see them."""
        open_to = self._open_to(reader)
        corrected = {path.stem for path in (self.run / CORRECTIONS).glob("*.geojson")}
        slides = [
            {
                **_told(row, locked=not open_to(row["slide"])),
                "number": number,
                "locked": not open_to(row["slide"]),
                "scores": self._list.scores_of(row["slide"]) if open_to(row["slide"]) else None,
                "corrected": file_name(row["slide"]) in corrected,
            }
            for number, row in enumerate(self._list.slides)
        ]
        return {"slides": slides, "read_only": self.read_only, "blinded": self.blinded, "run": self.run.name}

    def slide(self, number: int, reader: str) -> dict[str, Any]:
        """Everything about one slide that this reader may see."""
        row = self._row(number)
        name, locked = row["slide"], not self._open_to(reader)(row["slide"])
        asked = sorted({(one["marker"], one["score"]) for one in self._list.scores_of(name)})
        told = {
            **_told(row, locked=locked),
            "number": number,
            "locked": locked,
            "questions": [*asked, (str(row.get("marker") or ""), "intensity")],
            "image": self._image(number),
            "readings": self._readings(name, reader),
        }
        if locked:
            return told
        return {**told, "scores": self._list.scores_of(name), "curve": self._curve(name), **self._corrected(number)}

    def tile(self, number: int, zoom: int, column: int, row: int) -> bytes:
        """Return one tile as JPEG."""
        return self._pyramid(number).tile(zoom, column, row)

    def cells(self, number: int, reader: str) -> bytes:
        """Return the corrected cells: a JSON heading, then x, y, radius (float32 px), kind, corrected (uint8).

        Raises
        ------
        UsageError
            This reader has not read the slide yet.
        """
        if not self._open_to(reader)(self._row(number)["slide"]):
            raise UsageError("read the slide first: the colours of its cells are the software's reading")
        row, applied = self._row(number), self._apply(number)
        mpp, marker = self._own_mpp(number), str(row.get("marker") or "")
        if mpp is None:
            raise DataError("the slide has no pixel size, so its cells have no place in pixels", where=row["slide"])
        cells = cells_to_show(self.run, slide=row["slide"], marker=marker) if applied is None else applied.cells
        found, index = kinds(cells, marker=marker)
        x, y = (cells.obs[name].to_numpy() / mpp for name in (keys.X_UM, keys.Y_UM))
        radius = np.sqrt(cells.obs[keys.AREA_UM2].to_numpy() / math.pi) / mpp
        changed = np.zeros(cells.n_obs, np.uint8) if applied is None else applied.changed.astype(np.uint8)
        head = {
            "n": cells.n_obs,
            "kinds": [{"name": k.name, "legend": k.legend, "colour": list(k.colour)} for k in found],
        }
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 4)
        arrays = [np.asarray(values, np.float32).tobytes() for values in (x, y, radius)]
        arrays += [index.astype(np.uint8).tobytes(), changed.tobytes()]
        return b"".join([struct.pack("<I", len(text)), text, *arrays])

    # -- reading and correcting ---

    def read(self, number: int, *, reader: str, marker: str, score: str, value: float) -> dict[str, Any]:
        """Keep a reading; whether it was blinded is known here, not told by the page."""
        self._writable()
        reader, name = store.check_author(reader), self._row(number)["slide"]
        blinded = self.blinded and not self._knows(reader, name, marker, score)
        append_reading(self.run, Reading(name, marker, score, value, reader, blinded))
        return self.slide(number, reader)

    def reveal(self, number: int, *, reader: str) -> dict[str, Any]:
        """Show the software's values before a reading; later readings of this slide are not blinded."""
        self._writable()
        reader, name = store.check_author(reader), self._row(number)["slide"]
        append_line(self.run / REVEALED, _REVEALED_COLUMNS, [name, reader, store.now()])
        return self.slide(number, reader)

    def correct(self, number: int, *, author: str, what: str, **asked: Any) -> dict[str, Any]:
        """Make one correction: ``cells``, ``region``, ``cut``, ``undo`` or ``sign``; return the slide as it is now."""
        self._writable()
        author = store.check_author(author)
        if not self._open_to(author)(self._row(number)["slide"]):
            raise UsageError("read the slide first: corrections are made with its cells in sight")
        slide = self._slide(number)
        if what == "cells":
            store.correct_cells(
                self.run, slide, author=author, rows=[int(r) for r in asked["rows"]], name=str(asked["name"])
            )
        elif what == "region":
            store.draw_region(self.run, slide, author=author, ring=asked["ring"], name=str(asked["name"]))
        elif what == "cut":
            store.move_cut(self.run, slide, author=author, cut_od=float(asked["cut_od"]))
        elif what == "undo":
            store.undo(self.run, slide, author=author)
        elif what == "sign":
            decision, remark = str(asked["decision"]), str(asked.get("remark", ""))
            store.sign(self.run, slide, author=author, decision=decision, remark=remark)
        else:
            raise UsageError("unknown correction", seen=what[:40], allowed="cells, region, cut, undo, sign")
        return self.slide(number, author)

    # -- inside ---

    def _writable(self) -> None:
        if self.read_only:
            raise UsageError("this page is for looking only (--read-only)")

    def _row(self, number: int) -> dict[str, Any]:
        if not 0 <= number < len(self._list.slides):
            raise UsageError("there is no such slide", seen=number, allowed=f"0 to {len(self._list.slides) - 1}")
        return self._list.slides[number]

    def _open_to(self, reader: str) -> Any:
        """Return a function that says whether this reader may see a slide's values."""
        if not self.blinded:
            return lambda _: True
        name = reader.strip()
        readings = read_readings(self.run)
        known = set(readings.loc[readings["reader"] == name, "slide"]) | self._revealed(name)
        return lambda slide: bool(name) and slide in known

    def _knows(self, reader: str, slide: str, marker: str, score: str) -> bool:
        """Whether a reader saw the software's value of this score before: revealed, or read anything here earlier."""
        del marker, score  # all values of a slide are shown together
        return bool(self._open_to(reader)(slide))

    def _revealed(self, reader: str) -> set[str]:
        path = self.run / REVEALED
        if not path.is_file():
            return set()
        table = read_output(path, columns=_REVEALED_COLUMNS)
        return set(table.loc[table["reader"] == reader, "slide"])

    def _readings(self, slide: str, reader: str) -> list[dict[str, Any]]:
        """Return one's own readings of a slide, and those of others once one's own stands."""
        every = read_readings(self.run)
        every = every[every["slide"] == slide]
        own = every["reader"] == reader.strip()
        shown = every if own.any() or self.read_only else every[own]
        return [{str(k): v for k, v in row.items()} for row in shown.to_dict("records")]

    def _curve(self, slide: str) -> list[dict[str, Any]]:
        path = self.run / "sensitivity" / f"{file_name(slide)}.csv"
        if not path.is_file():
            return []
        table = read_output(path, columns=("score", "dab_od", "value", "in_force"))
        for name in ("dab_od", "value"):
            table[name] = numbers(table, name, where=path)
        rows = table[["score", "dab_od", "value", "in_force"]].to_dict("records")
        return [{str(k): None if v != v else v for k, v in row.items()} for row in rows]

    def _corrected(self, number: int) -> dict[str, Any]:
        """Say what was corrected, and the scores that follow; a file that does not fit is told, not applied."""
        name = self._row(number)["slide"]
        try:
            applied = self._apply(number)
            told = store.history(self.run, name)
        except (DataError, UsageError) as error:
            return {"corrections": None, "problem": str(error)}
        if applied is None:
            return {"corrections": told, "n_corrected": 0, "corrected_scores": None}
        scores = corrected_scores(self._slide(number), self._machine(name), applied)
        scores = scores[scores["region"] == "all"]
        rows = scores[["score", "marker", *_ASKED]].to_dict("records")
        plain = [{str(k): None if isinstance(v, float) and v != v else v for k, v in row.items()} for row in rows]
        return {"corrections": told, "n_corrected": int(applied.changed.sum()), "corrected_scores": plain}

    def _machine(self, name: str) -> pd.DataFrame:
        return self._list.scores[self._list.scores["slide"] == name].reset_index(drop=True)

    def _apply(self, number: int) -> Applied | None:
        path = store.corrections_file(self.run, self._row(number)["slide"])
        with self._lock:
            if not path.is_file():
                return None
            stat = path.stat()
            stamp = (stat.st_mtime, stat.st_size)
            held = self._applied.get(number)
            if held is None or held[0] != stamp:
                held = stamp, apply_corrections(self._slide(number), read_corrections(path))
                self._applied[number] = held
            return held[1]

    def _slide(self, number: int) -> RunSlide:
        with self._lock:
            if number not in self._slides:
                row = self._row(number)
                name = row["slide"]
                table = read_output(self.run / "slides.csv", columns=("slide", "mpp"))
                whole: dict[str, Any] = table[table["slide"] == name].iloc[0].to_dict()
                record = self._records.get(name, {})
                self._slides[number] = read_slide(
                    self.run, slide=name, row=whole, scores=self._machine(name), record=record
                )
                while len(self._slides) > _HELD_SLIDES:
                    self._applied.pop(self._slides.popitem(last=False)[0], None)
            self._slides.move_to_end(number)
            return self._slides[number]

    def _pyramid(self, number: int) -> TilePyramid:
        with self._lock:
            if number not in self._tiles:
                job = self._jobs.get(self._row(number)["slide"])
                if job is None or not Path(job["path"]).exists():
                    raise UsageError("the slide's image is not where it was scored from")
                made = TilePyramid(Path(job["path"]), mpp=job["mpp"], scene=job.get("scene"))
                if made.width * made.height != job.get("pixels", made.width * made.height):
                    raise DataError("the image is not the one that was scored: it has another size")
                self._tiles[number] = made
            return self._tiles[number]

    def _image(self, number: int) -> dict[str, Any] | None:
        """Return the size of the slide's image, or None with the reason in ``problem``."""
        try:
            found = self._pyramid(number)
        except (BiomarkersError, OSError) as error:
            what = error.what if isinstance(error, BiomarkersError) else "the image cannot be opened"
            return {"problem": what}
        own = self._own_mpp(number)
        return {"width": found.width, "height": found.height, "max_zoom": found.max_zoom, "mpp": own}

    def _own_mpp(self, number: int) -> float | None:
        table = read_output(self.run / "slides.csv", columns=("slide", "mpp"))
        values = table.loc[table["slide"] == self._row(number)["slide"], "mpp"]
        return float(values.iloc[0]) if len(values) and values.iloc[0] else None


def _told(row: dict[str, Any], *, locked: bool) -> dict[str, Any]:
    """Return a slide's row; its reason quotes scores, so a reader who is to read blinded does not get it."""
    return {**row, "reason": ""} if locked and row["rank"] else row


def jobs_of(run: Path) -> dict[str, dict[str, Any]]:
    """Where each slide's image is, from what the run remembers; nothing where it was merged or moved."""
    path = run / ".biomarkers" / "jobs.json"
    if not path.is_file():
        return {}
    try:
        jobs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return {str(job["slide"]): {**job, "path": os.fspath(job["path"])} for job in jobs if not job.get("panel")}
