"""The folder ``raw/``: a copy of the database in canonical spelling, and the table of its files.

Every data source yields a ``Database``; ``check_layout`` checks that it is complete, and ``write``
copies its files.
"""

import csv
import hashlib
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pulmoscan.data import layout, unread
from pulmoscan.storage import atomic, disk
from pulmoscan.storage.progress import Progress

COLUMNS = ("file", "origin", "bytes", "sha256", "retrieved")
IMAGE_COLUMNS = ("image", "class", "file", "mask")
CHUNK = 1 << 18  # bytes of a file held at a time
SLICE = 64  # files in one task of a thread
BLOCK = 4096  # bytes of disk that the smallest file takes
MAX_FILE = 64 << 20  # bytes: a radiograph, its mask and its metadata are far smaller
# Compression methods of zips and workbooks that unpack piece by piece. Others unpack a file as a
# whole: a few hundred bytes of bzip2 become a gigabyte.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class DatabaseFile:
    """A file of the database, wherever it is stored.

    Attributes:
        path: Where it belongs, as ``layout.canonical_path`` returns it.
        origin: Where it comes from, as shown to the user.
        size: Its size in bytes.
        chunks: Yields its content piece by piece; its errors have user-facing messages.
        sha256: The SHA-256 that the content must have, in hexadecimal; None if it is not known.
    """

    path: PurePosixPath
    origin: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    sha256: str | None = None


@dataclass(frozen=True)
class ImageRow:
    """What a data source says of an image.

    Attributes:
        name: What the image is called.
        class_name: Its class.
        file: The file of the image below ``raw/``.
        mask: The file of its mask there, None without one.
        columns: What else is known of it, by column.
    """

    name: str
    class_name: str
    file: PurePosixPath
    mask: PurePosixPath | None
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Database:
    """What a data source holds.

    Attributes:
        files: The files of the database.
        unread: Files that look like data and are not read.
        images: What is known of the images, where that is more than the paths of their files say.
    """

    files: list[DatabaseFile]
    unread: list[unread.UnreadFile]
    images: list[ImageRow] | None = None

    def image_rows(self) -> list[ImageRow]:
        """Return what is known of the images."""
        if self.images is not None:
            return self.images
        return rows_of_layout([file.path for file in self.files])


def rows_of_layout(paths: Iterable[PurePosixPath]) -> list[ImageRow]:
    """Return the images that lie in ``<class>/images``, each with the mask of its name."""
    by_part: dict[str, dict[tuple[str, str], PurePosixPath]] = {part: {} for part in layout.PARTS}
    for path in paths:
        if len(path.parts) == 3 and path.parts[1] in by_part:
            by_part[path.parts[1]][path.parts[0], path.stem] = path
    return [
        ImageRow(name, class_name, path, by_part["masks"].get((class_name, name)), {})
        for (class_name, name), path in by_part["images"].items()
    ]


def images_by_class(files: Iterable[DatabaseFile]) -> Counter[str]:
    """Return the number of images of each class that has some."""
    return Counter(file.path.parts[0] for file in files if "images" in file.path.parts)


def check_layout(
    database: Database,
    where: str,
    found: Sequence[str],
    classes: Collection[str] = layout.CLASSES,
) -> None:
    """Raise ``ValueError`` unless every class has images, all of sane size and none twice.

    Args:
        database: What was found.
        where: The copy it comes from, for the message.
        found: Names in that copy, for the message if it holds no database.
        classes: Those that it must have.
    """
    counts = images_by_class(database.files)
    missing = [name for name in classes if not counts[name]]
    if len(missing) == len(classes):
        names = ", ".join(map(unread.printable, found[:6])) + (", ..." if len(found) > 6 else "")
        there = _example(database.unread) or f"found {names or 'nothing'}"
        raise ValueError(
            f"{where} holds no image of the database: expected <class>/images/<class>-<number>.png "
            f"for the classes {', '.join(classes)}; {there}"
        )
    if missing:
        there = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
        lost = [file for file in database.unread if file.class_name in ("", *missing)]
        there = _example(lost) or f"found images of {there}"
        raise ValueError(
            f"{where} holds no images of {', '.join(missing)}: expected "
            f"{', '.join(f'{name}/images/{name}-<number>.png' for name in missing)}; {there}"
        )
    seen: dict[tuple[str, ...], str] = {}
    for file in database.files:
        check_size(file.origin, file.size)
        key = (*file.path.parts[-2:-1], file.path.stem)  # names of images are unique everywhere
        if key in seen:
            raise ValueError(
                f"{where} holds {file.path.stem} twice: {seen[key]} and {file.origin}; remove one"
            )
        seen[key] = file.origin


def check_size(file: str, size: int) -> None:
    """Raise ``ValueError`` for a file of more bytes than any file of the database has."""
    if size > MAX_FILE:
        raise ValueError(
            f"{file} has {size:,} bytes, more than any file of the database "
            f"({MAX_FILE:,} at most): remove or replace it"
        )


def _example(lost: Sequence[unread.UnreadFile]) -> str:
    """Return what keeps files from being read, of one that is to hold an image if there is one."""
    if not lost:
        return ""
    first = next((file for file in lost if file.reason != unread.METADATA_REASON), lost[0])
    more = f" (and {len(lost) - 1:,} more files)" if len(lost) > 1 else ""
    return f"{first.file} is there but not read: {first.reason}{more}"


def write(files: Sequence[DatabaseFile], raw: Path, table: Path, threads: int) -> None:
    """Copy ``files`` to the folder ``raw`` and list them in ``table``.

    Each file is read once, and hashed on the way. The copy is made beside ``raw`` and replaces it
    when it is complete. An existing ``table`` is removed before that, and the new one is written
    last, so that it never lies beside a folder that it does not describe.

    Args:
        files: What to copy; ``path`` is unique.
        raw: The folder, replaced if it exists.
        table: A TSV with the columns ``COLUMNS``, sorted by ``file``: path below ``raw``, origin,
            size in bytes, SHA-256 in hexadecimal, and when this copy began (UTC, to the second).
        threads: How many files are copied at a time.

    Raises:
        ValueError: A file does not have the SHA-256 or size that it should, or cannot be unpacked.
        OSError: A file cannot be read, or the disk has too little space.
    """
    retrieved = datetime.now(UTC).isoformat(timespec="seconds")
    with atomic.writing(raw.parent):
        raw.parent.mkdir(parents=True, exist_ok=True)
    unfinished = raw.with_name(f".{raw.name}.unfinished")
    former = raw.with_name(f".{raw.name}.former")
    for leftover in (unfinished, former):
        shutil.rmtree(leftover, ignore_errors=True)
    needed = sum(-(-file.size // BLOCK) * BLOCK for file in files)
    disk.check_space(raw.parent, needed, "the data set")
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
        # The name of a folder need not be valid text; the origin is there to be read.
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        rows = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        for file, sha256 in sorted(zip(files, hashes, strict=True), key=lambda pair: pair[0].path):
            rows.writerow((file.path, file.origin, file.size, sha256, retrieved))


def further_name(column: str, taken: Collection[str]) -> str:
    """Return what a column of the user's is called in a table of results with ``taken`` columns."""
    return f"{column}_given" if column in taken else column


def write_images(path: Path, rows: Sequence[ImageRow]) -> None:
    """Write a TSV with ``image, class, file, mask`` and the further columns, one row per image."""
    further = list(dict.fromkeys(column for row in rows for column in row.columns))
    with (
        atomic.replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        lines = csv.writer(stream, delimiter="\t", lineterminator="\n")
        lines.writerow([*IMAGE_COLUMNS, *further])
        for row in rows:
            others = [row.columns.get(column, "") for column in further]
            lines.writerow([row.name, row.class_name, row.file, row.mask or "", *others])


def _copy_all(files: Sequence[DatabaseFile], folder: Path, threads: int) -> list[str]:
    """Copy ``files`` below ``folder``; return their SHA-256 in the same order."""
    count, size = len(files), sum(file.size for file in files)
    progress = Progress(
        lambda copied, copied_size: (
            f"copied {copied:,} of {count:,} files, "
            f"{copied_size / 1e6:,.0f} of {size / 1e6:,.0f} MB"
        ),
        total=count,
    )

    def copy_slice(start: int) -> list[str]:
        hashes = []
        for file in files[start : start + SLICE]:
            hashes.append(_copy(file, folder / file.path))
            progress.add(1, file.size)
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
