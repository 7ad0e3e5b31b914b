"""A one-dimensional .npy file that grows, and goes on growing in a later process."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class GrowingArray:
    """A one-dimensional .npy file of `dtype`; its header is written again, in place, when its length is known: by `close`.

    `length` elements of a file that is there already are kept, and what comes behind them is cut off.
    """

    def __init__(self, path: Path, dtype: np.typing.DTypeLike, length: int = 0):
        self.dtype = np.dtype(dtype)
        self.length = length
        self._file = open(path, "r+b" if length else "wb")
        self._write_header()
        end = self._file.seek(length * self.dtype.itemsize, os.SEEK_CUR)
        self._file.truncate(end)

    def extend(self, values: Sequence[int] | np.ndarray) -> None:
        """Appends `values`, cast to the array's dtype."""
        self._file.write(np.ascontiguousarray(values, self.dtype).data)
        self.length += len(values)

    def append(self, value: int) -> None:
        """Appends one value."""
        self._file.write(self.dtype.type(value).tobytes())
        self.length += 1

    def sync(self) -> None:
        """Forces what was appended to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        try:
            self._file.seek(0)
            self._write_header()
        finally:
            self._file.close()

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow to any length without moving the data.
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)
