"""A table as a data set: one row per image, with its class and what else is known of it."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pulmoscan import spelling
from pulmoscan.acquire import classes
from pulmoscan.acquire.listing import UNLABELLED, Listed, Listing, check
from pulmoscan.data import layout
from pulmoscan.data.raw_folder import IMAGE_COLUMNS, further_name
from pulmoscan.data.text_table import TextTable, parse
from pulmoscan.data.unread import UnreadFile, printable

ROLES = ("image", "class", "mask", "patient", "source", "split")
IN_RESULTS = ("patient", "source", "split")  # roles that later stages know by their name
MOST = 256 << 20  # bytes of a table
_TAKEN = (*ROLES, *IMAGE_COLUMNS)  # names that no further column may have in results
NOT_THERE = "listed in the table, but there is no such file"
NO_CLASS = "the table states no class"


def listing(settings: Mapping[str, Any], key: str = "dataset") -> Listing:
    """Return the images that a table lists.

    Args:
        settings: ``path`` of the table; ``root``, the folder that its paths are relative to, None
            for its own; ``columns``, the name of the column of each of the `ROLES`, by default
            that of the role, if there is one; ``classes``, see `classes.taken`; ``masks``, with
            ``none`` no mask is read.
        key: where the settings stand in the configuration, for messages.

    Raises:
        OSError: the table cannot be read.
        ValueError: it is no table, a column is missing, an image is listed twice or lies outside of
            the folder, or a class is named that it does not have.
    """
    path = Path(settings["path"])
    table = _read(path, key)
    columns = _columns(table, settings.get("columns") or {}, path, key)
    root = Path(settings.get("root") or path.parent)
    labelled = {line: _class_of(row, columns) for line, row in table.rows.items()}
    called: Mapping[str, str] = {UNLABELLED: UNLABELLED}
    counts = Counter(filter(None, labelled.values()))
    if "class" in columns:
        called = classes.taken(settings.get("classes"), counts, f"{key}.classes")
    images: list[Listed] = []
    unread: list[UnreadFile] = []
    seen: dict[str, int] = {}
    with_masks = "mask" in columns and settings.get("masks") != "none"
    for line, row in table.rows.items():
        place = f"{path}, line {line}"
        name = _name(row[columns["image"]], place)
        if (other := seen.setdefault(name, line)) != line:
            raise ValueError(f"{place}: the image {name} is listed twice, first in line {other}")
        if labelled[line] and labelled[line] not in called:
            continue
        file = _inside(root, name, place)
        class_name = called.get(labelled[line], "")
        if "class" in columns and not labelled[line]:
            unread.append(UnreadFile(printable(name), "", NO_CLASS))
        elif not _is_file(file):
            unread.append(UnreadFile(printable(name), class_name, NOT_THERE))
        else:
            mask = (
                _mask(row[columns["mask"]], root, place, class_name, unread) if with_masks else None
            )
            images.append(Listed(name, class_name, file, mask, _others(row, columns)))
    left_out = {name: count for name, count in counts.items() if name not in called}
    return check(Listing(str(path), images, unread, left_out))


def _read(path: Path, key: str) -> TextTable:
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise OSError(f"{key}.path: cannot read {path}: {error.strerror}") from None
    if len(content) > MOST:
        raise ValueError(f"{key}.path: {path} has more than {MOST:,} bytes: is it a table?")
    try:
        table = parse(content)
    except ValueError as error:
        raise ValueError(f"{key}.path: {path}: {error}") from None
    if not table.rows:
        raise ValueError(f"{key}.path: {path} has no row below its header")
    return table


def _columns(table: TextTable, named: Mapping[str, str], path: Path, key: str) -> dict[str, str]:
    """Return the column of each role that the table has."""
    for role, column in named.items():
        if column not in table.columns:
            raise ValueError(
                f"{key}.columns.{role}: {path} has no column {column!r}: "
                f"{spelling.guess(column, table.columns)}Its columns are "
                f"{', '.join(table.columns)}"
            )
    if len(set(named.values())) < len(named):
        raise ValueError(f"{key}.columns: one column is named for two of {', '.join(named)}")
    free = [column for column in table.columns if column not in named.values()]
    found = {role: role for role in ROLES if role not in named and role in free} | dict(named)
    if "image" not in found:
        raise ValueError(
            f"{key}.columns.image: name the column of {path} that holds the files: "
            f"{', '.join(table.columns)}"
        )
    return found


def _class_of(row: Mapping[str, str], columns: Mapping[str, str]) -> str:
    text = row[columns["class"]] if "class" in columns else UNLABELLED
    return " ".join(unicodedata.normalize("NFC", text).split())


def _name(cell: str, place: str) -> str:
    """Return the name of an image, the path that its cell holds, in one spelling."""
    name = unicodedata.normalize("NFC", cell)
    if not name:
        raise ValueError(f"{place}: it names no image")
    if not name.isprintable():
        raise ValueError(f"{place}: {name!r} holds a character that cannot be seen")
    if len(layout.file_stem(name).encode()) > layout.LONGEST_NAME:
        raise ValueError(
            f"{place}: the path {name[:40]!r}... is longer than {layout.LONGEST_NAME} bytes"
        )
    if "/" not in name:
        name = name.replace("\\", "/")
    return str(PurePosixPath(name))


def _inside(root: Path, name: str, place: str) -> Path:
    """Return the path of a file in the folder of the images."""
    if PureWindowsPath(name).drive:
        raise ValueError(f"{place}: {name} is a path of Windows: write it relative to {root}")
    path = root / name
    inside = Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root))
    if not inside or ".." in PurePosixPath(name).parts:
        raise ValueError(
            f"{place}: {name} lies outside of {root}: write paths relative to it, or name another "
            "folder as root"
        )
    return path


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _mask(
    cell: str, root: Path, place: str, class_name: str, unread: list[UnreadFile]
) -> Path | None:
    """Return where a mask lies; one that does not exist is listed among the files not read."""
    if not cell:
        return None
    name = _name(cell, place)
    path = _inside(root, name, place)
    if _is_file(path):
        return path
    unread.append(UnreadFile(printable(name), class_name, f"mask {NOT_THERE}"))
    return None


def _others(row: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return what a row says besides image, class and mask."""
    known = {role: row[columns[role]] for role in IN_RESULTS if role in columns}
    further = {name: cell for name, cell in row.items() if name not in columns.values()}
    return (
        {"source": ""}
        | known
        | {further_name(name, _TAKEN): cell for name, cell in further.items()}
    )
