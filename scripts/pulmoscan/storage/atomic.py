"""Files that are either whole or not there."""

import errno
import glob
import os
import socket
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what only writing ends in


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; on success it takes the name of ``path``.

    The temporary file keeps the ending of ``path`` (some writers choose their format by it). It is
    flushed to disk before the rename, and removed when the block raises. What processes of this
    machine that were killed have left of the same file is removed too. Missing parent folders are
    made.

    Raises:
        OSError: the file cannot be written, the disk is full, or what the block raises.
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
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, numbers: Collection[int] | None = None) -> Iterator[None]:
    """Name the file that the block writes in an ``OSError`` of the system.

    With ``numbers``, errors of these numbers only; others are raised as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (numbers is not None and error.errno not in numbers):
            raise
        raise OSError(f"cannot write {path}: {os.strerror(error.errno)}") from error


def _writer(unfinished: Path, common: str) -> int:
    """Return the number of the process that made a temporary file, this one's where it has none."""
    number = unfinished.name.removeprefix(common).partition(".")[0]
    return int(number) if number.isdecimal() else os.getpid()


def _umask() -> int:
    """Return the process's umask, which POSIX lets one read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
