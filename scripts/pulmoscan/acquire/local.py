"""The user's copy of the database: a folder, or a zip of one.

What is imported is light: ``content_digest`` runs whenever the Snakefile is read.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pulmoscan.acquire import archive
from pulmoscan.data import layout, raw_folder, unread
from pulmoscan.data.raw_folder import CHUNK, Database, DatabaseFile, check_layout
from pulmoscan.storage import atomic, digests

CACHE_FORMAT = 3
LARGE = 100_000_000  # bytes; hashing more takes long enough to be announced
THREADS = min(8, os.cpu_count() or 1)

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class _Found:
    """A file below a folder: one of the database, with its canonical path, or an unread one."""

    path: str
    canonical: str
    status: os.stat_result | None
    other: unread.UnreadFile | None = None


@contextmanager
def database(path: str | Path) -> Iterator[Database]:
    """Yield the database in the folder or zip ``path``, its files ready to be copied.

    The classes may lie below any number of outer folders and be spelled as in any copy of the
    database; other files that look like data are listed.

    Raises:
        ValueError: ``path`` is neither a folder nor a zip, is an archive that is refused, lacks a
            class, or holds an image twice.
        FileNotFoundError: ``path`` does not exist.
        OSError: It cannot be read.
    """
    path = _existing(path)
    if path.is_dir():
        found = folder_database(path)
        check_layout(found, str(path), sorted(entry.name for entry in path.iterdir()))
        yield found
        return
    with archive.opened(path, str(path)) as opened:
        found = opened.database(origin=f"{path}/")
        check_layout(found, str(path), opened.names)
        yield found


def folder_database(folder: Path, origin: str | None = None) -> Database:
    """Return what lies of the database below ``folder``, in a fixed order.

    Args:
        folder: Any folder above the classes.
        origin: The origin of every file; None stands for its own path.
    """
    found = list(_walk(folder, canonical={}))
    files = [
        DatabaseFile(
            path=PurePosixPath(file.canonical),
            origin=file.path if origin is None else origin,
            size=file.status.st_size,
            chunks=partial(_chunks, file.path),
        )
        for file in found
        if file.other is None
    ]
    return Database(files, [file.other for file in found if file.other is not None])


def content_digest(path: str | Path, cache_file: str | Path) -> str:
    """Return a digest of the database at ``path``, which changes if and only if its content does.

    For a folder it is the SHA-256 over the sorted canonical paths and SHA-256 of its database
    files, and over the names of files that look like data and are not read; for a zip it is the
    SHA-256 of the file. What was hashed before is not read again while its size and times stay the
    same: the time of the last modification, which a program may set back, and that of the last
    change, which none can.

    Args:
        path: The folder or zip.
        cache_file: Keeps the hashes of the files between calls; one that cannot be parsed is
            discarded.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: ``path`` is neither a folder nor a file, or holds a file that is too large.
        FileNotFoundError: ``path`` does not exist.
        OSError: A file cannot be read.
    """
    path = _existing(path)
    cache_file = Path(cache_file)
    cached = _read_cache(cache_file, path)
    if path.is_dir():
        found = list(_walk(path, {file: entry[4] for file, entry in cached.items()}))
    else:
        found = [_Found(str(path), "", path.stat())]
    known, unknown, lines = {}, [], []
    for file in found:
        if file.other is not None:
            lines.append(f"unread\t{file.other.file}\t{file.other.reason}\n")
            continue
        if path.is_dir():
            raw_folder.check_size(file.path, file.status.st_size)
        stamp = [file.status.st_size, file.status.st_mtime_ns, file.status.st_ctime_ns]
        entry = cached.get(file.path)
        if entry is not None and entry[:3] == stamp:
            known[file.path] = entry
        else:
            unknown.append((file.path, stamp, file.canonical))
    if sum(stamp[0] for _, stamp, _ in unknown) > LARGE:
        print(f"reading {len(unknown):,} new or changed files of {path}", file=sys.stderr)
    with ThreadPoolExecutor(THREADS) as pool:
        hashes = pool.map(digests.file_digest, [file for file, _, _ in unknown])
        for (file, stamp, canonical), sha256 in zip(unknown, hashes, strict=True):
            known[file] = [*stamp, sha256, canonical]
    if known != cached:
        content = {"format": CACHE_FORMAT, "path": str(path), "files": known}
        with atomic.replacing(cache_file) as temporary:
            temporary.write_text(json.dumps(content))
    if not path.is_dir():
        return known[str(path)][3]
    lines += [f"{canonical}\t{sha256}\n" for *_, sha256, canonical in known.values()]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _existing(path: str | Path) -> Path:
    path = Path(path)
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        raise FileNotFoundError(f"dataset.path: {path.absolute()} does not exist") from None
    except OSError as error:
        raise OSError(f"dataset.path: cannot read {path.absolute()}: {error.strerror}") from None
    if kind not in (stat.S_IFDIR, stat.S_IFREG):
        raise ValueError(
            f"dataset.path: {path.absolute()} is {_KINDS.get(kind, 'a special file')}: "
            "name a folder or a zip"
        )
    return path


def _walk(folder: Path, canonical: Mapping[str, str]) -> Iterator[_Found]:
    """Yield every file below ``folder`` that is or looks like one of the database, sorted.

    Linked folders are followed, except into a folder that the walk is already in; hidden ones are
    skipped. ``canonical`` holds the canonical paths that are known already.
    """

    def visit(current: str, prefix: str, inside: frozenset[tuple[int, int]]) -> Iterator:
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = prefix + entry.name
                try:
                    status, reason = entry.stat(), None
                except OSError as error:
                    if not entry.is_symlink():
                        raise
                    status, reason = None, f"a link that leads nowhere ({error.strerror})"
                found = _judged(entry.path, name, status, reason, canonical.get(entry.path))
                if found is not None:
                    yield found
                if status is not None and stat.S_ISDIR(status.st_mode):
                    identity = (status.st_dev, status.st_ino)
                    if identity not in inside:
                        yield from visit(entry.path, f"{name}/", inside | {identity})
        except OSError as error:
            if error.errno is None:  # already has our message, from further down
                raise
            raise OSError(f"cannot read {error.filename}: {error.strerror}") from error

    status = folder.stat()
    return visit(str(folder), "", frozenset({(status.st_dev, status.st_ino)}))


def _judged(
    path: str, name: str, status: os.stat_result | None, reason: str | None, belongs: str | None
) -> _Found | None:
    """Return what an entry of a folder is to the database, None if it is nothing to it.

    Args:
        path: its path.
        name: its path below the data set.
        status: what it is; None where that cannot be found out, and then
        reason: says why.
        belongs: the canonical path where it is known already.
    """
    kind = None if status is None else stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        belongs = belongs or layout.canonical_path(name)
        if belongs is not None:
            return _Found(path, str(belongs), status)
    elif kind == stat.S_IFDIR:
        if layout.canonical_path(name) is None:
            return None
        reason = "a folder, not a file"
    elif kind is not None:
        reason = f"{_KINDS.get(kind, 'a special file')}, not a file"
    other = unread.judge(name, reason)
    return None if other is None else _Found(path, "", None, other)


def _chunks(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from error


def _read_cache(cache_file: Path, path: Path) -> dict[str, list]:
    """Return what is cached for ``path``; nothing if there is no usable cache.

    For each file: bytes, times of modification and of change in ns, SHA-256, canonical path.
    """
    try:
        content = json.loads(cache_file.read_bytes())
        if (content["format"], content["path"]) != (CACHE_FORMAT, str(path)):
            return {}
        files = content["files"]
        kinds = {tuple(map(type, entry)) for entry in files.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return files if kinds <= {(int, int, int, str, str)} else {}
