"""Cells to Parquet in row groups of a fixed size, and a small picture of the slide with every cell as a dot."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from biomarkers.core import keys
from biomarkers.io.slide import Slide
from biomarkers.pp.coarse_tissue import thumbnail
from biomarkers.score.palette import kinds
from biomarkers.score.plain_cells import PlainCells

if TYPE_CHECKING:
    from PIL.Image import Image

ROWS_IN_A_GROUP = 20_000
_OVERLAY_PX = 2048


class CellFile:
    """A Parquet file that is written as cells come; at most one row group and one band of cells are held."""

    def __init__(self, path: Path, *, slide: str) -> None:
        self._path, self._slide = path, slide
        self._writer: Any = None
        self._held: Any = None

    def add(self, cells: PlainCells) -> None:
        """Append called cells."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = _laid_out(cells, slide=self._slide)
        if self._writer is None:
            # a dictionary of numbers, no two of which are alike, takes most of the time of writing and saves nothing
            names = [field.name for field in table.schema if pa.types.is_string(field.type)]
            self._writer = pq.ParquetWriter(self._path, table.schema, use_dictionary=[n for n in names if n != "cell"])
        self._held = table if self._held is None else pa.concat_tables([self._held, table])
        while self._held.num_rows >= ROWS_IN_A_GROUP:
            self._writer.write_table(self._held.slice(0, ROWS_IN_A_GROUP), row_group_size=ROWS_IN_A_GROUP)
            self._held = self._held.slice(ROWS_IN_A_GROUP).combine_chunks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._writer is not None:
            if error is None and self._held.num_rows:
                self._writer.write_table(self._held, row_group_size=ROWS_IN_A_GROUP)
            self._writer.close()


class DotPicture:
    """The slide at no more than 2048 px, pale, with a dot for every cell in the overlay's colours."""

    def __init__(self, slide: Slide, *, marker: str) -> None:
        self._pixels, self._step = thumbnail(slide, longest=_OVERLAY_PX)
        self._pixels //= 2  # where it lies: the picture is as large as a tile's arrays
        self._pixels += 128
        self._mpp, self._marker = slide.mpp, marker

    def add(self, cells: PlainCells) -> None:
        """Draw cells."""
        shown, index = kinds(cells, marker=self._marker)
        colours = np.array([kind.colour for kind in shown], np.uint8)
        row, column = (
            np.minimum((cells.obs[name].to_numpy() / self._mpp / self._step).astype(np.int64), length - 1)
            for name, length in zip((keys.Y_UM, keys.X_UM), self._pixels.shape, strict=False)
        )
        self._pixels[row, column] = colours[index]

    def image(self) -> Image:
        """Return the picture."""
        from PIL import Image

        return Image.fromarray(self._pixels)


def _laid_out(cells: PlainCells, *, slide: str) -> Any:
    """Return a row a cell, in the columns of :func:`biomarkers.score.outputs.cell_frame`."""
    import pyarrow as pa

    def column(values: np.ndarray) -> Any:
        return pa.array(values, from_pandas=True)  # what was not measured is null

    columns = {
        "slide": pa.repeat(slide, cells.n_obs),
        "cell": pa.array(cells.obs["label"].to_numpy()).cast(pa.string()),
    }
    columns |= {name: column(cells.obs[name].to_numpy()) for name in cells.obs.columns}
    for number, marker in enumerate(cells.var_names):
        columns[f"{marker}_mean"] = column(cells.X[:, number].astype(np.float32))
        for layer in sorted(cells.layers):
            columns[f"{marker}_{layer}"] = column(cells.layers[layer][:, number].astype(np.float32))
    return pa.table(columns)
