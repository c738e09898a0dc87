"""Whether the results are still what they were when they were made.

Every result has a digest that was recorded when it was made (see `pulmoscan.storage.records`), and
the files of the data set have theirs in ``raw.tsv``.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path, PurePosixPath

from pulmoscan.config import runs
from pulmoscan.results.selection import RUN, read_selection
from pulmoscan.storage import digests, reading, records, tables
from pulmoscan.storage.progress import Progress

RAW = "raw"
SELECTION = "gathered/selection.tsv"


class State(StrEnum):
    """What was found of a file."""

    MATCHES = "matches"
    CHANGED = "changed"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNRECORDED = "not recorded"  # made before digests were, or no result of the workflow


def verify(
    results: Path,
    threads: int,
    wanted: Callable[[PurePosixPath], bool] = lambda name: True,
    seconds: float = 5,
) -> dict[PurePosixPath, State]:
    """Compare results with their digests.

    Args:
        results: the folder of the results, wherever it was moved or copied to.
        threads: files that are read at a time.
        wanted: chooses among the names of the files.
        seconds: between two lines on standard error that say how far it is.

    Returns:
        What was found, by the name of a file below ``results``, sorted. A file that is gone is left
        out where it was of a run that is not selected any more. A record of digests that is damaged
        counts as changed.
    """
    recorded = records.read_all(results) | _of_raw(results)
    names = sorted(name for name in {*recorded, *files(results)} if wanted(name))
    progress = Progress(
        lambda done, size: f"read {done:,} of {len(names):,} files, {size / 1e9:,.1f} GB",
        seconds=seconds,
    )

    def work(name: PurePosixPath) -> State:
        state, size = _compared(results / name, recorded.get(name))
        progress.add(1, size)
        return state

    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(names, pool.map(work, names), strict=True))
    selected = is_selected(results)
    return {
        name: state for name, state in found.items() if state is not State.MISSING or selected(name)
    }


def files(results: Path) -> Iterator[PurePosixPath]:
    """Yield the names of the results that there are."""
    for folder, inner, found in os.walk(results):
        place = PurePosixPath(Path(folder).relative_to(results).as_posix())
        inner[:] = [name for name in inner if records.is_result(place / name)]
        yield from filter(records.is_result, (place / name for name in found))


def is_selected(results: Path) -> Callable[[PurePosixPath], bool]:
    """Return a function that says whether a file is no run's, or that of a run which is made.

    Everything is where the selection of runs cannot be read.
    """
    try:
        table = read_selection(results / SELECTION, unchanged=False)
        made = table[table["status"] == RUN]
        names = {
            PurePosixPath(run.split_name, runs.name(run.model, run.unfreeze, run.variant))
            for run in made.itertuples()
        }
        searched = set(zip(made["split_name"], made["model"], strict=True))
    except (OSError, ValueError):
        return lambda name: True

    def selected(name: PurePosixPath) -> bool:
        match name.parts:
            case ("runs" | "explain", split, variant, model, unfreeze, *_):
                return PurePosixPath(split, variant, model, unfreeze) in names
            case ("tuning", split, model, *_):
                return (split, model) in searched
        return True

    return selected


def made_by(name: PurePosixPath) -> PurePosixPath:
    """Return the output of a rule that a result is, or is part of: what Snakemake can be asked for.

    >>> made_by(PurePosixPath("raw/COVID/images/COVID-1.png"))
    PurePosixPath('raw.tsv')
    """
    match name.parts:
        case ("digests", *folders, record):
            return made_by(PurePosixPath(*folders, record.removesuffix(records.SUFFIX)))
        case ("raw", *_):
            return PurePosixPath("raw.tsv")
        case ("report", *_):
            return PurePosixPath("report/report.html")
        case (*_, "panels", _):
            return name.parent
    return name


def _compared(path: Path, digest: str | None) -> tuple[State, int]:
    """Return the state of a file whose digest is known, or None, and how many bytes were read."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return State.MISSING, 0
    except OSError:
        return State.UNREADABLE, 0
    if digest is None:
        return State.UNRECORDED, 0
    try:
        reading.regular(path, "")
        same = digests.file_digest(path) == digest
    except OSError:
        return State.UNREADABLE, 0
    return (State.MATCHES if same else State.CHANGED), size


def _of_raw(results: Path) -> Mapping[PurePosixPath, str]:
    """Return the digests of the files of the data set; none where their table cannot be read."""
    try:
        text = ("file", "sha256")
        files = tables.read(results / "raw.tsv", "the download", text, unchanged=False)
    except (OSError, ValueError):
        return {}
    names = (PurePosixPath(RAW, file) for file in files["file"])
    return dict(zip(names, files["sha256"], strict=True))
