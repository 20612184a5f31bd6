"""Long one-dimensional HDF5 arrays read chunk by chunk from the file itself: no copy through HDF5's own cache.

Chunks are inflated by libdeflate, which takes a third of zlib's time. What is neither plain nor deflated goes through
h5py; both ways give the same array, and tests hold the one to the other.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.errors import DataError

if TYPE_CHECKING:
    import h5py


def quick(dataset: h5py.Dataset, path: Path) -> Any:
    """Return something that is sliced like the 1-d dataset: read directly where that is possible, else itself."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    import h5py

    known = filters in ([], [h5py.h5z.FILTER_DEFLATE])
    plain = dataset.ndim == 1 and dataset.dtype.kind in "iuf" and dataset.dtype.isnative
    if not (known and plain and dataset.chunks and dataset.file.userblock_size == 0 and len(dataset)):
        return dataset
    length = int(dataset.chunks[0])
    places = np.zeros((-(-len(dataset) // length), 2), dtype=np.int64)

    def note(chunk: Any) -> None:
        if chunk.filter_mask == 0:
            places[chunk.chunk_offset[0] // length] = chunk.byte_offset, chunk.size

    dataset.id.chunk_iter(note)
    if (places[:, 1] <= 0).any():  # a chunk was never written, or stands there unfiltered
        return dataset
    return _Chunked(path, dataset, places, deflated=bool(filters))


class _Chunked:
    """A 1-d array in chunks at known places of a file, sliced with rising bounds.

    What a slice returns is overwritten by the next: fresh memory for every stretch costs more than reading it.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset, places: np.ndarray, *, deflated: bool) -> None:
        self._path, self._places, self._deflated = path, places, deflated
        self._length = int(dataset.chunks[0])
        self._name = str(dataset.name)
        self.shape, self.dtype = tuple(dataset.shape), dataset.dtype
        self._last = -1
        self._inflated = np.empty(self._length if deflated else 0, dtype=self.dtype)
        self._packed = bytearray(int(places[:, 1].max()) if deflated else 0)
        self._scratch = np.empty(0, dtype=self.dtype)
        self._stream = path.open("rb", buffering=0)
        weakref.finalize(self, self._stream.close)

    def __getitem__(self, key: slice) -> np.ndarray:
        start, stop, _ = key.indices(self.shape[0])
        if len(self._scratch) < stop - start:
            self._scratch = np.empty(stop - start, dtype=self.dtype)
        made = self._scratch[: max(0, stop - start)]
        first, at = start // self._length, 0
        for number in range(first, -(-stop // self._length) if stop > start else first):
            low = start - number * self._length if number == first else 0
            high = min(stop - number * self._length, self._length)
            self._fill(number, low, made[at : at + high - low])
            at += high - low
        return made

    def _fill(self, number: int, low: int, into: np.ndarray) -> None:
        offset, size = (int(value) for value in self._places[number])
        width = self.dtype.itemsize
        if not self._deflated:
            self._stream.seek(offset + low * width)
            if self._stream.readinto(_bytes(into)) != into.nbytes or size != self._length * width:
                raise DataError("a stretch of the file is cut short", where=f"{self._path}:{self._name}")
            return
        if self._last != number:
            self._last = -1
            self._stream.seek(offset)
            packed = memoryview(self._packed)[:size]
            self._stream.readinto(packed)
            self._inflate(packed)
            self._last = number
        into[:] = self._inflated[low : low + len(into)]

    def _inflate(self, packed: Any) -> None:
        from imagecodecs import deflate_decode

        where = f"{self._path}:{self._name}"
        try:
            held = deflate_decode(packed, raw=False, out=_bytes(self._inflated))
        except (RuntimeError, ValueError) as error:
            raise DataError("a compressed stretch of the file is broken", where=where, seen=str(error)[:80]) from error
        if len(held) != self._inflated.nbytes:
            raise DataError("a compressed stretch of the file is cut short", where=where)


def _bytes(array: Any) -> memoryview:
    return memoryview(array).cast("B")
