"""Folders as a data set: one per class, as Keras reads them, or as the database lays them out.

``<class>/*`` (`listing`), where folders named train, validation and test may lie above the classes,
and ``<class>/images/*`` with ``<class>/masks/*`` (`with_masks`).
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pulmoscan.acquire import classes, walk
from pulmoscan.acquire.listing import UNLABELLED, Listed, Listing, check
from pulmoscan.data import layout, unread
from pulmoscan.data.formats import SUFFIXES
from pulmoscan.data.unread import UnreadFile

SECOND_MASK = "another mask of the same image is read"
_DEEPEST = 8  # folders above those of the classes; links may lead in circles


def listing(settings: Mapping[str, Any], key: str = "dataset") -> Listing:
    """Return the images of folders that have the name of a class.

    An image's class is the first folder that it lies in. Where all of these are parts of a split,
    it is the second one, and the first is its ``split``. Images that lie in no folder have no
    class.

    Args:
        settings: ``path`` of the folder, and ``classes``, see `classes.taken`.
        key: where the settings stand in the configuration, for messages.

    Raises:
        OSError: a folder cannot be read.
        ValueError: there is no image, or a class is named that there is not.
    """
    root = Path(settings["path"])
    found, left = _files(walk.entries(root))
    outer = {PurePosixPath(name).parts[0].casefold() for name in found if "/" in name}
    above = 1 if outer and outer <= layout.PART_OF_WORD.keys() else 0
    images = []
    for name, path in found.items():
        parts = PurePosixPath(name).parts
        class_name = _spelled(parts[above]) if len(parts) > above + 1 else UNLABELLED
        columns = {"source": ""}
        if above and len(parts) > 1:
            columns["split"] = layout.PART_OF_WORD[parts[0].casefold()]
        images.append(Listed(name, class_name, Path(path), None, columns))
    return _taken(str(root), images, left, settings, key)


def with_masks(settings: Mapping[str, Any], key: str = "dataset") -> Listing:
    """Return the images of ``<class>/images``, each with the mask of its name in ``<class>/masks``.

    Arguments and errors are those of `listing`. A file is called by its path without that part:
    ``<class>/<file>``.
    """
    root = Path(settings["path"])
    entries = list(walk.entries(root))
    found, left = _files(entries)
    images: list[tuple[str, str, Path]] = []
    masks: dict[str, Path] = {}
    for name, path in found.items():
        path_in = PurePosixPath(name)
        part = path_in.parent.name.casefold()
        if len(path_in.parts) < 3 or part not in layout.PARTS:
            left.append(UnreadFile(unread.printable(name), "", unread.PART))
            continue
        short = str(path_in.parent.parent / path_in.name)
        if part == "images":
            images.append((short, _spelled(path_in.parts[-3]), Path(path)))
        elif (stem := str(PurePosixPath(short).with_suffix(""))) in masks:
            left.append(UnreadFile(unread.printable(name), "", SECOND_MASK))
        else:
            masks[stem] = Path(path)
    stems = {str(PurePosixPath(name).with_suffix("")) for name, _, _ in images}
    for stem, path in masks.items():
        if stem not in stems:
            left.append(UnreadFile(unread.printable(str(path)), "", "mask without image"))
    with_masks = settings.get("masks") != "none"
    metadata = _metadata(entries)
    columns = {} if metadata else {"source": ""}
    listed = [
        Listed(
            name,
            class_name,
            path,
            masks.get(str(PurePosixPath(name).with_suffix(""))) if with_masks else None,
            columns,
        )
        for name, class_name, path in images
    ]
    found_listing = _taken(str(root), listed, left, settings, key)
    own = {
        f"{name}{suffix}": path
        for (name, suffix), path in metadata.items()
        if name in found_listing.classes
    }
    return replace(found_listing, metadata=own)


def _metadata(entries: Iterable[walk.Entry]) -> dict[tuple[str, str], Path]:
    """Return the files of metadata, by class and suffix."""
    found = {}
    for entry in entries:
        name = PurePosixPath(entry.name).name
        for suffix in layout.METADATA_SUFFIXES:
            if name.casefold().endswith(suffix) and not entry.reason:
                found[_spelled(name[: -len(suffix)]), suffix] = Path(entry.path)
    return found


def _files(entries: Iterable[walk.Entry]) -> tuple[dict[str, str], list[UnreadFile]]:
    """Return the files that may be images, by their name below the folder, and those not read."""
    found: dict[str, str] = {}
    left = []
    for entry in entries:
        if entry.is_folder or unread.is_left_behind(entry.name):
            continue
        name = unicodedata.normalize("NFC", entry.name)
        reason = entry.reason or unread.unreadable(name)
        if PurePosixPath(name).suffix.lower() in SUFFIXES and not reason:
            found[name] = entry.path
        elif reason:
            left.append(UnreadFile(unread.printable(name), "", reason))
    return found, left


def _taken(
    where: str,
    images: Iterable[Listed],
    left: list[UnreadFile],
    settings: Mapping[str, Any],
    key: str,
) -> Listing:
    """Return the listing of the images whose classes are taken, under the names they are given."""
    images = list(images)
    counts = Counter(image.class_name for image in images)
    del counts[UNLABELLED]
    if not counts:  # an unlabelled folder
        return check(Listing(where, images, left))
    called = classes.taken(settings.get("classes"), counts, f"{key}.classes")
    left += [
        UnreadFile(unread.printable(image.name), "", "does not lie in the folder of a class")
        for image in images
        if image.class_name == UNLABELLED
    ]
    kept = [
        replace(image, class_name=called[image.class_name])
        for image in images
        if image.class_name in called
    ]
    left_out = {name: count for name, count in counts.items() if name not in called}
    return check(Listing(where, kept, left, left_out))


def names(root: str | Path) -> set[str]:
    """Return the names of all folders that hold a folder ``images``, as those of classes do."""
    found = set()
    depth_of_root = len(Path(root).parts)
    for folder, folders, _ in os.walk(root, followlinks=True):
        path = Path(folder)
        if path != Path(root) and any(name.casefold() == "images" for name in folders):
            found.add(_spelled(path.name))
        deeper = len(path.parts) - depth_of_root < _DEEPEST
        folders[:] = [
            name
            for name in folders
            if deeper and not name.startswith(".") and name.casefold() not in layout.PARTS
        ]
    return found


def _spelled(folder: str) -> str:
    """Return the class that a folder is named after."""
    return " ".join(unicodedata.normalize("NFC", folder).split())
