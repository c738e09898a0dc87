"""What lies beside a file of cached features: whose rows they are, and which tensors they hold.

No Keras here: a script reads it before it decides how the backend starts.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def rows_file(path: Path) -> Path:
    """Return the file with the rows of the packed arrays that the features in ``path`` are of."""
    return path.with_suffix(".rows.npy")


def description_file(path: Path) -> Path:
    """Return the file with the description of the features in ``path``."""
    return path.with_suffix(".json")


def describe(
    tensors: Sequence[Mapping], first_trained: str, number: int, dtype: np.dtype, limit_gb: float
) -> dict:
    """Return the description of the features of ``number`` images, as far as known before them.

    ``tensors`` have ``layer`` and ``shape`` (for one image), ``first_trained`` is the name of the
    layer behind the cut. ``bytes`` counts all images; the features are ``kept`` where there are any
    and that is at most ``limit_gb``, in GB of 10^9 bytes.
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


def sizes(tensors: Sequence[Mapping]) -> list[int]:
    """Return the number of values of each tensor, for one image."""
    return [math.prod(tensor["shape"]) for tensor in tensors]


def description(path: Path) -> dict:
    """Return the description of the features in ``path``; raise ``OSError`` without one."""
    file = description_file(path)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OSError(f"cannot read {file}: {error.strerror}") from None
