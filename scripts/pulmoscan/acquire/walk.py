"""What lies below a folder of the user's: every entry, in a fixed order."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Entry:
    """A file or folder below the folder that is walked.

    Attributes:
        path: Its path.
        name: Its path below that folder, with ``/`` between its parts.
        status: What it is; None for a link that leads nowhere.
        reason: Why it is not a file: a folder, a device, a link that leads nowhere; "" for a file.
    """

    path: str
    name: str
    status: os.stat_result | None
    reason: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, or a link to one."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)


def what_is(status: os.stat_result) -> str:
    """Return what a path is that is neither a file nor a folder: ``a device``."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")


def entries(folder: str | Path) -> Iterator[Entry]:
    """Yield every entry below ``folder``, sorted by name, a folder before what it holds.

    Linked folders are followed, except into a folder that the walk is already in; hidden ones are
    skipped.

    Raises:
        OSError: a folder cannot be read.
    """

    def visit(current: str, prefix: str, inside: frozenset[tuple[int, int]]) -> Iterator[Entry]:
        try:
            with os.scandir(current) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
            for entry in found:
                if entry.name.startswith("."):
                    continue
                told = _entry(entry, prefix)
                yield told
                if told.is_folder:
                    identity = (told.status.st_dev, told.status.st_ino)
                    if identity not in inside:
                        yield from visit(told.path, f"{told.name}/", inside | {identity})
        except OSError as error:
            if error.errno is None:  # already has our message, from further down
                raise
            raise OSError(f"cannot read {error.filename}: {error.strerror}") from error

    status = Path(folder).stat()
    return visit(str(folder), "", frozenset({(status.st_dev, status.st_ino)}))


def _entry(entry: os.DirEntry, prefix: str) -> Entry:
    try:
        status = entry.stat()
    except OSError as error:
        if not entry.is_symlink():
            raise
        reason = f"a link that leads nowhere ({error.strerror})"
        return Entry(entry.path, prefix + entry.name, None, reason)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        reason = ""
    elif kind == stat.S_IFDIR:
        reason = "a folder, not a file"
    else:
        reason = f"{what_is(status)}, not a file"
    return Entry(entry.path, prefix + entry.name, status, reason)
