"""Cuts from a control: what negative cells of this staining batch look like decides what counts as stained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from biomarkers.config import Assay, Settings, Thresholds, load_assay, parse
from biomarkers.errors import DataError, UsageError
from biomarkers.files import read_toml, write_text
from biomarkers.score.readings import marker_index, readings
from biomarkers.score.tally import analysed

if TYPE_CHECKING:
    from anndata import AnnData

Method = Literal["negative_control", "batch"]
_MIN_CELLS = 200
_MODE_BINS = 256
_BELOW_MODE = (0.25, 0.6)


class Anchor(Settings):
    """Anchored cuts and all that made them: the audit trail that stands in the file."""

    assay: str
    marker: str
    method: Method
    quantile: float
    n_cells: int
    slides: dict[str, int]
    negative_mode_od: float
    replaced_dab_od: tuple[float, float, float]
    shift_od: float
    made_utc: str
    made_with: str
    thresholds: Thresholds


def anchor_thresholds(
    cells: Mapping[str, AnnData],
    *,
    assay: Assay | str,
    method: Method = "negative_control",
    quantile: float = 0.99,
    marker: str | None = None,
) -> Anchor:
    """Set the 1+ cut at a high quantile of unstained cells, and move 2+ and 3+ by the same optical density.

    A batch's white level, counterstain and background add to every cell alike, so the cuts are shifted, not
    stretched. ``negative_control`` takes every cell given as negative (control tissue, isotype control). ``batch``
    takes slides of unknown positivity: the mode of all cells is taken as the centre of the unstained ones, the cells
    below it are mirrored above it, and the quantile is that of this symmetric population; it needs most cells
    to be unstained, and says so when the mode is not in the lower part.

    Parameters
    ----------
    cells
        Measured cells by slide name.
    assay
        The assay whose compartment is read and whose cuts are replaced.
    method
        How the unstained cells are found.
    quantile
        Share of unstained cells that shall be called negative, above 0.5.
    marker
        The marker; the assay's when None.

    Raises
    ------
    UsageError
        The quantile is out of range, or there are no slides.
    DataError
        Fewer than 200 cells, or no unstained majority in a batch.

    References
    ----------
    Cut at a quantile of negative controls: Clinical and Laboratory Standards Institute, EP17 (limit of blank).
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    if not 0.5 < quantile < 1:
        raise UsageError("quantile out of range", seen=quantile, allowed="above 0.5, below 1")
    if not cells:
        raise UsageError("no control slides were given")
    name = assay.marker if marker is None else marker
    values = {slide: _values(table, assay, name) for slide, table in sorted(cells.items())}
    pooled = np.concatenate(list(values.values()))
    if pooled.size < _MIN_CELLS:
        raise DataError("too few cells to anchor a cut", seen=int(pooled.size), allowed=f"at least {_MIN_CELLS}")
    mode = _mode(pooled)
    negative = pooled if method == "negative_control" else _mirrored(pooled, mode)
    cut = round(float(np.quantile(negative, quantile)), 4)
    shift = cut - assay.thresholds.dab_od[0]
    return Anchor(
        assay=assay.name,
        marker=name,
        method=method,
        quantile=quantile,
        n_cells=int(pooled.size),
        slides={slide: int(found.size) for slide, found in values.items()},
        negative_mode_od=round(mode, 4),
        replaced_dab_od=assay.thresholds.dab_od,
        shift_od=round(shift, 4),
        made_utc=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        made_with=_version(),
        thresholds=_shifted(assay.thresholds, shift, how=f"{quantile:g} quantile of {method.replace('_', ' ')} cells"),
    )


def write_anchor(anchor: Anchor, path: Path) -> None:
    """Write anchored cuts with their audit trail as TOML, complete or not at all."""
    import tomli_w

    write_text(path, tomli_w.dumps(_plain(anchor.model_dump())))


def read_thresholds(path: Path) -> Thresholds:
    """Read cuts from an anchor file, or from a file with the keys of :class:`biomarkers.config.Thresholds` alone.

    Raises
    ------
    UsageError
        The file is absent, not TOML, or has unknown or missing keys.
    """
    values = read_toml(path)
    if "thresholds" in values:
        return parse(Anchor, values, where=str(path)).thresholds
    return parse(Thresholds, values, where=str(path))


def _values(cells: AnnData, assay: Assay, marker: str) -> np.ndarray:
    value, _ = readings(cells, assay=assay, column=marker_index(cells, marker))
    return value[analysed(cells)]


def _mode(values: np.ndarray) -> float:
    """Return the top of a smoothed histogram between the 0.5 and 99.5 percentiles."""
    from scipy.ndimage import gaussian_filter1d

    low, high = np.quantile(values, [0.005, 0.995])
    counts, edges = np.histogram(values, bins=_MODE_BINS, range=(low, max(high, low + 1e-6)))
    smooth = gaussian_filter1d(counts.astype(np.float64), _MODE_BINS / 40)
    top = int(np.argmax(smooth))
    return float((edges[top] + edges[top + 1]) / 2)


def _mirrored(values: np.ndarray, mode: float) -> np.ndarray:
    below = values[values <= mode]
    share = below.size / values.size
    if not _BELOW_MODE[0] <= share <= _BELOW_MODE[1]:
        raise DataError(
            "no unstained majority in this batch",
            seen=f"{share:.0%} of the cells lie below the commonest value",
            allowed="half of the unstained cells, and so 25 % to 60 % of all",
            hint="Use negative control tissue (method negative_control).",
        )
    return np.concatenate([below, 2 * mode - below])


def _shifted(cuts: Thresholds, shift: float, *, how: str) -> Thresholds:
    first, second, third = (round(edge + shift, 4) for edge in cuts.dab_od)
    if first <= 0:
        raise DataError("the anchored 1+ cut is not above 0", seen=first, hint="Check the white level of the controls.")
    return cuts.model_copy(
        update={
            "dab_od": (first, second, third),
            "follow_sd": 0.0,
            "source": f"anchored: {how}, shifted by {shift:+.3f} OD from ({cuts.source})",
        }
    )


def _version() -> str:
    from importlib import metadata

    return f"biomarkers {metadata.version('biomarkers')}"


def _plain(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _plain(value) for key, value in values.items()}
    return [_plain(value) for value in values] if isinstance(values, tuple | list) else values
