"""Zip archives of the database, read without trusting them.

Nothing is unpacked under the names that an archive gives: a file of the database is read from its
entry and written where ``layout.canonical_path`` puts it. An archive that tries more is refused as
a whole.
"""

import errno
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from pulmoscan.data import layout, unread
from pulmoscan.data.raw_folder import CHUNK, MAX_FILE, ZIP_METHODS, Database, DatabaseFile

# Limits far above what the database needs, and far below a bomb.
MAX_TOTAL = 64 << 30  # bytes of all files
MAX_RATIO = 100  # bytes unpacked from one, for files above MIN_BOMB
MIN_BOMB = 1 << 20  # bytes

# How other files begin that are given for a zip, by the position of their mark.
_OTHERS = {
    "a 7z archive": (0, b"7z\xbc\xaf\x27\x1c"),
    "a RAR archive": (0, b"Rar!"),
    "compressed by gzip": (0, b"\x1f\x8b"),
    "compressed by xz": (0, b"\xfd7zXZ\0"),
    "compressed by bzip2": (0, b"BZh"),
    "compressed by zstd": (0, b"\x28\xb5\x2f\xfd"),
    "a tar archive": (257, b"ustar"),
}


class DamagedArchiveError(ValueError):
    """The archive is not what its maker wrote and must be fetched again."""


class Archive:
    """An open zip.

    Attributes:
        name: What messages call it.
        names: The names of its entries, with ``/`` between their parts.
    """

    def __init__(self, path: Path, name: str, file: zipfile.ZipFile) -> None:
        self._path, self._file = path, file
        self._lock = threading.Lock()  # zipfile counts its open entries without a lock
        self.name = name
        self.names = [_name(entry) for entry in file.infolist()]

    def database(self, origin: str, within: str = "") -> Database:
        """Return what the archive holds of the database, in the archive's order.

        Args:
            origin: Prefix of an entry's name in the origin of its file.
            within: Text that the names of entries must contain; other entries are skipped.

        Raises:
            ValueError: An entry points outside the archive, is encrypted, uses a compression method
                that no zip of the database uses, or unpacks to more than a database holds.
        """
        for entry in self._file.infolist():
            self._check_name(entry)
        files, entries, others = [], [], []
        for entry in self._file.infolist():
            name = _name(entry)
            if within not in name:
                continue
            self._check_kind(entry)
            if name.endswith("/"):
                continue
            path = layout.canonical_path(name)
            if path is None:
                others.append(unread.judge(name))
                continue
            if entry.flag_bits & 1:
                raise ValueError(f"{self.name}: {entry.filename} is encrypted; unpack it yourself")
            if entry.compress_type not in ZIP_METHODS:
                raise ValueError(
                    f"{self.name}: {entry.filename} cannot be unpacked (compression method "
                    f"{entry.compress_type}); unpack it yourself"
                )
            chunks = partial(self._chunks, entry)
            files.append(DatabaseFile(path, origin + name, entry.file_size, chunks))
            entries.append(entry)
        self._check_sizes(entries)
        return Database(files, [file for file in others if file is not None])

    def _check_name(self, entry: zipfile.ZipInfo) -> None:
        name = entry.orig_filename
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        if posix.is_absolute() or windows.anchor or ".." in windows.parts or "\0" in name:
            raise ValueError(
                f"{self.name} is refused: its entry {name!r} points outside the folder it would be "
                "unpacked in"
            )

    def _check_kind(self, entry: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a symbolic link" if kind == stat.S_IFLNK else "a special file"
            raise ValueError(f"{self.name} is refused: its entry {entry.filename!r} is {what}")

    def _check_sizes(self, entries: list[zipfile.ZipInfo]) -> None:
        for entry in entries:
            size, packed = entry.file_size, entry.compress_size
            if size > MAX_FILE or (size > MIN_BOMB and size > MAX_RATIO * packed):
                raise ValueError(
                    f"{self.name} is refused: {entry.filename} would unpack from {packed:,} to "
                    f"{size:,} bytes, as no file of the database does"
                )
        total = sum(entry.file_size for entry in entries)
        packed = sum(entry.compress_size for entry in entries)
        if total > MAX_TOTAL or packed > self._path.stat().st_size:
            raise ValueError(
                f"{self.name} is refused: it would unpack to {total / 1e9:,.1f} GB "
                f"(limit {MAX_TOTAL / 1e9:,.1f} GB), or its entries overlap"
            )

    def _chunks(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with self._lock:
                stream = self._file.open(entry)
            try:
                left = entry.file_size
                while chunk := stream.read(CHUNK):
                    left -= len(chunk)
                    yield chunk
                if left:
                    raise EOFError(f"{left:,} bytes are missing")
            finally:
                with self._lock:
                    stream.close()
        except NotImplementedError as error:
            raise ValueError(
                f"{self.name}: {entry.filename} cannot be unpacked ({error}); unpack it yourself"
            ) from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # of a position that no file has
                raise OSError(f"cannot read {self.name}: {error.strerror}") from error
            raise self._damaged(entry, error) from error
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error) as error:
            raise self._damaged(entry, error) from error

    def _damaged(self, entry: zipfile.ZipInfo, error: Exception) -> DamagedArchiveError:
        return DamagedArchiveError(
            f"{self.name} is damaged at {entry.filename}: {error}; get it again"
        )


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry with ``/`` between its parts, where some tools have others."""
    return entry.filename.replace("\\", "/")


def _check_start(start: bytes, name: str) -> None:
    """Raise ``DamagedArchiveError`` for a file that begins as no zip does.

    ``zipfile`` looks at the end of a file alone, where it may find the end of a workbook inside.
    """
    if not start:
        raise DamagedArchiveError(f"{name} is an empty file, not a zip; get it again")
    for what, (place, mark) in _OTHERS.items():
        if not start.startswith(b"PK") and start.startswith(mark, place):
            raise DamagedArchiveError(
                f"{name} is {what}, not a zip: unpack it, and name the folder"
            )


@contextmanager
def opened(path: Path, name: str) -> Iterator[Archive]:
    """Open the zip ``path``, which messages call ``name``.

    Raises:
        DamagedArchiveError: It is not a zip, or not a complete one.
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
        _check_start(start, name)
        file = zipfile.ZipFile(path)
    except DamagedArchiveError:
        raise
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DamagedArchiveError(
            f"{name} is not a zip, or not a complete one ({error}); get it again"
        ) from error
    except OSError as error:
        raise OSError(f"cannot read {name}: {error.strerror}") from error
    with file:
        first = min((entry.header_offset for entry in file.infolist()), default=0)
        if first > 0 and start.startswith(b"PK\x03\x04"):
            raise DamagedArchiveError(
                f"{name} is not a complete zip (its list of entries is missing); get it again"
            )
        yield Archive(path, name, file)
