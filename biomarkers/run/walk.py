"""Which files of a folder or a glob are images, and why each of the others is left out."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from biomarkers.core.errors import UsageError
from biomarkers.io.channel_files import is_channel_folder
from biomarkers.io.dicom import role_of
from biomarkers.io.formats import IMAGE_SUFFIXES, format_of, not_read, why_no_image
from biomarkers.io.roles import NOT_TISSUE, role_by_name
from biomarkers.io.zarr_header import is_zarr
from biomarkers.run.state import STATE_FOLDER


@dataclass(frozen=True)
class LeftOut:
    """A file or folder among the inputs that is not scored, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What a folder or glob holds: the images, and everything else with its reason."""

    images: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def images_in(folder: Path, *, exclude: Path | None = None, channels: bool = False) -> Found:
    """Search a folder through; links to folders are not followed.

    Parameters
    ----------
    folder
        Where to look.
    exclude
        A folder whose files are neither scored nor told of: the output folder of this run.
    channels
        A folder whose TIFFs all hold one plane is one multiplex image.

    Raises
    ------
    UsageError
        There is no image; what was there is told.
    """
    skip = None if exclude is None else exclude.resolve()
    files: list[Path] = []
    left_out: list[LeftOut] = []
    for name_of_root, folders, names in os.walk(folder, followlinks=False):  # Path.walk needs Python 3.12
        root = Path(name_of_root)
        searched = []
        for name in sorted(folders):
            inner = root / name
            if inner.resolve() == skip:
                continue
            if is_image_folder(inner, channels=channels):
                files.append(inner)
            elif why := _not_searched(inner, names):
                left_out.append(LeftOut(str(inner), why))
            else:
                searched.append(name)
        folders[:] = searched
        found = sort_out((root / name for name in names), companions=_companions(root, names))
        files += found.images
        left_out += found.left_out
    if not files:
        raise UsageError("the folder holds no image", where=folder, seen=_summary(left_out), allowed=IMAGE_SUFFIXES)
    return Found(tuple(sorted(files)), tuple(left_out))


def images_matching(pattern: str, *, channels: bool = False) -> Found:
    """List what a glob pattern matches.

    Raises
    ------
    UsageError
        It matches nothing, or no image.
    """
    matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  (absolute ones too)
    folders = [match for match in matches if is_image_folder(match, channels=channels)]
    beside: dict[Path, list[str]] = {}
    for match in matches:
        if match.is_file():
            beside.setdefault(match.parent, []).append(match.name)
    companions = {root / name for root, names in beside.items() for name in _companions(root, names)}
    found = sort_out((match for match in matches if match.is_file()), companions={one.name for one in companions})
    images = tuple(sorted((*folders, *found.images)))
    if not images:
        raise UsageError("no such file, folder or match", where=pattern, seen=_summary(found.left_out))
    return Found(images, found.left_out)


def sort_out(files: Iterable[Path], *, companions: Iterable[str] = ()) -> Found:
    """Tell images from other files, by the registry of formats."""
    parts = set(companions)
    images, left_out = [], []
    for path in sorted(files):
        why = f"part of {_owner(path)}" if path.name in parts else _why_left_out(path)
        if why:
            left_out.append(LeftOut(str(path), why))
        else:
            images.append(path)
    return Found(tuple(images), tuple(left_out))


def is_image_folder(folder: Path, *, channels: bool) -> bool:
    """Whether a folder is one image: an OME-Zarr, or, where channels are wanted, one with a TIFF a channel."""
    return not folder.name.startswith(".") and (is_zarr(folder) or (channels and is_channel_folder(folder)))


def _why_left_out(path: Path) -> str:
    if path.name.startswith("."):
        return "a hidden file"
    known = format_of(path)
    if known is None:
        return why_no_image(path)
    if not known.reader:
        return not_read(known)
    if known.name == "DICOM" and (shown := role_of(path)):
        return f"its header says that it is a {shown} image, not a slide"
    role = _role_of_file(path)
    return f"its name says that it is a {role} image, not a slide" if role else ""


def _role_of_file(path: Path) -> str:
    """Tell label and macro images that were exported beside their slides: ``case7_label.png``."""
    stem = re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)
    last = re.split(r"[\s_.\-]+", stem)[-1]
    role = role_by_name(last) if last.casefold() not in ("map", "mask", "probability") else None
    return role if role in NOT_TISSUE else ""


def _not_searched(folder: Path, names: list[str]) -> str:
    """Say why a folder is not looked into; empty where it is."""
    if folder.name.startswith("."):
        return "a hidden folder"
    if folder.is_symlink():
        return "a link to a folder is not followed"
    if (folder / STATE_FOLDER).is_dir():
        return "the output of a run"
    there = {name.casefold() for name in names}
    if f"{folder.name.casefold()}.mrxs" in there:
        return f"part of {folder.name}.mrxs"
    inner = folder.name.removeprefix("_").removesuffix("_")
    if folder.name == f"_{inner}_" and f"{inner.casefold()}.vsi" in there:
        return f"part of {inner}.vsi"
    return ""


def _companions(root: Path, names: list[str]) -> set[str]:
    """Name the files that a VMS or VMU index of the same folder is made of."""
    there, found = set(names), set()
    for name in names:
        if name.casefold().endswith((".vms", ".vmu")):
            try:
                text = (root / name).read_text(encoding="latin-1")[:65536]
            except OSError:
                continue
            found |= {part.strip() for part in re.findall(r"^[^=\n]+=(.+)$", text, re.MULTILINE)} & there - {name}
    return found


def _owner(path: Path) -> str:
    index = next((one.name for one in sorted(path.parent.iterdir()) if one.suffix.casefold() in (".vms", ".vmu")), "")
    return index or "another file"


def _summary(left_out: Iterable[LeftOut]) -> str | None:
    """Say in short what was left out: the commonest reasons."""
    reasons: dict[str, int] = {}
    for one in left_out:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    if not reasons:
        return None
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{count} x {reason}" for reason, count in ordered[:4])
