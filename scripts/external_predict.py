"""Predict the packed images of an external set with the networks of a run, one per seed.

Settings: ``--threads``; all else stands in the ``model.json`` beside each network.

Inputs: networks with their descriptions; the packed images and masks of the set, and the table of
its audit.

Outputs, one per network: ``image, predicted, p_<label>...``, see
`pulmoscan.prediction.packed_set.predict`. The log says how many images a run cannot be shown.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.data import packed
from pulmoscan.networks import saved
from pulmoscan.prediction import description, packed_set
from pulmoscan.prediction.predict import logits_of
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Write the predictions of every network."""
    arguments = _parse(argv)
    audit = packed_set.read_audit(arguments.audit)
    images, masks = packed.opened(arguments.images, arguments.masks)
    backend.configure(arguments.threads)
    for model, output in zip(arguments.models, arguments.outputs, strict=True):
        described = description.read(model)
        logits = logits_of(saved.load(model, images_only=False))
        with backend.explain_out_of_memory(described.batch_size):
            table = packed_set.predict(audit, images, masks, described, logits)
        tables.write(output, table)
        print(f"{model}: {packed_set.summary(audit, described)}", flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model.keras")
    parser.add_argument("--audit", type=Path, required=True, help="table of the set's images")
    parser.add_argument("--images", type=Path, required=True, help="packed images")
    parser.add_argument("--masks", type=Path, required=True, help="packed masks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="one per model")
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
