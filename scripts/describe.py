"""Describe a trained network for those who predict with it, see ``predict.py``.

Settings: the training's key, --packing (JSON, how files become arrays), --pixels (JSON),
--image-size and --input-size in pixels, --batch-size, --positive, the label that is positive where
it is one of two, and --threshold, the probability from which a binary model says that (``null``
without one).

Inputs: the network, the sampling that it was trained on, the table of the packing, and the packed
images.

Output: ``model.json``, see `pulmoscan.prediction.description.Description`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.config.runs import TRAINING
from pulmoscan.data import labelling, options, pack, packed, samplings
from pulmoscan.prediction import description
from pulmoscan.storage import atomic, code_digest, digests
from pulmoscan.storage.arrays import NpyFile

TRAIN = Path(__file__).with_name("train.py")


def main(argv: Sequence[str]) -> None:
    """Write the description of one network."""
    arguments = _parse(argv)
    sampling = samplings.read(arguments.sampling)
    decoded = pack.read_decoded(arguments.decoded)
    images = NpyFile(arguments.images, packed.STAGE)
    images.check_rows(sampling["row"])
    if len(images) != len(decoded):
        raise images.damaged(f"{len(images):,} images, of {len(decoded):,} that were decoded")
    trained, seen = description.trained_on(sampling, decoded, images)
    labels = labelling.labels_of(sampling, arguments.sampling)
    two = len(labels) == 2
    described = description.Description(
        labels=labels,
        threshold=arguments.threshold,
        positive=arguments.positive if two and arguments.positive in labels else None,
        packing=options.read(arguments.packing),
        pixels=arguments.pixels,
        bits=description.bits_in_use(decoded),
        image_size=arguments.image_size,
        input_size=arguments.input_size,
        batch_size=arguments.batch_size,
        trained=trained,
        seen=seen,
        digests={
            "model": digests.file_digest(arguments.model_file),
            "sampling": digests.file_digest(arguments.sampling),
            "code": code_digest.code_digest(TRAIN),
        },
        run={name: getattr(arguments, name) for name in TRAINING},
    )
    with atomic.replacing(arguments.output) as path:
        path.write_text(json.dumps(described.as_json(), indent=1) + "\n", encoding="utf-8")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-file", type=Path, required=True, help="model.keras")
    parser.add_argument("--sampling", type=Path, required=True)
    parser.add_argument("--decoded", type=Path, required=True, help="table of the packing")
    parser.add_argument("--images", type=Path, required=True, help="packed images")
    parser.add_argument("--packing", type=json.loads, required=True, help="JSON")
    parser.add_argument("--pixels", type=json.loads, required=True, help="entry of pixels, JSON")
    parser.add_argument("--image-size", type=int, required=True, help="pixels")
    parser.add_argument("--input-size", type=int, required=True, help="pixels")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threshold", type=json.loads, required=True, help="0..1 or null")
    parser.add_argument("--positive", required=True, help="label, where it is one of two")
    for name in TRAINING:
        kind = int if name == "seed" else str
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
    parser.add_argument("--output", type=Path, required=True, help="model.json")
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
