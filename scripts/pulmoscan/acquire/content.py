"""The SHA-256 of the user's own files, kept between calls so that no unchanged file is read again.

A file counts as unchanged while its size and times stay the same: the time of the last
modification, which a program may set back, and that of the last change, which none can.
"""

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pulmoscan.storage import atomic, digests

CACHE_FORMAT = 3
LARGE = 100_000_000  # bytes; hashing more takes long enough to be announced
THREADS = min(8, os.cpu_count() or 1)

Cached = dict[str, list]


@dataclass(frozen=True)
class File:
    """A file, the name it has in the data set, and its status."""

    path: str
    canonical: str
    status: os.stat_result


def hashes(
    files: Sequence[File], path: str | Path, cache_file: str | Path, cached: Cached | None = None
) -> list[str]:
    """Return the SHA-256 of each file, in hexadecimal.

    Args:
        files: what is hashed.
        path: the data set they belong to, for the cache and for messages.
        cache_file: keeps the hashes between calls; one that cannot be parsed is discarded.
        cached: what `read_cache` returned, where it was read already.

    Raises:
        OSError: a file cannot be read.
    """
    cache_file = Path(cache_file)
    cached = read_cache(cache_file, path) if cached is None else cached
    known: Cached = {}
    unknown: list[tuple[str, list, str]] = []
    for file in files:
        stamp = [file.status.st_size, file.status.st_mtime_ns, file.status.st_ctime_ns]
        entry = cached.get(file.path)
        if entry is not None and entry[:3] == stamp and entry[4] == file.canonical:
            known[file.path] = entry
        else:
            unknown.append((file.path, stamp, file.canonical))
    if sum(stamp[0] for _, stamp, _ in unknown) > LARGE:
        print(f"reading {len(unknown):,} new or changed files of {path}", file=sys.stderr)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(digests.file_digest, [file for file, _, _ in unknown])
        for (file, stamp, canonical), sha256 in zip(unknown, found, strict=True):
            known[file] = [*stamp, sha256, canonical]
    if known != cached:
        content = {"format": CACHE_FORMAT, "path": str(path), "files": known}
        with atomic.replacing(cache_file) as temporary:
            temporary.write_text(json.dumps(content))
    return [known[file.path][3] for file in files]


def read_cache(cache_file: str | Path, path: str | Path) -> Cached:
    """Return what is cached for ``path``; nothing if there is no usable cache.

    For each file: bytes, times of modification and of change in ns, SHA-256, canonical name.
    """
    try:
        content = json.loads(Path(cache_file).read_bytes())
        if (content["format"], content["path"]) != (CACHE_FORMAT, str(path)):
            return {}
        files = content["files"]
        kinds = {tuple(map(type, entry)) for entry in files.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return files if kinds <= {(int, int, int, str, str)} else {}
