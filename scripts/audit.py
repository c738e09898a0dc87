"""Describe the data set and find what is wrong with it, from packed arrays and metadata.

Settings: ``--on-defect exclude`` lists defective images, which later stages leave out; ``fail``
stops if there is one. ``--threads``: how many blocks of images are read at a time.

Inputs: the folder ``raw/``, of which only the metadata are read, the tables of its files, of those
that were not read and of what is known of its images; the packed images and masks, and the table of
what was decoded.

Outputs, described in ``pulmoscan.data.audit.Audit`` and ``pulmoscan.data.describe``:
``images.parquet``, ``histograms.npy`` and ``mean_images.npy`` in one folder; in another one the
tables ``classes, modes, sizes, sources, class_by_source, useful_area, intensity, metadata_errors,
duplicates, defects, warnings, attributes``, as TSV. The log says in a few lines what was found.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import audit, findings, measures, pack, raw_table
from pulmoscan.storage import arrays, atomic, tables


def main(argv: Sequence[str]) -> None:
    """Audit a data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--files", type=Path, required=True, help="table of its files")
    parser.add_argument("--unread", type=Path, required=True, help="table of files not read")
    parser.add_argument("--listed", type=Path, help="table of what is known of the images")
    parser.add_argument("--decoded", type=Path, required=True, help="table of what was decoded")
    parser.add_argument("--images", type=Path, required=True, help="packed images")
    parser.add_argument("--masks", type=Path, required=True, help="packed masks")
    parser.add_argument("--on-defect", choices=("exclude", "fail"), required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--audit", type=Path, required=True, help="folder to write to")
    parser.add_argument("--tables", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args(argv)
    files = raw_table.read(arguments.files)
    listed = None if arguments.listed is None else raw_table.images(arguments.listed)
    pairs = raw_table.pairs(files, listed)
    classes = sorted({pair.class_name for pair in pairs})
    found = audit.audit(
        measures.Packed(arguments.images, arguments.masks),
        pack.read_decoded(arguments.decoded, pairs),
        files,
        raw_table.unread_files(arguments.unread),
        raw_table.metadata_contents(arguments.raw, files, classes),
        listed,
        arguments.threads,
    )
    defects = found.tables["defects"]
    if arguments.on_defect == "fail" and len(defects):
        # A failed job leaves no table to look into.
        print(defects.to_csv(sep="\t", index=False), file=sys.stderr, end="")
        raise ValueError(findings.refusal(defects))
    tables.write(arguments.audit / "images.parquet", found.images)
    for name in ("histograms", "mean_images"):
        with atomic.replacing(arguments.audit / f"{name}.npy") as path:
            arrays.write(path, getattr(found, name))
    for name, table in found.tables.items():
        tables.write(arguments.tables / f"{name}.tsv", table)
    for line in findings.summary(found.images, found.tables, arguments.tables):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
