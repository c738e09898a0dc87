"""What must be known of a trained network to predict with it: ``model.json`` beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pulmoscan.data import depth, options
from pulmoscan.data.options import Options
from pulmoscan.storage import digests, tables
from pulmoscan.storage.arrays import NpyFile

DIGITS = 16  # hexadecimal digits of an image's SHA-256: enough to tell a million images apart
BATCH = 256  # images of which black pixels are counted at once


@dataclass(frozen=True)
class Trained:
    """The images that a network was trained on, as far as they tell whether another is like them.

    Attributes:
        images: their number.
        width: smallest and largest width of the files, in pixels.
        height: the same of their height.
        formats: formats of the files, see `formats.Header`.
        modes: colour modes of the files, see the same.
        black: smallest and largest share of black pixels in the packed images, 0..1.
    """

    images: int
    width: Sequence[int]
    height: Sequence[int]
    formats: Sequence[str]
    modes: Sequence[str]
    black: Sequence[float]


@dataclass(frozen=True)
class Description:
    """A trained network: what it sees, what it answers, and what it was made from.

    Attributes:
        labels: what its outputs stand for, in their order.
        threshold: the probability from which the answer is the positive label; None: the label
            with the highest probability is the answer, the first among equals.
        positive: the label of two that sensitivity is about; None: there is none.
        pixels: what it sees of an image, an entry of ``pixels:`` in the configuration.
        packing: how files become packed images.
        bits: of more than 8 bits per channel of some files, those that the data set uses; 16
            without such files.
        image_size: width and height of the packed image that this is applied to, in pixels.
        input_size: width and height that the result is scaled to, in pixels; no matter for
            histograms.
        batch_size: images that it predicted at once; another number may change the last bits.
        trained: the images it was trained on.
        seen: for ``train`` and ``validation`` the first `DIGITS` hexadecimal digits of the SHA-256
            of each image's grey pixels.
        digests: SHA-256 of ``model`` (model.keras), ``sampling``, and ``code``, that which trained.
        run: the training: ``split_name, model, unfreeze, variant, seed``.
    """

    labels: Sequence[str]
    threshold: float | None
    positive: str | None
    pixels: Mapping[str, Any]
    packing: Options
    bits: int
    image_size: int
    input_size: int
    batch_size: int
    trained: Trained
    seen: Mapping[str, Sequence[str]]
    digests: Mapping[str, str]
    run: Mapping[str, Any]

    def answer(self, probabilities: np.ndarray) -> list[str]:
        """Return the answer to each image; ``probabilities`` are n x labels."""
        if self.threshold is None:
            return [self.labels[index] for index in probabilities.argmax(axis=1)]
        positive = list(self.labels).index(self.positive)
        yes, no = self.labels[positive], self.labels[1 - positive]
        return [yes if p >= self.threshold else no for p in probabilities[:, positive]]

    def as_json(self) -> dict:
        """Return what ``model.json`` holds."""
        return asdict(self)


def trained_on(
    sampling: pd.DataFrame, decoded: pd.DataFrame, images: np.ndarray | NpyFile
) -> tuple[Trained, dict[str, list[str]]]:
    """Return what is told of the images of a training, and the digests of those it has seen.

    Args:
        sampling: ``row, split`` of its images.
        decoded: the table of the packing, in the order of the packed images.
        images: the packed images, n x s x s uint8, or their file.
    """
    rows = {
        split: np.sort(sampling.loc[sampling["split"] == split, "row"].to_numpy())
        for split in ("train", "validation")
    }
    of_train = decoded.iloc[rows["train"]]
    parts = np.array_split(rows["train"], range(BATCH, len(rows["train"]), BATCH))
    black = np.concatenate([(images[part] == 0).mean(axis=(1, 2)) for part in parts])
    trained = Trained(
        images=len(of_train),
        width=[int(of_train["width"].min()), int(of_train["width"].max())],
        height=[int(of_train["height"].min()), int(of_train["height"].max())],
        formats=sorted(of_train["format"].unique()),
        modes=sorted(of_train["mode"].unique()),
        black=[round(float(black.min()), 6), round(float(black.max()), 6)],
    )
    seen = {
        split: sorted(decoded["pixel_sha256"].iloc[of_split].str[:DIGITS])
        for split, of_split in rows.items()
    }
    return trained, seen


def bits_in_use(decoded: pd.DataFrame) -> int:
    """Return how many bits per channel the data set uses, 16 without files that it scales."""
    deep = decoded.loc[decoded["scale"].str.startswith(depth.IN_USE), "bits"]
    return int(deep.max()) if len(deep) else 16


def read(model: Path) -> Description:
    """Return the description beside a ``model.keras``.

    Raises:
        OSError: there is none, or no network.
        ValueError: it is damaged, or of another network.
    """
    if not model.is_file():
        raise FileNotFoundError(f"no file {str(model)!r}: name the model.keras of a training")
    path = model.with_name("model.json")
    if not path.is_file():
        raise FileNotFoundError(
            f"no model.json beside {model}: the workflow writes it after a training"
        )
    found = tables.read_json(path, "the rule describe")
    try:
        parts = {
            "trained": Trained(**found["trained"]),
            "packing": options.read(found["packing"]),
        }
        description = Description(**found | parts)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{path} does not describe a network ({error}): remove it and run the rule describe "
            "again"
        ) from error
    if description.digests["model"] != digests.file_digest(model):
        raise ValueError(f"{path} describes another network than {model}")
    return description
