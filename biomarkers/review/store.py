"""Corrections as they are made: one GeoJSON file a slide, to which every action is appended, by many people at once."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from biomarkers.core.errors import EnvironmentFailure, UsageError
from biomarkers.core.files import file_name, write_text
from biomarkers.core.finished import CORRECTIONS
from biomarkers.io import annotations as drawn
from biomarkers.review.class_names import effect_of
from biomarkers.review.corrections import DECISIONS, FORMAT, HEAD
from biomarkers.review.readings import SOFTWARE
from biomarkers.review.run_cells import RunSlide
from biomarkers.score.outputs import cell_uuid

MOST_CELLS: Final = 20_000  # of one action: more are an area
_LONGEST_REMARK: Final = 2000
_WAIT_S, _STALE_S = 10.0, 60.0


def correct_cells(run: Path, slide: RunSlide, *, rows: Sequence[int], name: str, author: str) -> str:
    """Give cells a class, and return the name of this action.

    Parameters
    ----------
    run
        The output folder; the file is ``RUN/corrections/<slide>.geojson``.
    slide
        The slide's cells.
    rows
        Which cells, by their place in the table.
    name
        A class name, see :func:`biomarkers.review.class_names.effect_of`.
    author
        Who says so.

    Raises
    ------
    UsageError
        No cell, too many cells, a cell that does not exist, an unknown class, or no author.
    """
    if not 0 < len(rows) <= MOST_CELLS or not all(0 <= row < len(slide.table) for row in rows):
        what = "cells to correct are absent, unknown or too many"
        raise UsageError(what, where=slide.slide, seen=len(rows), allowed=f"1 to {MOST_CELLS}; draw an area for more")
    _check_class(name)
    names, obs = slide.names, slide.cells.obs
    x, y = obs["x_um"].to_numpy(), obs["y_um"].to_numpy()
    features = [
        {
            "type": "Feature",
            "id": cell_uuid(slide.slide, slide.marker, names[row]),
            "geometry": {"type": "Point", "coordinates": [x[row] / slide.mpp, y[row] / slide.mpp]},
            "properties": {
                "objectType": "detection",
                "classification": {"name": name},
                "measurements": {"x_um": float(x[row]), "y_um": float(y[row])},
                "cell": names[row],
            },
        }
        for row in rows
    ]
    return _append(run, slide, features=features, author=author)


def draw_region(run: Path, slide: RunSlide, *, ring: Sequence[Sequence[float]], name: str, author: str) -> str:
    """Draw an area, its corners in full-resolution pixels, and return the name of this action.

    Raises
    ------
    UsageError
        Fewer than three corners, an unknown class, or no author.
    DataError
        The outline encloses no area.
    """
    from shapely import Polygon

    _check_class(name)
    corners = [[float(x), float(y)] for x, y in ring]
    if not 3 <= len(corners) <= MOST_CELLS or not all(math.isfinite(place) for corner in corners for place in corner):
        allowed = f"3 to {MOST_CELLS} corners, finite"
        raise UsageError("an area without corners", where=slide.slide, seen=len(corners), allowed=allowed)
    # refused now: once in the file, an outline that cannot be mended would stop all corrections of the slide
    drawn._mended(Polygon(corners), slide.slide, [])
    feature = {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }
    return _append(run, slide, features=[feature], author=author)


def move_cut(run: Path, slide: RunSlide, *, cut_od: float, author: str) -> str:
    """Set the 1+ cut of this slide (optical density), and return the name of this action."""
    if not 0 < cut_od < 2.9:
        raise UsageError("a cut out of range", where=slide.slide, seen=cut_od, allowed="above 0, below 2.9 OD")
    return _append(run, slide, cuts=[{"cut_od": cut_od}], author=author)


def undo(run: Path, slide: RunSlide, *, author: str) -> str | None:
    """Undo the last action of this author that still holds; return its name, or None when there is none."""
    with _locked(run):
        content = _read(run, slide)
        head = content[HEAD]
        gone = {one["action"] for one in head["undone"]}
        own = [one for one in head["actions"] if one["author"] == author and one["action"] not in gone]
        if not own:
            return None
        last = str(own[-1]["action"])
        head["undone"].append({"action": last, "author": author, "time": now()})
        _write(run, slide, content)
        return last


def sign(run: Path, slide: RunSlide, *, decision: str, remark: str, author: str) -> None:
    """Sign a slide off as accepted or rejected, with a remark."""
    if decision not in DECISIONS:
        raise UsageError("unknown decision", where=slide.slide, seen=decision, allowed=DECISIONS)
    _append(run, slide, signatures=[{"decision": decision, "remark": remark[:_LONGEST_REMARK]}], author=author)


def corrections_file(run: Path, slide: str) -> Path:
    """Path of a slide's corrections."""
    return run / CORRECTIONS / f"{file_name(slide)}.geojson"


def history(run: Path, slide: str) -> dict[str, Any]:
    """Return the actions, what was undone and the signatures of a slide; empty lists where there are none."""
    path = corrections_file(run, slide)
    head = json.loads(path.read_text(encoding="utf-8")).get(HEAD, {}) if path.is_file() else {}
    return {name: head.get(name, []) for name in ("actions", "undone", "signatures")}


def _check_class(name: str) -> None:
    if effect_of(name) is None:
        allowed = "Tumor, Immune cells, Macrophage, Stroma, Other, each also ': Negative', ': 1+' ...; Ignore*, Region*"
        raise UsageError("unknown class", seen=name[:60], allowed=allowed)


def check_author(author: str) -> str:
    """Return a person's name, trimmed; refuse one that names nobody or the software."""
    name = author.strip()
    if not name or len(name) > 80 or not name.isprintable() or name.casefold().startswith(SOFTWARE):
        raise UsageError("a name is needed", seen=name[:40], allowed="1 to 80 printable letters, not 'software'")
    return name


def _append(run: Path, slide: RunSlide, *, author: str, **parts: list[dict[str, Any]]) -> str:
    """Append features, cuts or signatures of one action; the whole file is written anew, complete or not at all."""
    author, action, when = check_author(author), uuid.uuid4().hex, now()
    stamp = {"author": author, "time": when, "action": action}
    with _locked(run):
        content = _read(run, slide)
        for name, records in parts.items():
            for one in records:
                if name == "features":
                    one["properties"] |= stamp
                    content["features"].append(one)
                else:
                    content[HEAD][name].append({**one, **stamp})
        if "signatures" not in parts:
            what = ", ".join(f"{len(records)} {name}" for name, records in parts.items())
            content[HEAD]["actions"].append({**stamp, "what": what})
        _write(run, slide, content)
    return action


def _read(run: Path, slide: RunSlide) -> dict[str, Any]:
    path = corrections_file(run, slide.slide)
    if path.is_file():
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if HEAD in held:
            return held
        raise UsageError("these corrections were made elsewhere", where=path, hint="Move the file, then correct here.")
    lists: Mapping[str, list[Any]] = {name: [] for name in ("actions", "undone", "signatures", "cuts")}
    made_for = {"slide": slide.slide, "marker": slide.marker, "mpp": slide.mpp, "n_cells": len(slide.table)}
    return {"type": "FeatureCollection", HEAD: {"format": FORMAT, **made_for, **lists}, "features": []}


def _write(run: Path, slide: RunSlide, content: Mapping[str, Any]) -> None:
    write_text(corrections_file(run, slide.slide), json.dumps(content))


@contextlib.contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Hold the folder of corrections: two writers come one after the other, on any file system."""
    path = run / CORRECTIONS / ".lock"
    path.parent.mkdir(exist_ok=True)
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _STALE_S:  # its owner died
                    path.unlink()
                    continue
            if time.monotonic() > end:
                raise EnvironmentFailure("the corrections are locked by another process", where=path) from None
            time.sleep(0.01)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def now() -> str:
    """Time of an action, UTC."""
    return datetime.now(tz=UTC).isoformat(timespec="microseconds")
