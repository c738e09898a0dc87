"""Get the data set: a real copy of the database in its canonical layout, with a hash of each file.

Settings: ``dataset.source`` (kaggle, sample, local, phantom), ``dataset.path`` for local,
``dataset.phantom`` for phantom.
Inputs: the network (kaggle, sample), ``workflow/study/sample_manifest.tsv`` (sample), a folder or a zip
(local), or nothing (phantom).
Outputs: the folder ``raw`` and the table ``raw.tsv`` (``file, origin, bytes, sha256, retrieved``).
Both appear when they are whole.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import raw_folder
from pulmoscan.data.raw_folder import DatabaseFile
from pulmoscan.storage import atomic

SOURCES = ("kaggle", "sample", "local", "phantom")


def main(argv: Sequence[str]) -> None:
    """Get the data set that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=SOURCES, required=True)
    parser.add_argument("--path", help="local: a folder or a zip")
    parser.add_argument("--manifest", type=Path, default=Path("workflow/study/sample_manifest.tsv"))
    parser.add_argument(
        "--phantom",
        type=json.loads,
        default={"images_per_class": 60, "size": 299, "seed": 0},
        help="phantom: images_per_class, size and seed as JSON",
    )
    parser.add_argument("--cache", type=Path, required=True, help="for unfinished downloads")
    parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    args = parser.parse_args(argv)
    with source_files(args) as files:
        raw_folder.write(files, args.raw, args.table, args.threads)


def source_files(args: argparse.Namespace) -> AbstractContextManager[list[DatabaseFile]]:
    """Return a context manager that gives the files of the source that ``args`` names.

    A source is imported when it is asked for: the client of Kaggle alone takes a second.
    """
    if args.source == "kaggle":
        from pulmoscan.acquire import kaggle

        return kaggle.database_files(args.cache)
    if args.source == "sample":
        from pulmoscan.acquire import sample

        return sample.database_files(args.cache, args.manifest)
    if args.source == "local":
        from pulmoscan.acquire import local

        return local.database_files(args.path)
    return phantom_files(args.phantom, args.raw.parent)


@contextmanager
def phantom_files(settings: dict, scratch: Path) -> Iterator[list[DatabaseFile]]:
    """Give the files of a phantom database, made in a temporary folder in ``scratch``."""
    from pulmoscan.acquire import local
    from pulmoscan.phantom import database

    with ExitStack() as stack:
        with atomic.writing(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryDirectory(dir=scratch, prefix=".phantom-")
            folder = Path(stack.enter_context(temporary))
            database.write_database(folder, **settings)
        yield local.folder_files(folder, origin="phantom")


if __name__ == "__main__":
    command.run(main)
