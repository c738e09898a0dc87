"""Answer with the majority label of the image's source, without looking at the image.

What a run gains over this baseline is the most that can come from the image itself.

Inputs: samplings.
Output: one row a sampling: ``sampling, sources, n_test, accuracy, low, high`` (test images; 95 %
Wilson interval). The majority is that of the training images; of labels equally frequent the first
by name, and for a source without training images the most frequent label of all. A sampling
without images has no accuracy.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.results.metrics import wilson
from pulmoscan.storage.atomic import replacing


def score(images: pd.DataFrame) -> tuple[int, int, float]:
    """Return sources, test images and accuracy of the baseline on a sampling (NaN without images).

    ``images`` has the columns ``label, source, split``; images without source share one.
    """
    images = images.assign(source=images["source"].fillna(""))
    train, test = (images[images["split"] == split] for split in ("train", "test"))
    if not len(train) or not len(test):
        return images["source"].nunique(), len(test), math.nan
    # value_counts leaves the order of equal counts open; groupby and idxmax take the first by name.
    counts = train.groupby(["source", "label"]).size().unstack(fill_value=0)
    answers = test["source"].map(counts.idxmax(axis=1)).fillna(counts.sum().idxmax())
    return images["source"].nunique(), len(test), float((answers == test["label"]).mean())


def main(argv: Sequence[str]) -> None:
    """Score every sampling and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplings", type=Path, nargs="+", required=True, help="Parquet tables")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    rows = []
    for path in arguments.samplings:
        sources, n_test, accuracy = score(pd.read_parquet(path))
        rows.append((path.stem, sources, n_test, accuracy, *wilson(accuracy, n_test)))
    columns = ["sampling", "sources", "n_test", "accuracy", "low", "high"]
    with replacing(arguments.output) as path:
        pd.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
