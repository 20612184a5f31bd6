"""``biomarkers info``: what is in these image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, for programs.")
def info(files: tuple[str, ...], as_json: bool) -> int:
    """Tell what is in image FILES, or in all of a folder: size, pyramid, pixel size and where it came from, problems.

    Nothing is scored and only headers are read, so it is quick on slides of any size. What a folder holds beside images
    is listed with the reason why it is none.

    \b
    Examples:
      biomarkers info slide.svs
      biomarkers info slides/
      biomarkers info *.tif --json

    \b
    Exit codes: 0 all files can be scored as they are; 1 some cannot (the reason is printed);
    2 wrong usage, or a file that is not there; 3 none can be read.
    """  # noqa: D301
    import logging

    from biomarkers.core.errors import BiomarkersError
    from biomarkers.io.info import slide_info

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it quotes tags, and those may name a patient
    _check_there(files)
    paths, left_out = _listed(files)
    described: list[dict[str, Any]] = []
    for path in paths:
        try:
            described.append(slide_info(path))
        except BiomarkersError as error:
            described.append({"path": path, "error": str(error)})
    code = _exit_code(described)
    described += left_out
    click.echo(_as_json(described) if as_json else "\n\n".join(_as_text(one) for one in described))
    return code


def _listed(files: tuple[str, ...]) -> tuple[list[str], list[dict[str, Any]]]:
    """List the images of files and folders, and what is left out of the latter."""
    from biomarkers.core.sources import is_url
    from biomarkers.run.plan import plan_inputs
    from biomarkers.run.walk import is_image_folder

    paths: list[str] = []
    left_out: list[dict[str, Any]] = []
    for name in files:
        if is_url(name) or not Path(name).is_dir() or is_image_folder(Path(name), channels=True):
            paths.append(name)
            continue
        planned = plan_inputs([name], channels=True)
        paths += [str(task.path) for task in planned.tasks]
        left_out += [{"path": one.path, "left_out": one.reason} for one in planned.left_out]
    return paths, left_out


def _check_there(files: tuple[str, ...]) -> None:
    """Refuse a name behind which there is nothing, as ``biomarkers score`` does: it is a slip of the pen."""
    from biomarkers.core.errors import UsageError
    from biomarkers.core.sources import is_url

    for path in files:
        if not is_url(path) and not Path(path).exists():
            raise UsageError("no such file", where=path)


def _as_json(described: list[dict[str, Any]]) -> str:
    import json

    return json.dumps(described, indent=2, ensure_ascii=False)


def _as_text(one: dict[str, Any]) -> str:
    if "left_out" in one:
        return f"{Path(one['path']).name}\n  left out: {one['left_out']}"
    if "error" in one:
        return f"{Path(one['path']).name}\n  cannot be read: {one['error']}"
    lines = [Path(one["path"]).name]
    many = len(one["scenes"]) > 1
    for number, scene in enumerate(one["scenes"]):
        lines.append(f"  image {number}: {scene['name']}".rstrip() if many else f"  reader      {one['reader']}")
        lines += _scene_lines(scene)
    return "\n".join(lines)


def _scene_lines(scene: dict[str, Any]) -> list[str]:
    mpp = "unknown" if scene["mpp"] is None else f"{scene['mpp']:.4g} um/px ({scene['mpp_source']})"
    lines = [
        f"  size        {scene['width']} x {scene['height']} px{_field(scene)}",
        f"  pixel size  {mpp}",
        f"  channels    {', '.join(scene['channels'])}",
    ]
    if len(scene["levels"]) > 1:
        lines.append("  levels      " + ", ".join(f"{one['width']} x {one['height']}" for one in scene["levels"]))
    if scene["left_out"]:
        lines.append(f"  not read    {', '.join(scene['left_out'])}")
    return lines + [f"  problem     {problem}" for problem in scene["problems"]]


def _field(scene: dict[str, Any]) -> str:
    if scene["mpp"] is None or not scene["mpp_usable"]:
        return ""
    wide, tall = (scene[side] * scene["mpp"] / 1000 for side in ("width", "height"))
    return f" = {wide:.3g} x {tall:.3g} mm"


def _exit_code(described: list[dict[str, Any]]) -> int:
    from biomarkers.cli.main import EXIT_NOTHING, EXIT_OK, EXIT_SOME_FAILED

    if all("error" in one for one in described):
        return EXIT_NOTHING
    usable = [
        "error" not in one and all(scene["usable"] and scene["mpp_usable"] for scene in one["scenes"])
        for one in described
    ]
    return EXIT_OK if all(usable) else EXIT_SOME_FAILED
