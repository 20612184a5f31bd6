"""What a run folder remembers: its lock, its settings, and the finished part of every slide."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from biomarkers.errors import EnvironmentFailure, UsageError
from biomarkers.files import sha256, write_text

STATE_FOLDER = ".biomarkers"


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
            raise EnvironmentFailure(
                f"the output folder cannot be written ({error.strerror})", where=self.out, hint="Choose another --out."
            ) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def hold_settings(self, settings: Mapping[str, Any]) -> None:
        """Remember the settings of a new run; refuse to go on with an old run under other ones.

        Raises
        ------
        UsageError
            The folder holds results made with other settings; the differences are shown.
        """
        path = self.folder / "settings.json"
        wanted = json.loads(json.dumps(settings, sort_keys=True, default=str))
        if path.exists():
            held = json.loads(path.read_text(encoding="utf-8"))
            if held != wanted:
                raise UsageError(
                    "this folder holds results made with other settings",
                    where=self.out,
                    seen=_differences(held, wanted),
                    hint="Choose another --out, or repeat the earlier settings.",
                )
        else:
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

    def parts(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return every finished part that the folder holds, with its path."""
        paths = sorted((self.folder / "parts").glob("[!.]*.json"))
        return [(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]

    def finished(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a slide's part if made from the same bytes with the same settings, and its files still stand."""
        path, image = self.part(job["file_stem"]), Path(job["path"])
        if not path.exists() or not image.exists():
            return None
        part: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not all((self.out / name).is_file() for name in part["files"]):
            return None
        return part if part["key"] == content_key(sha256(image), job["meaning"]) else None

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


def _differences(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*held, *wanted} if held.get(key) != wanted.get(key))
    return "; ".join(f"{key}: {held.get(key)!r} then, {wanted.get(key)!r} now" for key in keys)
