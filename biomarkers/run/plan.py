"""What will be scored: files, folders, globs and manifests become one list of tasks, in one stable order."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.files import file_name
from biomarkers.core.sources import is_url, listed, name_of
from biomarkers.io.channel_files import is_channel_folder
from biomarkers.io.dicom import series_of
from biomarkers.io.zarr_header import is_zarr
from biomarkers.run.state import STATE_FOLDER

IMAGE_SUFFIXES = tuple(
    ".png .jpg .jpeg .bmp .tif .tiff .svs .ndpi .scn .bif .qptiff .mrxs .dcm .svslide .vms .zarr".split()  # noqa: SIM905
)
_DICOM_SUFFIX = ".dcm"
MANIFEST_COLUMNS = ("path", "patient", "timepoint", "assay", "mpp", "annotations")


@dataclass(frozen=True)
class Task:
    """One image to score. ``slide`` is its unique name in every table; ``None`` means "as the run says".

    ``path`` is a local path, or the address of an object (``s3://bucket/a.svs``).
    """

    slide: str
    path: Path | str
    patient: str | None = None
    timepoint: str | None = None
    assay: str | None = None
    mpp: float | None = None
    annotations: Path | None = None
    scene: int | None = None  # which image of a file with several

    @property
    def location(self) -> str:
        """The image's absolute path, or its address."""
        return self.path if isinstance(self.path, str) else str(self.path.absolute())

    @property
    def file(self) -> str:
        """Name of the image file, without its folders."""
        return name_of(str(self.path))

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
    found: dict[Path | str, Task] = {}
    for item in inputs:
        for task in _tasks_of(str(item), exclude, channels=channels):
            key = task.path if isinstance(task.path, str) else task.path.resolve()
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
    return _with_unique_names(_one_a_series(found.values()))


def with_scenes(tasks: Iterable[Task], pixels: Mapping[str, Sequence[int]]) -> tuple[Task, ...]:
    """Make a task of each image of a file that holds several (``name~image1``, ``name~image2`` ...).

    Parameters
    ----------
    tasks
        One a file.
    pixels
        By location, the number of pixels of each image that the file holds.
    """
    expanded: list[Task] = []
    for task in tasks:
        count = len(pixels.get(task.location, ()))
        if count < 2:
            expanded.append(task)
        else:
            expanded += [
                replace(task, slide=f"{task.slide}~image{number + 1}", scene=number) for number in range(count)
            ]
    return tuple(sorted(expanded, key=lambda task: task.slide))


def _one_a_series(tasks: Iterable[Task]) -> list[Task]:
    """Keep one file of each DICOM series: a slide's levels, label and overview are files of one series."""
    kept: dict[object, Task] = {}
    for task in sorted(tasks, key=lambda task: task.location):
        series = None
        if isinstance(task.path, Path) and task.path.suffix.casefold() == _DICOM_SUFFIX:
            series = series_of(task.path)
        key: object = task.location if series is None else (task.path.parent, series[0])  # type: ignore[union-attr]
        held = kept.get(key)
        if held is None or (series is not None and series[1] and not _is_level(held)):
            kept[key] = task
    return list(kept.values())


def _is_level(task: Task) -> bool:
    series = series_of(Path(task.path))
    return series is not None and series[1]


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
    found = next((path for path in there if str(path.resolve()) != str(Path(task.location).resolve())), None)
    if found is None:
        raise UsageError(f"the folder has no label map for the slide {task.slide!r}", where=folder, allowed=names)
    return found


def _tasks_of(item: str, exclude: Path | None, *, channels: bool) -> list[Task]:
    if is_url(item):
        return [Task(slide=PurePosixPath(name_of(one)).stem, path=one) for one in _images_at(item)]
    path = Path(item)
    if _is_image_folder(path, channels=channels):
        return [Task(slide=_name(path), path=path)]
    if path.is_dir():
        return _folder(path, exclude, channels=channels)
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv"):
            return _manifest(path, channels=channels)
        return [Task(slide=path.stem, path=path)]
    matches = sorted(Path(match) for match in glob.glob(item, recursive=True))  # noqa: PTH207  (absolute patterns too)
    files = [match for match in matches if match.is_file() or _is_image_folder(match, channels=channels)]
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
        files += [root / name for name in folders if _is_image_folder(root / name, channels=channels)]
        folders[:] = sorted(name for name in folders if _is_searched(root / name, skip, channels=channels))
        files += [root / name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")]
    if not files:
        raise UsageError("the folder holds no image", where=folder, allowed=IMAGE_SUFFIXES)
    return [Task(slide=_name(path), path=path) for path in sorted(files)]


def _is_image_folder(folder: Path, *, channels: bool) -> bool:
    """Whether a folder is one image: an OME-Zarr, or, where channels are wanted, one with a TIFF a channel."""
    return not folder.name.startswith(".") and (is_zarr(folder) or (channels and is_channel_folder(folder)))


def _is_searched(folder: Path, skip: Path | None, *, channels: bool) -> bool:
    """Whether a folder is looked into: not one whose name is hidden, nor an image, nor the output of a run."""
    if folder.name.startswith(".") or _is_image_folder(folder, channels=channels) or (folder / STATE_FOLDER).is_dir():
        return False
    return folder.resolve() != skip


def _images_at(location: str) -> list[str]:
    """List the images among the objects at an address; one that is named in full is taken as it is."""
    found = listed(location)
    return found if len(found) == 1 else [one for one in found if one.casefold().endswith(IMAGE_SUFFIXES)]


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
    tasks = [_manifest_row(path, number, row, channels=channels) for number, row in enumerate(rows, start=2)]
    if not any(isinstance(task.path, str) or task.path.exists() for task in tasks):
        hint = "Paths in a manifest are relative to it."
        raise DataError("no image of the manifest exists", where=path, seen=rows[0]["path"], hint=hint)
    return tasks  # one that is absent fails as a slide, so that it has its row


def _manifest_row(manifest: Path, number: int, row: dict[str, str], *, channels: bool) -> Task:
    where = f"{manifest}, row {number}"
    if not row["path"]:
        raise DataError("the row names no image", where=where, allowed="a path in the column 'path'")
    image = row["path"] if is_url(row["path"]) else manifest.parent / row["path"]
    if isinstance(image, Path) and image.is_dir() and not _is_image_folder(image, channels=channels):
        raise DataError("this is a folder, not an image", where=where, seen=row["path"])
    annotations = manifest.parent / row["annotations"] if row.get("annotations") else None
    if annotations is not None and not annotations.is_file():
        raise DataError("no such annotation file", where=where, seen=row["annotations"])
    try:
        mpp = float(row["mpp"]) if row.get("mpp") else None
    except ValueError as error:
        raise DataError("mpp is not a number", where=where, seen=row["mpp"]) from error
    return Task(
        slide=PurePosixPath(name_of(image)).stem if isinstance(image, str) else _name(image),
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
    path = PurePosixPath(task.path) if isinstance(task.path, str) else task.path.resolve()
    # x.png and x.tif in one folder differ in their last part only
    return "/".join((*path.parts[-1 - depth : -1], path.name))


def _numbered(tasks: Iterable[Task]) -> list[Task]:
    """Last resort, for names that differ only in characters a file name cannot hold."""
    seen: Counter[str] = Counter()
    result = []
    for task in sorted(tasks, key=lambda task: str(task.path)):
        stem = task.file_stem.casefold()
        seen[stem] += 1
        result.append(task if seen[stem] == 1 else replace(task, slide=f"{task.slide}~{seen[stem]}"))
    return result
