"""One multiplex image from file to scores: read, clean, find cells, gate, name, place, score."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.collector import loads_when_first_called
from biomarkers.core.panel import Panel, canonical_marker, load_panel
from biomarkers.io.annotations import Annotations, read_annotations
from biomarkers.io.annotations_classes import read_class_map
from biomarkers.io.channel_check import unusable_channels
from biomarkers.io.label_maps import LabelMaps, read_labels
from biomarkers.pheno.annotations_apply import apply_annotations
from biomarkers.pheno.gate_shift import shift_notes
from biomarkers.pheno.gates import (
    NO_GATES,
    STEP,
    apply_gates,
    fit_gates,
    gates_of_slide,
    low_signal,
    marker_compartments,
    read_gates,
    with_own_obs,
)
from biomarkers.pheno.phenotype import PHENOTYPE, assign_phenotypes, known_phenotypes, select_cells
from biomarkers.score.gate_moves import IMPORTED_PHENOTYPE
from biomarkers.score.multiplex import (
    counted_cells,
    panel_assay,
    positive_counts,
    score_multiplex_cells,
    slide_status,
)
from biomarkers.score.multiplex_regions import image_regions
from biomarkers.score.regions import TissueRegions, implausible_densities
from biomarkers.score.slide_score import SlideScore
from biomarkers.score.tally import CLASS_SOURCE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from anndata import AnnData

    from biomarkers.pp.fluorescence import Cleaned


@dataclass(frozen=True)
class MultiplexScore(SlideScore):
    """The scores of one multiplex image; ``tile`` is a picture of it (nuclei blue, the first two markers red, green).

    Attributes
    ----------
    gates
        The gates in force, with their uncertainty and flags.
    components
        Components with a declared cut-off: positive, negative or not evaluable, per region.
    cleaned
        The cleaned channels, the raw ones, and what was taken off.
    regions
        Tissue, tumour, stroma and margin.
    panel, labels, annotations
        What the scores were made from, so that other gates need no second reading (:func:`reapply_gates`).
    """

    gates: pd.DataFrame = field(repr=False)
    components: pd.DataFrame = field(repr=False)
    cleaned: Cleaned = field(repr=False)
    regions: TissueRegions = field(repr=False)
    panel: Panel = field(repr=False)
    labels: LabelMaps = field(repr=False)
    annotations: Annotations | None = field(repr=False)


@loads_when_first_called
def score_multiplex(
    path: str | os.PathLike[str],
    *,
    panel: Panel | str | os.PathLike[str],
    mpp: float | None = None,
    labels: LabelMaps | str | os.PathLike[str] | None = None,
    annotations: Annotations | str | os.PathLike[str] | None = None,
    class_map: Mapping[str, str] | str | os.PathLike[str] | None = None,
    gates: pd.DataFrame | str | os.PathLike[str] | None = None,
    slide: str | None = None,
) -> MultiplexScore:
    r"""Score one multiplex immunofluorescence image.

    Images of more than 300 million pixels over all channels are measured block by block, in memory that does not grow
    with them; the result's pictures and label maps are coarser then (``tile.attrs["downsample"]``).

    Parameters
    ----------
    path
        OME-TIFF, QPTIFF or component TIFF, OME-Zarr, or a folder with one TIFF a channel.
    panel
        A panel or its TOML file.
    mpp
        Pixel size in um/px; wins over what the file says.
    labels
        Nuclei or cells made elsewhere; found in the nuclear channel when absent.
    annotations
        QuPath annotations of tumour, stroma, and what to leave out; without them tumour is where tumour cells are.
    class_map
        What further classes of annotations mean, ``{"Artefact": "ignore"}``, or a TOML file that says so.
    gates
        A gate table or its file; gates of markers that it leaves out are fitted to this image, and told.
    slide
        Name in all tables; the file's name without its suffix when absent.

    Raises
    ------
    SlideError
        The image cannot be read.
    DataError
        Channels, labels, gates or annotations do not fit.
    UsageError
        No pixel size, or a rule of the panel names what there is not.

    Examples
    --------
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> channels = 'DAPI = {marker = "DAPI", role = "nuclei"}, CD8 = {marker = "CD8", compartment = "cell"}'
    >>> written = Path("panel.toml").write_text(f"name = 'p'\nchannels = {{{channels}}}")
    >>> import numpy as np
    >>> import tifffile
    >>> y, x = np.mgrid[:256, :256]
    >>> nuclei = sum(
    ...     2000.0 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 50)
    ...     for a in range(16, 256, 32)
    ...     for b in range(16, 256, 32)
    ... )
    >>> pixels = np.stack([nuclei + 100, nuclei * (x < 128) + 100]).astype(np.uint16)
    >>> tifffile.imwrite(
    ...     "a.ome.tif",
    ...     pixels,
    ...     metadata={
    ...         "axes": "CYX",
    ...         "Channel": {"Name": ["DAPI", "CD8"]},
    ...         "PhysicalSizeX": 0.5,
    ...         "PhysicalSizeY": 0.5,
    ...     },
    ... )
    >>> result = bm.score_multiplex("a.ome.tif", panel="panel.toml")
    >>> result.cells.n_obs
    64
    """
    from biomarkers.io.channels import channel_shape, read_channels
    from biomarkers.score import multiplex_blocks
    from biomarkers.score.multiplex_blocks import is_large, measure_in_blocks

    known = panel if isinstance(panel, Panel) else load_panel(os.fspath(panel))
    shape = channel_shape(path)
    maps = labels if labels is None or isinstance(labels, LabelMaps) else read_labels(labels, shape=shape)
    meanings = read_class_map(class_map) if isinstance(class_map, str | os.PathLike) else class_map
    drawn = (
        read_annotations(annotations, classes=meanings) if isinstance(annotations, str | os.PathLike) else annotations
    )
    table = read_gates(os.fspath(gates)) if isinstance(gates, str | os.PathLike) else gates
    name = _named(Path(path)) if slide is None else slide
    if is_large(path, panel=known, most=multiplex_blocks.WHOLE_PIXELS):
        big = measure_in_blocks(
            path, panel=known, mpp=mpp, labels=maps, block_px=multiplex_blocks.BLOCK_PX,
            shown_px=multiplex_blocks.SHOWN_PX,
        )  # fmt: skip
        return _scored(
            big.cells, big.cleaned, big.labels, panel=known, slide=name, annotations=drawn, gates=table
        )  # fmt: skip
    tile = read_channels(path, panel=known, mpp=mpp)
    return score_channels(tile, panel=known, slide=name, labels=maps, annotations=drawn, gates=table)


def score_channels(
    tile: xr.DataArray,
    *,
    panel: Panel,
    slide: str,
    labels: LabelMaps | None = None,
    annotations: Annotations | None = None,
    gates: pd.DataFrame | None = None,
) -> MultiplexScore:
    """Score channels that were read already; see :func:`score_multiplex`."""
    from biomarkers.pp.fluorescence import clean_channels
    from biomarkers.seg.channels import measure_channels
    from biomarkers.seg.dapi import segment_dapi

    cleaned = clean_channels(tile, autofluorescence=panel.autofluorescence, bleed_through=panel.bleed_through)
    maps = segment_dapi(cleaned.tile, nuclei=panel.nuclei, nucleus_um=panel.nucleus_um) if labels is None else labels
    cells = measure_channels(cleaned.tile, maps, raw=tile)
    return _scored(cells, cleaned, maps, panel=panel, slide=slide, annotations=annotations, gates=gates)


def check_rules(panel: Panel) -> None:
    """Score one made-up cell, so that a rule that names nothing of the panel is told before any image is read.

    Raises
    ------
    UsageError
        A rule is malformed, or names a marker or phenotype that the panel does not have.
    """
    import anndata as ad
    import pandas as pd

    markers = list(marker_compartments(panel))
    obs = pd.DataFrame(index=pd.Index(["0"], dtype=str))
    for name in markers:
        obs[keys.positive_column(name)], obs[keys.bin_column(name)] = True, 1
    one = ad.AnnData(np.zeros((1, len(markers)), np.float32), obs=obs, var=pd.DataFrame(index=markers))
    named, _ = phenotyped(one, panel=panel, gates=None, slide=None)
    score_multiplex_cells(named, panel=panel, slide="check", tissue_mm2=1.0)


def reapply_gates(result: MultiplexScore, *, gates: pd.DataFrame) -> MultiplexScore:
    r"""Score the same cells with other gates: a table that was changed by hand, or fitted to a whole batch.

    Parameters
    ----------
    result
        What :func:`score_multiplex` returned; left as it is.
    gates
        A gate table with rows for this slide or for every slide (``*``).

    Examples
    --------
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> channels = 'DAPI = {marker = "DAPI", role = "nuclei"}, CD8 = {marker = "CD8", compartment = "cell"}'
    >>> written = Path("panel.toml").write_text(f"name = 'p'\nchannels = {{{channels}}}")
    >>> import numpy as np
    >>> import tifffile
    >>> y, x = np.mgrid[:256, :256]
    >>> nuclei = sum(
    ...     2000.0 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 50)
    ...     for a in range(16, 256, 32)
    ...     for b in range(16, 256, 32)
    ... )
    >>> pixels = np.stack([nuclei + 100, nuclei * (x < 128) + 100]).astype(np.uint16)
    >>> tifffile.imwrite(
    ...     "a.ome.tif",
    ...     pixels,
    ...     metadata={
    ...         "axes": "CYX",
    ...         "Channel": {"Name": ["DAPI", "CD8"]},
    ...         "PhysicalSizeX": 0.5,
    ...         "PhysicalSizeY": 0.5,
    ...     },
    ... )
    >>> result = bm.score_multiplex("a.ome.tif", panel="panel.toml")
    >>> moved = bm.reapply_gates(result, gates=result.gates.assign(gate=500.0, gate_2=1000.0, gate_3=2000.0))
    >>> int(moved.cells.obs["CD8_positive"].sum())
    0
    """
    return _scored(
        result.cells, result.cleaned, result.labels, panel=result.panel, slide=result.slide,
        annotations=result.annotations, gates=gates,
    )  # fmt: skip


def _scored(
    cells: AnnData,
    cleaned: Cleaned,
    maps: LabelMaps,
    *,
    panel: Panel,
    slide: str,
    annotations: Annotations | None,
    gates: pd.DataFrame | None,
) -> MultiplexScore:
    """Gate, name, place and score measured cells."""
    tile, notes = cleaned.raw, list(cleaned.warnings)
    mpp, origin = full_mpp(tile), tile.attrs[keys.ORIGIN]
    origin_um = (origin[0] * mpp, origin[1] * mpp)
    if annotations is not None:  # first: gates are set on the cells that count
        cells, said = apply_annotations(cells, annotations, mpp=mpp, classify=False)
        notes += said
    if tile.dtype.kind in "ui":
        factor = cleaned.channels.set_index("marker")["factor"]
        cells = cells.copy() if annotations is None else cells
        cells.var[STEP] = factor.reindex([str(name) for name in cells.var_names]).to_numpy(dtype=float)
    if gates is None:
        gates = fit_gates({slide: cells}, panel=panel, few_levels=_few_levels(cleaned))
    else:
        gates, said = _completed(gates, cells, cleaned, panel=panel, slide=slide)
        notes += said
    unusable = unusable_channels(tile)
    gates = _without_unusable(gates, unusable)
    cells, more = phenotyped(cells, panel=panel, gates=gates, slide=slide)
    notes += more
    regions = image_regions(tile, cells, panel, labels=maps, annotations=annotations, origin_um=origin_um)
    cells.obs[keys.REGION] = _names(cells, regions)
    scores, components = score_multiplex_cells(cells, panel=panel, slide=slide, regions=regions)
    assay = panel_assay(panel)
    row = _slide_row(cells, slide, panel, tile=tile, regions=regions, notes=notes, components=components, scores=scores)
    if panel.nuclei in unusable:  # without nuclei nothing can be said, which is not the same as no tissue
        row |= {"status": keys.NOT_EVALUABLE, "reason": unusable[panel.nuclei]}
        scores = scores.assign(status=keys.NOT_EVALUABLE, reason=unusable[panel.nuclei])
        scores[["value", "ci_low", "ci_high"]] = math.nan
    empty = np.zeros(tile.shape[1:], np.int32)
    return MultiplexScore(
        slide=slide, assay=assay, marker=assay.marker, row=row, scores=scores, called=cells,
        sensitivity=gates[[name for name in ("marker", "gate", "gate_low", "gate_high") if name in gates]],
        record=_record(panel, cells, cleaned, regions), image=picture(cleaned.tile, panel),
        nucleus_labels=empty if maps.nuclei is None else maps.nuclei,
        cell_labels=empty if maps.cells is None else maps.cells,
        gates=cells.uns["gates"], components=components, cleaned=cleaned, regions=regions, panel=panel, labels=maps,
        annotations=annotations,
    )  # fmt: skip


def _without_unusable(gates: pd.DataFrame, unusable: Mapping[str, str]) -> pd.DataFrame:
    """Take away the gates of channels that say nothing, whoever set them: what hangs on these is not evaluable."""
    if not unusable:
        return gates
    found = gates.copy()
    known = {canonical_marker(marker): why for marker, why in unusable.items()}
    reasons = [known.get(canonical_marker(str(marker))) for marker in found["marker"]]
    at = np.array([why is not None for why in reasons])
    found.loc[at, [name for name in ("gate", "gate_2", "gate_3", "gate_low", "gate_high") if name in found]] = np.nan
    for name in ("n_positive", "fraction", "fraction_low", "fraction_high"):
        if name in found:
            found.loc[at, name] = None if found[name].dtype == object else np.nan
    flags = list(found["flags"]) if "flags" in found else [""] * len(found)
    found["flags"] = [flag if why is None else why for flag, why in zip(flags, reasons, strict=True)]
    return found


def _completed(
    gates: pd.DataFrame, cells: AnnData, cleaned: Cleaned, *, panel: Panel, slide: str
) -> tuple[pd.DataFrame, list[str]]:
    """Fit to this image the gates that a table leaves out, and say so."""
    import pandas as pd

    given = gates_of_slide(gates, slide)
    there = {canonical_marker(str(marker)) for marker in given["marker"]}
    absent = [name for name in marker_compartments(panel) if canonical_marker(name) not in there]
    if not absent:
        return gates, []
    fitted = fit_gates({slide: cells}, panel=panel, few_levels=_few_levels(cleaned))
    more = fitted[fitted["marker"].isin(absent)]
    return pd.concat([given, more], ignore_index=True), [
        f"{', '.join(absent)}: no gate in the table, fitted to this image"
    ]


def phenotyped(
    cells: AnnData, *, panel: Panel, gates: pd.DataFrame | None, slide: str | None
) -> tuple[AnnData, list[str]]:
    """Call, name and class cells as the panel says; return them with notes on conflicts and weak signals.

    ``gates`` may be None for imported cells that are called already.
    """
    notes = []
    called = with_own_obs(cells) if gates is None else apply_gates(cells, gates, slide=slide)
    if gates is not None:
        weak = low_signal(called.uns["gates"]) if "flags" in called.uns["gates"] else []
        notes += [
            f"{marker}: low signal, its gate separates nothing that could be seen"
            for marker in weak
            if marker not in called.uns[NO_GATES]
        ]
        notes += shift_notes(called)
        notes += [f"no gate of {marker}: {why}" for marker, why in called.uns[NO_GATES].items()]
    _keep_imported_calls(called)
    if panel.phenotypes and PHENOTYPE in called.obs:
        called.obs[IMPORTED_PHENOTYPE] = called.obs[PHENOTYPE]
    if panel.phenotypes:
        unnamed, called = called, assign_phenotypes(called, panel.phenotypes)
        notes += _conflicts(cells=called, panel=panel, before=unnamed)
    import pandas as pd

    kinds = list(keys.CELL_CLASSES)
    kind = np.full(called.n_obs, kinds.index(keys.UNKNOWN), dtype=np.int32)
    for name, rule in reversed(list(panel.classes.items())):
        kind[select_cells(called, rule)] = kinds.index(name)
    called.obs[keys.CELL_CLASS] = pd.Categorical.from_codes(kind, categories=pd.Index(kinds))
    called.uns[CLASS_SOURCE] = {"method": "panel", "classes": list(panel.classes)}
    return called, notes


def _conflicts(*, cells: AnnData, panel: Panel, before: AnnData) -> list[str]:
    """Tell which phenotypes share cells, but for those that refine another (all CTL are T cells)."""
    said = []
    for row in cells.uns["phenotypes"]["conflicts"].to_dict("records"):
        first = int(select_cells(before, panel.phenotypes[row["first"]]).sum())
        if row["n_cells"] < first:
            said.append(f"{row['n_cells']} cells fit both {row['first']} and {row['second']}: the first was taken")
    return said


def _keep_imported_calls(cells: AnnData) -> None:
    """Keep what another program called: its phenotype ``CK+`` becomes the call ``CK_positive`` before names change."""
    if PHENOTYPE not in cells.obs:
        return
    for name in known_phenotypes(cells):
        column = keys.positive_column(canonical_marker(name[:-1]))
        if name.endswith("+") and len(name.split()) == 1 and column not in cells.obs:
            cells.obs[column] = (cells.obs[PHENOTYPE].astype(str) == name).to_numpy()


def picture(tile: xr.DataArray, panel: Panel) -> xr.DataArray:
    """Show a multiplex image as RGB: nuclei blue, the panel's first two markers red and green."""
    from biomarkers.io.tile import make_tile

    names = [str(name) for name in tile.coords["c"].to_numpy()]
    markers = list(marker_compartments(panel))
    rgb = np.zeros((*tile.shape[1:], 3), np.float32)
    for axis, name in zip((2, 0, 1), (panel.nuclei, *markers[:2]), strict=False):
        plane = tile.to_numpy()[names.index(name)]
        low, high = np.percentile(plane[::4, ::4], (5, 99.7))
        rgb[..., axis] = np.clip((plane - low) / max(float(high - low), 1e-9), 0, 1) * (160 if axis == 2 else 255)
    attrs = tile.attrs
    shown = make_tile(
        rgb.astype(np.uint8), mpp=attrs[keys.MPP], mpp_source=attrs[keys.MPP_SOURCE], origin=attrs[keys.ORIGIN],
        slide=attrs.get("slide", ""),
    )  # fmt: skip
    shown.attrs[keys.DOWNSAMPLE] = attrs.get(keys.DOWNSAMPLE, 1)
    return shown


def _few_levels(cleaned: Cleaned) -> Mapping[str, str]:
    found = {}
    for marker, flags in zip(cleaned.channels["marker"], cleaned.channels["flags"], strict=True):
        weak = [flag for flag in str(flags).split("; ") if flag.startswith("low signal")]
        if weak:
            found[str(marker)] = weak[0]
    return found


def _named(path: Path) -> str:
    folder = path.is_dir() and path.suffix.casefold() != ".zarr"
    return path.name if folder else path.stem.removesuffix(".ome")


def full_mpp(tile: xr.DataArray) -> float:
    """Pixel size of the image itself, um/px, also where the tile is a coarser picture of it."""
    return float(tile.attrs[keys.MPP]) / float(tile.attrs.get(keys.DOWNSAMPLE, 1))


def _size(tile: xr.DataArray) -> tuple[int, int]:
    return tile.sizes["y"], tile.sizes["x"]


def _names(cells: AnnData, regions: TissueRegions) -> np.ndarray:
    names = np.full(cells.n_obs, "", dtype=object)
    for region in (keys.STROMA, keys.TUMOR):
        if region in regions.masks and cells.n_obs:
            names[regions.members(cells, region)] = region
    return names.astype(str)


def _slide_row(
    cells: AnnData, slide: str, panel: Panel, *, tile: xr.DataArray, regions: TissueRegions, notes: list[str],
    components: pd.DataFrame, scores: pd.DataFrame,
) -> dict[str, Any]:  # fmt: skip
    marker = panel_assay(panel).marker
    usable = counted_cells(cells)
    n = int(usable.sum())
    positive, low, high = positive_counts(cells, marker)
    notes = [*notes, *regions.notes, *implausible_densities(cells, regions)]
    whole = components[components["region"] == "all"]
    return {
        "slide": slide,
        "status": slide_status(scores, notes) if n else keys.NO_TISSUE,
        "reason": "; ".join(notes) if n else "no nuclei were found",
        "mpp": full_mpp(tile),
        "mpp_source": str(tile.attrs.get(keys.MPP_SOURCE, "")),
        "tissue_mm2": regions.area_mm2("all"),
        "n_cells": n,
        "n_positive": positive,
        "n_negative": None if positive is None else n - positive,
        "positive_fraction": positive / n if n and positive is not None else None,
        "assay": panel.name,
        "marker": marker,
        "regions_by": regions.source,
        "area_source": regions.area_source,
        "positive_fraction_low": low,
        "positive_fraction_high": high,
        **{f"{row['component']} present": row["call"] for row in whole.to_dict("records")},
    }


def _record(panel: Panel, cells: AnnData, cleaned: Cleaned, regions: TissueRegions) -> dict[str, Any]:
    """Return what made the numbers of this slide, as plain JSON values."""
    gates = cells.uns["gates"]
    return {
        "panel": panel.model_dump(mode="json"),
        "gates": [_plain(row) for row in gates.to_dict("records")],
        "cleaning": [_plain(row) for row in cleaned.channels.to_dict("records")],
        "bleed_through": [_plain(row) for row in cleaned.bleed.to_dict("records")],
        "regions_mm2": {name: regions.area_mm2(name) for name in regions.masks},
        "n_cells_found": int(cells.n_obs),
    }


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(k): None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
