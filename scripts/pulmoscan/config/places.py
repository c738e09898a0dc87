"""Where the user's own files lie: they are what they should be, and outside of ``results/``.

Snakemake deletes the output folders of a job before it starts, so an input inside ``results/``
would be lost before anything reads it.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

RESULTS = Path("results")
OWN = ("local", "table", "folders")  # sources of images that have a path
LIES = "lies in results/, which the workflow deletes and writes anew: move it elsewhere"
LINKS = 40  # that a path leads through at most, as in Linux
LONGEST = 200  # characters of a path that a message shows
BELOW = 600  # bytes that the path of a result may have below the working folder
KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def problems(config: Mapping, results: Path = RESULTS) -> Iterator[str]:
    """Yield what is wrong with the files and folders that a configuration names, a line each.

    Args:
        config: a configuration that matches the schema.
        results: the folder of the results, in the working directory.
    """
    if os.path.lexists(results) and not results.is_dir():
        yield f"{results} is not a folder: move it away, the workflow writes its results there"
        return
    if (length := len(os.fsencode(Path.cwd()))) > os.pathconf("/", "PC_PATH_MAX") - BELOW:
        yield (
            f"the path of the working folder has {length:,} bytes, too many for the paths of "
            "results in it: work in another one"
        )
    dataset, weights = config["dataset"], config["weights"]
    wrong = {
        key: reason
        for key, path in (
            ("dataset.path", dataset["path"]),
            ("weights.folder", weights["folder"]),
            ("runs", config["runs"]),
        )
        if path and (reason := inside(path, results))
    }
    if "runs" not in wrong:
        braces = set("{}") & set(config["runs"])
        wrong["runs"] = (
            f"{config['runs']} has braces, which Snakemake takes for a wildcard: rename it"
            if braces
            else _unreadable(config["runs"])
        )
    if weights["source"] == "folder" and "weights.folder" not in wrong:
        wrong["weights.folder"] = _unusable("folder", weights["folder"], "weights.folder")
    if dataset["source"] in OWN and "dataset.path" not in wrong:
        wrong |= _of_set("dataset", dataset, results)
    for name, of_set in config.get("external", {}).items():
        wrong |= _of_set(f"external.{name}", of_set, results)
    yield from (f"config: {key}: {reason}" for key, reason in wrong.items() if reason)


def _of_set(key: str, settings: Mapping, results: Path) -> dict[str, str]:
    """Return what is wrong with the paths of a data set, by key; "" for nothing."""
    path = settings["path"]
    wrong = inside(path, results) if path else ""
    if wrong := wrong or _unusable(settings["source"], path, f"{key}.path"):
        return {f"{key}.path": wrong}
    given = settings.get("root") or ""
    wrong = (inside(given, results) if given else "") or _around(root(settings), results)
    return {f"{key}.{'root' if given else 'path'}": wrong}


def linked(config: Mapping, results: Path = RESULTS) -> Iterator[str]:
    """Yield which folder of inputs holds a link to the results, which would lead to nothing.

    That looks at every file, which the jobs of a workflow need not do again. Arguments are those of
    `problems`.
    """
    folders = (
        ("dataset", "path", root(config["dataset"]), None),
        ("weights", "folder", config["weights"]["folder"], 0),
        *(
            (f"external.{name}", "path", root(of_set), None)
            for name, of_set in config.get("external", {}).items()
        ),
    )
    for key, name, path, depth in folders:
        for place, link in dict(_links(path, depth)).items() if path else ():
            if _within(place, results):
                yield f"config: {key}.{name}: {link} links to a place that {LIES}"
                break


def inside(path: str | Path, results: Path = RESULTS) -> str:
    """Return why an input would be lost: it lies in the folder of the results; "" elsewhere."""
    if "\0" in str(path):
        return ""
    return f"{path} {LIES}" if _within(path, results) or _linked_from(path, results) else ""


def kind(path: str | Path) -> str:
    """Return what a path is: ``a file``, ``a folder``, ``a pipe``, ``a socket`` or ``a device``.

    Raises:
        OSError: it does not exist, or cannot be looked at; without the path.
        ValueError: no path can be written so.
    """
    if "\0" in str(path):
        raise ValueError("no path holds the character 0")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError as error:
        raise OSError(error.strerror) from error
    return next((name for is_one, name in KINDS.items() if is_one(mode)), "a file")


def content(path: str | Path, most: int) -> bytes:
    """Return the content of a file that a user wrote.

    Raises:
        OSError: it is not a file, or cannot be read; the message goes after the path.
        ValueError: it has more than ``most`` bytes, or no path can be written so.
    """
    if (found := kind(path)) != "a file":
        raise OSError(f"it is {found}, not a file")
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise OSError(error.strerror) from error
    if len(data) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return data


def root(dataset: Mapping) -> str:
    """Return the folder of the user's own images, the zip or nothing where there is none."""
    if dataset["source"] == "table":
        return dataset.get("root") or str(Path(dataset["path"]).parent)
    return dataset["path"] or ""


def _unusable(source: str, path: str | None, key: str) -> str:
    """Return why a source cannot read its path, "" where it can."""
    wanted = {} if source == "table" else {"a folder": "a folder"}
    if source in ("local", "table"):
        wanted["a file"] = "a zip" if source == "local" else "a CSV or TSV file"
    expected = " or ".join(wanted.values())
    if not path:
        what = f"{expected} with weight files" if key == "weights.folder" else expected
        return f"source {source} needs the path of {what}"
    if wrong := _unreadable(path):
        return wrong
    try:
        found = kind(path)
    except OSError:
        hint = ": YAML does not know ~, write it in full" if path.startswith("~") else ""
        return f"{Path(path).absolute()} does not exist{hint}"
    return "" if found in wanted else f"{path} is {found}: expected {expected}"


def _unreadable(path: str) -> str:
    """Return why nothing can have a path or be read there, "" where it may, or is not there."""
    try:
        kind(path)
    except (OSError, ValueError) as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            shown = repr(path) if len(path) <= LONGEST else f"{path[:LONGEST]!r}..."
            return f"cannot read {shown}: {error}"
    return ""


def _around(path: str, results: Path) -> str:
    """Return why a folder of images cannot hold the results: they hold copies of the images."""
    if not (Path(path).is_dir() and _within(results, path)):
        return ""
    return (
        f"{path} holds {results}/, where the workflow keeps copies of the images: "
        "name the folder of the classes alone"
    )


def _within(path: str | Path, folder: str | Path) -> bool:
    """Return whether a path, all links resolved, is a folder or lies in it."""
    real, wanted = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, wanted]) == wanted:
        return True
    # A file system may ignore case, and a folder may be mounted at several places.
    identity = _identity(wanted)
    return identity is not None and any(
        _identity(str(parent)) == identity for parent in (Path(real), *Path(real).parents)
    )


def _linked_from(path: str | Path, results: Path) -> bool:
    """Return whether a link directly below the folder of the results leads to a path, or above."""
    if not results.is_dir():
        return False
    with os.scandir(results) as entries:
        targets = [Path(entry.path) for entry in entries if entry.is_symlink()]
    return any(_within(path, target) for target in targets if target.exists())


@lru_cache(maxsize=4096)
def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _links(path: str, depth: int | None) -> Iterator[tuple[str, str]]:
    """Yield the folder that each link in a folder, or below it, leads to, and the link."""
    waiting, seen = [(path, 0)], set()
    while waiting:
        folder, level = waiting.pop()
        if (identity := _identity(folder)) in seen or not os.path.isdir(folder):  # noqa: PTH112
            continue
        seen.add(identity)
        try:
            with os.scandir(folder) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError:
            continue  # whoever reads it says so
        for entry in entries:
            is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112
            if entry.is_symlink():
                yield (_real(entry.path) if is_folder else _target(entry.path)), entry.path
            if is_folder and (depth is None or level < depth):
                waiting.append((entry.path, level + 1))


def _target(link: str) -> str:
    """Return the folder that holds what a link to a file leads to.

    A data set may be ten thousands of links into one folder, which is resolved once.
    """
    path = link
    for _ in range(LINKS):
        folder, name = os.path.split(path)
        folder = _real(folder)
        try:
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))  # noqa: PTH115, PTH118
        except OSError:  # no link any more
            return folder
    return folder


@lru_cache(maxsize=4096)
def _real(path: str) -> str:
    return os.path.realpath(path)
