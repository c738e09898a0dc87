"""Files that are either complete or absent, and whose digests are recorded if they are results."""

import errno
import glob
import os
import socket
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import psutil

from pulmoscan.storage import digests, records

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # raised by writes only, never by reads


@contextmanager
def replacing(path: str | Path, *, recorded: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` when the block succeeds.

    The digest of a result is recorded (see `records`) unless ``recorded`` is false: what is one of
    many files in a folder is recorded with `record_folder`. The record is written just before the
    file appears, so whoever sees the file sees its record; Snakemake makes again what a job that
    was killed between the two has left.

    The temporary file lies beside ``path`` and keeps its suffix, since some writers choose their
    format by it. It is flushed to disk before it is renamed, and removed if the block raises.
    Leftovers of killed processes of this machine that wrote the same file are removed too. Missing
    parent folders are created.

    Raises:
        OSError: the file cannot be written, such as on a full disk; or what the block raises.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        common = f".{path.name}.{socket.gethostname()}."
        for unfinished in path.parent.glob(f"{glob.escape(common)}*"):
            if not psutil.pid_exists(_writer(unfinished, common)):
                unfinished.unlink(missing_ok=True)
        prefix, suffix = f"{common}{os.getpid()}.", "".join(path.suffixes)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o666 & ~_umask())
        with writing(path, NO_ROOM):
            yield temporary
        with writing(path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if recorded and (name := records.name_of(path)) is not None:
                _record(name, {name: digests.file_digest(temporary)})
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def record_folder(folder: Path) -> None:
    """Record the digests of all files in a folder of results, in place of those it had before."""
    name = records.name_of(folder)
    if name is not None:
        files = {
            name / path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        kept = {file: path for file, path in files.items() if records.is_result(file)}
        _record(name, {file: digests.file_digest(path) for file, path in kept.items()})


def _record(name: PurePosixPath, found: Mapping[PurePosixPath, str]) -> None:
    with replacing(records.record_of(name)) as record:
        record.write_text(records.text(found), encoding="utf-8")


@contextmanager
def writing(path: Path, numbers: Collection[int] | None = None) -> Iterator[None]:
    """Add the name of the file that the block writes to an ``OSError`` of the system.

    Args:
        path: the file.
        numbers: the error numbers concerned; others pass unchanged. None concerns all of them.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (numbers is not None and error.errno not in numbers):
            raise
        raise OSError(f"cannot write {path}: {os.strerror(error.errno)}") from error


def _writer(unfinished: Path, common: str) -> int:
    """Return the id of the process that made a temporary file; this process's if it names none."""
    number = unfinished.name.removeprefix(common).partition(".")[0]
    return int(number) if number.isdecimal() else os.getpid()


def _umask() -> int:
    """Return the process's umask, which POSIX allows to be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
