"""The data sources that hold the user's own images, and what they list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulmoscan.acquire import class_folders, label_table, local
from pulmoscan.acquire.listing import Listing
from pulmoscan.data import layout

SOURCES = ("local", "table", "folders")


def listing(dataset: Mapping[str, Any], key: str = "dataset") -> Listing | None:
    """Return what a data set lists; None for the database itself, from whatever source.

    A local folder is the database where one of its classes is one of the database's, unless
    ``classes`` names others or renames some.

    Args:
        dataset: ``source``, ``path`` and what `label_table.listing` and `class_folders.listing`
            take.
        key: where this stands in the configuration, for messages.

    Raises:
        OSError: a file or folder cannot be read.
        ValueError: it is not what the source says, or lacks what the settings name.
    """
    if dataset["source"] not in SOURCES:
        return None
    path = local.existing(dataset["path"], f"{key}.path")
    if dataset["source"] == "table":
        return label_table.listing(dataset, key)
    if dataset["source"] == "folders":
        return class_folders.listing(dataset, key)
    if not path.is_dir() or _is_database(path, dataset.get("classes")):
        return None
    return class_folders.with_masks(dataset, key)


def classes(dataset: Mapping[str, Any], key: str = "dataset") -> list[str]:
    """Return the classes of a data set, sorted. Arguments and errors are those of `listing`."""
    found = listing(dataset, key)
    if found is not None:
        return found.classes
    wanted = dataset.get("classes") if dataset["source"] == "local" else None
    return sorted(wanted or layout.CLASSES)


def _is_database(path: Path, wanted: object) -> bool:
    if isinstance(wanted, Mapping) or any(name not in layout.CLASSES for name in wanted or ()):
        return False
    return any(_is_known(name) for name in class_folders.names(path))


def _is_known(name: str) -> bool:
    try:
        layout.canonical_class(name)
    except ValueError:
        return False
    return True
