"""The labels of a sampling: what a network or a classifier learns to tell apart."""

from pathlib import Path

import pandas as pd


def labels_of(sampling: pd.DataFrame, path: str | Path) -> list[str]:
    """Return the labels of a sampling, sorted; raise ``ValueError`` where it cannot be trained on.

    It needs images to train and to validate on, at least two labels among the former, and no
    validation or test image with a label that is not trained.
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
