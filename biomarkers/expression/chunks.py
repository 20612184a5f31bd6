"""Long one-dimensional HDF5 arrays read chunk by chunk from the file itself: no copy through HDF5's own cache.

Chunks are inflated by libdeflate, which takes a third of zlib's time. What is neither plain nor deflated goes through
h5py; both ways give the same array, and tests hold the one to the other.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core.errors import DataError

if TYPE_CHECKING:
    import h5py


def quick(dataset: h5py.Dataset, path: Path) -> Any:
    """Return something that is sliced like the 1-d dataset: read directly where that is possible, else itself."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    import h5py

    known = filters in ([], [h5py.h5z.FILTER_DEFLATE])
    plain = dataset.ndim == 1 and dataset.dtype.kind in "iuf" and dataset.dtype.isnative
    if not (known and plain and dataset.file.userblock_size == 0 and len(dataset)):
        return dataset
    if not dataset.chunks:
        offset = dataset.id.get_offset()
        places = np.array([[offset or 0, dataset.nbytes]], dtype=np.int64)
        return dataset if not offset else _Chunked(path, dataset, places, len(dataset), deflated=False)
    length = int(dataset.chunks[0])
    places = np.zeros((-(-len(dataset) // length), 2), dtype=np.int64)

    def note(chunk: Any) -> None:
        if chunk.filter_mask == 0:
            places[chunk.chunk_offset[0] // length] = chunk.byte_offset, chunk.size

    dataset.id.chunk_iter(note)
    if (places[:, 1] <= 0).any():  # a chunk was never written, or stands there unfiltered
        return dataset
    if places.sum(axis=1).max() > path.stat().st_size:
        raise DataError("a stretch of the file is cut short", where=f"{path}:{dataset.name}")
    return _Chunked(path, dataset, places, length, deflated=bool(filters))


class _Chunked:
    """A 1-d array in chunks at known places of a file, sliced with rising bounds.

    What a slice returns is overwritten by the next: fresh memory for every stretch costs more than reading it.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset, places: np.ndarray, length: int, *, deflated: bool) -> None:
        self._places, self._deflated, self._length = places.tolist(), deflated, length
        self._where = f"{path}:{dataset.name}"
        self.shape, self.dtype = tuple(dataset.shape), dataset.dtype
        self._last = -1
        self._inflated = np.empty(length if deflated else 0, dtype=self.dtype)
        self._packed = bytearray(int(places[:, 1].max()) if deflated else 0)
        self._scratch = np.empty(0, dtype=self.dtype)
        self._stream = path.open("rb", buffering=0)
        weakref.finalize(self, self._stream.close)
        # bytes that follow on each other in the file, from each chunk on: one read takes them all
        self._run = places[:, 1].tolist()
        for number in np.flatnonzero(places[:-1].sum(axis=1) == places[1:, 0])[::-1].tolist() if not deflated else ():
            self._run[number] += self._run[number + 1]

    def __getitem__(self, key: slice) -> np.ndarray:
        start, stop, _ = key.indices(self.shape[0])
        if len(self._scratch) < stop - start:
            self._scratch = np.empty(stop - start, dtype=self.dtype)
        made = self._scratch[: max(0, stop - start)]
        (self._unpack if self._deflated else self._read)(start, made)
        return made

    def _read(self, start: int, into: np.ndarray) -> None:
        """Fill from plain chunks; chunks that lie behind each other are one read."""
        done, width = 0, self.dtype.itemsize
        while done < len(into):
            number, low = divmod(start + done, self._length)
            n = min(len(into) - done, self._run[number] // width - low)
            self._stream.seek(self._places[number][0] + low * width)
            if n <= 0 or self._stream.readinto(_bytes(into[done : done + n])) != n * width:
                raise DataError("a stretch of the file is cut short", where=self._where)
            done += n

    def _unpack(self, start: int, into: np.ndarray) -> None:
        """Fill from deflated chunks: straight where a whole one is wanted, else through memory that is kept."""
        done = 0
        while done < len(into):
            number, low = divmod(start + done, self._length)
            n = min(len(into) - done, self._length - low)
            if n == self._length:
                self._inflate(number, into[done : done + n])
            else:
                if self._last != number:
                    self._last = -1
                    self._inflate(number, self._inflated)
                    self._last = number
                into[done : done + n] = self._inflated[low : low + n]
            done += n

    def _inflate(self, number: int, into: np.ndarray) -> None:
        from imagecodecs import deflate_decode

        offset, size = self._places[number]
        packed: Any = memoryview(self._packed)[:size]
        self._stream.seek(offset)
        self._stream.readinto(packed)
        try:
            held = deflate_decode(packed, raw=False, out=_bytes(into))
        except (RuntimeError, ValueError) as error:
            where, seen = self._where, str(error)[:80]
            raise DataError("a compressed stretch of the file is broken", where=where, seen=seen) from error
        if len(held) != into.nbytes:
            raise DataError("a compressed stretch of the file is cut short", where=self._where)


def _bytes(array: Any) -> memoryview:
    return memoryview(array).cast("B")
