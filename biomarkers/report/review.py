"""A local page to look at scored slides: every overlay with its scores, the failed ones with their reasons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from biomarkers.errors import UsageError
from biomarkers.files import file_name, write_text
from biomarkers.report.page import number

if TYPE_CHECKING:
    import pandas as pd


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
    """
    import jinja2
    import pandas as pd

    out = Path(folder)
    if not (out / "slides.csv").is_file() or not (out / "scores.csv").is_file():
        raise UsageError(
            "this folder holds no scored slides", where=out, allowed="an --out folder of 'biomarkers score'"
        )
    slides = pd.read_csv(out / "slides.csv", keep_default_na=False, dtype=str)
    scores = pd.read_csv(out / "scores.csv", dtype={"slide": str})
    cards = [_card(row, scores, out) for row in slides.to_dict("records")]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("biomarkers.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    counts = slides["status"].value_counts().to_dict()
    path = out / "review.html"
    write_text(path, environment.get_template("review.html").render(slides=cards, counts=counts))
    return path


def _card(row: dict[Any, Any], scores: pd.DataFrame, out: Path) -> dict[str, Any]:
    name = row["slide"]
    overlay = f"overlays/{file_name(name)}.png"
    mine = scores[(scores["slide"] == name) & (scores["region"] == "all") & (scores["status"] == "ok")]
    shown = [
        (f"{score['marker']} {score['score']}", number(float(score["value"]))) for score in mine.to_dict("records")
    ]
    return {
        "name": name,
        "status": row["status"],
        "reason": row["reason"],
        "overlay": quote(overlay) if (out / overlay).is_file() else "",
        "scores": [("cells", row["n_cells"]), *shown],
    }
