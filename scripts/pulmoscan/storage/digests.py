"""SHA-256 digests of files and of rows of arrays."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:  # this module is loaded whenever the Snakefile is read
    import numpy as np

    from pulmoscan.storage.arrays import NpyFile


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read; the message names it.
    """
    try:
        with Path(path).open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from error


def content_digest(content: bytes) -> str:
    """Return the SHA-256 of a content, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def rows_digest(array: Union["np.ndarray", "NpyFile"], rows: Iterable[int]) -> str:
    """Return the SHA-256 over some rows of an array, read one at a time."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(array[row].tobytes())
    return digest.hexdigest()
