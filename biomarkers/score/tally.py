"""Cells of one slide or region -> the counts and areas every score is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay
from biomarkers.core.errors import DataError
from biomarkers.score.once import memoise
from biomarkers.score.reach import within_reach_of
from biomarkers.score.stainings import NONE, STAININGS
from biomarkers.score.sums import exact_sum

if TYPE_CHECKING:
    from anndata import AnnData

Bins = tuple[int, int, int, int]
CLASS_SOURCE = "class_source"  # uns: {"method": str, "classes": [names that could have been given]}
_IMMUNE = (keys.LYMPHOCYTE, keys.MACROPHAGE)
_UM2_PER_MM2 = 1e6
_BINS = 4


@dataclass(frozen=True)
class Tally:
    """Whole numbers of cells by class and intensity bin, and the areas they stand in.

    ``tumor_bins`` and ``scored_bins`` count cells of bins 0, 1+, 2+, 3+: tumour cells, and cells of the class the
    assay scores (of any class where classes are unknown: ``any_class`` is then true). ``countable_positive`` are the
    positive cells a density counts, ``countable_high`` those of bin 3+ among them; ``immune_known`` says whether immune
    cells were told apart from others at all. ``immune_area_um2`` is that of stained immune cells in or next to tumour,
    ``immune_all_area_um2`` that of all immune cells there.
    ``scored_stained`` counts the scored cells of which anything is stained, wherever it lies; None where not told.
    Areas are None where unknown.
    """

    assay: Assay
    marker: str
    n_cells: int
    n_classified: int
    tumor_bins: Bins
    scored_bins: Bins
    any_class: bool
    countable_positive: int
    countable_high: int
    immune_known: bool
    n_immune: int
    immune_positive: int
    immune_out_of_reach: int
    immune_area_um2: float
    immune_area_squares: float
    immune_area_largest: float
    immune_all_area_um2: float
    tumor_positive_area_um2: float
    od_sum: float
    tissue_mm2: float | None
    tumor_mm2: float | None
    stained_mm2: float | None
    scored_stained: int | None = None

    @property
    def tumor_positive(self) -> int:
        """Tumour cells of bin 1+ or more."""
        return sum(self.tumor_bins[1:])

    @property
    def n_tumor(self) -> int:
        """All tumour cells."""
        return sum(self.tumor_bins)

    @property
    def n_scored(self) -> int:
        """All cells of the scored class."""
        return sum(self.scored_bins)

    @property
    def scored_positive(self) -> int:
        """Cells of the scored class of bin 1+ or more."""
        return sum(self.scored_bins[1:])

    @property
    def weighted_bins(self) -> int:
        """Sum of the intensity bins over the scored cells."""
        return sum(level * count for level, count in enumerate(self.scored_bins))


def analysed(cells: AnnData) -> np.ndarray:
    """Which cells count at all: those not marked ``excluded``, (n_cells,) bool."""
    if keys.EXCLUDED not in cells.obs:
        return np.ones(cells.n_obs, dtype=bool)
    return ~cells.obs[keys.EXCLUDED].to_numpy(dtype=bool)


def tally(
    cells: AnnData,
    *,
    assay: Assay,
    marker: str,
    tissue_mm2: float | None = None,
    tumor_mm2: float | None = None,
    stained_mm2: float | None = None,
    region: str | None = None,
) -> Tally:
    """Count the cells that the assay's scores need.

    Parameters
    ----------
    cells
        Cells with ``cell_class`` and the bin of ``marker`` (see :func:`biomarkers.score.call_positivity`).
    assay
        Names the scored class and how far from tumour an immune cell counts.
    marker
        The marker to count.
    tissue_mm2, tumor_mm2, stained_mm2
        Areas of the analysed tissue, of the tumour (tumour cells and stroma between and next to them) and of
        stained pixels, in mm2; None where not known.
    region
        Count only cells whose ``region`` is this; all analysed cells when None.

    Raises
    ------
    DataError
        The cells carry no bin of ``marker`` or no ``cell_class``.
    """
    counts = count_cells(cells, assay=assay, marker=marker, region=region)
    named = class_names(cells)
    return make_tally(
        counts,
        assay=assay,
        marker=marker,
        named=named,
        tissue_mm2=tissue_mm2,
        tumor_mm2=tumor_mm2,
        stained_mm2=stained_mm2,
    )


@dataclass(frozen=True)
class Counts:
    """What parts of a slide add up: cells by class and bin, sums by class, and the stained immune cells' areas."""

    bins: Mapping[str, Bins]
    od_sum: Mapping[str, float]
    immune_positive: int = 0
    immune_out_of_reach: int = 0
    immune_area_um2: float = 0.0
    immune_area_squares: float = 0.0
    immune_all_area_um2: float = 0.0
    tumor_positive_area_um2: float = 0.0
    largest_immune: float = 0.0
    largest: float = 0.0
    stainings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def stained(self, *classes: str) -> tuple[int, ...]:
        """Cells by what of them is stained (in the order of ``STAININGS``), of these classes (of any when none)."""
        chosen = [counts for name, counts in self.stainings.items() if not classes or name in classes]
        return tuple(sum(counts[at] for counts in chosen) for at in range(len(STAININGS)))

    def of(self, *classes: str) -> Bins:
        """Cells by bin, of these classes together (of any when none is named)."""
        chosen = [bins for name, bins in self.bins.items() if not classes or name in classes]
        first, second, third, fourth = (sum(bins[level] for bins in chosen) for level in range(4))
        return first, second, third, fourth


def count_cells(
    cells: AnnData, *, assay: Assay, marker: str, region: str | None = None, own: np.ndarray | None = None
) -> Counts:
    """Count the analysed cells (of one region, when it is given); see :func:`tally`.

    ``own`` (n,) bool says which cells count where the others are only neighbours to them.
    """
    _require(cells, keys.bin_column(marker), keys.CELL_CLASS)
    keep = analysed(cells) if own is None else analysed(cells) & own
    if region is not None:
        _require(cells, keys.REGION)
        keep = keep & (cells.obs[keys.REGION].astype(str).to_numpy() == region)
    codes, classes = _classes_of(cells)
    bins = cells.obs[keys.bin_column(marker)].to_numpy(dtype=np.int64)
    if bins.size and not 0 <= bins.min() <= bins.max() < _BINS:
        strange = sorted(set(bins.tolist()) - set(range(_BINS)))
        raise DataError("there is no such intensity bin", where=keys.bin_column(marker), seen=strange, allowed="0 to 3")
    table = np.bincount(codes[keep] * _BINS + bins[keep], minlength=_BINS * len(classes)).reshape(-1, _BINS)
    here = [code for code, of_class in enumerate(table) if of_class.any()]
    areas, reading = _column(cells, keys.AREA_UM2), _reading(cells, marker)
    immune = keep & np.isin(classes, _IMMUNE)[codes]
    near = within_reach(cells, assay=assay) if immune.any() else immune  # asked of immune cells alone
    positive = immune & near & (bins > 0)
    stained_tumor = keep & (classes == keys.TUMOR)[codes] & (bins > 0)
    return Counts(
        bins={str(classes[code]): _as_bins(table[code]) for code in here},
        od_sum={str(classes[code]): exact_sum(reading[keep & (codes == code)]) for code in here},
        immune_positive=int(positive.sum()),
        immune_out_of_reach=int((immune & ~near & (bins > 0)).sum()),
        immune_area_um2=exact_sum(areas[positive]),
        immune_area_squares=exact_sum(areas[positive] ** 2),
        immune_all_area_um2=exact_sum(areas[immune & near]),
        tumor_positive_area_um2=exact_sum(areas[stained_tumor]),
        largest_immune=float(areas[immune].max(initial=0.0)),
        largest=float(areas[keep].max(initial=0.0)),
        stainings=_stainings(cells, marker, codes=codes, classes=classes, keep=keep),
    )


def _stainings(
    cells: AnnData, marker: str, *, codes: np.ndarray, classes: np.ndarray, keep: np.ndarray
) -> dict[str, tuple[int, ...]]:
    """Cells of each class by what of them is stained, in the order of ``STAININGS``; nothing where it was not told."""
    column = keys.staining_column(marker)
    if column not in cells.obs:
        return {}
    found = cells.obs[column].to_numpy()
    tables = [np.bincount(codes[keep & (found == name)], minlength=len(classes)) for name in STAININGS]
    return {str(classes[code]): tuple(int(table[code]) for table in tables) for code in np.unique(codes[keep])}


def _classes_of(cells: AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Return a code for each cell, and the classes that the codes stand for, sorted."""
    found = np.asarray(cells.obs[keys.CELL_CLASS].astype(str).to_numpy(), dtype=str)
    codes = memoise(cells, "class", lambda: np.unique(found, return_inverse=True)[1])
    # of some of the cells the codes are those of all, so a class may be absent
    classes = np.full(codes.max(initial=-1) + 1, "", dtype=found.dtype)
    classes[codes] = found
    return codes, classes


def add_counts(parts: Sequence[Counts]) -> Counts:
    """Add up the parts of one slide."""
    names = sorted({name for part in parts for name in part.bins})
    return Counts(
        bins={name: add_bins([part.bins[name] for part in parts if name in part.bins]) for name in names},
        od_sum={name: math.fsum(part.od_sum[name] for part in parts if name in part.od_sum) for name in names},
        immune_positive=sum(part.immune_positive for part in parts),
        immune_out_of_reach=sum(part.immune_out_of_reach for part in parts),
        immune_area_um2=math.fsum(part.immune_area_um2 for part in parts),
        immune_area_squares=math.fsum(part.immune_area_squares for part in parts),
        immune_all_area_um2=math.fsum(part.immune_all_area_um2 for part in parts),
        tumor_positive_area_um2=math.fsum(part.tumor_positive_area_um2 for part in parts),
        largest_immune=max((part.largest_immune for part in parts), default=0.0),
        largest=max((part.largest for part in parts), default=0.0),
        stainings={
            name: tuple(map(sum, zip(*(part.stainings[name] for part in parts if name in part.stainings), strict=True)))
            for name in sorted({name for part in parts for name in part.stainings})
        },
    )


def add_bins(parts: Sequence[Bins]) -> Bins:
    """Add counts bin by bin."""
    first, second, third, fourth = (sum(part[level] for part in parts) for level in range(4))
    return first, second, third, fourth


def class_names(cells: AnnData) -> frozenset[str] | None:
    """Return the classes that the cells' source could have given, or None where nothing is said of it."""
    named = cells.uns.get(CLASS_SOURCE, {}).get("classes")
    return None if named is None else frozenset(str(name) for name in named)


def make_tally(
    counts: Counts,
    *,
    assay: Assay,
    marker: str,
    named: frozenset[str] | None,
    tissue_mm2: float | None = None,
    tumor_mm2: float | None = None,
    stained_mm2: float | None = None,
) -> Tally:
    """Make the counts of a whole slide or region into what the scores read; see :func:`tally`."""
    n_cells = sum(counts.of())
    n_known = n_cells - sum(counts.of(keys.UNKNOWN))
    # a table of one's own says nothing of its classes: then immune cells were told apart
    immune_known = n_known > 0 and (named is None or bool(named & set(_IMMUNE)))
    # tissue annotations tell tumor from stroma, not lymphocytes from either
    untold = n_known == 0 or (assay.scored_class == keys.LYMPHOCYTE and not immune_known)
    any_class = assay.scored_class == "any" or untold
    scored = counts.of() if any_class else counts.of(assay.scored_class)
    n_immune = sum(counts.of(*_IMMUNE))
    countable = scored if assay.scored_class == keys.LYMPHOCYTE else counts.of()
    return Tally(
        assay=assay,
        marker=marker,
        n_cells=n_cells,
        n_classified=n_known,
        tumor_bins=counts.of(keys.TUMOR),
        scored_bins=scored,
        any_class=any_class,
        countable_positive=sum(countable[1:]),
        countable_high=countable[3],
        immune_known=immune_known,
        n_immune=n_immune,
        immune_positive=counts.immune_positive,
        immune_out_of_reach=counts.immune_out_of_reach,
        immune_area_um2=counts.immune_area_um2,
        immune_area_squares=counts.immune_area_squares,
        immune_area_largest=counts.largest_immune if n_immune else counts.largest,
        immune_all_area_um2=counts.immune_all_area_um2,
        tumor_positive_area_um2=counts.tumor_positive_area_um2,
        od_sum=math.fsum(value for name, value in counts.od_sum.items() if any_class or name == assay.scored_class),
        tissue_mm2=tissue_mm2,
        tumor_mm2=tumor_mm2,
        stained_mm2=stained_mm2,
        scored_stained=_scored_stained(counts, assay=assay, any_class=any_class),
    )


def _scored_stained(counts: Counts, *, assay: Assay, any_class: bool) -> int | None:
    """Scored cells of which anything is stained; None where it was not told."""
    if not counts.stainings:
        return None if counts.bins else 0
    by_staining = counts.stained() if any_class else counts.stained(assay.scored_class)
    return sum(by_staining) - by_staining[STAININGS.index(NONE)]


def within_reach(cells: AnnData, *, assay: Assay) -> np.ndarray:
    """Which cells lie within the assay's ``immune_reach_um`` of a tumour cell, (n,) bool; all when it has none."""
    if assay.immune_reach_um is None or cells.n_obs == 0:
        return np.ones(cells.n_obs, dtype=bool)
    reach_um = assay.immune_reach_um
    return memoise(cells, ("within reach", reach_um), lambda: _within(cells, reach_um))


def tell_reach(cells: AnnData, *, assay: Assay) -> None:
    """Let plain cells keep who is near tumor before they part from the cells around them."""
    if np.isin(cells.obs[keys.CELL_CLASS].astype(str).to_numpy(), _IMMUNE).any():
        within_reach(cells, assay=assay)


def _within(cells: AnnData, reach_um: float) -> np.ndarray:
    classes = cells.obs[keys.CELL_CLASS].astype(str).to_numpy()
    tumor = (classes == keys.TUMOR) & analysed(cells)
    if not tumor.any():
        return np.zeros(cells.n_obs, dtype=bool)
    xy = np.column_stack([_column(cells, keys.X_UM), _column(cells, keys.Y_UM)])
    return within_reach_of(xy, tumor, reach_um=reach_um)


def _as_bins(counts: np.ndarray) -> Bins:
    first, second, third, fourth = counts.tolist()
    return first, second, third, fourth


def _reading(cells: AnnData, marker: str) -> np.ndarray:
    column = keys.od_column(marker)
    return _column(cells, column) if column in cells.obs else np.zeros(cells.n_obs)


def _column(cells: AnnData, name: str) -> np.ndarray:
    _require(cells, name)
    return cells.obs[name].to_numpy(dtype=np.float64)


def _require(cells: AnnData, *names: str) -> None:
    for name in names:
        if name not in cells.obs:
            hint = "Call call_positivity first." if name.endswith("_bin") else None
            raise DataError(f"the cells have no column {name!r}", allowed=list(cells.obs.columns), hint=hint)


def as_dict(counts: Tally) -> dict[str, Any]:
    """Return the counts alone, for a run's record."""
    skip = {"assay"}
    return {name: value for name, value in vars(counts).items() if name not in skip}
