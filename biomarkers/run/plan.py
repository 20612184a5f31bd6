"""What will be scored: files, folders, globs and manifests become one list of tasks, in one stable order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import file_name
from biomarkers.core.sources import is_url, listed, name_of
from biomarkers.io.dicom import series_of
from biomarkers.io.formats import IMAGE_SUFFIXES
from biomarkers.run.manifest import number_in, path_in, read_manifest
from biomarkers.run.walk import Found, LeftOut, images_in, images_matching, is_image_folder


@dataclass(frozen=True)
class SlideTask:
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


@dataclass(frozen=True)
class Plan:
    """The images to score, and what among the inputs is none or is not read, with the reason."""

    tasks: tuple[SlideTask, ...]
    left_out: tuple[LeftOut, ...]


def plan_tasks(
    inputs: Sequence[str | Path], *, exclude: Path | None = None, channels: bool = False
) -> tuple[SlideTask, ...]:
    """List the images behind ``inputs``; see :func:`plan_inputs`."""
    return plan_inputs(inputs, exclude=exclude, channels=channels).tasks


def plan_inputs(inputs: Sequence[str | Path], *, exclude: Path | None = None, channels: bool = False) -> Plan:
    """List the images behind ``inputs``, each once, sorted by name, and what is left out.

    Parameters
    ----------
    inputs
        Image files, folders (searched through, links to folders are not followed), glob patterns, or
        ``.csv``/``.tsv`` manifests with the columns ``path`` and, optionally, ``patient, timepoint, assay, mpp,
        annotations``. Paths in a manifest are relative to it. A file that is named itself is always an image to score.
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
    found: dict[Path | str, SlideTask] = {}
    left_out: dict[str, LeftOut] = {}
    for item in inputs:
        tasks, others = _tasks_of(str(item), exclude, channels=channels)
        left_out.update({one.path: one for one in others})
        for task in tasks:
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
    kept, others = _one_a_series(found.values())
    left_out.update({one.path: one for one in others})
    scored = {task.location for task in kept}
    told = [one for one in left_out.values() if str(Path(one.path).absolute()) not in scored]
    return Plan(_with_unique_names(kept), tuple(sorted(told, key=lambda one: one.path)))


def with_scenes(tasks: Iterable[SlideTask], pixels: Mapping[str, Sequence[int]]) -> tuple[SlideTask, ...]:
    """Make a task of each image of a file that holds several (``name~image1``, ``name~image2`` ...).

    Parameters
    ----------
    tasks
        One a file.
    pixels
        By location, the number of pixels of each image that the file holds.
    """
    expanded: list[SlideTask] = []
    for task in tasks:
        count = len(pixels.get(task.location, ()))
        if count < 2:
            expanded.append(task)
        else:
            expanded += [
                replace(task, slide=f"{task.slide}~image{number + 1}", scene=number) for number in range(count)
            ]
    return tuple(sorted(expanded, key=lambda task: task.slide))


def _one_a_series(tasks: Iterable[SlideTask]) -> tuple[list[SlideTask], list[LeftOut]]:
    """Keep one file of each DICOM series: a slide's levels, label and overview are files of one series."""
    kept: dict[object, SlideTask] = {}
    members: dict[object, list[SlideTask]] = {}
    series: dict[str, tuple[str, bool]] = {}
    for task in sorted(tasks, key=lambda task: task.location):
        found = series_of(task.path) if isinstance(task.path, Path) and task.path.is_file() else None
        if found is not None:
            series[task.location] = found
        key: object = task.location if found is None else (task.path.parent, found[0])  # type: ignore[union-attr]
        members.setdefault(key, []).append(task)
        held = kept.get(key)
        if held is None or (found is not None and found[1] and not series[held.location][1]):
            kept[key] = task
    left_out = [
        LeftOut(str(one.path), f"another file of the DICOM series of {kept[key].file}")
        for key, some in members.items()
        for one in some
        if one is not kept[key]
    ]
    return list(kept.values()), left_out


def label_file(folder: Path, task: SlideTask) -> Path:
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


def _tasks_of(item: str, exclude: Path | None, *, channels: bool) -> tuple[list[SlideTask], Sequence[LeftOut]]:
    if is_url(item):
        images, others = _images_at(item)
        return [SlideTask(slide=PurePosixPath(name_of(one)).stem, path=one) for one in images], others
    path = Path(item)
    if is_image_folder(path, channels=channels):
        return [SlideTask(slide=_name(path), path=path)], ()
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv"):
            return _manifest(path, channels=channels), ()
        return [SlideTask(slide=path.stem, path=path)], ()
    found: Found
    if path.is_dir():
        found = images_in(path, exclude=exclude, channels=channels)
    else:
        found = images_matching(item, channels=channels)
    return [SlideTask(slide=_name(image), path=image) for image in found.images], found.left_out


def _name(path: Path) -> str:
    """Name an image: a folder of channels may have points in its name, a file and an OME-Zarr have a suffix."""
    return path.name if path.is_dir() and path.suffix.casefold() != ".zarr" else path.stem


def _images_at(location: str) -> tuple[list[str], list[LeftOut]]:
    """List the images among the objects at an address; one that is named in full is taken as it is."""
    found = listed(location)
    if len(found) == 1:
        return found, []
    images = [one for one in found if one.casefold().endswith(IMAGE_SUFFIXES)]
    others = [LeftOut(one, "no image by its suffix") for one in found if one not in images]
    return images, others


def _manifest(path: Path, *, channels: bool) -> list[SlideTask]:
    rows = read_manifest(path)
    tasks = [_manifest_row(path, where, row, channels=channels) for where, row in rows]
    if not any(isinstance(task.path, str) or task.path.exists() for task in tasks):
        hint = "Paths in a manifest are relative to it."
        raise DataError("no image of the manifest exists", where=path, seen=rows[0][1]["path"], hint=hint)
    return tasks  # one that is absent fails as a slide, so that it has its row


def _manifest_row(manifest: Path, where: str, row: Mapping[str, str], *, channels: bool) -> SlideTask:
    if not row["path"]:
        raise DataError("the row names no image", where=where, allowed="a path in the column 'path'")
    image = path_in(manifest, row["path"])
    if isinstance(image, Path) and image.is_dir() and not is_image_folder(image, channels=channels):
        raise DataError("this is a folder, not an image", where=where, seen=row["path"])
    annotations = path_in(manifest, row["annotations"]) if row.get("annotations") else None
    if annotations is not None and not (isinstance(annotations, Path) and annotations.is_file()):
        raise DataError("no such annotation file", where=where, seen=row["annotations"])
    return SlideTask(
        slide=PurePosixPath(name_of(image)).stem if isinstance(image, str) else _name(image),
        path=image,
        patient=row.get("patient") or None,
        timepoint=row.get("timepoint") or None,
        assay=row.get("assay") or None,
        mpp=number_in(row.get("mpp", ""), column="mpp", where=where),
        annotations=annotations,
    )


def _with_unique_names(tasks: Iterable[SlideTask]) -> tuple[SlideTask, ...]:
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


def _longer_name(task: SlideTask, depth: int) -> str:
    path = PurePosixPath(task.path) if isinstance(task.path, str) else task.path.resolve()
    # x.png and x.tif in one folder differ in their last part only
    return "/".join((*path.parts[-1 - depth : -1], path.name))


def _numbered(tasks: Iterable[SlideTask]) -> list[SlideTask]:
    """Last resort, for names that differ only in characters a file name cannot hold."""
    seen: Counter[str] = Counter()
    result = []
    for task in sorted(tasks, key=lambda task: str(task.path)):
        stem = task.file_stem.casefold()
        seen[stem] += 1
        result.append(task if seen[stem] == 1 else replace(task, slide=f"{task.slide}~{seen[stem]}"))
    return result
