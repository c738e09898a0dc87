"""What a training needs to go on after it was killed, in one file that is whole or not there."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pulmoscan.storage.atomic import replacing

FILE = "checkpoint.npz"
_HEADER = "header"


def fingerprint(**parts: Any) -> str:
    """Return the SHA-256 of everything that decides the result of a training, as hexadecimals."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save(folder: Path, identity: str, values: Mapping, arrays: Mapping[str, list]) -> None:
    """Write a checkpoint in place of an older one.

    ``identity`` is the fingerprint of the training, ``values`` what JSON can hold, and ``arrays``
    lists of arrays by name.
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
    """Return the ``(values, arrays)`` of a checkpoint, or None where there is none to go on from.

    A checkpoint of another fingerprint, or one that cannot be read, is removed.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(str(stored[_HEADER]))
            if header["identity"] == identity:
                return header["values"], {
                    name: [stored[f"{name}/{index}"] for index in range(length)]
                    for name, length in header["lengths"].items()
                }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass
    path.unlink()
    return None


def remove(folder: Path) -> None:
    """Remove a checkpoint, and the folders above it that this leaves empty."""
    (folder / FILE).unlink(missing_ok=True)
    with suppress(OSError):  # the first that is not empty ends it
        for empty in (folder, *folder.parents):
            empty.rmdir()
