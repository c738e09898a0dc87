"""The 1,076 images that the authors of the study published, at a pinned commit."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pulmoscan.acquire import archive, sources, transfer
from pulmoscan.data.raw_folder import Database, DatabaseFile, check_layout

REPOSITORY = "https://github.com/tgazagnes/PulmoScan"
COMMIT = "9d7962f6e4f93622398052177fad894dd3008848"
ARCHIVE = f"{REPOSITORY}/archive/{COMMIT}.zip"
FOLDER = "Data/Sample/"


class Entry(NamedTuple):
    """A line of the manifest: size in bytes and SHA-256 in hexadecimal."""

    size: int
    sha256: str


def read_manifest(path: Path) -> dict[str, Entry]:
    """Return the files of the sample by their path in the repository.

    Args:
        path: A TSV with the columns ``path``, ``bytes``, ``sha256``.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is not such a table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the manifest {path} does not exist")
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            return {
                row["path"]: Entry(int(row["bytes"]), row["sha256"])
                for row in csv.DictReader(stream, delimiter="\t")
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a manifest (columns path, bytes, sha256): {error}"
            ) from error


@contextmanager
def database(cache: Path, manifest: Path) -> Iterator[Database]:
    """Yield the sample, each of its files with the SHA-256 that the manifest gives it.

    Args:
        cache: The folder that the repository's archive is downloaded to. The archive is removed
            when the files are copied, and when one of them is not what it should be.
        manifest: The list of the files, see ``read_manifest``.

    Raises:
        ValueError: The archive is damaged or refused, lacks a file, holds another one, or a file
            differs from the manifest.
        OSError: The repository cannot be reached or refuses, or the disk has too little space.
    """
    entries = read_manifest(manifest)
    path = cache / f"PulmoScan-{COMMIT}.zip"
    download(path)
    try:
        with archive.opened(path, f"the authors' sample ({path})") as opened:
            found = opened.database(origin="", within=f"/{FOLDER}")
            files = check_manifest(found.files, opened.names, entries, manifest)
            found = Database(files, found.unread)
            check_layout(found, opened.name, opened.names)
            yield found
    except ValueError:
        path.unlink()
        raise
    path.unlink()


def download(path: Path) -> None:
    """Download the archive of the pinned commit; an ``OSError`` says what the user can do."""
    try:
        transfer.download(transfer.get(ARCHIVE), path, "the authors' sample")
    except transfer.UnreachableError as error:
        advice = f"check the network, {sources.alternatives('sample')}"
        raise transfer.UnreachableError(f"{error}; {advice}") from None
    except transfer.RefusedError as error:
        advice = f"try later, {sources.alternatives('sample')}"
        raise transfer.RefusedError(f"{error}; {advice}", error.status) from None


def check_manifest(
    files: list[DatabaseFile], names: list[str], entries: dict[str, Entry], manifest: Path
) -> list[DatabaseFile]:
    """Return ``files`` with their address as origin and their SHA-256 from the manifest.

    Args:
        files: The files of the sample in the archive; the origin is the entry's name.
        names: The names of all entries of the archive.
        entries: The manifest, see ``read_manifest``.
        manifest: Path of the manifest, for messages.

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
