"""Read from the imports which room takes from which; ``python tests/house.py`` writes it into docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "biomarkers"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn from the imports by tests/house.py -->", "<!-- end -->"
GROUND = ("core", "assays", "profiles")
ORDER = (
    "stats", "simulate", "io", "pp", "seg", "pheno", "score", "expression", "cohort", "datasets", "relate", "change",
    "plot", "report", "review", "tl", "pl", "run", "compile_ahead", "demo", "cli", "__main__",
)  # fmt: skip


def room_of(path: Path) -> str:
    """Return the room a file stands in: its folder, or its own name at the top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Return what a file imports anywhere in it, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files() -> list[Path]:
    """Return every file of the package but its front page."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def picture() -> str:
    """Draw the house: one line a room, top to bottom as data flows, with the rooms that it takes from."""
    takes: dict[str, set[str]] = {}
    lines: dict[str, int] = {}
    for path in files():
        room = room_of(path)
        lines[room] = lines.get(room, 0) + len(path.read_text(encoding="utf-8").splitlines())
        mine = {name.split(".")[1] for name in imports_of(path) if name.startswith("biomarkers.")}
        takes.setdefault(room, set()).update(mine & set(ORDER) - {room})
    rows = ["| room | takes from (the ground, `core`, goes without saying) | hundred lines |", "|---|---|---|"]
    for room in (*GROUND, *ORDER):
        if room in takes and room != "__main__":
            others = " ".join(f"`{other}`" for other in ORDER if other in takes[room])
            rows.append(f"| `{room}` | {others} | {max(1, round(lines[room] / 100))} |")
    return "\n".join(rows)


def page_with_picture(text: str) -> str:
    """Return the page with the picture of today between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{picture()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page_with_picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
