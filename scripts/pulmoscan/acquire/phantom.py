"""A database of synthetic radiographs, made on the spot."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pulmoscan.acquire import local
from pulmoscan.data.raw_folder import Database
from pulmoscan.phantom.database import write_database
from pulmoscan.storage import atomic


@contextmanager
def database(settings: dict[str, Any], scratch: Path) -> Iterator[Database]:
    """Yield a phantom database, its files ready to be copied.

    Args:
        settings: arguments of ``phantom.database.write_database``.
        scratch: the folder in which they are made, in a temporary folder that is removed.

    Raises:
        OSError: they cannot be written.
    """
    with ExitStack() as stack:
        with atomic.writing(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryDirectory(dir=scratch, prefix=".phantom-")
            folder = Path(stack.enter_context(temporary))
            write_database(folder, **settings)
        yield local.folder_database(folder, origin="phantom")
