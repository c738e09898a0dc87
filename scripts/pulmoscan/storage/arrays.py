"""Arrays larger than memory: written from the first row to the last, read by row.

With plain writes and reads, not a memory map. On a full disk a write raises an error that can be
reported, where a memory map ends the process with a bus error; and the pages that a memory map has
touched count as the process's memory, so that it seems to hold the whole file.
"""

import math
import os
import tokenize
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pulmoscan.storage import reading


def begin(file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Write the header of an `.npy` file of the given type and final shape."""
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, header)


def append(file: BinaryIO, rows: ArrayLike) -> None:
    """Write the next rows of an array that was begun; an ``OSError`` names the folder."""
    try:
        file.write(np.ascontiguousarray(rows))
    except OSError as error:
        folder = Path(file.name).parent
        raise OSError(f"cannot write to {folder}: {error.strerror}") from error


def write(path: Path, array: np.ndarray) -> None:
    """Write a whole array, byte for byte as `np.save` does; an ``OSError`` names the folder."""
    with path.open("wb") as file:
        begin(file, array.dtype, array.shape)
        append(file, array)


class NpyFile:
    """The array in an `.npy` file, of which rows are read when they are asked for.

    ``file[rows]``, with one index or a sequence of them, returns the rows as NumPy does; a row that
    is not there is a ``ValueError``. ``stage`` is what wrote the file, for messages.

    Attributes:
        path: the file.
        shape: of the array.
        dtype: of the array.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an array in C order, or not as long as its header says.
    """

    def __init__(self, path: str | Path, stage: str) -> None:
        self.path, self._again = Path(path), f"remove it and run {stage} again"
        reading.regular(path, stage)
        try:
            # Unbuffered: `__getitem__` reads from the descriptor.
            self._file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise OSError(f"cannot read {self.path}: {error.strerror}; {self._again}") from None
        try:
            version = np.lib.format.read_magic(self._file)
            if version != (1, 0):
                raise ValueError(f"version {version[0]}.{version[1]}")
            self.shape, by_column, self.dtype = np.lib.format.read_array_header_1_0(self._file)
        except (ValueError, SyntaxError, tokenize.TokenError) as error:
            raise self.damaged(str(error).splitlines()[0]) from None
        if by_column or self.dtype.kind not in "iufb" or min(self.shape, default=-1) < 0:
            raise self.damaged("not an array of numbers in C order")
        self._start = self._file.tell()
        self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if os.fstat(self._file.fileno()).st_size != self._start + len(self) * self._row_bytes:
            raise self.damaged("it is not as long as its header says")

    def damaged(self, reason: str) -> ValueError:
        """Return the error that says why the file is not what it should be, and what to do."""
        return ValueError(f"{self.path} is damaged ({reason}): {self._again}")

    def check_rows(self, rows: ArrayLike) -> None:
        """Raise ``ValueError`` unless the array has these rows."""
        indices = np.asarray(rows)
        if indices.size and not -1 < indices.min() <= indices.max() < len(self):
            raise self.damaged(f"it has no row {indices.max()}, only {len(self):,}")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: ArrayLike) -> np.ndarray:
        indices = np.asarray(rows)
        self.check_rows(indices)
        values = np.empty((*indices.shape, *self.shape[1:]), self.dtype)
        flat = values.reshape(indices.size, math.prod(self.shape[1:]))
        for row, index in zip(flat, indices.ravel(), strict=True):
            done = os.preadv(self._file.fileno(), [row], self._start + int(index) * self._row_bytes)
            if done != self._row_bytes:
                raise OSError(f"{self.path} ends in row {index}: it was changed while being read")
        return values
