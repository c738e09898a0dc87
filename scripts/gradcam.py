"""Show by Grad-CAM what a trained network looked at.

Settings: --explain, ``explain`` of the configuration as JSON: ``per_class`` test images of every
class, drawn by ``seed``, and ``images``, names that are explained where the sampling tests or
validates on them; --pixels, what the network sees, an entry of ``pixels`` as JSON; --batch-size;
--threads.

Inputs: a model (``model.keras``) and its predictions, the sampling it was trained on, and the
packed images and masks.

Outputs, in the folder --output: ``cams.npy`` (n x s x s float32 in 0..1, for the predicted class),
``scores.tsv`` (one row for each of the same n images, see `pulmoscan.explain.scores.table`) and
``panels/<image>.png``.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.data import labelling, packed, samplings
from pulmoscan.explain import gradcam, panels, scores
from pulmoscan.inputs import pixels
from pulmoscan.networks import saved
from pulmoscan.storage import arrays, tables
from pulmoscan.storage.atomic import replacing


def main(argv: Sequence[str]) -> None:
    """Explain the chosen images of a run."""
    options = _parse(argv)
    predictions = labelling.read_predictions(options.predictions)
    sampling = samplings.read(options.sampling)
    labels = scores.labels_of(predictions)
    if set(predictions["image"]) != set(sampling.loc[sampling["split"] != "train", "image"]):
        raise ValueError(
            f"{options.predictions} is not about the images of {options.sampling}: "
            "remove it and run the training again"
        )
    chosen = scores.choose(sampling, options.explain)
    if left_out := scores.left_out(sampling, options.explain):
        print(left_out)
    rows = chosen["row"].to_numpy()
    images, masks = (file[rows] for file in packed.opened(options.images, options.masks))

    backend.configure(options.threads)
    explainer = gradcam.Explainer(saved.load(options.model))
    if explainer.classes != len(labels):
        raise ValueError(
            f"{options.model} has {explainer.classes} classes, but {options.predictions} has "
            f"probabilities of {len(labels)}: remove both and run the training again"
        )
    print(f"{len(chosen)} images explained by the layer {explainer.layer.name}", flush=True)
    shown = pixels.apply(images, masks, options.pixels, explainer.input_size)
    with backend.explain_out_of_memory(options.batch_size):
        explained = explainer.explain(shown, options.batch_size)
    cams = gradcam.resized(explained.maps, images.shape[1:])
    table = scores.table(chosen, labels, explained, cams, masks)

    with replacing(options.output / "cams.npy") as path:
        arrays.write(path, cams)
    panels.write_panels(options.output / "panels", table, labels, images, shown, masks, cams)
    tables.write(options.output / "scores.tsv", table)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
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
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
