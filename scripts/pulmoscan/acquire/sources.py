"""The data sources that ``dataset.source`` can name.

A source is a module with a context manager that yields a ``Database``. To add one, write
that module, give it an entry in `SOURCES`, and name it in the schema of the configuration.

A source's module is imported when it is used: Kaggle's client alone takes a second, and this module
is loaded whenever the Snakefile is read.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
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
        path: the user's folder or zip; None where none is given.
        manifest: list of the files of the authors' sample, see ``sample.read_manifest``.
        phantom: arguments of ``phantom.database.write_database``.
    """

    cache: Path
    scratch: Path
    path: str | None = None
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
    from pulmoscan.acquire import local

    return local.database(settings.path)


def _phantom(settings: Settings) -> Opened:
    from pulmoscan.acquire import phantom

    return phantom.database(settings.phantom, settings.scratch)


SOURCES = {
    "kaggle": Source("the whole database", ("pulmoscan.acquire.kaggle",), _kaggle),
    "sample": Source("1,076 public images, from GitHub", ("pulmoscan.acquire.sample",), _sample),
    "local": Source("your own copy, at dataset.path", ("pulmoscan.acquire.local",), _local),
    "phantom": Source(
        "synthetic, without network",
        ("pulmoscan.acquire.phantom", "pulmoscan.phantom", "pulmoscan.acquire.local"),
        _phantom,
    ),
}


def modules_of_others(name: str) -> tuple[str, ...]:
    """Return the modules and packages that the named source does not use but others do, sorted."""
    every = {module for source in SOURCES.values() for module in source.modules}
    return tuple(sorted(every - {*SOURCES[name].modules}))


def alternatives(name: str) -> str:
    """Return a clause that suggests the other sources."""
    *others, last = (
        f"{other} ({source.description})" for other, source in SOURCES.items() if other != name
    )
    return f"or choose another dataset.source: {', '.join(others)} or {last}"
