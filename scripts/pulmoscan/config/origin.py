"""Whether the results in the working folder were made from the images that are asked for now."""

import csv
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from pulmoscan.acquire import listing, local, own
from pulmoscan.config import places
from pulmoscan.data.raw_folder import Database

REPLACE = "replace_results"  # the key with which a user asks for results of other images
SAMPLED = 100  # files that are looked at where they came from, before all are listed
SHARED = 0.5  # of the earlier images, that are still there where data were merely changed or added


def problems(config: Mapping, results: Path = Path("results")) -> list[str]:
    """Return a line where the results are those of another data source, unless that is asked for.

    Local images count by content: a folder that was moved, corrected or extended is the same
    source, and so is a copy of what was downloaded before. They are another one where fewer than
    half of the images that were packed are among them, by name and size.

    Args:
        config: a configuration whose `places` have no problem.
        results: the folder of the results, in the working directory.
    """
    table = results / "raw.tsv"
    if config[REPLACE] or not (rows := _rows(table)):
        return []
    dataset = config["dataset"]
    made_from, asked = _source(rows[0]["origin"]), dataset["source"]
    if asked not in places.OWN:
        if made_from == asked:
            return []
        now = f"dataset.source is {asked}"
    else:
        images = [row for row in rows if "/images/" in row["file"]]
        if made_from == "local" and _same_files(images, places.root(dataset)):
            return []
        there = _listed(dataset)
        kept = sum((row["file"], row["bytes"]) in there for row in images)
        if not there or kept >= SHARED * len(images):
            return []
        now = f"{dataset['path']} has {kept:,} of its {len(images):,} images"
    return [
        f"config: dataset: {results}/ was made from {_described(made_from)}, but {now}: what it "
        f"holds would be replaced. Work in another folder with --directory, move {results}/ away, "
        f"or give --config {REPLACE}=true to replace it"
    ]


def _rows(table: Path) -> list[dict[str, str]]:
    """Return the rows of the table of files; none where there is none, or it cannot be read."""
    if not table.is_file():
        return []
    try:
        with table.open(newline="", encoding="utf-8", errors="replace") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except (OSError, csv.Error):
        return []
    return rows if rows and all(rows[0].get(key) for key in ("file", "origin", "bytes")) else []


def _source(origin: str) -> str:
    """Return the data source that a file came from."""
    if origin == "phantom":
        return "phantom"
    if origin.startswith("kaggle:"):
        return "kaggle"
    return "sample" if origin.startswith("https://") else "local"


def _described(source: str) -> str:
    return "other images of yours" if source == "local" else f"dataset.source: {source}"


def _same_files(rows: list[dict[str, str]], path: str) -> bool:
    """Return whether some of the files are still where they came from, below ``path``.

    That is quick, and enough to know a source that has not changed by much.
    """
    folder = path.rstrip(os.sep) + os.sep
    some = list(islice(rows, 0, None, max(1, len(rows) // SAMPLED)))
    return all(row["origin"].startswith(folder) and _size(row) == row["bytes"] for row in some)


def _size(row: Mapping[str, str]) -> str | None:
    try:
        return str(Path(row["origin"]).stat().st_size)
    except (OSError, ValueError):
        return None


def _listed(dataset: Mapping) -> set[tuple[str, str]]:
    """Return the path and size of every file of a data set, nothing if it has none.

    What is wrong with them is said by the download.
    """
    try:
        if (found := own.listing(dataset)) is not None:
            return _sizes(listing.database(found))
        with local.database(dataset["path"], dataset.get("classes")) as database:
            return _sizes(database)
    except (OSError, ValueError):
        return set()


def _sizes(database: Database) -> set[tuple[str, str]]:
    return {(str(file.path), str(file.size)) for file in database.files}
