"""The one registry of image formats: how each is recognised, what it is called, and who opens it.

Folder walks, ``biomarkers info``, ``biomarkers score``, messages and docs/pixels.md read this list. A file's first
bytes decide before its suffix does; a suffix counts where several formats begin alike (SVS and plain TIFF) or the file
is too damaged to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HEAD_BYTES: Final = 512
TIFF_STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CONVERT: Final = "Convert it to OME-TIFF or OME-Zarr (Bio-Formats' bfconvert, bioformats2raw, QuPath)."


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    name
        What its users call it.
    suffixes
        Of its files, in small letters.
    starts
        Bytes that its files begin with, by their offset.
    reader
        ``tifffile``, ``openslide``, ``pillow``, ``zarr``; empty where it is recognised and not read.
    hint
        What to do with one that is not read, or what belongs to the file.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str
    starts: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)
    hint: str = ""

    def begins(self, head: bytes) -> bool:
        """Whether a file's first bytes are those of this format."""
        return any(head[at : at + len(start)] == start for at, some in self.starts.items() for start in some)


_TIFF: Final = {0: TIFF_STARTS}
# those of one kind of first bytes stand together, the one without a suffix of its own last
FORMATS: Final[tuple[Format, ...]] = (
    Format("OME-Zarr", (".zarr",), "zarr", hint="a folder"),
    Format("Aperio SVS", (".svs",), "tifffile", _TIFF),
    Format("Hamamatsu NDPI", (".ndpi",), "tifffile", _TIFF),
    Format("Leica SCN", (".scn",), "openslide", _TIFF),
    Format("Ventana BIF", (".bif",), "openslide", _TIFF),
    Format("Akoya QPTIFF", (".qptiff",), "tifffile", _TIFF),
    Format("Olympus VSI", (".vsi",), "", _TIFF, hint="Its pixels lie in .ets files beside it. " + _CONVERT),
    Format("Zeiss LSM", (".lsm",), "tifffile", _TIFF),
    Format("TIFF", (".tif", ".tiff", ".btf", ".tf8", ".tf2", ".stk", ".flex"), "tifffile", _TIFF),
    Format("Zeiss CZI", (".czi",), "openslide", {0: (b"ZISRAWFILE",)}),
    Format("DICOM", (".dcm", ".dicom", ".dic"), "openslide", {128: (b"DICM",)}, hint="a folder holds one series"),
    Format("3DHISTECH MRXS", (".mrxs",), "openslide", hint="needs the folder of the same name beside it"),
    Format("Hamamatsu VMS", (".vms",), "openslide", {0: (b"[Virtual Microscope Specimen]",)}),
    Format("Hamamatsu VMU", (".vmu",), "openslide", {0: (b"[Uncompressed Virtual Microscope Specimen]",)}),
    Format("Sakura SVSLIDE", (".svslide",), "openslide", {}),
    Format("PNG", (".png",), "pillow", {0: (b"\x89PNG\r\n\x1a\n",)}),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "pillow", {0: (b"\xff\xd8\xff",)}),
    Format(
        "JPEG 2000", (".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf"), "pillow",
        {0: (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")},
    ),
    Format("BMP", (".bmp",), "pillow", {0: (b"BM",)}),
    Format("GIF", (".gif",), "pillow", {0: (b"GIF87a", b"GIF89a")}),
    Format("WebP", (".webp",), "pillow", {8: (b"WEBP",)}),
    Format("Leica LIF", (".lif",), "", {0: (b"\x70\0\0\0",)}, hint=_CONVERT),
    Format("Nikon ND2", (".nd2",), "", {0: (b"\xda\xce\xbe\x0a",)}, hint=_CONVERT),
    Format("Olympus ETS", (".ets",), "", {0: (b"SIS\0",)}, hint="It belongs to a .vsi file. " + _CONVERT),
    Format("Olympus OIR", (".oir",), "", {0: (b"OLYMPUSRAWFORMAT",)}, hint=_CONVERT),
    Format("Olympus OIB", (".oib", ".oif"), "", {}, hint=_CONVERT),
    Format("Zeiss ZVI", (".zvi",), "", {}, hint=_CONVERT),
    Format("Imaris", (".ims",), "", {}, hint=_CONVERT),
    Format("Philips iSyntax", (".isyntax", ".i2syntax"), "", {}, hint="Export it as Philips TIFF from the IMS."),
    Format("KFBio", (".kfb", ".kfbf"), "", {}, hint="Export it as SVS or TIFF from KFViewer."),
    Format("Sqray SDPC", (".sdpc",), "", {}, hint="Export it as SVS or TIFF from its viewer."),
    Format("Unic TMAP", (".tmap",), "", {}, hint="Export it as SVS or TIFF from its viewer."),
    Format("Motic MDS", (".mds", ".mdsx"), "", {}, hint="Export it as TIFF from its viewer."),
    Format("Deep Zoom", (".dzi",), "", {}, hint="Name the slide that it was made from."),
    Format("HEIC", (".heic", ".heif", ".avif"), "", {4: (b"ftyphei", b"ftypmif1", b"ftypavif")}, hint=_CONVERT),
)  # fmt: skip

IMAGE_SUFFIXES: Final = tuple(suffix for one in FORMATS if one.reader for suffix in one.suffixes)
_OTHER_FILES: Final = {
    ".csv": "a table", ".tsv": "a table", ".txt": "text", ".xlsx": "a table", ".xls": "a table", ".json": "JSON",
    ".geojson": "annotations", ".xml": "XML", ".toml": "settings", ".ini": "settings", ".md": "text",
    ".pdf": "a document",
    ".html": "a web page", ".log": "text", ".zip": "an archive", ".tar": "an archive", ".gz": "an archive",
    ".7z": "an archive", ".h5": "HDF5", ".h5ad": "HDF5", ".parquet": "a table", ".qpdata": "a QuPath project",
    ".qpproj": "a QuPath project", ".py": "a program", ".companion.ome": "metadata of an OME-TIFF set",
}  # fmt: skip


def format_of(path: Path, *, head: bytes | None = None) -> Format | None:
    """Tell which format a file has.

    Parameters
    ----------
    path
        The file.
    head
        Its first bytes (at least 512, or all); read from it when None.

    Returns
    -------
    The format whose first bytes the file has (that of its suffix among several); where none has, the one of its suffix;
    None where neither tells an image.
    """
    suffix = path.suffix.casefold()
    if head is None:
        head = read_head(path)
    fits = [one for one in FORMATS if one.begins(head)]
    if fits:
        if suffix == ".mrxs":  # it begins as the JPEG that it also is
            return next(one for one in FORMATS if suffix in one.suffixes)
        return next((one for one in fits if suffix in one.suffixes), fits[-1])
    return next((one for one in FORMATS if suffix in one.suffixes), None)


def read_head(path: Path) -> bytes:
    """Return a file's first bytes; nothing where it cannot be opened."""
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError:
        return b""


def why_no_image(path: Path) -> str:
    """Say what a file is that no format fits."""
    name = path.name.casefold()
    known = next((what for suffix, what in _OTHER_FILES.items() if name.endswith(suffix)), None)
    if known is not None:
        return f"no image: {known}"
    if not read_head(path):
        return "no image: the file is empty or cannot be opened"
    return "no image that is known here"


def not_read(one: Format) -> str:
    """Say that a format is recognised and not read."""
    return f"{one.name} is not read. {one.hint}".strip()
