"""The user's copy of the database: a folder, or a zip of one.

What is imported is light: ``content_digest`` runs whenever the Snakefile is read.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from pulmoscan.acquire import archive
from pulmoscan.data import layout
from pulmoscan.data.raw_folder import CHUNK, DatabaseFile, check_layout
from pulmoscan.storage import atomic, digests

CACHE_FORMAT = 2
LARGE = 100_000_000  # bytes; hashing more takes long enough to be announced
THREADS = min(8, os.cpu_count() or 1)


@contextmanager
def database_files(path: str | Path) -> Iterator[list[DatabaseFile]]:
    """Yield the files of the database in the folder or zip ``path``, ready to be copied.

    The classes may lie below any number of outer folders and be spelled as in any copy of the
    database; other files are skipped.

    Raises:
        ValueError: ``path`` is neither a folder nor a zip, is an archive that is refused, lacks a
            class, or holds an image twice.
        FileNotFoundError: ``path`` does not exist.
        OSError: It cannot be read.
    """
    path = _existing(path)
    if path.is_dir():
        files = folder_files(path)
        check_layout(files, str(path), sorted(entry.name for entry in path.iterdir()))
        yield files
        return
    with archive.opened(path, str(path)) as opened:
        files = opened.database_files(origin=f"{path}/")
        check_layout(files, str(path), opened.names)
        yield files


def folder_files(folder: Path, origin: str | None = None) -> list[DatabaseFile]:
    """Return the files of the database below ``folder``, in a fixed order.

    Args:
        folder: Any folder above the classes.
        origin: The origin of every file; None stands for its own path.
    """
    return [
        DatabaseFile(
            path=PurePosixPath(canonical),
            origin=path if origin is None else origin,
            size=status.st_size,
            chunks=partial(_chunks, path),
        )
        for path, canonical, status in _walk(folder, canonical={})
    ]


def content_digest(path: str | Path, cache_file: str | Path) -> str:
    """Return a digest of the database at ``path``, which changes if and only if its content does.

    For a folder it is the SHA-256 over the sorted canonical paths and SHA-256 of its database
    files; for a zip it is the SHA-256 of the file. What was hashed before is not read again while
    its size and times stay the same: the time of the last modification, which a program may set
    back, and that of the last change, which none can.

    Args:
        path: The folder or zip.
        cache_file: Keeps the hashes of the files between calls; one that cannot be parsed is
            discarded.

    Returns:
        64 hexadecimal digits.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        OSError: A file cannot be read.
    """
    path = _existing(path)
    cache_file = Path(cache_file)
    cached = _read_cache(cache_file, path)
    if path.is_dir():
        found = list(_walk(path, {file: entry[4] for file, entry in cached.items()}))
    else:
        found = [(str(path), "", path.stat())]
    known, unknown = {}, []
    for file, canonical, status in found:
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        entry = cached.get(file)
        if entry is not None and entry[:3] == stamp:
            known[file] = entry
        else:
            unknown.append((file, stamp, canonical))
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
    lines = sorted(f"{canonical}\t{sha256}\n" for *_, sha256, canonical in known.values())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _existing(path: str | Path) -> Path:
    path = Path(path)
    try:
        path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"dataset.path: {path.absolute()} does not exist") from None
    except OSError as error:
        raise OSError(f"dataset.path: cannot read {path.absolute()}: {error.strerror}") from None
    return path


def _walk(folder: Path, canonical: Mapping[str, str]) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield (path, canonical path, status) of every database file below ``folder``, sorted.

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
                if entry.is_dir():
                    status = entry.stat()
                    identity = (status.st_dev, status.st_ino)
                    if identity not in inside:
                        yield from visit(entry.path, f"{name}/", inside | {identity})
                    continue
                belongs = canonical.get(entry.path) or layout.canonical_path(name)
                if belongs is not None:
                    yield entry.path, str(belongs), entry.stat()
        except OSError as error:
            if error.errno is None:  # already has our message, from further down
                raise
            raise OSError(f"cannot read {error.filename}: {error.strerror}") from error

    status = folder.stat()
    return visit(str(folder), "", frozenset({(status.st_dev, status.st_ino)}))


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
