"""The folder ``raw/``: a copy of the database in canonical spelling, and the table of its files.

Every data source ends in a list of ``DatabaseFile``; ``check_layout`` says whether they are a
database, and ``write`` copies them.
"""

import csv
import hashlib
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pulmoscan.data import layout
from pulmoscan.storage import atomic

COLUMNS = ("file", "origin", "bytes", "sha256", "retrieved")
CHUNK = 1 << 18  # bytes of a file held at a time
SLICE = 64  # files that a thread copies between two looks at the others
BLOCK = 4096  # bytes of disk that the smallest file takes
MAX_FILE = 64 << 20  # bytes: a radiograph, its mask and its metadata stay below by far
SECONDS_BETWEEN_LINES = 5


@dataclass(frozen=True)
class DatabaseFile:
    """A file of the database, wherever it lies.

    Attributes:
        path: Where it belongs, as ``database.canonical_path`` gives it.
        origin: Where it comes from, for the user.
        size: Its size in bytes.
        chunks: Gives its content, piece by piece; what it raises is worded for the user.
        sha256: The SHA-256 that the content must have, in hexadecimal; None when none is known.
    """

    path: PurePosixPath
    origin: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    sha256: str | None = None


def images_by_class(files: Iterable[DatabaseFile]) -> Counter[str]:
    """Return the number of images of each class that has any."""
    return Counter(file.path.parts[0] for file in files if "images" in file.path.parts)


def check_layout(files: Sequence[DatabaseFile], where: str, found: Sequence[str]) -> None:
    """Raise ``ValueError`` unless every class has images, and every image one file of a sane size.

    Args:
        files: The files of the database.
        where: The copy they come from, for the message.
        found: Names in that copy, for the message when it holds no database.
    """
    counts = images_by_class(files)
    missing = [name for name in layout.CLASSES if not counts[name]]
    if len(missing) == len(layout.CLASSES):
        names = ", ".join(found[:6]) + (", ..." if len(found) > 6 else "")
        raise ValueError(
            f"{where} holds no image of the database: expected <class>/images/<class>-<number>.png "
            f"for the classes {', '.join(layout.CLASSES)}; found {names or 'nothing'}"
        )
    if missing:
        there = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
        raise ValueError(
            f"{where} holds no images of {', '.join(missing)}: expected "
            f"{', '.join(f'{name}/images/*.png' for name in missing)}; found images of {there}"
        )
    seen: dict[tuple[str, ...], str] = {}
    for file in files:
        if file.size > MAX_FILE:
            raise ValueError(
                f"{file.origin} has {file.size:,} bytes, more than the {MAX_FILE:,} that any file "
                "of the database stays below: remove or replace it"
            )
        key = file.path.parts[-2:]  # an image's name is its own in the whole database
        if key in seen:
            raise ValueError(
                f"{where} holds {file.path.stem} twice: {seen[key]} and {file.origin}; remove one"
            )
        seen[key] = file.origin


def write(files: Sequence[DatabaseFile], raw: Path, table: Path, threads: int) -> None:
    """Copy ``files`` to the folder ``raw`` and list them in ``table``.

    Each file is read once, hashed on its way. The copy is made beside ``raw`` and takes its place
    when it is whole; a former ``table`` goes before that and the new one is written last, so that
    it stands only beside the folder that it describes.

    Args:
        files: What to copy; ``path`` is unique.
        raw: The folder, replaced when it is there.
        table: A TSV with the columns ``COLUMNS``, sorted by ``file``: path below ``raw``, origin,
            size in bytes, SHA-256 in hexadecimal, and when this copy began (UTC, to the second).
        threads: How many files are copied at a time.

    Raises:
        ValueError: A file has another SHA-256 or size than it should have, or cannot be unpacked.
        OSError: A file cannot be read, or the disk has too little room.
    """
    retrieved = datetime.now(UTC).isoformat(timespec="seconds")
    with atomic.writing(raw.parent):
        raw.parent.mkdir(parents=True, exist_ok=True)
    unfinished = raw.with_name(f".{raw.name}.unfinished")
    former = raw.with_name(f".{raw.name}.former")
    for leftover in (unfinished, former):
        shutil.rmtree(leftover, ignore_errors=True)
    _check_room(files, raw.parent)
    try:
        with atomic.writing(raw):
            for folder in {file.path.parent for file in files}:
                (unfinished / folder).mkdir(parents=True, exist_ok=True)
        hashes = _copy_all(files, unfinished, threads)
        with atomic.writing(raw):
            table.unlink(missing_ok=True)
            if raw.exists():
                raw.replace(former)
            unfinished.replace(raw)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)
    with (
        atomic.replacing(table) as temporary,
        # A folder's name need not be text; its path is for the user.
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        rows = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        for file, sha256 in sorted(zip(files, hashes, strict=True), key=lambda pair: pair[0].path):
            rows.writerow((file.path, file.origin, file.size, sha256, retrieved))


def _check_room(files: Sequence[DatabaseFile], folder: Path) -> None:
    needed = sum(-(-file.size // BLOCK) * BLOCK for file in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"not enough room in {folder.resolve()}: the data set takes {needed / 1e6:,.0f} MB, "
            f"{free / 1e6:,.0f} MB are free"
        )


def _copy_all(files: Sequence[DatabaseFile], folder: Path, threads: int) -> list[str]:
    """Copy ``files`` below ``folder``; return their SHA-256 in the same order."""
    progress = _Progress(len(files), sum(file.size for file in files))

    def copy_slice(start: int) -> list[str]:
        hashes = []
        for file in files[start : start + SLICE]:
            hashes.append(_copy(file, folder / file.path))
            progress.add(file.size)
        return hashes

    with ThreadPoolExecutor(threads) as pool:
        try:
            slices = list(pool.map(copy_slice, range(0, len(files), SLICE)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [sha256 for hashes in slices for sha256 in hashes]


def _copy(file: DatabaseFile, target: Path) -> str:
    """Copy one file and return its SHA-256; raise as ``write`` does."""
    digest = hashlib.sha256()
    size = 0
    with atomic.writing(target):
        copy = target.open("xb", buffering=0)
    with copy:
        for chunk in file.chunks():
            digest.update(chunk)
            size += len(chunk)
            _append(copy, chunk, target)
    if size != file.size:
        raise ValueError(f"{file.origin} is {size} bytes long instead of {file.size}")
    if file.sha256 not in (None, digest.hexdigest()):
        raise ValueError(
            f"{file.origin} is not the file it should be: its SHA-256 is {digest.hexdigest()} "
            f"instead of {file.sha256}"
        )
    return digest.hexdigest()


def _append(copy: BinaryIO, chunk: bytes, target: Path) -> None:
    rest = memoryview(chunk)
    with atomic.writing(target):
        while rest:
            rest = rest[copy.write(rest) :]


class _Progress:
    """A line on standard error now and then, from any thread."""

    def __init__(self, files: int, size: int) -> None:
        self.files, self.size = files, size
        self.files_done = self.size_done = 0
        self.lock = threading.Lock()
        self.next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def add(self, size: int) -> None:
        with self.lock:
            self.files_done += 1
            self.size_done += size
            last = self.files_done == self.files
            if last or time.monotonic() >= self.next_line:
                self.next_line = time.monotonic() + SECONDS_BETWEEN_LINES
                print(
                    f"copied {self.files_done:,} of {self.files:,} files, "
                    f"{self.size_done / 1e6:,.0f} of {self.size / 1e6:,.0f} MB",
                    file=sys.stderr,
                    flush=True,
                )
