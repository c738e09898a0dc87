"""The network that a training saved: one file, ``model.keras``."""

from pathlib import Path
from typing import TYPE_CHECKING

from pulmoscan.networks.heads import LOGITS
from pulmoscan.storage import reading

if TYPE_CHECKING:
    import keras

STAGE = "the training"


def load(path: Path, *, images_only: bool = True) -> "keras.Model":
    """Return a saved network, with a layer ``logits``, that takes images (n x s x s x 1).

    Unless ``images_only``, it may take histograms.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, another kind of network, or was changed after it was made.
    """
    import keras

    reading.check(path, STAGE)
    try:
        model = keras.saving.load_model(path, compile=False)
        shape = tuple(model.input.shape[1:])
        if images_only and (len(shape) != 3 or shape[0] != shape[1] or shape[2] != 1):
            raise ValueError(f"it takes inputs of shape {shape}, not grey images")
        model.get_layer(LOGITS)
    except Exception as error:  # Keras, zipfile and h5py raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path} is damaged ({reason:.200}): remove it and run {STAGE} again"
        ) from error
    return model
