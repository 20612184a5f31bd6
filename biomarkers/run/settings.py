"""How a batch is scored: the settings that decide numbers, and those that only decide how the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from biomarkers.core.config import Settings, load_assay, parse
from biomarkers.core.errors import UsageError
from biomarkers.core.files import read_toml, sha256
from biomarkers.core.panel import load_panel
from biomarkers.io.annotations_classes import read_class_map

PER_IMAGE = "image"  # in place of a gate table: each image of a panel its own gates
DEFAULT_TIMEOUT_S = 2 * 3600.0


class ScoreSettings(Settings):
    """Settings that decide the numbers; a run folder never mixes two of them.

    ``assay`` is a shipped name or a TOML path, or None when a manifest names one for every slide; ``mpp`` (um/px) wins
    over the file's own; ``annotations`` is a GeoJSON file for one slide or a folder with ``<slide>.geojson``,
    ``classes`` a TOML file that says what further classes of them mean. ``panel``
    is the TOML file of a multiplex panel and takes the assay's place; ``gates`` a gate table for it
    (``"image"``: each image its own; absent, several images share theirs),
    ``labels`` a folder with a label map a slide (nuclei, or inForm's maps). ``segmenter`` is the name of an installed
    finder of nuclei.
    """

    assay: str | None = None
    mpp: Annotated[float, Field(gt=0)] | None = None
    annotations: str | None = None
    classes: str | None = None
    classifier: str | None = None
    assume_tumor: bool = False
    marker: str | None = None
    thresholds: str | None = None
    stain: str | None = None
    panel: str | None = None
    gates: str | None = None
    labels: str | None = None
    segmenter: str | None = None


class WorkSettings(Settings):
    """Settings that decide how the work is done and can never move a number.

    ``threads`` work on one whole slide; it is split into ``regions``, in which several workers find its cells.
    ``memory_gb`` bounds one worker; None means 80% of the machine's free memory shared by the workers. ``scheduler`` is
    the address of a dask scheduler, ``cluster`` a TOML file that describes a cluster to start; with either, the number
    of workers is the cluster's. Slides whose name or file matches a pattern of ``skip`` are left out; they keep a row.
    """

    workers: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    regions: Annotated[int, Field(ge=1, le=1000)] = 1
    timeout_s: Annotated[float, Field(gt=0)] = DEFAULT_TIMEOUT_S
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    overlays: bool = True
    skip: tuple[str, ...] = ()
    scheduler: str | None = None
    cluster: str | None = None
    insecure: bool = False


def read_config(path: Path) -> dict[str, Any]:
    """Read a ``--config`` TOML file; its keys are the long options of ``biomarkers score`` with underscores.

    Raises
    ------
    UsageError
        The file is absent or not TOML, or has an unknown key (the nearest known one is suggested).
    """
    values = read_toml(path)

    class _Both(ScoreSettings, WorkSettings):
        pass

    parse(_Both, values, where=str(path))
    for key in ("annotations", "classes", "classifier", "thresholds", "stain", "panel", "gates", "labels", "cluster"):
        if isinstance(values.get(key), str) and (key, values[key]) != ("gates", PER_IMAGE):
            values[key] = str(path.parent / values[key])  # as in a manifest: relative to the file that names it
    return values


def split_settings(values: Mapping[str, Any]) -> tuple[ScoreSettings, WorkSettings]:
    """Sort options into the two kinds and validate both."""
    score = {key: value for key, value in values.items() if key in ScoreSettings.model_fields and value is not None}
    work = {key: value for key, value in values.items() if key in WorkSettings.model_fields and value is not None}
    return parse(ScoreSettings, score, where="settings"), parse(WorkSettings, work, where="settings")


def canonical(settings: ScoreSettings) -> dict[str, Any]:
    """Return the settings as what they mean: the assay's content and the files' hashes, not their paths."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    if settings.assay is not None:
        values["assay"] = load_assay(settings.assay).model_dump(mode="json")
    if settings.panel is not None:
        values["panel"] = load_panel(settings.panel).model_dump(mode="json")
    if settings.classes is not None:
        values["classes"] = read_class_map(settings.classes)
    for key in ("classifier", "thresholds", "stain", "gates"):
        if values[key] is not None:
            values[key] = file_hash(Path(values[key]), option=key)
    for key in ("annotations", "labels"):
        values[key] = getattr(settings, key) is not None  # each slide's own file enters its own key
    return values


def file_hash(path: Path, *, option: str) -> str:
    """Hash a file named by an option.

    Raises
    ------
    UsageError
        There is no such file.
    """
    if not path.is_file():
        raise UsageError(f"--{option}: no such file", where=path)
    return sha256(path)
