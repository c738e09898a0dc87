"""Reading what another stage made: regular files, which nobody changed since."""

import stat
from pathlib import Path

from pulmoscan.storage import digests, records


def content(path: str | Path, stage: str, unchanged: bool = True) -> bytes:
    """Return the content of a file that another stage made; ``stage`` is its name for messages.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is a result that was changed after it was made (see `records.check`), unless
            ``unchanged`` is false.
    """
    regular(path, stage)
    try:
        read = Path(path).read_bytes()
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}; run {stage} again") from error
    if unchanged:
        records.check(path, stage, digests.content_digest(read))
    return read


def check(path: str | Path, stage: str) -> None:
    """Raise as `content` does, for a file that a library will read."""
    regular(path, stage)
    if records.recorded_digest(path) is not None:
        records.check(path, stage, digests.file_digest(path))


def regular(path: str | Path, stage: str) -> None:
    """Raise ``OSError`` unless a path is a file that can be read to its end."""
    try:
        check_regular(path)
    except OSError as error:
        again = f"run {stage} again" if error.errno else f"remove it and run {stage} again"
        raise OSError(f"cannot read {path}: {error.strerror}; {again}") from error


def check_regular(path: str | Path) -> None:
    """Raise the system's ``OSError`` unless a path is a file: reading a pipe may never end."""
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError(0, "not a regular file")
