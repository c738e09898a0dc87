"""The labels of a sampling, which a network or a classifier learns to tell apart."""

from pathlib import Path

import pandas as pd


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
