"""Small sound inputs of every kind that is fuzzed, and seeded ways to damage their bytes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import zarr

SIDE = 320
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Kind:
    """One kind of input: the sound one, and what is done with it (``image``, ``open``, ``annotations``, ``table``)."""

    name: str
    path: Path
    use: str


def write_inputs(folder: Path) -> list[Kind]:
    """Write one sound input of each kind, all pictures of one simulated field of 0.5 um/px."""
    from biomarkers.simulate import render_hdab, simulate_scene

    rgb = render_hdab(simulate_scene(rng=3, size_px=SIDE, mpp=0.5, tps=40), rng=4)
    folder.mkdir(parents=True, exist_ok=True)
    kinds = []
    for name, options in _TIFFS.items():
        path = folder / f"{name}.tif"
        tifffile.imwrite(
            path, rgb, photometric="rgb", resolution=(20_000, 20_000), resolutionunit="CENTIMETER", **options
        )
        kinds.append(Kind(name, path, "image"))
    kinds.append(Kind("svs", _svs(folder / "slide.svs", rgb), "image"))
    kinds.append(Kind("ome-tiff", _ome_tiff(folder / "slide.ome.tif", rgb), "image"))
    kinds.append(Kind("ome-zarr", _zarr(folder / "slide.zarr", rgb), "image"))
    kinds.append(Kind("bif", write_bif(folder / "slide.bif", rgb), "image"))
    for name, file in (("dicom", "sm_image.dcm"), ("ndpi", "test3-DAPI-2-(387).ndpi")):
        if (SHARED / "images" / "slides" / file).is_file():
            target = folder / f"{name}{Path(file).suffix}"
            shutil.copyfile(SHARED / "images" / "slides" / file, target)
            kinds.append(Kind(name, target, "open"))
    kinds.append(Kind("geojson", _geojson(folder / "drawn.geojson"), "annotations"))
    kinds.append(Kind("cell table", _table(folder / "cells.csv"), "table"))
    return kinds


_TIFFS: dict[str, dict[str, object]] = {
    "tiff": {"rowsperstrip": 32},
    "tiff-deflate": {"tile": (64, 64), "compression": "zlib"},
    "tiff-lzw": {"tile": (64, 64), "compression": "lzw", "predictor": True},
    "tiff-jpeg": {"tile": (64, 64), "compression": "jpeg", "compressionargs": {"level": 90}},
    "tiff-j2k": {"tile": (64, 64), "compression": "jpeg2000"},
}


def _svs(path: Path, rgb: np.ndarray) -> Path:
    text = f"Aperio Image Library v12\r\n{SIDE}x{SIDE} (64x64) JPEG/RGB Q=90|AppMag = 20|MPP = 0.5"
    jpeg = {"compression": "jpeg", "compressionargs": {"level": 90}, "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb, tile=(64, 64), description=text, **jpeg)
        writer.write(rgb[::4, ::4], description="Aperio Image Library v12 thumbnail", **jpeg)
        writer.write(rgb[::2, ::2], tile=(64, 64), description=text, subfiletype=1, **jpeg)
    return path


def _ome_tiff(path: Path, rgb: np.ndarray) -> Path:
    about = {
        "axes": "YXS",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
    }
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(rgb, photometric="rgb", tile=(64, 64), compression="zlib", subifds=1, metadata=about)
        writer.write(rgb[::2, ::2], photometric="rgb", tile=(64, 64), compression="zlib", subfiletype=1)
    return path


def _zarr(path: Path, rgb: np.ndarray) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx")]
    sets = []
    for level in range(2):
        group.create_array(str(level), data=np.moveaxis(rgb[:: 2**level, :: 2**level], 2, 0), chunks=(3, 64, 64))
        scale = [1, 0.5 * 2**level, 0.5 * 2**level]
        sets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    (path / ".zattrs").write_text(json.dumps({"multiscales": [{"version": "0.4", "axes": axes, "datasets": sets}]}))
    return path


def write_bif(path: Path, rgb: np.ndarray, *, tile: int = 128, overlap: int = 32) -> Path:
    """Write a Ventana slide of as many overlapping tiles as fit the picture, which is what stitching gives again."""
    step = tile - overlap
    rows, columns = ((side - overlap) // step for side in rgb.shape[:2])
    stored = np.zeros((tile * rows, tile * columns, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            y, x = row * step, column * step
            stored[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile] = rgb[y : y + tile, x : x + tile]
    # tiles are numbered as the stage goes: from the lowest row up, back and forth
    numbers = np.zeros((rows, columns), int)
    for k in range(rows):
        line = np.arange(k * columns + 1, (k + 1) * columns + 1)
        numbers[rows - 1 - k] = line if k % 2 == 0 else line[::-1]
    joints = []
    for row in range(rows):
        joints += [("RIGHT", numbers[row, k], numbers[row, k + 1], overlap, 0) for k in range(columns - 1)]
    for row in range(rows - 1):
        joints += [("UP", numbers[row + 1, k], numbers[row, k], 0, overlap) for k in range(columns)]
    inner = "".join(
        f'<TileJointInfo FlagJoined="1" Confidence="100" Direction="{d}" Tile1="{a}" Tile2="{b}" '
        f'OverlapX="{x}" OverlapY="{y}"/>'
        for d, a, b, x, y in joints
    )
    encoded = (
        f'<?xml version="1.0"?><EncodeInfo Ver="2"><SlideInfo/><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" '
        f'Width="{tile}" Height="{tile}" NumRows="{rows}" NumCols="{columns}" Pos-X="0" Pos-Y="0">{inner}</ImageInfo>'
        f'</SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    ).encode()
    scan = b'<?xml version="1.0"?><iScan Magnification="20" ScanRes="0.5" UnitNumber="1" Z-layers="1"/>'
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        page = {"photometric": "rgb", "metadata": None}
        xmp = (700, 1, len(scan), scan, True)
        writer.write(np.full((48, 60, 3), 255, np.uint8), description="Label_Image", extratags=[xmp], **page)
        jpeg = {"compression": "jpeg", "compressionargs": {"level": 95}, "tile": (tile, tile)}
        writer.write(
            stored,
            description="level=0 mag=20 quality=95",
            extratags=[(700, 1, len(encoded), encoded, True)],
            **jpeg,
            **page,
        )
    return path


def _geojson(path: Path) -> Path:
    def feature(name: str, box: tuple[int, int, int, int]) -> dict[str, object]:
        a, b, c, d = box
        ring = [[a, b], [c, b], [c, d], [a, d], [a, b]]
        kind = {"objectType": "annotation", "classification": {"name": name}}
        return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": kind}

    drawn = [
        feature("Tumor", (0, 0, 200, 300)),
        feature("Stroma", (200, 0, 320, 300)),
        feature("Ignore*", (20, 20, 60, 60)),
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": drawn}))
    return path


def _table(path: Path) -> Path:
    rng = np.random.default_rng(5)
    rows = ["Image,Object ID,Classification,Centroid X µm,Centroid Y µm,Cell: Area µm^2,CD8: Cell: Mean"]
    for k in range(200):
        x, y, area, level = rng.uniform(0, 500, 2), rng.uniform(0, 500), rng.uniform(40, 90), rng.uniform(0, 9)
        rows.append(f"a.tif,id{k},{'CD8' if level > 6 else ''},{x[0]:.3f},{y:.3f},{area:.3f},{level:.3f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


Damage = Callable[[bytearray, np.random.Generator], bytearray]


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 9))):
        data[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
    return data


def _flip_header(data: bytearray, rng: np.random.Generator) -> bytearray:
    reach = min(len(data), 600)
    at = int(rng.integers(0, reach)) if rng.random() < 0.6 else len(data) - 1 - int(rng.integers(0, reach))
    data[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(0, 256))]))
    return data


def _overwrite(data: bytearray, rng: np.random.Generator) -> bytearray:
    at, length = int(rng.integers(0, len(data))), int(rng.integers(1, max(2, len(data) // 20)))
    fill = rng.integers(0, 256, length, dtype=np.uint8).tobytes() if rng.random() < 0.5 else bytes(length)
    data[at : at + length] = fill[: len(data) - at]
    return data


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(1, len(data)))]


def _shift(data: bytearray, rng: np.random.Generator) -> bytearray:
    at, length = int(rng.integers(0, len(data))), int(rng.integers(1, 17))
    if rng.random() < 0.5:
        del data[at : at + length]
    else:
        data[at:at] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
    return data


def _number(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Change a number that is written out, as in XML, JSON and tables."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(data[:200_000])))
    if not found:
        return _flip(data, rng)
    one = found[int(rng.integers(0, len(found)))]
    new = rng.choice([b"0", b"-1", b"1e9", b"nan", b"", b"99999999999999999999", b"0.5", b"1,5", b"\xb5"])
    data[one.start() : one.end()] = bytes(new)
    return data


DAMAGES: tuple[Damage, ...] = (_flip, _flip_header, _flip_header, _overwrite, _cut, _shift, _number)


def damaged(kind: Kind, target: Path, *, seed: int) -> Path:
    """Write a damaged copy of a kind's input; the same seed writes the same bytes."""
    rng = np.random.default_rng(seed)
    file, copy = kind.path, target / f"{seed}{kind.path.suffix}"
    if kind.path.is_dir():
        shutil.copytree(kind.path, copy)
        files = sorted(one for one in copy.rglob("*") if one.is_file())
        inner = files[int(rng.integers(0, len(files)))]
        file, place = inner, inner
    else:
        place = copy
    data = bytearray(file.read_bytes())
    for _ in range(int(rng.integers(1, 3))):
        if data:
            data = DAMAGES[int(rng.integers(0, len(DAMAGES)))](data, rng)
    place.write_bytes(bytes(data))
    return copy
