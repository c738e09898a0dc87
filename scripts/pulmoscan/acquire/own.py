"""The data sources that hold the user's own images, and what they list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulmoscan.acquire import class_folders, label_table, local
from pulmoscan.acquire.listing import Listing
from pulmoscan.data import layout

_LISTINGS = {
    "table": label_table.listing,
    "folders": class_folders.listing,
    "local": class_folders.with_masks,
}


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
    if dataset["source"] not in _LISTINGS:
        return None
    path = local.existing(dataset["path"], f"{key}.path")
    if dataset["source"] == "local" and (
        not path.is_dir() or _is_database(path, dataset.get("classes"))
    ):
        return None
    return _LISTINGS[dataset["source"]](dataset, key)


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
