"""Get the data set: a real copy of the database in its canonical layout, with a hash of each file.

Settings: ``--source``, ``dataset.source`` of the configuration; ``--path``, ``dataset.path`` for
local; ``--phantom``, ``dataset.phantom`` for phantom.

Inputs: the network (kaggle, sample), ``workflow/study/sample_manifest.tsv`` (sample), a folder or a
zip (local), or nothing (phantom).

Outputs: the folder ``raw``, the table ``raw.tsv`` (``file, origin, bytes, sha256, retrieved``), and
``unread.tsv`` (``file, class, reason``), files that look like data and are not read. They appear
when they are complete.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.acquire.sources import SOURCES, Settings
from pulmoscan.data import raw_folder, unread


def main(argv: Sequence[str]) -> None:
    """Get the data set that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=SOURCES, required=True)
    parser.add_argument("--path", help="local, folders: a folder; local: a zip; table: a table")
    parser.add_argument("--dataset", type=json.loads, default={}, help="the rest of it, as JSON")
    parser.add_argument("--manifest", type=Path, default=Path("workflow/study/sample_manifest.tsv"))
    parser.add_argument(
        "--phantom",
        type=json.loads,
        default={"images_per_class": 60, "size": 299, "seed": 0},
        help="phantom: images_per_class, size and seed as JSON",
    )
    parser.add_argument("--cache", type=Path, required=True, help="for unfinished downloads")
    parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--unread", type=Path, required=True, help="files that are not read")
    parser.add_argument("--images", type=Path, required=True, help="what is known of the images")
    args = parser.parse_args(argv)
    dataset = args.dataset | {"source": args.source, "path": args.path}
    settings = Settings(args.cache, args.raw.parent, dataset, args.manifest, args.phantom)
    with SOURCES[args.source].open(settings) as database:
        if database.unread:
            reasons = unread.summary(file.reason for file in database.unread)
            print(f"{unread.files(len(database.unread))} not read: {reasons}", file=sys.stderr)
        raw_folder.write(database.files, args.raw, args.table, args.threads)
        unread.write(args.unread, database.unread)
        raw_folder.write_images(args.images, database.image_rows())


if __name__ == "__main__":
    command.run(main)
