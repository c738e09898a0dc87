"""What decides the result of a training or a search: a checkpoint belongs to one of them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pulmoscan.backends import backend
from pulmoscan.data import packed
from pulmoscan.storage import checkpoint, code_digest, digests


def fingerprint(
    script: str | Path,
    options: argparse.Namespace,
    settings: Sequence[str],
    files: Sequence[str],
    rows: np.ndarray,
    **more: Any,
) -> str:
    """Return the fingerprint of everything that decides a result.

    Args:
        script: the script, whose code counts with all that it imports.
        options: its options.
        settings: names of the options whose values count.
        files: names of the options whose files count by their content; None is not a file.
        rows: of the packed images and masks that are read, whose content counts.
        more: anything that JSON can hold. Cached features count by the digest in their description.
    """
    contents = {
        name: digests.file_digest(path)
        for name in files
        if (path := getattr(options, name)) is not None
    }
    images = {}
    if rows.size:
        arrays = packed.opened(options.images, options.masks)
        for name, array in zip(("images", "masks"), arrays, strict=True):
            images[name] = digests.rows_digest(array, np.sort(rows))
    return checkpoint.fingerprint(
        **{name: getattr(options, name) for name in settings},
        contents=contents | images,
        backend=backend.describe(),
        code=code_digest.code_digest(script),
        **more,
    )
