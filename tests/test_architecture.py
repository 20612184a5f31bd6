"""The floors: a room imports only rooms that stand before it in the data's order."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.house import GROUND, ORDER, PACKAGE, PAGE, files, imports_of, page_with_picture, room_of

WORKER_ROOMS = ("io", "pp", "seg", "pheno", "score")
TOO_HEAVY_FOR_WORKERS = {"scanpy", "statsmodels", "matplotlib"}
FRONT = {"demo", "cli", "__main__"}  # they alone import the rooms that end in files and verbs
ONLY_FOR_FRONT = {"run", "report", "review", "demo", "cli"}
LAID_OUT_BY = {("review", "report")}  # pages of review have the layout of a report


# the steps of segmentation stand twice, plain and compiled, and know each other: to be parted
STILL_A_CIRCLE = ("seg.contrast", "seg.hue", "seg.nuclei", "seg.outline", "seg.tools", "seg.kernels.")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _loaded(path: Path) -> set[str]:
    """Modules of the package that a file imports at any time, but for what only types need."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    inner = {name.removeprefix("biomarkers.") for name in names if name.startswith("biomarkers.")}
    return {module for name in inner for module in (name, name.rpartition(".")[0]) if module}


def test_no_file_imports_itself_through_another() -> None:
    known = {_module(path): path for path in FILES if path.name != "__init__.py"}
    graph = {name: _loaded(path) & set(known) - {name} for name, path in known.items()}
    graph = {
        name: {other for other in others if not (name.startswith(STILL_A_CIRCLE) and other.startswith(STILL_A_CIRCLE))}
        for name, others in graph.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


FILES = files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_room_imports_only_rooms_before_it(path: Path) -> None:
    room = room_of(path)
    assert room in (*GROUND, *ORDER), f"{room} has no place in the order: add it to docs/architecture.md and here"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "biomarkers" or len(parts) < 2:
            continue
        other = parts[1]
        if other == room or other in GROUND:
            continue
        assert room not in GROUND, f"{path.name}: the ground imports the room {other}"
        assert ORDER.index(other) < ORDER.index(room), f"{path.name} in {room} imports {other}, which comes later"
        assert other not in ONLY_FOR_FRONT or room in FRONT or (room, other) in LAID_OUT_BY, (
            f"{path.name} in {room} imports {other}"
        )


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in WORKER_ROOMS], ids=lambda p: p.name)
def test_worker_rooms_do_not_name_heavy_libraries(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports_of(path)} & TOO_HEAVY_FOR_WORKERS


@pytest.mark.slow
def test_worker_rooms_do_not_load_heavy_libraries() -> None:
    modules = [
        ".".join(("biomarkers", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in FILES
        if room_of(path) in WORKER_ROOMS
    ]
    code = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\n"
    code += f"print(sorted(set({sorted(TOO_HEAVY_FOR_WORKERS)!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_light_start_loads_no_heavy_library() -> None:
    code = (
        "import sys, biomarkers\nfrom biomarkers.cli.main import run\nassert run(['--help']) == 0\n"
        "heavy = {'scanpy', 'anndata', 'pandas', 'numpy', 'scipy', 'matplotlib', 'statsmodels', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("room", ["io", "pp", "seg", "stats", "tl", "pl", "score"])
def test_no_public_name_is_hidden_by_a_file_of_its_name(room: str) -> None:
    exported = set(importlib.import_module(f"biomarkers.{room}").__all__)
    folder = PACKAGE / room
    assert exported
    if folder.is_dir():
        assert not exported & {path.stem for path in folder.iterdir()}


@pytest.mark.parametrize("module", ["", ".io", ".pp", ".seg", ".stats", ".tl", ".pl", ".score"])
def test_every_public_name_exists_and_is_all_that_is_listed(module: str) -> None:
    code = (
        f"import importlib\nm = importlib.import_module('biomarkers{module}')\nlisted = dir(m)\n"
        "for name in m.__all__: getattr(m, name)\nassert sorted(listed) == sorted(m.__all__) == sorted(dir(m)), listed"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_picture_of_the_house_is_that_of_its_imports() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = [line.rpartition("|")[0].rpartition("|")[0] for line in text.splitlines()]  # sizes may lag behind
    now = [line.rpartition("|")[0].rpartition("|")[0] for line in page_with_picture(text).splitlines()]
    assert told == now, "run python tests/house.py"
