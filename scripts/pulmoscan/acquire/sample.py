"""The 1,076 images that the authors of the study publish, at a pinned commit."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pulmoscan.acquire import archive, transfer
from pulmoscan.data.raw_folder import DatabaseFile, check_layout

REPOSITORY = "https://github.com/tgazagnes/PulmoScan"
COMMIT = "9d7962f6e4f93622398052177fad894dd3008848"
ARCHIVE = f"{REPOSITORY}/archive/{COMMIT}.zip"
FOLDER = "Data/Sample/"
OTHER_SOURCES = (
    "or choose another dataset.source: kaggle (the whole database), local (a copy of yours, at "
    "dataset.path) or phantom (synthetic, without network)"
)


class Entry(NamedTuple):
    """A line of the manifest: size in bytes and SHA-256 in hexadecimal."""

    size: int
    sha256: str


def read_manifest(path: Path) -> dict[str, Entry]:
    """Return the files of the sample by their path in the repository.

    ``path`` is a TSV with the columns ``path``, ``bytes``, ``sha256``. Raises ``ValueError`` when
    it is not, ``FileNotFoundError`` when it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no manifest {path}")
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            return {
                row["path"]: Entry(int(row["bytes"]), row["sha256"])
                for row in csv.DictReader(stream, delimiter="\t")
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no manifest (columns path, bytes, sha256): {error}"
            ) from error


@contextmanager
def database_files(cache: Path, manifest: Path) -> Iterator[list[DatabaseFile]]:
    """Give the files of the sample, each with the SHA-256 that the manifest asks of it.

    Args:
        cache: The folder that the repository's archive is downloaded to; it is removed from there
            when the files are copied, and when one of them is not what it should be.
        manifest: The list of the files, see ``read_manifest``.

    Raises:
        ValueError: The archive is damaged or refused, lacks a file, holds another one, or a file
            differs from the manifest.
        OSError: The repository cannot be reached or refuses, or there is too little room.
    """
    entries = read_manifest(manifest)
    path = cache / f"PulmoScan-{COMMIT}.zip"
    download(path)
    try:
        with archive.opened(path, f"the authors' sample ({path})") as opened:
            files = opened.database_files(origin="", within=f"/{FOLDER}")
            files = check_manifest(files, opened.names, entries, manifest)
            check_layout(files, opened.name, opened.names)
            yield files
    except ValueError:
        path.unlink()
        raise
    path.unlink()


def download(path: Path) -> None:
    """Download the archive of the pinned commit; raise ``OSError`` worded for the user."""
    try:
        transfer.download(transfer.get(ARCHIVE), path, "the authors' sample")
    except transfer.UnreachableError as error:
        raise transfer.UnreachableError(f"{error}; check the network, {OTHER_SOURCES}") from None
    except transfer.RefusedError as error:
        raise transfer.RefusedError(f"{error}; try later, {OTHER_SOURCES}", error.status) from None


def check_manifest(
    files: list[DatabaseFile], names: list[str], entries: dict[str, Entry], manifest: Path
) -> list[DatabaseFile]:
    """Return ``files`` with their address as origin and the SHA-256 of the manifest.

    Args:
        files: The files of the sample in the archive; the origin is the entry's name.
        names: The names of all entries of the archive.
        entries: The manifest, see ``read_manifest``.
        manifest: Where the manifest lies, for messages.

    Raises:
        ValueError: The archive's files below ``Data/Sample/`` are not those of the manifest, or
            one has another size.
    """
    there = {FOLDER + name.partition(f"/{FOLDER}")[2] for name in names if f"/{FOLDER}" in name}
    there = {name for name in there if not name.endswith("/")}
    for wrong, what in ((entries.keys() - there, "lacks"), (there - entries.keys(), "also holds")):
        if wrong:
            example = min(wrong)
            more = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
            raise ValueError(
                f"the authors' sample differs from {manifest}: it {what} {example}{more}; it was "
                "removed, run again"
            )
    checked = []
    for file in files:
        name = FOLDER + file.origin.partition(f"/{FOLDER}")[2]
        if file.size != entries[name].size:
            raise ValueError(
                f"the authors' sample differs from {manifest}: {name} has {file.size:,} bytes "
                f"instead of {entries[name].size:,}; it was removed, run again"
            )
        origin = f"{REPOSITORY}/raw/{COMMIT}/{name}"
        checked.append(replace(file, origin=origin, sha256=entries[name].sha256))
    return checked
