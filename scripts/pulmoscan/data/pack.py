"""Every image of the data set, decoded once into two arrays that later stages read by row."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pandas as pd

from pulmoscan.data import depth, formats, png, radiographs, raw_table
from pulmoscan.data.options import Options
from pulmoscan.storage import arrays, reading, tables

BLOCK = 8  # pairs that a thread decodes and writes at a time
SYNCED = 32  # blocks between two waits for the disk
COLUMNS = {
    "width": "int32",
    "height": "int32",
    "format": "str",
    "mode": "str",
    "equal_channels": "bool",
    "mask_width": "int32",
    "mask_height": "int32",
    "mask_binary": "bool",
    "mask_form": "str",
    "bits": "int32",
    "scale": "str",
    "mean": "float64",
    "sd": "float64",
    "pixel_sha256": "str",
}


def pack(
    pairs: Sequence[raw_table.Pair],
    raw: Path,
    size: int,
    threads: int,
    paths: tuple[Path, Path],
    options: Options = radiographs.DEFAULTS,
) -> pd.DataFrame:
    """Write the packed images and masks, and return a table of what was decoded.

    Each thread writes what it decoded to its place in the arrays while it is in the processor's
    cache. The arrays are written with plain writes: a full disk then raises an error, while a store
    to a memory-mapped file would end the process without one.

    Args:
        pairs: images with their masks, in the order of the arrays.
        raw: folder of their files.
        size: width and height of the packed images, in pixels.
        threads: number of pairs that are decoded at a time.
        paths: where to write the images (n x size x size uint8 grey levels) and the masks (the
            same, 1 inside the lungs and 0 outside), as ``.npy``. An image or mask that cannot be
            used is zeros.
        options: how files become arrays.

    Returns:
        One row per pair: ``image, class``, the ``COLUMNS`` (see ``radiographs.Radiograph``),
        ``sha256`` of the image's file, and ``defects``, joined by "; ".

    Raises:
        OSError: a file of the data set cannot be read, or an array cannot be written.
        ValueError: a file is not the one that was downloaded.
    """
    cv2.setNumThreads(1)  # the threads are ours: one pair each
    unread = options.masks == "none"

    def work(start: int, bits: int) -> list[list]:
        # File by file, then image by image: a processor does one thing faster than two in turn.
        contents = [
            (
                raw_table.content(raw, pair.image),
                None if pair.mask is None or unread else raw_table.content(raw, pair.mask),
            )
            for pair in pairs[start : start + BLOCK]
        ]
        images, masks = np.empty((2, len(contents), size, size), np.uint8)
        rows = []
        for files_of_pair, image, mask in zip(contents, images, masks, strict=True):
            radiograph = radiographs.read(*files_of_pair, image, mask, bits, options)
            values = [getattr(radiograph, column) for column in COLUMNS]
            rows.append([*values, radiograph.defects, radiograph.highest])
        for file, begin, rows_of_file in zip(files, begins, (images, masks), strict=True):
            _write_at(file, begin + start * size**2, rows_of_file)
        return rows

    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file in files:
            arrays.begin(file, np.uint8, (len(pairs), size, size))
            file.flush()
        begins = [file.tell() for file in files]
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        # The first images tell how many bits the data set uses; where they do not, those that it
        # scales are packed again. To look at all of them first would take as long each time.
        guess = depth.of_data_set(_highest(raw, pair.image, options) for pair in pairs[:BLOCK])
        blocks: dict[int, list[list]] = {}
        starts = range(0, len(pairs), BLOCK)
        for bits in (guess, None):
            if bits is None:
                highest = {start: max(row[-1] for row in rows) for start, rows in blocks.items()}
                bits = depth.of_data_set(highest.values())
                starts = [start for start in starts if highest[start] and bits != guess]
            packed = pool.map(partial(work, bits=bits), starts)
            for done, (start, block) in enumerate(zip(starts, packed, strict=True), 1):
                blocks[start] = block
                if done % SYNCED == 0:
                    _sync(files)
    rows = [row[:-1] for block in blocks.values() for row in block]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "defects"]).astype(COLUMNS)
    table["defects"] = [
        "; ".join(filter(None, [pair.misfiled, *defects]))
        for pair, defects in zip(pairs, table["defects"], strict=True)
    ]
    table.insert(0, "image", [pair.name for pair in pairs])
    table.insert(1, "class", [pair.class_name for pair in pairs])
    table.insert(table.columns.get_loc("pixel_sha256"), "sha256", [p.image.sha256 for p in pairs])
    return table


def _highest(raw: Path, file: raw_table.RawFile, options: Options) -> int:
    """Return the highest value of an image that its data set scales, 0 for any other file."""
    try:
        reading.regular(raw / file.path, "the download")
        with (raw / file.path).open("rb") as stream:
            start = stream.read(formats.START)
    except OSError:  # reported where the file is read
        return 0
    kind = formats.of(start)
    may_be_deep = png.depth(start) == 16 if kind == "PNG" else kind in ("TIFF", "DICOM")
    if not may_be_deep or options.depth != "auto":
        return 0
    return radiographs.highest(raw_table.content(raw, file), options)


def read_decoded(path: Path, pairs: Sequence[raw_table.Pair] | None = None) -> pd.DataFrame:
    """Return the table of `pack` from its file.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged, or that is not about
    these pairs in their order, where they are given: rows of the packed arrays have no other names.
    """
    kinds = COLUMNS | dict.fromkeys(("image", "class", "sha256", "defects"), "str")

    def of(kind: str) -> list[str]:
        return [name for name, held in kinds.items() if held.startswith(kind)]

    def check(table: pd.DataFrame) -> None:
        for name in of("bool"):
            if name not in table or table[name].dtype != bool:
                raise ValueError(f"not all cells of its column {name!r} are true or false")
        if pairs is None:
            return
        listed = [(pair.name, pair.class_name, pair.image.sha256) for pair in pairs]
        found = table[["image", "class", "sha256"]].itertuples(index=False, name=None)
        if list(found) != listed:
            raise ValueError("it does not list the images of raw.tsv in their order")

    text, numbers, whole = of("str"), of("float"), of("int")
    return tables.read(path, "the packing", text, numbers, whole, then=check)


def _write_at(file: BinaryIO, position: int, rows: np.ndarray) -> None:
    """Write rows of an array at a position of its file."""
    left = memoryview(rows).cast("B")
    while left:
        with _naming(file):
            written = os.pwrite(file.fileno(), left, position)
        left, position = left[written:], position + written


def _sync(files: Sequence[BinaryIO]) -> None:
    """Wait until what was written is on the disk: while threads decode, rather than after them."""
    for file in files:
        with _naming(file):
            os.fsync(file.fileno())


@contextmanager
def _naming(file: BinaryIO) -> Iterator[None]:
    """Name the folder of a file in the errors of writing it."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write to {Path(file.name).parent}: {error.strerror}") from error
