"""What a run folder remembers: its lock, its settings, and the finished part of every slide."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from biomarkers.core.errors import BiomarkersError, EnvironmentFailure, UsageError
from biomarkers.core.files import disk_full, write_text
from biomarkers.core.sources import digest_of

STATE_FOLDER = ".biomarkers"
_MOST_SHOWN = 8


class RunState:
    """The folder ``OUT/.biomarkers``: everything a later run needs to go on where this one stopped."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / STATE_FOLDER

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises
        ------
        EnvironmentFailure
            Another live run holds it (its pid and host are named), or the folder cannot be written.
        """
        path = self.folder / "lock.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _take(path)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full(self.folder) from error
            raise EnvironmentFailure(
                f"the output folder cannot be written ({error.strerror})", where=self.out, hint="Choose another --out."
            ) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def hold_settings(self, settings: Mapping[str, Any]) -> None:
        """Remember the settings of a new run; refuse to go on with an old run under other ones.

        Where no slide was finished there is nothing to go on with: a run that failed, for want of a pixel size say, is
        begun again.

        Raises
        ------
        UsageError
            The folder holds results made with other settings; the differences are shown.
        """
        path = self.folder / "settings.json"
        wanted = json.loads(json.dumps(settings, sort_keys=True, default=str))
        begun = any((self.folder / "parts").glob("[!.]*.json"))
        held = _read_json(path) if begun else None
        if held is not None and held != wanted:
            raise UsageError(
                f"this folder holds results made with other settings ({differences(held, wanted)})",
                where=self.out,
                hint="Choose another --out, or repeat the earlier settings.",
            )
        if held is None:  # a part made with others has another key, so that it is never taken for one of this run
            write_text(path, json.dumps(wanted, indent=2, sort_keys=True) + "\n")

    def hold_jobs(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Remember what was asked of each slide, so that it can be asked again."""
        write_text(self.folder / "jobs.json", json.dumps(list(jobs), indent=1, sort_keys=True) + "\n")

    def jobs(self) -> list[dict[str, Any]]:
        """Return what was asked of each slide.

        Raises
        ------
        UsageError
            The folder holds no run.
        """
        path = self.folder / "jobs.json"
        if not path.is_file():
            raise UsageError("this folder holds no finished 'biomarkers score' run", where=self.out)
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def part(self, file_stem: str) -> Path:
        """Path of one slide's finished part."""
        return self.folder / "parts" / f"{file_stem}.json"

    def regions(self, key: str) -> Path:
        """Folder of what several workers found of one slide, until it is scored."""
        return self.folder / "regions" / key

    def parts(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return every finished part that the folder holds, with its path."""
        paths = sorted((self.folder / "parts").glob("[!.]*.json"))
        read = [(path, _read_json(path)) for path in paths]
        return [(path, part) for path, part in read if part is not None]

    def finished(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a slide's part if made from the same bytes with the same settings, and its files still stand."""
        part = _read_json(self.part(job["file_stem"]))
        if part is None or not all((self.out / name).is_file() for name in part["files"]):
            return None
        try:
            image = digest_of(job["path"])
        except (OSError, BiomarkersError):  # it is gone, or cannot be fetched: the worker says so
            return None
        return part if part["key"] == content_key(image, job["meaning"]) else None

    def keep(self, file_stem: str, part: Mapping[str, Any]) -> None:
        """Write a slide's part, complete or not at all: from now on it is never scored again."""
        # in the order it came: the columns of slides.csv must not depend on which slides were finished earlier
        write_text(self.part(file_stem), json.dumps(part, default=str))


def settings_key(settings: Mapping[str, Any], version: str) -> str:
    """Name what a result depends on beside its image: every setting and the package's version; no time stamp."""
    text = json.dumps([settings, version], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def content_key(image: str, meaning: str) -> str:
    """Name what a result depends on: the image's bytes (their sha256), and :func:`settings_key`."""
    return hashlib.sha256(f"{image} {meaning}".encode()).hexdigest()


def _take(path: Path) -> None:
    me = {"pid": os.getpid(), "host": platform.node(), "started": psutil.Process().create_time()}
    for _ in range(3):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            _refuse_live_owner(path)
            path.unlink(missing_ok=True)
            continue
        with os.fdopen(handle, "w") as stream:
            json.dump(me, stream)
        return
    raise EnvironmentFailure("another run keeps taking the folder's lock", where=path)


def _refuse_live_owner(path: Path) -> None:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return  # gone again, or its owner died while writing it
    if owner["host"] == platform.node() and not _alive(owner):
        return
    raise EnvironmentFailure(
        f"another run is working in this folder: process {owner['pid']} on {owner['host']}",
        where=path.parent.parent,
        hint=f"Wait for it, choose another --out, or remove {path.name} when you know that run is dead.",
    )


def _alive(owner: Mapping[str, Any]) -> bool:
    try:
        return abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) < 1
    except psutil.NoSuchProcess:
        return False


def differences(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which settings differ, by their full names; an assay of another name is told by its name alone.

    Where no value differs, a setting came or went with a version of this package, and that is told.
    """
    then, now = _flat(held), _flat(wanted)
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    if not names:
        changed = ", ".join(sorted({*then} ^ {*now}))
        return f"another version of biomarkers made them, which did not have the same settings: {changed}"
    for group in ("assay", "panel"):
        if f"{group}.name" in names:
            names = [name for name in names if not name.startswith(f"{group}.") or name == f"{group}.name"]
    shown = [f"{name}: {_brief(then.get(name))} then, {_brief(now.get(name))} now" for name in names[:_MOST_SHOWN]]
    more = len(names) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _flat(settings: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        deeper = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{start}{name}.") if deeper else {f"{start}{name}": value}
    return flat


def _brief(value: Any) -> str:
    """Show a value; of a file's hash its beginning."""
    is_hash = isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
    return f"file {value[:8]}" if is_hash else repr(value)


def _read_json(path: Path) -> dict[str, Any] | None:
    """Read what a run wrote; None where there is none, or a power failure left a damaged one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return found
