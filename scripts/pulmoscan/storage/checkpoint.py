"""What a killed training needs to resume, in one file that is either complete or absent."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pulmoscan.storage.atomic import replacing, writing

FILE = "checkpoint.npz"
_HEADER = "header"


def fingerprint(**parts: Any) -> str:
    """Return the SHA-256 of everything that decides the result of a training, in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save(folder: Path, identity: str, values: Mapping, arrays: Mapping[str, list]) -> None:
    """Write a checkpoint, replacing an older one.

    Args:
        folder: where to write it.
        identity: the fingerprint of the training.
        values: anything that JSON can hold.
        arrays: lists of arrays by name.
    """
    stored = {
        f"{name}/{index}": np.asarray(array)
        for name, group in arrays.items()
        for index, array in enumerate(group)
    }
    lengths = {name: len(group) for name, group in arrays.items()}
    header = json.dumps({"identity": identity, "values": dict(values), "lengths": lengths})
    with replacing(folder / FILE) as path:
        np.savez(path, **{_HEADER: np.array(header)}, **stored)


def load(folder: Path, identity: str) -> tuple[dict, dict[str, list[np.ndarray]]] | None:
    """Return the ``(values, arrays)`` of a checkpoint, or None if there is none to resume from.

    A checkpoint with another fingerprint, or one that cannot be read, is removed.
    """
    path = folder / FILE
    if not path.is_file():  # else reading a pipe or a device may never end
        _remove(path)
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(str(stored[_HEADER]))
            if header["identity"] == identity:
                return header["values"], {
                    name: [stored[f"{name}/{index}"] for index in range(length)]
                    for name, length in header["lengths"].items()
                }
    except Exception:  # a damaged file ends in whatever the reader's parts raise
        pass
    _remove(path)
    return None


def remove(folder: Path) -> None:
    """Remove a checkpoint and the parent folders that this leaves empty."""
    _remove(folder / FILE)
    with suppress(OSError):  # the first folder that is not empty ends the loop
        for empty in (folder, *folder.parents):
            empty.rmdir()


def _remove(path: Path) -> None:
    with writing(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
