"""The digest of every result, recorded when the result is made.

The record of ``results/tables/runs.tsv`` is ``results/digests/tables/runs.tsv.sha256``: one line as
``sha256sum`` writes it, with the name below ``results/``. Each result has a record of its own, so
that jobs side by side, on one machine or several, never write the same file. A folder of results
that one job writes, such as the panels of a run, has one record with a line for each of its files.
Lost records are no error: their results are then not known to be what was made.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

RESULTS = Path("results")  # of the working folder, which is that of every job
FOLDER = "digests"
SUFFIX = ".sha256"
# What is no result: records, and what jobs print, measure, and keep for themselves.
APART = frozenset([FOLDER, "logs", "benchmarks", "cache", "checkpoints"])
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def name_of(path: str | Path) -> PurePosixPath | None:
    """Return the name of a file or folder below ``results/``, None where it is not recorded.

    Links are not resolved: ``results/`` itself may be one.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100  (Path.resolve follows links)
    root = Path(os.path.abspath(RESULTS))  # noqa: PTH100
    if not place.is_relative_to(root) or place == root:
        return None
    name = PurePosixPath(place.relative_to(root).as_posix())
    return name if is_result(name) else None


def is_result(name: PurePosixPath) -> bool:
    """Return whether a file of this name below ``results/`` is a result that is kept.

    Hidden files are Snakemake's own or unfinished. The output of a partly frozen network, up to
    20 GB, is removed once its trainings are done; its description has a digest of the values.
    """
    hidden = any(part.startswith(".") for part in name.parts)
    removed = name.match("features/*/unfreeze-*/*.npy")
    return not (hidden or removed or name.parts[0] in APART)


def record_of(name: PurePosixPath, results: Path = RESULTS) -> Path:
    """Return where the record of a result, or of a folder of results, is."""
    return results / FOLDER / f"{name}{SUFFIX}"


def text(digests: Mapping[PurePosixPath, str]) -> str:
    """Return the content of a record."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def read(record: Path) -> dict[PurePosixPath, str]:
    """Return the digests in a record by name; none where there is no record, or a damaged one."""
    try:
        return _parsed(record)
    except (OSError, ValueError):
        return {}


def read_all(results: Path) -> dict[PurePosixPath, str]:
    """Return the digests of all results that were recorded, by their name.

    A record that is damaged stands for itself, with a digest that no file has.
    """
    found: dict[PurePosixPath, str] = {}
    for record in sorted((results / FOLDER).rglob(f"*{SUFFIX}")):
        if not record.name.startswith("."):  # is being written
            try:
                found |= _parsed(record)
            except (OSError, ValueError):
                found[PurePosixPath(record.relative_to(results).as_posix())] = ""
    return found


def recorded_digest(path: str | Path) -> str | None:
    """Return the digest that a result had when it was made, None where that is not known."""
    name = name_of(path)
    return None if name is None else read(record_of(name)).get(name)


def check(path: str | Path, stage: str, digest: str) -> None:
    """Raise ``ValueError`` where a result is not the one that was recorded when it was made.

    Args:
        path: of the result; any other file is right, and so is a result without a record.
        stage: what made it, for the message.
        digest: the SHA-256 of its content.
    """
    if recorded_digest(path) not in (None, digest):
        raise ValueError(f"{path} was changed after it was made: remove it and run {stage} again")


def _parsed(record: Path) -> dict[PurePosixPath, str]:
    """Return what a record holds; raise ``OSError`` or ``ValueError`` where it is none."""
    if not record.is_file():
        raise OSError(f"{record} is not a file")
    found = [LINE.fullmatch(line) for line in record.read_text(encoding="utf-8").splitlines()]
    if not all(found):
        raise ValueError(f"{record} is damaged")
    return {PurePosixPath(match[2]): match[1] for match in found if match}
