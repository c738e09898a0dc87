"""Which images of a run are explained, and the table of what their maps show."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pulmoscan.data.layout import canonical_image, class_seed
from pulmoscan.explain.gradcam import Explanations

PROBABILITY = "p_"  # in front of a label: a column with its probabilities


def labels_of(predictions: pd.DataFrame) -> list[str]:
    """Return the labels that predictions have probabilities of, in the order of the network."""
    return [
        column.removeprefix(PROBABILITY)
        for column in predictions.columns
        if column.startswith(PROBABILITY)
    ]


def choose(sampling: pd.DataFrame, settings: Mapping) -> pd.DataFrame:
    """Return the images of a sampling to explain, in the order of ``row``.

    These are ``per_class`` test images of each class, drawn by ``seed`` (a smaller number draws a
    part of them), and those of ``images`` that the sampling tests or validates on.

    Args:
        sampling: ``row, image, class, label, split`` of the images of a sampling.
        settings: ``explain`` of the configuration: ``per_class``, ``seed`` and ``images``, names of
            images; those of the database in any spelling.

    Returns:
        The rows of ``sampling`` that are chosen.
    """
    named = set(_named(sampling, settings))
    unseen = sampling[sampling["split"] != "train"]
    chosen = set(unseen["image"]) & named
    for class_name, members in unseen[unseen["split"] == "test"].groupby("class"):
        names = sorted(members["image"])
        rng = np.random.default_rng([settings["seed"], class_seed(class_name)])
        chosen.update(names[i] for i in rng.permutation(len(names))[: settings["per_class"]])
    return unseen[unseen["image"].isin(chosen)].sort_values("row", ignore_index=True)


def left_out(sampling: pd.DataFrame, settings: Mapping) -> str:
    """Return a sentence about the named images that `choose` cannot take, "" where it takes all."""
    splits = sampling.set_index("image")["split"]
    named = _named(sampling, settings)
    trained = [image for image in named if splits.get(image) == "train"]
    absent = [image for image in named if image not in splits.index]
    reasons = [
        f"{reason} {', '.join(images)}"
        for reason, images in (("it trains on", trained), ("its sampling lacks", absent))
        if images
    ]
    return f"not explained, of explain.images: {'; '.join(reasons)}" if reasons else ""


def _named(sampling: pd.DataFrame, settings: Mapping) -> list[str]:
    """Return the images that the settings name, each once and as the sampling spells it."""
    known = set(sampling["image"])

    def spelled(name: str) -> str:
        try:
            return name if name in known else canonical_image(name)
        except ValueError:
            return name

    return list(dict.fromkeys(map(spelled, settings.get("images") or ())))


def table(
    chosen: pd.DataFrame,
    labels: Sequence[str],
    explained: Explanations,
    cams: np.ndarray,
    masks: np.ndarray,
) -> pd.DataFrame:
    """Return what the maps of images show, one row per image.

    Args:
        chosen: ``image, class, label, split`` of n images, see `choose`.
        labels: of the network, in its order.
        explained: the maps and probabilities of the images.
        cams: the maps at the size of the masks, n x s x s float32 in 0..1.
        masks: n x s x s, 1 inside the lungs.

    Returns:
        ``image, class, label, split``, ``target`` (the label that a map explains), ``predicted``,
        ``correct``, ``p_<label>`` of each label, ``energy_in_lungs`` (see `energy_inside`) and
        ``lung_area``, the share of pixels inside the lungs; null for an image without a mask.
    """
    scores = chosen[["image", "class", "label", "split"]].copy()
    scores["target"] = [labels[target] for target in explained.targets]
    scores["predicted"] = [labels[best] for best in explained.probabilities.argmax(axis=1)]
    scores["correct"] = scores["predicted"] == scores["label"]
    for index, label in enumerate(labels):
        scores[f"{PROBABILITY}{label}"] = explained.probabilities[:, index]
    area = masks.mean(axis=(1, 2))
    scores["energy_in_lungs"] = np.where(area > 0, energy_inside(cams, masks), np.nan)
    scores["lung_area"] = np.where(area > 0, area, np.nan)
    return scores


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of each map's sum that lies where its mask is 1 (n, NaN for a zero map)."""
    inside = (maps * masks).sum(axis=(1, 2), dtype=np.float64)
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0)
