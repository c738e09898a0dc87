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

from pulmoscan.data import layout
from pulmoscan.data.raw_folder import CHUNK, MAX_FILE, ZIP_METHODS, DatabaseFile

# Limits far above what the database needs, and far below a bomb.
MAX_TOTAL = 64 << 30  # bytes of all files
MAX_RATIO = 100  # bytes unpacked from one, for files above MIN_BOMB
MIN_BOMB = 1 << 20  # bytes


class DamagedArchiveError(ValueError):
    """The archive is not what its maker wrote and must be fetched again."""


class Archive:
    """An open zip.

    Attributes:
        name: What messages call it.
        names: The names of its entries.
    """

    def __init__(self, path: Path, name: str, file: zipfile.ZipFile) -> None:
        self._path, self._file = path, file
        self._lock = threading.Lock()  # zipfile counts its open entries without a lock
        self.name = name
        self.names = [entry.filename for entry in file.infolist()]

    def database_files(self, origin: str, within: str = "") -> list[DatabaseFile]:
        """Return the files of the database in the archive, in the archive's order.

        Args:
            origin: Prefix of an entry's name in the origin of its file.
            within: Text that the names of entries must contain; other entries are skipped.

        Raises:
            ValueError: An entry points outside the archive, is encrypted, uses a compression method
                that no zip of the database uses, or unpacks to more than a database holds.
        """
        for entry in self._file.infolist():
            self._check_name(entry)
        files, entries = [], []
        for entry in self._file.infolist():
            if within not in entry.filename:
                continue
            self._check_kind(entry)
            path = layout.canonical_path(entry.filename)
            if path is None or entry.is_dir():
                continue
            if entry.flag_bits & 1:
                raise ValueError(f"{self.name}: {entry.filename} is encrypted; unpack it yourself")
            if entry.compress_type not in ZIP_METHODS:
                raise ValueError(
                    f"{self.name}: {entry.filename} cannot be unpacked (compression method "
                    f"{entry.compress_type}); unpack it yourself"
                )
            chunks = partial(self._chunks, entry)
            files.append(DatabaseFile(path, origin + entry.filename, entry.file_size, chunks))
            entries.append(entry)
        self._check_sizes(entries)
        return files

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


@contextmanager
def opened(path: Path, name: str) -> Iterator[Archive]:
    """Open the zip ``path``, which messages call ``name``.

    Raises:
        DamagedArchiveError: It is not a zip, or not a complete one.
        OSError: It cannot be read.
    """
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DamagedArchiveError(
            f"{name} is not a zip, or not a complete one ({error}); get it again"
        ) from error
    except OSError as error:
        raise OSError(f"cannot read {name}: {error.strerror}") from error
    with file:
        yield Archive(path, name, file)
