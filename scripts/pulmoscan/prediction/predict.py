"""Predictions of a trained network for files of radiographs, packed as training packed them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import softmax

from pulmoscan.data import radiographs
from pulmoscan.inputs import pixels
from pulmoscan.networks.heads import LOGITS
from pulmoscan.prediction.description import DIGITS, Description, Trained
from pulmoscan.prediction.files import Pair

if TYPE_CHECKING:
    import keras

Logits = Callable[[np.ndarray], np.ndarray]  # what a network sees -> n x labels


def logits_of(model: "keras.Model") -> Logits:
    """Return a function that gives a network's scores, n x labels float32, for what it sees."""
    import keras

    scores = keras.Model(model.input, model.get_layer(LOGITS).output)
    return lambda shown: scores.predict_on_batch(pixels.with_channel(shown))


def predict(pairs: Sequence[Pair], description: Description, logits: Logits) -> pd.DataFrame:
    """Return the predictions for some radiographs, in their order.

    Returns:
        One row per image: ``image`` (its path), ``predicted``, ``p_<label>`` for each of the
        labels, ``defect`` (why it has no prediction) and ``warnings``, joined by "; ".

    Raises:
        OSError: a file cannot be read.
    """
    size = description.batch_size
    rows = [
        row
        for start in range(0, len(pairs), size)
        for row in _batch(pairs[start : start + size], description, logits)
    ]
    probabilities = [f"p_{label}" for label in description.labels]
    columns = ["image", "predicted", *probabilities, "defect", "warnings"]
    return pd.DataFrame(rows, columns=columns)


def probabilities_of(
    images: np.ndarray, masks: np.ndarray, description: Description, logits: Logits
) -> np.ndarray:
    """Return the probability of each label for at most a batch of packed images: n x labels.

    A batch is filled up with its last image, so that a result does not depend on how many images
    are predicted: with a single image, matrices are multiplied in another order.

    Args:
        images: n x s x s uint8 grey levels, of the description's ``image_size``.
        masks: the same, 1 inside the lungs.
        description: of the network.
        logits: what `logits_of` returns for it.
    """
    shown = pixels.apply(images, masks, description.pixels, description.input_size)
    lacking = max(description.batch_size, 2) - len(shown)
    filled = np.pad(shown, [(0, lacking), *[(0, 0)] * (shown.ndim - 1)], mode="edge")
    return softmax(np.asarray(logits(filled)[: len(images)], np.float64), axis=1)


def unlike(found: radiographs.Radiograph, trained: Trained) -> list[str]:
    """Return in which ways an image is unlike all that a network was trained on."""
    black = float((found.image == 0).mean())
    told = []
    for name, value, (low, high) in (
        ("width", found.width, trained.width),
        ("height", found.height, trained.height),
    ):
        if not low <= value <= high:
            told.append(f"{name} {value}, trained on {_range(low, high)}")
    for name, value, known in (
        ("format", found.format, trained.formats),
        ("mode", found.mode, trained.modes),
    ):
        if value not in known:
            told.append(f"{name} {value}, trained on {', '.join(known)}")
    low, high = trained.black
    if not low <= round(black, 6) <= high:
        told.append(f"{black:.1%} black, trained on {low:.1%} to {high:.1%}")
    return told


def _batch(pairs: Sequence[Pair], description: Description, logits: Logits) -> Iterator[list]:
    size = description.image_size
    images, masks = np.zeros((2, len(pairs), size, size), np.uint8)
    packing = replace(description.packing, masks="required")
    found = [
        radiographs.read(
            _content(pair.image),
            pair.mask and _content(pair.mask),
            image,
            mask,
            description.bits,
            packing,
        )
        for pair, image, mask in zip(pairs, images, masks, strict=True)
    ]
    defects = [_defects(radiograph, description) for radiograph in found]
    usable = np.flatnonzero([not defect for defect in defects])
    probabilities = np.full((len(pairs), len(description.labels)), np.nan)
    answers = [""] * len(pairs)
    if len(usable):
        probabilities[usable] = probabilities_of(images[usable], masks[usable], description, logits)
        for row, answer in zip(usable, description.answer(probabilities[usable]), strict=True):
            answers[row] = answer
    for row, pair in enumerate(pairs):
        warnings = "" if defects[row] else "; ".join(_warnings(found[row], description))
        yield [str(pair.image), answers[row], *probabilities[row], defects[row], warnings]


def _defects(radiograph: radiographs.Radiograph, description: Description) -> str:
    """Return why a network cannot be shown an image; the whole image needs no mask."""
    needs_mask = pixels.needs_mask(description.pixels)
    return "; ".join(defect for defect in radiograph.defects if needs_mask or "mask" not in defect)


def _warnings(radiograph: radiographs.Radiograph, description: Description) -> Iterator[str]:
    digest = radiograph.pixel_sha256[:DIGITS]
    for split, digests in description.seen.items():
        if digest in digests:
            yield f"one of the {'training' if split == 'train' else split} images"
    yield from unlike(radiograph, description.trained)


def _range(low: float, high: float) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from error
