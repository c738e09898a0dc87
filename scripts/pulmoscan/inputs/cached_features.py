"""Cached features: computed in batches, described by a file beside them.

No Keras here: a script reads the description before it decides how the backend starts.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pulmoscan.storage import arrays, progress, tables

if TYPE_CHECKING:
    import keras

STAGE = "features"
DESCRIBED = {"tensors": list, "bytes": int, "dtype": str, "kept": bool, "sha256": str}
PROGRESS_EVERY = 30  # seconds between two lines


def rows_file(path: Path) -> Path:
    """Return the file that says to which rows of the packed arrays the features belong."""
    return path.with_suffix(".rows.npy")


def description_file(path: Path) -> Path:
    """Return the file with the description of the features in ``path``."""
    return path.with_suffix(".json")


def description(path: Path) -> dict:
    """Return the description of the features in ``path``; see `describe`.

    Raises ``OSError`` or ``ValueError`` where there is none, or a damaged one.
    """

    def check(described: dict) -> None:
        for tensor in described["tensors"]:
            tables.check_keys(tensor, {"layer": str, "shape": list})
            if not all(type(side) is int and side > 0 for side in tensor["shape"]):
                raise ValueError(f"a tensor has the shape {tensor['shape']!r:.40}")

    return tables.read_json(description_file(path), STAGE, DESCRIBED, then=check)


def rows(path: Path) -> np.ndarray:
    """Return the rows of the packed arrays that features belong to (n int64, ascending).

    Raises ``OSError`` or ``ValueError`` where there is no such file, or a damaged one.
    """
    file = arrays.NpyFile(rows_file(path), STAGE)
    if len(file.shape) != 1 or file.dtype != np.int64:
        raise file.damaged(f"{file.dtype} of shape {file.shape} are not rows of the packed arrays")
    values = file[np.arange(len(file))]
    if len(values) and (values[0] < 0 or (np.diff(values) <= 0).any()):
        raise file.damaged("its rows are not in order")
    return values


def sizes(tensors: Sequence[Mapping]) -> list[int]:
    """Return the number of values of each tensor, for one image."""
    return [math.prod(tensor["shape"]) for tensor in tensors]


def describe(
    tensors: Sequence[Mapping],
    first_trained: str | None,
    number: int,
    dtype: np.dtype,
    limit_gb: float,
) -> dict:
    """Return the description of features, as far as it is known before they are computed.

    Args:
        tensors: ``layer`` and ``shape`` (for one image) of each tensor that crosses the cut.
        first_trained: the first layer of the backbone that is trained, None if all are frozen.
        number: of images.
        dtype: in which the features are stored.
        limit_gb: size up to which they are, in GB of 10^9 bytes.

    Returns:
        ``tensors``, ``first_trained``, ``bytes`` of all images, ``bytes_per_image``, ``dtype``, and
        whether the features are ``kept``: there are some, and they are not above the limit.
    """
    each = sum(sizes(tensors)) * dtype.itemsize
    return {
        "tensors": list(tensors),
        "first_trained": first_trained,
        "bytes": each * number,
        "bytes_per_image": each,
        "dtype": dtype.name,
        "kept": 0 < each * number <= limit_gb * 1e9,
    }


def reason_not_kept(described: Mapping, limit_gb: float) -> str:
    """Return why features that are described as not kept are not computed."""
    if not described["tensors"]:
        return "all layers with weights train: there are no features to compute"
    number = described["bytes"] // described["bytes_per_image"]
    return (
        f"{described['bytes'] / 1e9:.1f} GB for {number} images, above the limit of "
        f"{limit_gb:g} GB: not computed"
    )


def union_of_rows(paths: Sequence[Path]) -> np.ndarray:
    """Return the rows of the packed arrays that any sampling holds, sorted, int64.

    Raises ``ValueError`` when they hold none.
    """
    read = [tables.read(path, "the sampling", whole=["row"])["row"] for path in paths]
    rows = np.unique(np.concatenate(read)).astype(np.int64)
    if not rows.size:
        raise ValueError(f"no image in {', '.join(map(str, paths))}: the data do not fill them")
    return rows


def write(
    path: Path,
    frozen: "keras.Model | None",
    read: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    described: Mapping,
    batch_size: int,
) -> str:
    """Compute features and write them as `.npy`, one row per image; print how far it is.

    Args:
        path: file to write.
        frozen: the part of a network before the cut; None only without rows.
        read: returns the images of rows of the packed arrays, as the network takes them.
        rows: of the images, in the order of the result.
        described: the description (see `describe`).
        batch_size: images computed at once.

    Returns:
        The SHA-256 of the values.

    Raises:
        ValueError: a feature is not finite in the type in which it is stored.
    """
    dtype = described["dtype"]
    digest = hashlib.sha256()
    with path.open("wb") as file:
        arrays.begin(file, dtype, (len(rows), sum(sizes(described["tensors"]))))
        for part in _parts(len(rows), batch_size):
            values = _converted(forward(frozen, read(rows[part]), batch_size), dtype)
            arrays.append(file, values)
            digest.update(values)
    return digest.hexdigest()


def forward(frozen: "keras.Model", x: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the outputs for n images, flattened and side by side: n x D.

    ``x`` is filled up to ``batch_size`` images. With one size there is one function to compile, and
    images in a small batch get the same numbers as in a full one.
    """
    missing = batch_size - len(x)
    batch = np.pad(x, [(0, missing), *[(0, 0)] * (x.ndim - 1)]) if missing else x
    outputs = frozen.predict_on_batch(batch)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    flat = [np.asarray(output).reshape(batch_size, -1) for output in outputs]
    return np.concatenate(flat, axis=1)[: len(x)]


def _converted(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return values in the type in which they are stored; raise ``ValueError`` on overflow."""
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype)
    if not np.isfinite(converted).all():
        advice = {"float16": "choose float32", "float32": "check the weights"}
        raise ValueError(f"some features are not finite in {dtype}: {advice[dtype]}")
    return converted


def _parts(number: int, size: int) -> Iterator[slice]:
    """Yield the slices of the batches, with a line on how far the work is from time to time."""
    started = time.perf_counter()

    def line(done: int) -> str:
        rate = done / (time.perf_counter() - started)
        return f"{done} of {number} images, {rate:.1f} per second"

    reported = progress.Progress(line, total=number, seconds=PROGRESS_EVERY)
    for start in range(0, number, size):
        yield slice(start, start + size)
        reported.add(min(size, number - start))
