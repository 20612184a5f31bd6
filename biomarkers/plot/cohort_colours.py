"""One colour a response word, and the legend that says so, in every figure of patients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core import keys
from biomarkers.plot.style import RESPONSE_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MISSING: Final = "missing"
_PALE_GREY: Final = "#C9C9C9"


def response_words(cells: Iterable[object]) -> list[str]:
    """Return the response of each row, ``missing`` where none of the five stands."""
    return [cell if isinstance(cell, str) and cell in keys.RESPONSES else MISSING for cell in cells]


def response_colour(word: str) -> str:
    """Return the colour of a response word; grey for none."""
    return RESPONSE_COLOURS.get(word, _PALE_GREY)


def response_legend(ax: Axes, words: Collection[str], *, more: Sequence[Any] = ()) -> None:
    """Write which colour is which response, right of the axes, then what else the figure holds.

    Nothing is written of responses when none was recorded at all.
    """
    from matplotlib.patches import Patch

    order = [word for word in (*keys.RESPONSES, MISSING) if word in words]
    if order == [MISSING]:
        order = []
    handles = [*(Patch(color=response_colour(word), label=word) for word in order), *more]
    if handles:
        ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
