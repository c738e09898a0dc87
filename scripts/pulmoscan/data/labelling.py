"""The labels of a sampling, which a network or a classifier learns to tell apart and predicts."""

from pathlib import Path

import pandas as pd

from pulmoscan.storage import tables

PROBABILITY = "p_"  # before a label: the column of its probabilities


def labels_of(sampling: pd.DataFrame, path: str | Path) -> list[str]:
    """Return the labels of a sampling, sorted.

    Args:
        sampling: a table of ``samplings.select``.
        path: its file, for messages.

    Raises:
        ValueError: no training is possible: there are no images to train or to validate on, fewer
            than two labels to train, or validation or test images with a label that is not trained.
    """
    counts = sampling["split"].value_counts()
    for split in ("train", "validation"):
        if not counts.get(split, 0):
            raise ValueError(
                f"{path} has no {split} image: the data do not fill this sampling; "
                "give it fewer images or classes, or leave its runs out"
            )
    classes = sorted(sampling.loc[sampling["split"] == "train", "label"].unique())
    unknown = sorted(set(sampling["label"]) - set(classes))
    if unknown or len(classes) < 2:
        raise ValueError(
            f"{path} trains on the labels {', '.join(classes)} only"
            + (f", but has images of {', '.join(unknown)}" if unknown else ": two are needed")
        )
    return classes


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Return ``image, split, label, p_<label>...`` of the images that a training predicted.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """

    def check(table: pd.DataFrame) -> None:
        if strangers := sorted(set(table["split"]) - {"validation", "test"}):
            raise ValueError(f"it has images of {strangers[0]!r}")
        if (twice := table.duplicated(["split", "image"])).any():
            raise ValueError(f"it has the image {table['image'][twice].iloc[0]} twice")
        values = table.filter(regex=f"^{PROBABILITY}")
        predicted = {name.removeprefix(PROBABILITY) for name in values}
        if unknown := sorted(set(table["label"]) - predicted):
            raise ValueError(f"it has no probabilities of the label {unknown[0]!r}")
        for name in values:
            if values[name].dtype.kind != "f" or not values[name].between(0, 1).all():
                raise ValueError(f"not all cells of its column {name!r} are from 0 to 1")

    return tables.read(path, "the training", ("image", "split", "label"), then=check)
