"""A local page to look at scored slides: every overlay with its scores, the failed ones with their reasons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.core.files import file_name, write_text
from biomarkers.core.finished import numbers, read_output
from biomarkers.report.page import number

if TYPE_CHECKING:
    import pandas as pd

_WIDTH, _HEIGHT, _FEWEST_POINTS = 100.0, 40.0, 3


def write_review(folder: str | Path) -> Path:
    """Write ``review.html`` beside ``slides.csv``; pictures are linked, not copied.

    Parameters
    ----------
    folder
        An output folder of ``biomarkers score``.

    Returns
    -------
    The page's path.

    Raises
    ------
    UsageError
        The folder holds no scored slides.
    DataError
        A table was changed so that it cannot be read.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> bm.write_review("run").name
    'review.html'
    """
    import jinja2

    out = Path(folder)
    if not (out / "slides.csv").is_file() or not (out / "scores.csv").is_file():
        raise UsageError(
            "this folder holds no scored slides", where=out, allowed="an --out folder of 'biomarkers score'"
        )
    slides = read_output(out / "slides.csv", columns=("slide", "status", "reason", "n_cells"))
    scores = read_output(out / "scores.csv", columns=("slide", "region", "marker", "score", "value", "status"))
    scores["value"] = numbers(scores, "value", where=out / "scores.csv")
    cards = [_card(row, scores, out) for row in slides.to_dict("records")]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("biomarkers.review"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    counts = slides["status"].value_counts().to_dict()
    path = out / "review.html"
    write_text(path, environment.get_template("gallery.html").render(slides=cards, counts=counts))
    return path


def _card(row: dict[Any, Any], scores: pd.DataFrame, out: Path) -> dict[str, Any]:
    name = row["slide"]
    pictures = [f"overlays/{file_name(name)}.png", f"thumbnails/{file_name(name)}.jpg"]
    picture = next((one for one in pictures if (out / one).is_file()), "")
    mine = scores[(scores["slide"] == name) & (scores["region"] == "all") & (scores["status"] == "ok")]
    shown = [
        (f"{score['marker']} {score['score']}", number(float(score["value"]))) for score in mine.to_dict("records")
    ]
    return {
        "name": name,
        "status": row["status"],
        "reason": row["reason"],
        "overlay": quote(picture),
        "scores": [*([("cells", row["n_cells"])] if row["n_cells"] else []), *shown],
        "curve": _curve(out / "sensitivity" / f"{file_name(name)}.csv"),
    }


def _curve(path: Path) -> dict[str, Any] | None:
    """Lay the first score's curve out for drawing in a box of 100 x 40, or None where there is none to draw."""
    if not path.is_file():
        return None
    table = read_output(path, columns=("score", "dab_od", "value", "in_force"))
    table = table.assign(**{name: numbers(table, name, where=path) for name in ("dab_od", "value")})
    table["in_force"] = table["in_force"].str.casefold() == "true"
    first = next(iter(table["score"]), "")
    table = table[(table["score"] == first) & table["value"].notna() & table["dab_od"].notna()]
    if len(table) < _FEWEST_POINTS or table["in_force"].sum() != 1 or np.ptp(table["dab_od"].to_numpy()) == 0:
        return None
    cut, value = table["dab_od"].to_numpy(), table["value"].to_numpy()
    top = max(float(value.max()), 1e-9)
    x = _WIDTH * (cut - cut[0]) / (cut[-1] - cut[0])
    y = _HEIGHT * (1 - value / top)
    own = int(table["in_force"].to_numpy().argmax())
    return {
        "points": " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)),
        "own_x": f"{x[own]:.1f}",
        "own_y": f"{y[own]:.1f}",
        "score": first,
        "first": f"{cut[0]:.3g}",
        "own": f"{cut[own]:.3g}",
        "last": f"{cut[-1]:.3g}",
        "top": number(top),
        "value": number(float(value[own])),
    }
