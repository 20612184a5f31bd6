"""Print the newest Python that can run the tests and is newer than this one; print nothing when there is none.

Looks on PATH and where pyenv, uv and the system keep interpreters. Each candidate is started: a shim may
not work.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

# the newest for which every pinned library has wheels
NEWEST_SUPPORTED = (3, 14)
_NAME = re.compile(r"python3\.(\d+)")
_VERSION = "import sys, venv, ensurepip; print(*sys.version_info[:2])"


def candidates() -> list[Path]:
    """Every file that is named like a versioned interpreter."""
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    home = Path.home()
    folders += home.glob(".pyenv/versions/*/bin")
    folders += home.glob(".local/share/uv/python/*/bin")
    folders += [Path("/usr/bin"), Path("/usr/local/bin")]
    found = []
    for folder in dict.fromkeys(folders):
        if folder.is_dir():
            found += [path for path in folder.glob("python3.*") if _NAME.fullmatch(path.name)]
    return found


def version(path: Path) -> tuple[int, int] | None:
    """Version of the interpreter at ``path``, or None when it does not start or cannot make environments."""
    try:
        done = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def main() -> None:
    """Print the path of the newest one."""
    best = (sys.version_info[:2], None)
    for path in candidates():
        found = version(path)
        if found and best[0] < found <= NEWEST_SUPPORTED:
            best = (found, path)
    if best[1] is not None:
        print(best[1])  # noqa: T201


if __name__ == "__main__":
    main()
