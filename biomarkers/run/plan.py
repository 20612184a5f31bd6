"""What will be scored: files, folders, globs and manifests become one list of tasks, in one stable order."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from biomarkers.errors import DataError, UsageError, did_you_mean
from biomarkers.files import file_name
from biomarkers.slide.channel_files import is_channel_folder, is_zarr

IMAGE_SUFFIXES = tuple(
    ".png .jpg .jpeg .tif .tiff .svs .ndpi .scn .bif .qptiff .mrxs .dcm .svslide .vms".split()  # noqa: SIM905
)
_SCENE_SUFFIXES = (".tif", ".tiff", ".scn", ".bif", ".qptiff", ".ndpi", ".svs")  # a file may hold several images
MANIFEST_COLUMNS = ("path", "patient", "timepoint", "assay", "mpp", "annotations")


@dataclass(frozen=True)
class Task:
    """One image to score. ``slide`` is its unique name in every table; ``None`` means "as the run says"."""

    slide: str
    path: Path
    patient: str | None = None
    timepoint: str | None = None
    assay: str | None = None
    mpp: float | None = None
    annotations: Path | None = None
    scene: int | None = None  # which image of a file with several

    @property
    def file_stem(self) -> str:
        """The slide's name as a file name: every character that a file system or a shell may trip over is replaced."""
        return file_name(self.slide)


def plan_tasks(
    inputs: Sequence[str | Path], *, exclude: Path | None = None, channels: bool = False
) -> tuple[Task, ...]:
    """List the images behind ``inputs``, each once, sorted by name.

    Parameters
    ----------
    inputs
        Image files, folders (searched through, links to folders are not followed), glob patterns, or
        ``.csv``/``.tsv`` manifests with the columns ``path`` and, optionally, ``patient, timepoint, assay, mpp,
        annotations``. Paths in a manifest are relative to it.
    exclude
        A folder whose images are left out: the output folder, when it stands inside an input folder.
    channels
        Multiplex images are wanted: an OME-Zarr is one image, and so is a folder whose TIFFs all hold one plane, a
        channel a file (at least two). Other folders are searched for these too.

    Raises
    ------
    UsageError
        An input does not exist, matches nothing or holds no image.
    DataError
        A manifest row is wrong.
    """
    if not inputs:
        raise UsageError("no input given", hint="Name image files, folders, globs or a CSV manifest.")
    found: dict[Path, Task] = {}
    for item in inputs:
        for task in _tasks_of(str(item), exclude, channels=channels):
            key = task.path.resolve()
            if key in found and (task.patient, task.timepoint, task.assay) != (
                found[key].patient,
                found[key].timepoint,
                found[key].assay,
            ):
                raise DataError(
                    "the same image is listed twice with different patient, time point or assay",
                    where=task.path,
                    hint="Keep one row an image.",
                )
            found.setdefault(key, task)
    return _with_unique_names(found.values())


def with_scenes(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Make a task of each image of a file that holds several (``name~image1``, ``name~image2`` ...).

    A file that cannot be opened stays one task: scoring it says why.
    """
    expanded: list[Task] = []
    for task in tasks:
        count = _count_scenes(task.path)
        if count < 2:
            expanded.append(task)
        else:
            expanded += [
                replace(task, slide=f"{task.slide}~image{number + 1}", scene=number) for number in range(count)
            ]
    return tuple(sorted(expanded, key=lambda task: task.slide))


def _count_scenes(path: Path) -> int:
    from biomarkers.errors import BiomarkersError
    from biomarkers.slide import open_slide

    if path.suffix.lower() not in _SCENE_SUFFIXES:
        return 1
    try:
        with open_slide(path, scene=0) as slide:
            return len(slide.scenes)
    except BiomarkersError:
        return 1


def label_file(folder: Path, task: Task) -> Path:
    """Find a slide's label map: ``<slide>.tif`` or ``<slide>_labels.tif``, or inForm's maps beside its component data.

    Raises
    ------
    UsageError
        There is no such folder, or it has no map for this slide.
    """
    if not folder.is_dir():
        raise UsageError("--labels: no such folder", where=folder)
    stem = task.file_stem
    names = [f"{stem}{end}" for end in (".tif", ".tiff", ".png", "_labels.tif", "_binary_seg_maps.tif")]
    names.append(f"{stem.removesuffix('_component_data')}_binary_seg_maps.tif")
    there = [folder / name for name in names if (folder / name).is_file()]
    found = next((path for path in there if path.resolve() != task.path.resolve()), None)  # not the image itself
    if found is None:
        raise UsageError(f"the folder has no label map for the slide {task.slide!r}", where=folder, allowed=names)
    return found


def _tasks_of(item: str, exclude: Path | None, *, channels: bool) -> list[Task]:
    path = Path(item)
    if path.is_dir():
        return _folder(path, exclude, channels=channels)
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv"):
            return _manifest(path, channels=channels)
        return [Task(slide=path.stem, path=path)]
    matches = sorted(Path(match) for match in glob.glob(item, recursive=True))  # noqa: PTH207  (absolute patterns too)
    files = [match for match in matches if match.is_file() or (channels and is_channel_folder(match))]
    if not files:
        raise UsageError("no such file, folder or match", where=item)
    return [Task(slide=_name(match), path=match) for match in files]


def _name(path: Path) -> str:
    """Name an image: a folder of channels may have points in its name, a file and an OME-Zarr have a suffix."""
    return path.name if path.is_dir() and path.suffix.casefold() != ".zarr" else path.stem


def _folder(folder: Path, exclude: Path | None, *, channels: bool) -> list[Task]:
    skip = None if exclude is None else exclude.resolve()
    files: list[Path] = []
    for name_of_root, folders, names in os.walk(folder, followlinks=False):  # Path.walk needs Python 3.12
        root = Path(name_of_root)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (root / name).resolve() != skip)
        if is_zarr(root) or (channels and is_channel_folder(root)):
            files += [root] if channels else []
            folders[:] = [] if is_zarr(root) else folders
            continue
        files += [root / name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")]
    if not files:
        hint = "An OME-Zarr is scored with --panel." if is_zarr(folder) else None
        raise UsageError("the folder holds no image", where=folder, allowed=IMAGE_SUFFIXES, hint=hint)
    return [Task(slide=_name(path), path=path) for path in sorted(files)]


def _manifest(path: Path, *, channels: bool) -> list[Task]:
    import pandas as pd

    table = pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",", dtype=str, keep_default_na=False)
    for column in table.columns:
        if column not in MANIFEST_COLUMNS:
            raise DataError(
                f"unknown manifest column {column!r}",
                where=path,
                allowed=MANIFEST_COLUMNS,
                hint=did_you_mean(str(column), MANIFEST_COLUMNS),
            )
    if "path" not in table.columns:
        raise DataError("the manifest has no column 'path'", where=path, seen=list(table.columns))
    if table.empty:
        raise DataError("the manifest has no rows", where=path)
    # row numbers as a spreadsheet shows them: the header is row 1
    rows = [{str(key): str(value) for key, value in row.items()} for row in table.to_dict("records")]
    return [_manifest_row(path, number, row, channels=channels) for number, row in enumerate(rows, start=2)]


def _manifest_row(manifest: Path, number: int, row: dict[str, str], *, channels: bool) -> Task:
    where = f"{manifest}, row {number}"
    image = manifest.parent / row["path"]
    if not row["path"] or not (image.is_file() or (channels and is_channel_folder(image))):
        raise DataError("no such image", where=where, seen=row["path"])
    annotations = manifest.parent / row["annotations"] if row.get("annotations") else None
    if annotations is not None and not annotations.is_file():
        raise DataError("no such annotation file", where=where, seen=row["annotations"])
    try:
        mpp = float(row["mpp"]) if row.get("mpp") else None
    except ValueError as error:
        raise DataError("mpp is not a number", where=where, seen=row["mpp"]) from error
    return Task(
        slide=_name(image),
        path=image,
        patient=row.get("patient") or None,
        timepoint=row.get("timepoint") or None,
        assay=row.get("assay") or None,
        mpp=mpp,
        annotations=annotations,
    )


def _with_unique_names(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Name each slide by its stem without OME's suffix; where two share one, by as many folders as needed."""
    plain = [replace(task, slide=task.slide.removesuffix(".ome")) for task in tasks]
    named = plain
    for depth in range(1, 20):
        counts = Counter(task.file_stem.casefold() for task in named)
        if all(count == 1 for count in counts.values()):
            break
        named = [
            task if counts[task.file_stem.casefold()] == 1 else replace(task, slide=_longer_name(task, depth))
            for task in named
        ]
    return tuple(sorted(_numbered(named), key=lambda task: task.slide))


def _longer_name(task: Task, depth: int) -> str:
    parents = task.path.resolve().parts[-1 - depth : -1]
    # x.png and x.tif in one folder differ in their last part only
    return "/".join((*parents, task.path.name))


def _numbered(tasks: Iterable[Task]) -> list[Task]:
    """Last resort, for names that differ only in characters a file name cannot hold."""
    seen: Counter[str] = Counter()
    result = []
    for task in sorted(tasks, key=lambda task: str(task.path)):
        stem = task.file_stem.casefold()
        seen[stem] += 1
        result.append(task if seen[stem] == 1 else replace(task, slide=f"{task.slide}~{seen[stem]}"))
    return result
