"""Cuts from a control: what negative cells of this staining batch look like decides what counts as stained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from biomarkers.core.config import Assay, Settings, Thresholds, load_assay, parse
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import read_toml, write_text
from biomarkers.score.readings import marker_index, readings
from biomarkers.score.tally import analysed

if TYPE_CHECKING:
    from anndata import AnnData

Method = Literal["negative_control", "batch"]
_MIN_CELLS = 200
_MODE_BINS = 256
_BELOW_MODE = (0.25, 0.6)
_MOST_STAINED = 0.05  # of a control's cells, above 4 SD of those below its mode: a few macrophages and folds do no harm
_APART_SHARE = 0.5  # of the step from 1+ to 2+: controls of one batch whose medians lie further apart disagree
# cells 2 to 6 SD above the mode for each below it: in 100 simulated batches of 2,000 cells .05 in the median where
# unstained cells are normal (95% range .01 to .22), 1.4 where they are gamma of shape 1.5 (.88 to 1.89). Each slide's
# cells are counted from its own mode: of 100 batches of 3 or 4 slides of 200 to 2,000 normal cells, whose levels differ
# by .004 OD, at most 2 are refused then, and up to 10 where slides are pooled as they are.
_SHOULDER, _SHOULDER_SD = 0.25, (2.0, 6.0)
_TIED_Z = 2.0  # standard errors below the top of a histogram that chance explains
SAME_SIZE = 1.25  # pixel sizes that differ by more are others
SAME_ANGLE = 10.0  # degrees between DAB vectors of one stain


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
    dab_vector: tuple[float, float, float] | None = None


def anchor_thresholds(
    cells: Mapping[str, AnnData],
    *,
    assay: Assay | str,
    method: Method = "negative_control",
    quantile: float = 0.99,
    marker: str | None = None,
    mpp: float | None = None,
    dab_vector: tuple[float, float, float] | None = None,
    pictures: Mapping[str, object] | None = None,
) -> Anchor:
    """Set the 1+ cut at a high quantile of unstained cells, and move 2+ and 3+ by the same optical density.

    A batch's white level, counterstain and background add to every cell alike, so the cuts are shifted, not
    stretched. ``negative_control`` takes every cell given as negative (control tissue, isotype control). ``batch``
    takes slides of unknown positivity: the mode of all cells is taken as the centre of the unstained ones, the cells
    below it are mirrored above it, and the quantile is that of this symmetric population; it needs most cells
    to be unstained, and says so when the mode is not in the lower part. What cannot be unstained is refused: controls
    whose commonest cell would be 2+, that hold a stained population, or that disagree; batches that are all stained, or
    whose unstained cells are skewed, so that mirroring them puts the cut too low.

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
    mpp, dab_vector
        Pixel size (um/px) and DAB vector of the controls: the cuts hold for such images only.
    pictures
        Slide -> its picture, named where it is refused.

    Raises
    ------
    UsageError
        The quantile is out of range, or there are no slides.
    DataError
        Fewer than 200 cells, no unstained majority in a batch, or controls that are stained or disagree.

    References
    ----------
    Cut at a quantile of negative controls: Clinical and Laboratory Standards Institute, EP17 (limit of blank).

    Examples
    --------
    >>> import biomarkers as bm
    >>> folder = bm.sample_trial().folder
    >>> result = bm.score_slide(
    ...     folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif", assay="22c3", assume_tumor=True
    ... )
    >>> control = result.cells
    >>> anchor = bm.anchor_thresholds({"control": control}, assay="22c3")
    >>> anchor.thresholds.dab_od[0] > 0
    True
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
    _refuse_stained(values, assay, method, pictures or {})
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
        thresholds=_shifted(
            assay.thresholds, shift, how=f"{quantile:g} quantile of {method.replace('_', ' ')} cells", mpp=mpp
        ),
        dab_vector=dab_vector,
    )


def write_anchor(anchor: Anchor, path: Path) -> None:
    """Write anchored cuts with their audit trail as TOML, complete or not at all."""
    import tomli_w

    write_text(path, tomli_w.dumps(_plain(anchor.model_dump(exclude_none=True))))


# settings of the rule by which membranes were told before they were told cell by cell
FORMER_RULES = ("neighbour_share", "min_ratio", "pattern_ratio", "pattern_od", "blush_ratio", "strict_ratio")


def _refuse_former_rules(values: Mapping[str, object], path: Path) -> None:
    found = [name for name in FORMER_RULES if name in values]
    if found:
        raise UsageError(
            "cuts made by an earlier version, whose levels of membranes were read in another way",
            where=path,
            seen=", ".join(found),
            hint="Make them again from the controls: 'biomarkers anchor', on folders that this version scored.",
        )


def read_thresholds(
    path: Path,
    *,
    assay: Assay | None = None,
    marker: str | None = None,
    dab_vector: tuple[float, float, float] | None = None,
) -> Thresholds:
    """Read cuts from an anchor file, or from a file with the keys of :class:`biomarkers.core.config.Thresholds` alone.

    Parameters
    ----------
    path
        The file.
    assay, marker, dab_vector
        What the cuts are to be used for; not compared when None. A file of cuts alone says nothing of them.

    Raises
    ------
    UsageError
        The file is absent, not TOML, has unknown or missing keys, or was anchored for something else.
    """
    values = read_toml(path)
    if "thresholds" not in values:
        _refuse_former_rules(values, path)
        return parse(Thresholds, values, where=str(path))
    cuts = values["thresholds"]
    former = {name: cuts.pop(name) for name in FORMER_RULES if name in cuts} if isinstance(cuts, dict) else {}
    anchor = parse(Anchor, values, where=str(path))
    hint = "Anchor on controls that were scored as these slides are ('biomarkers anchor')."
    for what, made_for, asked in (
        ("assay", anchor.assay, None if assay is None else assay.name),
        ("marker", anchor.marker, marker),
    ):
        if asked is not None and made_for != asked:
            raise UsageError(f"cuts of another {what}", where=path, seen=made_for, allowed=asked, hint=hint)
    _refuse_former_rules(former, path)
    if anchor.dab_vector is not None and dab_vector is not None:
        from biomarkers.pp.vectors import angle_deg

        apart = angle_deg(anchor.dab_vector, dab_vector)
        if apart > SAME_ANGLE:
            what = f"cuts of another stain: its DAB vector lies {apart:.0f} degrees from that of these slides"
            seen = [round(part, 3) for part in anchor.dab_vector]
            raise UsageError(what, where=path, seen=seen, allowed=f"up to {SAME_ANGLE:g} degrees", hint=hint)
    return anchor.thresholds


def check_pixel_size(thresholds: Thresholds, *, mpp: float) -> None:
    """Refuse cuts that were anchored on images of another pixel size: an outline looks paler where pixels are larger.

    Raises
    ------
    DataError
        The sizes differ by more than a quarter.
    """
    own = thresholds.set_at_mpp
    if own is not None and not 1 / SAME_SIZE <= mpp / own <= SAME_SIZE:
        raise DataError(
            "the cuts were anchored on images of another pixel size", seen=f"{mpp:.4g} um/px",
            allowed=f"{own / SAME_SIZE:.3g} to {own * SAME_SIZE:.3g} um/px",
            hint="Anchor on controls of this pixel size.",
        )  # fmt: skip


def _refuse_stained(
    values: Mapping[str, np.ndarray], assay: Assay, method: Method, pictures: Mapping[str, object]
) -> None:
    """Refuse slides that do not look as unstained as they are said to be, and name the picture to look at."""
    one, two, _ = assay.thresholds.dab_od
    pooled = np.concatenate(list(values.values()))
    if method == "batch":
        mode, shoulder = _mode(pooled), _shoulder_of_slides(list(values.values()))
        if mode >= two:
            what = "no unstained majority in this batch: it looks stained throughout"
            seen, allowed = f"commonest {mode:.3f} OD", f"below the assay's 2+ cut ({two:g} OD)"
            raise _refused(what, list(values), pictures, seen=seen, allowed=allowed)
        if shoulder > _SHOULDER:
            what = "unstained and stained cells of this batch cannot be told apart: its unstained cells are skewed"
            seen = f"{shoulder:.2f} cells 2 to 6 SD above the commonest value for each below it"
            raise _refused(what, list(values), pictures, seen=seen, allowed=f"up to {_SHOULDER:g}")
        return
    known = {slide: found for slide, found in values.items() if found.size >= _MIN_CELLS}
    for slide, found in known.items():
        mode, stained = _mode(found), _stained_share(found, least=one)
        if mode >= two:
            raise _refused("a control is stained, it seems", [slide], pictures, seen=f"commonest {mode:.3f} OD",
                           allowed=f"below the assay's 2+ cut ({two:g} OD)")  # fmt: skip
        if stained > _MOST_STAINED:
            raise _refused("a control holds stained cells, it seems", [slide], pictures,
                           seen=f"{stained:.0%} of its cells above its unstained ones",
                           allowed=f"up to {_MOST_STAINED:.0%}")  # fmt: skip
    middle = {slide: float(np.median(found)) for slide, found in known.items()}
    if middle and max(middle.values()) - min(middle.values()) > _APART_SHARE * (two - one):
        low, high = min(middle, key=middle.__getitem__), max(middle, key=middle.__getitem__)
        seen = f"medians {middle[low]:.3f} ({low}) and {middle[high]:.3f} OD ({high})"
        allowed = f"no further apart than {_APART_SHARE * (two - one):.3f} OD"
        raise _refused("the controls disagree", [low, high], pictures, seen=seen, allowed=allowed)


def _refused(what: str, slides: list[str], pictures: Mapping[str, object], *, seen: str, allowed: str) -> DataError:
    shown = [str(pictures.get(slide, slide)) for slide in slides[:3]]
    return DataError(what, where=", ".join(slides[:3]), seen=seen, allowed=allowed, hint=f"Look at {', '.join(shown)}.")


def _below_sd(values: np.ndarray, mode: float) -> float:
    """Give the standard deviation of unstained cells, from those below their mode."""
    below = mode - values[values <= mode]
    return float(np.sqrt(np.mean(below**2))) if below.size else 0.0


def _shoulder_of_slides(slides: list[np.ndarray]) -> float:
    """Shoulder of several slides, each seen from its own mode: what differs between slides is no skew."""
    return _shoulder(np.concatenate([found - _mode(found, steady=True) for found in slides if found.size]))


def _shoulder(values: np.ndarray) -> float:
    mode = _mode(values, steady=True)
    low, high = (mode + times * _below_sd(values, mode) for times in _SHOULDER_SD)
    above = int(np.count_nonzero((values > low) & (values <= high)))
    return above / max(int(np.count_nonzero(values <= mode)), 1)


def _stained_share(values: np.ndarray, *, least: float) -> float:
    """Share of cells above nearly all unstained ones, which are as many above their mode as below it.

    What lies below ``least``, the assay's 1+ cut, is no stain: unstained outlines beside and away from others differ.
    """
    mode = _mode(values)
    limit = max(mode + 4 * _below_sd(values, mode), least)
    return float(np.mean(values > limit))


def _values(cells: AnnData, assay: Assay, marker: str) -> np.ndarray:
    value, _ = readings(cells, assay=assay, column=marker_index(cells, marker))
    return value[analysed(cells)]


def _mode(values: np.ndarray, *, steady: bool = False) -> float:
    """Return the top of a smoothed histogram between the 0.5 and 99.5 percentiles.

    ``steady``: the middle of all that chance does not tell from the top, so that few cells give no mode at a flank.
    """
    from scipy.ndimage import gaussian_filter1d

    low, high = np.quantile(values, [0.005, 0.995])
    counts, edges = np.histogram(values, bins=_MODE_BINS, range=(low, max(high, low + 1e-6)))
    width = _MODE_BINS / 40
    smooth = gaussian_filter1d(counts.astype(np.float64), width)
    top = int(np.argmax(smooth))
    if not steady:
        return float((edges[top] + edges[top + 1]) / 2)
    error = np.sqrt(smooth[top] / (2 * np.sqrt(np.pi) * width))  # of a count smoothed by a normal curve
    like = np.flatnonzero(smooth < smooth[top] - _TIED_Z * error)
    first = int(like[like < top].max(initial=-1)) + 1
    last = int(like[like > top].min(initial=_MODE_BINS)) - 1
    return float((edges[first] + edges[last + 1]) / 2)


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


def _shifted(cuts: Thresholds, shift: float, *, how: str, mpp: float | None) -> Thresholds:
    first, second, third = (round(edge + shift, 4) for edge in cuts.dab_od)
    if first <= 0:
        raise DataError("the anchored 1+ cut is not above 0", seen=first, hint="Check the white level of the controls.")
    return cuts.model_copy(
        update={
            "dab_od": (first, second, third),
            "follow_sd": 0.0,
            "set_at_mpp": mpp,
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
