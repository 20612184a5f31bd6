"""Colours and lines that every figure of the package shares: safe for colour-blind eyes, and readable in grey."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core import keys
from biomarkers.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (Color Universal Design, 2008)
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
SKY: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
INK: Final = "#222222"
GREY: Final = "#8A8A8A"
PALE: Final = "#E8EDF2"

PALETTE: Final = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, GREY)
RESPONDER: Final = BLUE
OTHER: Final = VERMILION
RESPONSE_COLOURS: Final[Mapping[str, str]] = {
    keys.CR: BLUE,
    keys.PR: SKY,
    keys.SD: ORANGE,
    keys.PD: VERMILION,
    keys.NE: GREY,
}
VERDICT_COLOURS: Final[Mapping[str, str]] = {
    keys.DEPENDENT: VERMILION,
    keys.DEPENDENT_WITHIN_MARGIN: ORANGE,
    keys.INDEPENDENT_WITHIN_MARGIN: BLUE,
    keys.INCONCLUSIVE: GREY,
    keys.NOT_TESTABLE: "#C8C8C8",
}
VERDICT_WORDS: Final[Mapping[str, str]] = {
    keys.DEPENDENT: "dependent",
    keys.DEPENDENT_WITHIN_MARGIN: "dependent, within margin",
    keys.INDEPENDENT_WITHIN_MARGIN: "independent within margin",
    keys.INCONCLUSIVE: "inconclusive",
    keys.NOT_TESTABLE: "not testable",
}
CHANGE_SIZE: Final = (6.4, 4.4)  # inches; the figures of a change stand side by side, so they are of one size
_SETTINGS: Final[Mapping[str, Any]] = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "lines.linewidth": 1.8,
    "font.family": ["DejaVu Sans"],
    "svg.hashsalt": "biomarkers",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the package's settings inside the block, and leave matplotlib as it was."""
    import matplotlib as mpl

    settings: Any = dict(_SETTINGS)
    with mpl.rc_context(settings):
        yield


def axes(ax: Axes | None, *, size: tuple[float, float] = (5.0, 4.0)) -> Axes:
    """Return the axes given, or new ones on a figure without a window; ``size`` in inches."""
    if ax is not None:
        return ax
    with style():
        return new_figure(size).add_subplot()


def new_figure(size: tuple[float, float]) -> Figure:
    """Return a figure of ``size`` inches that no window system knows of, so that nothing has to be closed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(ax: Axes, path: Path) -> Path:
    """Write the figure that holds ``ax`` as PNG (150 dpi), complete or not at all."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    with style(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Software": None})
    return path


def mark_simulated(ax: Axes) -> Axes:
    """Write SIMULATED across the axes, so that no figure of invented patients can pass for a real one."""
    ax.text(
        0.5, 0.5, "SIMULATED", transform=ax.transAxes, rotation=28, ha="center", va="center", fontsize=30,
        color=GREY, alpha=0.18, weight="bold", zorder=0,
    )  # fmt: skip
    return ax


def p_words(p: float) -> str:
    """Write a p-value for a figure: two digits, and below .001 its power of ten."""
    return f"p = {p:.2g}" if p >= 0.001 else f"p = {p:.0e}"


def file_stem(name: str) -> str:
    """Make a biomarker's name safe as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "level"
