"""The tables of the downloaded files, read as pairs of image and mask."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pulmoscan.data import unread
from pulmoscan.data.layout import CLASSES, METADATA_SUFFIX
from pulmoscan.storage import reading, tables


@dataclass(frozen=True)
class RawFile:
    """A file of the data set: its path below ``raw/`` and the SHA-256 of its content."""

    path: PurePosixPath
    sha256: str


@dataclass(frozen=True)
class Pair:
    """An image of the data set and its mask, None if there is none."""

    name: str
    class_name: str
    image: RawFile
    mask: RawFile | None


def read(table: Path) -> list[RawFile]:
    """Return the files that the download listed.

    Raises:
        OSError: the table cannot be read.
        ValueError: it is damaged, or lacks a column.
    """
    rows = tables.read(table, "the download", text=("file", "sha256"))
    return [
        RawFile(PurePosixPath(file), sha256)
        for file, sha256 in zip(rows["file"], rows["sha256"], strict=True)
    ]


def unread_files(table: Path) -> list[unread.UnreadFile]:
    """Return the files that look like data and that the download did not read.

    Raises as `read` does.
    """
    rows = tables.read(table, "the download", text=unread.COLUMNS)
    return [unread.UnreadFile(*row) for row in rows[list(unread.COLUMNS)].itertuples(index=False)]


def content(raw: Path, file: RawFile) -> bytes:
    """Return the content of a file below the folder ``raw``.

    Raises:
        OSError: it cannot be read.
        ValueError: its SHA-256 is not the one that the download listed.
    """
    path = raw / file.path
    # Snakemake makes a folder again when another output of its job is gone.
    again = f"remove {raw.with_suffix('.tsv')} and run the download again"
    try:
        reading.check_regular(path)
        data = path.read_bytes()
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}; {again}") from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ValueError(f"{path} is not the file that was downloaded: {again}")
    return data


def pairs(files: Sequence[RawFile]) -> list[Pair]:
    """Return every image with its mask, in the order of all arrays: by class, then by number.

    Raises:
        ValueError: a class has no image.
    """
    masks = _by_name(files, "masks")
    found = [
        Pair(name, class_name, file, masks.get((class_name, name)))
        for (class_name, name), file in _by_name(files, "images").items()
    ]
    missing = [name for name in CLASSES if all(pair.class_name != name for pair in found)]
    if missing:
        expected = ", ".join(f"{name}/images/*.png" for name in missing)
        raise ValueError(f"the data set has no images of {', '.join(missing)}: expected {expected}")
    return sorted(found, key=lambda pair: (CLASSES.index(pair.class_name), _number(pair.name)))


def metadata_contents(raw: Path, files: Sequence[RawFile]) -> dict[str, bytes | None]:
    """Return the content of the metadata file of each class, None for one that is missing.

    Raises as `content` does.
    """
    by_path = {str(file.path): file for file in files}
    found = {name: by_path.get(name + METADATA_SUFFIX) for name in CLASSES}
    return {name: file and content(raw, file) for name, file in found.items()}


def masks_without_image(files: Sequence[RawFile]) -> list[RawFile]:
    """Return the masks whose image is not among the files."""
    images = _by_name(files, "images")
    return [file for key, file in sorted(_by_name(files, "masks").items()) if key not in images]


def _by_name(files: Sequence[RawFile], part: str) -> dict[tuple[str, str], RawFile]:
    return {
        (file.path.parts[0], file.path.stem): file
        for file in files
        if len(file.path.parts) == 3 and file.path.parts[1] == part
    }


def _number(name: str) -> tuple[int, str]:
    number = name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else 0), name
