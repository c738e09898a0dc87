"""The tables of the downloaded files, read as pairs of image and mask."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from pulmoscan.data import layout, raw_folder, unread
from pulmoscan.storage import reading, tables


@dataclass(frozen=True)
class RawFile:
    """A file of the data set: its path below ``raw/`` and the SHA-256 of its content."""

    path: PurePosixPath
    sha256: str


@dataclass(frozen=True)
class Pair:
    """An image of the data set and its mask, None if there is none.

    ``misfiled`` says what is wrong where name and folder of the image state two classes.
    """

    name: str
    class_name: str
    image: RawFile
    mask: RawFile | None
    misfiled: str = ""


@dataclass(frozen=True)
class RawMetadata:
    """A file of metadata: its name, and its content."""

    name: str
    content: bytes


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


def images(table: Path) -> pd.DataFrame:
    """Return what the download says of the images: ``image, class, file, mask``, then any columns.

    All cells are text, "" where nothing is known. Raises as `read` does.
    """
    return tables.read(table, "the download", text=raw_folder.IMAGE_COLUMNS, all_text=True)


def pairs(files: Sequence[RawFile], listed: pd.DataFrame | None = None) -> list[Pair]:
    """Return every image with its mask, in the order of all arrays: by class, then by number.

    Args:
        files: the files of the data set.
        listed: what `images` returns; None for files that say by their paths what they are.

    Raises:
        ValueError: there is no image, or the table names a file that is not among the files.
    """
    by_path = {file.path: file for file in files}
    if listed is None:
        rows = raw_folder.rows_of_layout(by_path)
    else:
        rows = [
            raw_folder.ImageRow(
                row.image,
                row[1],
                PurePosixPath(row.file),
                PurePosixPath(row.mask) if row.mask else None,
                {},
            )
            for row in listed[list(raw_folder.IMAGE_COLUMNS)].itertuples(index=False)
        ]
    if not rows:
        raise ValueError("the data set has no image")
    for row in rows:
        for path in filter(None, (row.file, row.mask)):
            if path not in by_path:
                raise ValueError(f"{path} of the image {row.name} is not among the files")
    by_name = listed is None or "source" not in listed
    found = [
        Pair(
            row.name,
            row.class_name,
            by_path[row.file],
            row.mask and by_path[row.mask],
            _misfiled(row) if by_name else "",
        )
        for row in rows
    ]
    return sorted(found, key=lambda pair: (pair.class_name, _number(pair.name)))


def _misfiled(row: raw_folder.ImageRow) -> str:
    """Return what is wrong where the name of an image in the database's layout states a class."""
    named = layout.class_of_image(row.name)
    known = named in layout.CLASSES and row.class_name in layout.CLASSES
    if not known or named == row.class_name:
        return ""
    return f"named {named}, lies in {row.class_name}"


def metadata_contents(
    raw: Path, files: Sequence[RawFile], classes: Sequence[str]
) -> dict[str, RawMetadata | None]:
    """Return the metadata file of each class, None for one that is missing.

    Raises as `content` does.
    """
    by_path = {str(file.path): file for file in files}
    found: dict[str, RawMetadata | None] = {}
    for name in classes:
        path = next((path for path in layout.metadata_paths(name) if path in by_path), None)
        found[name] = path and RawMetadata(path, content(raw, by_path[path]))
    return found


def masks_without_image(files: Sequence[RawFile]) -> list[RawFile]:
    """Return the masks whose image is not among the files."""
    paths = {file.path for file in files}
    images = {(path.parts[0], path.stem) for path in paths if path.parts[1:2] == ("images",)}
    return sorted(
        (
            file
            for file in files
            if file.path.parts[1:2] == ("masks",)
            and (file.path.parts[0], file.path.stem) not in images
        ),
        key=lambda file: (file.path.parts[0], file.path.stem),
    )


def _number(name: str) -> tuple[int, str]:
    number = name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else 0), name
