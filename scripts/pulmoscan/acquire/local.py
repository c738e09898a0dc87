"""The user's copy of the database: a folder, or a zip of one.

What is imported is light: ``content_digest`` runs whenever the Snakefile is read.
"""

import hashlib
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from pulmoscan.acquire import archive, content, walk
from pulmoscan.data import layout, raw_folder, unread
from pulmoscan.data.raw_folder import CHUNK, Database, DatabaseFile, check_layout


@contextmanager
def database(path: str | Path, classes: Collection[str] | None = None) -> Iterator[Database]:
    """Yield the database in the folder or zip ``path``, its files ready to be copied.

    The classes may lie below any number of outer folders and be spelled as in any copy of the
    database; other files that look like data are listed.

    Args:
        path: The folder or zip.
        classes: Those that are taken, all that the database has by default.

    Raises:
        ValueError: ``path`` is neither a folder nor a zip, is an archive that is refused, lacks a
            class, or holds an image twice.
        FileNotFoundError: ``path`` does not exist.
        OSError: It cannot be read.
    """
    path = existing(path)
    if path.is_dir():
        found = folder_database(path)
        names = sorted(entry.name for entry in path.iterdir())
        yield _of_classes(found, str(path), names, classes)
        return
    with archive.opened(path, str(path)) as opened:
        found = opened.database(origin=f"{path}/")
        yield _of_classes(found, str(path), opened.names, classes)


def _of_classes(
    found: Database, where: str, names: Sequence[str], classes: Collection[str] | None
) -> Database:
    """Return what is taken of a database, once that is known to be complete."""
    if classes is not None:
        kept = [file for file in found.files if _class_of(file) in classes]
        found = Database(kept, [file for file in found.unread if file.class_name in ("", *classes)])
    check_layout(found, where, names, layout.CLASSES if classes is None else classes)
    return found


def _class_of(file: DatabaseFile) -> str:
    return file.path.parts[0].partition(".")[0]


def folder_database(folder: Path, origin: str | None = None) -> Database:
    """Return what lies of the database below ``folder``, in a fixed order.

    Args:
        folder: Any folder above the classes.
        origin: The origin of every file; None stands for its own path.
    """
    found = list(_found(folder, {}))
    files = [
        DatabaseFile(
            path=PurePosixPath(file.canonical),
            origin=file.path if origin is None else origin,
            size=file.status.st_size,
            chunks=partial(chunks, file.path),
        )
        for file in found
        if isinstance(file, content.File)
    ]
    return Database(files, [file for file in found if isinstance(file, unread.UnreadFile)])


def content_digest(path: str | Path, cache_file: str | Path) -> str:
    """Return a digest of the database at ``path``, which changes if and only if its content does.

    For a folder it is the SHA-256 over the sorted canonical paths and SHA-256 of its database
    files, and over the names of files that look like data and are not read; for a zip it is the
    SHA-256 of the file. See `content` for which files are read.

    Args:
        path: The folder or zip.
        cache_file: Keeps the hashes of the files between calls.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: ``path`` is neither a folder nor a file, or holds a file that is too large.
        FileNotFoundError: ``path`` does not exist.
        OSError: A file cannot be read.
    """
    path = existing(path)
    cached = content.read_cache(cache_file, path)
    if not path.is_dir():
        zipped = content.File(str(path), "", path.stat())
        return content.hashes([zipped], path, cache_file, cached)[0]
    files, lines = [], []
    for file in _found(path, {file: entry[4] for file, entry in cached.items()}):
        if isinstance(file, unread.UnreadFile):
            lines.append(f"unread\t{file.file}\t{file.reason}\n")
            continue
        raw_folder.check_size(file.path, file.status.st_size)
        files.append(file)
    hashes = content.hashes(files, path, cache_file, cached)
    lines += [f"{file.canonical}\t{sha256}\n" for file, sha256 in zip(files, hashes, strict=True)]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def existing(path: str | Path, key: str = "dataset.path") -> Path:
    """Return the path of a folder or file that the configuration names.

    Raises ``OSError`` or ``ValueError`` where there is none; messages begin with ``key``.
    """
    path = Path(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{key}: {path.absolute()} does not exist") from None
    except OSError as error:
        raise OSError(f"{key}: cannot read {path.absolute()}: {error.strerror}") from None
    if stat.S_IFMT(status.st_mode) not in (stat.S_IFDIR, stat.S_IFREG):
        raise ValueError(
            f"{key}: {path.absolute()} is {walk.what_is(status)}: name a folder or a zip"
        )
    return path


def _found(
    folder: Path, canonical: Mapping[str, str]
) -> Iterator[content.File | unread.UnreadFile]:
    """Yield the files of the database below ``folder``, and those that look like data, sorted.

    ``canonical`` holds the canonical paths that are known already.
    """
    for entry in walk.entries(folder):
        if not entry.reason:
            belongs = canonical.get(entry.path) or layout.canonical_path(entry.name)
            if belongs is not None:
                yield content.File(entry.path, str(belongs), entry.status)
                continue
        elif entry.is_folder and layout.canonical_path(entry.name) is None:
            continue
        other = unread.judge(entry.name, entry.reason or None)
        if other is not None:
            yield other


def chunks(path: str) -> Iterator[bytes]:
    """Yield the content of a file piece by piece.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from error
