"""A sampling of four classes, with as many images of each in every part."""

import numpy as np
import pandas as pd

LABELS = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]


def sampling_table(per_part: int = 10) -> pd.DataFrame:
    """Return ``image, class, label, split, row``, numbered from 1 within each class."""
    rows = [
        (f"{label}-{number}", label, label, split)
        for label in LABELS
        for number, split in enumerate(np.repeat(["train", "validation", "test"], per_part), 1)
    ]
    table = pd.DataFrame(rows, columns=["image", "class", "label", "split"])
    return table.assign(row=np.arange(len(table)))
