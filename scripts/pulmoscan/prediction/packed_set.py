"""Predictions of a trained network for the packed images of another data set."""

from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan.inputs import pixels
from pulmoscan.prediction.description import Description
from pulmoscan.prediction.predict import Logits, probabilities_of
from pulmoscan.storage import tables
from pulmoscan.storage.arrays import NpyFile


def read_audit(path: Path) -> pd.DataFrame:
    """Return ``image, defects, mask_width`` of the audited images, in the order of the arrays.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    columns = ["image", "defects", "mask_width"]
    return tables.read(path, "the audit", columns[:2], whole=columns[2:])[columns]


def predict(
    audit: pd.DataFrame,
    images: NpyFile,
    masks: NpyFile,
    description: Description,
    logits: Logits,
) -> pd.DataFrame:
    """Return ``image, predicted`` and ``p_<label>`` for each image that the network can be shown.

    An image with a defect is left out, and so is one without a mask where the network sees only
    what a mask tells.

    Args:
        audit: what `read_audit` returns.
        images: the packed images of the set, n x s x s uint8.
        masks: their masks.
        description: of the network.
        logits: what it gives, see `predict.logits_of`.

    Raises:
        ValueError: the images are not those of the table, or have another size than those that the
            network was trained on.
    """
    if len(images) != len(audit):
        raise images.damaged(f"{len(images):,} images, of {len(audit):,} that were audited")
    if images.shape[1] != description.image_size:
        raise images.damaged(
            f"images of {images.shape[1]} pixels, not the {description.image_size} of the training"
        )
    rows = np.flatnonzero(usable(audit, description))
    size = description.batch_size
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    found = [probabilities_of(images[part], masks[part], description, logits) for part in batches]
    probabilities = np.concatenate([np.empty((0, len(description.labels))), *found])
    table = pd.DataFrame(
        {
            "image": audit["image"].to_numpy(object)[rows],
            "predicted": np.array(description.answer(probabilities), object),
        },
        dtype="str",
    )
    return table.assign(
        **{f"p_{label}": probabilities[:, i] for i, label in enumerate(description.labels)}
    )


def usable(audit: pd.DataFrame, description: Description) -> np.ndarray:
    """Return which images a network can be shown."""
    shown = (not pixels.needs_mask(description.pixels)) | (audit["mask_width"] > 0)
    return ((audit["defects"] == "") & shown).to_numpy()


def summary(audit: pd.DataFrame, description: Description) -> str:
    """Return a line about how many images are predicted, and why others are not."""
    defective = int((audit["defects"] != "").sum())
    predicted = int(usable(audit, description).sum())
    left_out = {"defective": defective, "without mask": len(audit) - defective - predicted}
    why = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    return f"{predicted:,} of {len(audit):,} images predicted" + (f" ({why})" if why else "")
