"""Arrays that are larger than memory, written from their first row to their last.

Plain writes, not a memory map: on a full disk a write is an error that can be told, where a memory
map ends the process with a bus error.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, DTypeLike


def begin(file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Write the header of an `.npy` file of the given type and final shape."""
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, header)


def append(file: BinaryIO, rows: ArrayLike) -> None:
    """Write the next rows of the array begun; raise ``OSError`` with the folder where it fails."""
    try:
        file.write(np.ascontiguousarray(rows))
    except OSError as error:
        folder = Path(file.name).parent
        raise OSError(f"cannot write to {folder}: {error.strerror}") from error
