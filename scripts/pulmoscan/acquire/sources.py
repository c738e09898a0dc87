"""The data sources that ``dataset.source`` can name.

A source is a module with a context manager that yields a ``Database``. To add one, write
that module, give it an entry in `SOURCES`, and name it in the schema of the configuration.

A source's module is imported when it is used: Kaggle's client alone takes a second, and this module
is loaded whenever the Snakefile is read.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulmoscan.data.raw_folder import Database

Opened = AbstractContextManager[Database]


@dataclass(frozen=True)
class Settings:
    """What the sources may need; each takes what concerns it.

    Attributes:
        cache: folder for unfinished downloads.
        scratch: folder for temporary files, on the disk of the copy.
        dataset: of the configuration, the path included.
        manifest: list of the files of the authors' sample, see ``sample.read_manifest``.
        phantom: arguments of ``phantom.database.write_database``.
    """

    cache: Path
    scratch: Path
    dataset: Mapping[str, Any] = field(default_factory=dict)
    manifest: Path | None = None
    phantom: dict[str, Any] | None = None


@dataclass(frozen=True)
class Source:
    """A data source.

    Attributes:
        description: what it holds, in a few words, for messages.
        modules: modules and packages that this source uses and not every other one. The download
            runs again when one of them changes, and not for those of other sources.
        open: returns a context manager that yields the database, its files ready to be copied.
    """

    description: str
    modules: tuple[str, ...]
    open: Callable[[Settings], Opened]


def _kaggle(settings: Settings) -> Opened:
    from pulmoscan.acquire import kaggle

    return kaggle.database(settings.cache)


def _sample(settings: Settings) -> Opened:
    from pulmoscan.acquire import sample

    return sample.database(settings.cache, settings.manifest)


def _local(settings: Settings) -> Opened:
    from pulmoscan.acquire import listing, local, own

    if (listed := own.listing(settings.dataset)) is not None:
        return nullcontext(listing.database(listed))
    return local.database(settings.dataset["path"], settings.dataset.get("classes"))


def _phantom(settings: Settings) -> Opened:
    from pulmoscan.acquire import phantom

    return phantom.database(settings.phantom, settings.scratch)


# Modules of the user's own images. Those of other sources use none of them.
_OWN = tuple(
    f"pulmoscan.acquire.{name}"
    for name in ("class_folders", "classes", "label_table", "listing", "own")
)
_LOCAL = tuple(f"pulmoscan.acquire.{name}" for name in ("content", "local", "walk"))

SOURCES = {
    "kaggle": Source("the whole database", ("pulmoscan.acquire.kaggle",), _kaggle),
    "sample": Source("1,076 public images, from GitHub", ("pulmoscan.acquire.sample",), _sample),
    "local": Source("your own copy, at dataset.path", (*_OWN, *_LOCAL), _local),
    "table": Source("images that a table lists", (*_OWN, *_LOCAL), _local),
    "folders": Source("one folder per class", (*_OWN, *_LOCAL), _local),
    "phantom": Source(
        "synthetic, without network",
        ("pulmoscan.acquire.phantom", "pulmoscan.phantom", *_LOCAL),
        _phantom,
    ),
}


def modules_of_others(name: str) -> tuple[str, ...]:
    """Return the modules and packages that the named source does not use but others do, sorted."""
    every = {module for source in SOURCES.values() for module in source.modules}
    return tuple(sorted(every - {*SOURCES[name].modules}))


def alternatives(name: str) -> str:
    """Return a clause that suggests the other sources of the database."""
    *others, last = (
        f"{other} ({source.description})"
        for other, source in SOURCES.items()
        if other not in (name, "table", "folders")
    )
    return f"or choose another dataset.source: {', '.join(others)} or {last}"
