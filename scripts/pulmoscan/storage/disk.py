"""Whether a disk has room for what is about to be written."""

import shutil
from pathlib import Path


def check_space(folder: Path, size: int, what: str) -> None:
    """Raise ``OSError`` unless ``size`` bytes are free on the disk of a folder.

    Args:
        folder: where the files will be written; it need not exist yet.
        size: how many bytes they take.
        what: what they are, for the message.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise OSError(
            f"not enough disk space in {existing.absolute()}: {what} needs {_amount(size)}, "
            f"{_amount(free)} are free"
        )


def _amount(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
