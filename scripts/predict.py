"""Predict radiographs of your own with a network that the workflow trained.

    python scripts/predict.py --model results/runs/.../model.keras IMAGES [--masks MASKS]

IMAGES and MASKS are files or folders of PNG, JPEG, TIFF or DICOM; a mask has the name of its image,
and is needed where the network sees only the lungs or only what is outside them. One row per image:
the label predicted, the probability of each label, why an image has no prediction (``defect``), and
in which way it is unlike all that the network was trained on (``warnings``). The exit status is 1
where an image has no prediction.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.data import formats
from pulmoscan.networks import saved
from pulmoscan.prediction import description, files, predict
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Print or write the predictions."""
    arguments = _parse(argv)
    described = description.read(arguments.model)
    images, left_out = files.find(arguments.images)
    masks, _ = files.find(arguments.masks)
    if not images:
        raise ValueError(f"no {formats.NAMED} file in {', '.join(map(str, arguments.images))}")
    pairs = files.pair(images, masks)
    with contextlib.redirect_stdout(sys.stderr):  # standard output is the table's
        backend.configure(arguments.threads)
    network = saved.load(arguments.model, images_only=False)
    predicted = predict.predict(pairs, described, predict.logits_of(network))
    if arguments.output is None:
        predicted.to_csv(sys.stdout, sep="\t", index=False)
    else:
        tables.write(arguments.output, predicted)
    if left_out:
        print(f"{len(left_out)} files are not images: {left_out[0]} first", file=sys.stderr)
    if failed := int((predicted["defect"] != "").sum()):
        raise ValueError(f"{failed} of {len(predicted)} images have no prediction: see defect")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="model.keras of a training")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="files or folders")
    parser.add_argument("--masks", type=Path, nargs="+", default=[], help="files or folders")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help=".tsv or .parquet; default: standard output")
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
