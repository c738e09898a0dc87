"""Show by Grad-CAM what a trained network looked at.

Settings: --explain, ``explain`` of the configuration as JSON: ``per_class`` test images of every
class, drawn by ``seed``, and ``images``, names that are explained where the sampling tests or
validates on them; --pixels, what the network sees, an entry of ``pixels`` as JSON; --batch-size;
--threads.

Inputs: a model (``model.keras``) and its predictions, the sampling it was trained on, and the
packed images and masks.

Outputs, in the folder --output: ``cams.npy`` (n x s x s float32 in 0..1, for the predicted class),
``scores.tsv`` (the same n images: ``image, class, label, split, target, predicted, correct,
p_<label>..., energy_in_lungs, lung_area``; energy is the share of the map's sum inside the lungs,
area the share of pixels there) and ``panels/<image>.png``.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.explain import gradcam, panels
from pulmoscan.inputs import pixels
from pulmoscan.storage import arrays
from pulmoscan.storage.atomic import replacing

PROBABILITY = "p_"


def main(argv: Sequence[str]) -> None:
    """Explain the chosen images of a run."""
    arguments = _parser().parse_args(argv)
    pixels.validate(arguments.pixels)
    predictions = pd.read_parquet(arguments.predictions)
    labels = [
        column.removeprefix(PROBABILITY)
        for column in predictions.columns
        if column.startswith(PROBABILITY)
    ]
    chosen = gradcam.choose(pd.read_parquet(arguments.sampling), arguments.explain)
    rows = chosen["row"].to_numpy()
    images = arrays.NpyFile(arguments.images)[rows]
    masks = arrays.NpyFile(arguments.masks)[rows]

    backend.configure(arguments.threads)
    import keras

    explainer = gradcam.Explainer(keras.saving.load_model(arguments.model, compile=False))
    if explainer.classes != len(labels):
        raise ValueError(
            f"{arguments.model} has {explainer.classes} classes, but {arguments.predictions} has "
            f"probabilities of {len(labels)}: they are not of the same run"
        )
    print(f"{len(chosen)} images explained by the layer {explainer.layer.name}")
    shown = pixels.apply(images, masks, arguments.pixels, explainer.input_size)
    with backend.explain_out_of_memory(arguments.batch_size):
        explained = explainer.explain(shown, arguments.batch_size)
    cams = gradcam.resized(explained.maps, images.shape[1:])
    scores = _scores(chosen, labels, explained, cams, masks)

    with replacing(arguments.output / "cams.npy") as path:
        arrays.write(path, cams)
    _draw(arguments.output / "panels", scores, labels, images, shown, masks, cams)
    with replacing(arguments.output / "scores.tsv") as path:
        scores.to_csv(path, sep="\t", index=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model.keras of a run")
    parser.add_argument("--predictions", type=Path, required=True, help="its predictions")
    parser.add_argument("--sampling", type=Path, required=True, help="table of its sampling")
    parser.add_argument("--images", type=Path, required=True, help="packed images")
    parser.add_argument("--masks", type=Path, required=True, help="packed masks")
    parser.add_argument("--pixels", type=json.loads, required=True, help="entry of pixels, JSON")
    parser.add_argument("--explain", type=json.loads, required=True, help="explain, JSON")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser


def _scores(
    chosen: pd.DataFrame,
    labels: list[str],
    explained: gradcam.Explanations,
    cams: np.ndarray,
    masks: np.ndarray,
) -> pd.DataFrame:
    """Return the table of scores, one row an image."""
    table = chosen[["image", "class", "label", "split"]].copy()
    table["target"] = [labels[target] for target in explained.targets]
    table["predicted"] = [labels[best] for best in explained.probabilities.argmax(axis=1)]
    table["correct"] = table["predicted"] == table["label"]
    for index, label in enumerate(labels):
        table[f"{PROBABILITY}{label}"] = explained.probabilities[:, index]
    table["energy_in_lungs"] = gradcam.energy_inside(cams, masks)
    table["lung_area"] = masks.mean(axis=(1, 2))
    return table


def _draw(
    folder: Path,
    scores: pd.DataFrame,
    labels: list[str],
    images: np.ndarray,
    shown: np.ndarray,
    masks: np.ndarray,
    cams: np.ndarray,
) -> None:
    """Write a panel for each row of ``scores``, and remove panels of images no longer chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    for panel in folder.glob("*.png"):
        panel.unlink()
    drawn = panels.Panel(labels)
    for index, score in scores.iterrows():
        predicted = score["predicted"]
        title = (
            f"{score['image']}: {score['label']}, predicted {predicted} "
            f"({score[PROBABILITY + predicted]:.2f})"
        )
        with replacing(folder / f"{score['image']}.png") as path:
            drawn.draw(
                path,
                images[index],
                shown[index],
                masks[index],
                cams[index],
                [score[f"{PROBABILITY}{label}"] for label in labels],
                title,
                score["label"],
            )


if __name__ == "__main__":
    command.run(main)
