"""Where the strips or tiles of one TIFF page lie and how they are decoded, asked of its tags once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from biomarkers.io.segment_check import JPEG, JPEG_2000, jpeg_2000_fault, jpeg_fault
from biomarkers.io.tiff_scene import segment_size


@dataclass(frozen=True)
class Layout:
    """One page; ``tall`` and ``wide`` are the sides of a segment (a strip or a tile), px."""

    page: Any
    tall: int
    wide: int
    height: int
    width: int
    compression: int
    planes: int

    @classmethod
    def of(cls, page: Any) -> Self:
        """Read the tags."""
        tall, wide = segment_size(page)
        planes = page.samplesperpixel if page.planarconfig == 2 else 1
        return cls(page, tall, wide, page.imagelength, page.imagewidth, int(page.compression), planes)

    @cached_property
    def rows(self) -> int:
        """Segments from top to bottom."""
        return -(-self.height // self.tall)

    @cached_property
    def columns(self) -> int:
        """Segments from left to right."""
        return -(-self.width // self.wide)

    @cached_property
    def tables(self) -> dict[str, Any]:
        """What the segments share, for their decoder."""
        if self.compression not in JPEG:
            return {}
        return {"jpegtables": self.page.jpegtables, "jpegheader": self.page.jpegheader}

    @cached_property
    def _sound(self) -> dict[tuple[int, int], bytes]:
        """JPEG headers that were found sound."""
        return {}

    def touched(self, x: int, y: int, width: int, height: int) -> list[int]:
        """List the segments that overlap a region, all samples of a planar image included."""
        return [
            (plane * self.rows + row) * self.columns + column
            for plane in range(self.planes)
            for row in range(y // self.tall, -(-(y + height) // self.tall))
            for column in range(x // self.wide, -(-(x + width) // self.wide))
        ]

    def bottom(self, index: int) -> int:
        """Return the row of pixels at which a segment ends."""
        return (index // self.columns % self.rows + 1) * self.tall

    def fault(self, index: int, raw: bytes) -> str | None:
        """Say what is wrong with a segment before it is decoded, or return None."""
        if self.compression not in JPEG and self.compression not in JPEG_2000:
            return None
        left, top = index % self.columns * self.wide, index // self.columns % self.rows * self.tall
        least = min(self.wide, self.width - left), min(self.tall, self.height - top)
        if self.compression in JPEG_2000:
            return jpeg_2000_fault(raw, width=self.wide, height=self.tall, least=least)
        whole = self.tables["jpegheader"] is None
        return jpeg_fault(raw, width=self.wide, height=self.tall, least=least, whole=whole, sound=self._sound)
