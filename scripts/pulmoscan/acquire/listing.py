"""A data set of the user's own, as its table or its folders list it.

It is made while the Snakefile is read, from names alone: no image is opened.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from pulmoscan.acquire import content
from pulmoscan.acquire.local import chunks
from pulmoscan.data import layout, raw_folder
from pulmoscan.data.formats import SUFFIXES
from pulmoscan.data.raw_folder import Database, DatabaseFile, ImageRow
from pulmoscan.data.unread import UnreadFile

UNLABELLED = ""  # the class of an image of which nobody says what it shows


@dataclass(frozen=True)
class Listed:
    """An image that is taken.

    Attributes:
        name: What it is called in all tables: unique, and the text that the user knows it by.
        class_name: Its class; `UNLABELLED` where the data state none.
        file: Where it lies.
        mask: Where its lung mask lies, None without one.
        columns: What else is known of it, by column: ``patient, source, split`` and others.
    """

    name: str
    class_name: str
    file: Path
    mask: Path | None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """What a data set holds.

    Attributes:
        where: The folder or table, for messages.
        images: The images that are taken, in the order in which they are listed.
        unread: Files that look like data, or are named as data, and are not read.
        left_out: Number of images of each class that the configuration leaves out.
        metadata: The files of metadata, by the name that they have in the database's layout.
    """

    where: str
    images: list[Listed]
    unread: list[UnreadFile]
    left_out: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Path] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """The classes of the images, sorted."""
        return sorted({image.class_name for image in self.images})

    @property
    def without_mask(self) -> int:
        """The number of images that have no mask."""
        return sum(image.mask is None for image in self.images)


def check(listing: Listing) -> Listing:
    """Return a listing after checking that its images can be told apart, in tables and as files.

    Raises:
        ValueError: it has no image, or two images have one name or would have one file.
    """
    if not listing.images:
        lost = listing.unread
        example = f": {lost[0].file}: {lost[0].reason}" if lost else ""
        more = f" (and {len(lost) - 1:,} more files)" if len(lost) > 1 else ""
        raise ValueError(f"{listing.where} holds no image that is read{example}{more}")
    seen: dict[str, str] = {}
    for image in listing.images:
        # Some file systems ignore case.
        key = layout.file_stem(image.name).casefold()
        other = seen.setdefault(key, image.name)
        if other != image.name:
            raise ValueError(
                f"{listing.where}: the images {other} and {image.name} would have one file name, "
                f"{layout.file_stem(image.name)}: rename one"
            )
    twice = [name for name, count in Counter(i.name for i in listing.images).items() if count > 1]
    if twice:
        raise ValueError(f"{listing.where} lists the image {twice[0]} twice")
    return listing


def database(listing: Listing) -> Database:
    """Return the files of a listing, ready to be copied, and what is known of its images.

    Raises:
        OSError: a file cannot be looked at.
        ValueError: a file is larger than any radiograph.
    """
    files: list[DatabaseFile] = []
    rows = []
    for image in listing.images:
        file = _file(image, "images", image.file)
        mask = None if image.mask is None else _file(image, "masks", image.mask)
        files += [file] if mask is None else [file, mask]
        rows.append(
            ImageRow(
                image.name, image.class_name, file.path, mask and mask.path, dict(image.columns)
            )
        )
    for name, path in listing.metadata.items():
        size = path.stat().st_size
        files.append(DatabaseFile(PurePosixPath(name), str(path), size, partial(chunks, str(path))))
    return Database(files, listing.unread, rows)


def digest(listing: Listing, cache_file: str | Path) -> str:
    """Return a digest of a listing, which changes if and only if what it says or holds does.

    Args:
        listing: what is read.
        cache_file: keeps the hashes of the files between calls, see `content`.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is larger than any radiograph.
    """
    paths = dict.fromkeys([*_paths(listing.images), *listing.metadata.values()])
    files = [content.File(str(path), "", path.stat()) for path in paths]
    for file in files:
        raw_folder.check_size(file.path, file.status.st_size)
    hashes = dict(zip(paths, content.hashes(files, listing.where, cache_file), strict=True))
    lines = [
        json.dumps(
            [
                image.name,
                image.class_name,
                hashes[image.file],
                image.mask and hashes[image.mask],
                dict(image.columns),
            ]
        )
        for image in listing.images
    ]
    lines += [json.dumps([name, hashes[path]]) for name, path in listing.metadata.items()]
    lines += [json.dumps(["unread", file.file, file.reason]) for file in listing.unread]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _paths(images: Iterable[Listed]) -> Iterable[Path]:
    for image in images:
        yield image.file
        if image.mask is not None:
            yield image.mask


def _file(image: Listed, part: str, path: Path) -> DatabaseFile:
    size = path.stat().st_size
    raw_folder.check_size(str(path), size)
    suffix = path.suffix.lower()
    belongs = PurePosixPath(
        layout.file_stem(image.class_name or "unlabelled"),
        part,
        layout.file_stem(image.name) + (suffix if suffix in SUFFIXES else ""),
    )
    return DatabaseFile(belongs, str(path), size, partial(chunks, str(path)))
