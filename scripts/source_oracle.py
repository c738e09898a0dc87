"""Answer with the majority label of the image's source, without looking at the image.

What a run gains over this baseline is the most that can come from the image itself.

Inputs: samplings; a split is named after the folder of its samplings.
Output: one row per sampling: ``split_name, sampling, sources, n_test, accuracy, low, high`` (test
images; 95 % Wilson interval), see `pulmoscan.results.source_oracle`. A sampling without images has
no accuracy.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.results.metrics import wilson
from pulmoscan.results.source_oracle import score
from pulmoscan.storage import tables

TEXT = ["label", "split"]
COLUMNS = ["split_name", "sampling", "sources", "n_test", "accuracy", "low", "high"]


def main(argv: Sequence[str]) -> None:
    """Score every sampling and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplings", type=Path, nargs="+", required=True, help="Parquet tables")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    rows = []
    for path in arguments.samplings:
        sources, n_test, accuracy = score(
            tables.read(path, "the sampling", TEXT, others=["source"])
        )
        key = (path.parent.name, path.stem)
        rows.append((*key, sources, n_test, accuracy, *wilson(accuracy, n_test)))
    tables.write(arguments.output, pd.DataFrame(rows, columns=COLUMNS))


if __name__ == "__main__":
    command.run(main)
