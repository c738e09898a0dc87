"""Train one network of one run with one seed, and predict its validation and test images.

Inputs: the sampling (Parquet: row, image, label, split), the packed images and masks, the weights
of a backbone, what a search found for the ``$names`` in the layers, and cached features by what
their stage unfreezes (see ``features.py``). A stage without features, or whose features were not
kept, runs the whole network.

Outputs, in one folder: ``model.keras`` (the whole network, from grey pixels 0..255 or histograms to
probabilities), ``history.tsv`` (one row per epoch, counted from 1 over all stages),
``predictions.parquet`` (image, split, label and ``p_<label>`` of the validation and test images)
and ``training.json``. A killed training resumes from the checkpoint folder, which is removed at the
end.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.config import stages
from pulmoscan.data import labelling, samplings
from pulmoscan.storage import checkpoint
from pulmoscan.storage.progress import sayer
from pulmoscan.training import features, found, identity, options, record

# What decides the result, beside the rows of the packed arrays and the cached features.
SETTINGS = ("network", "unfreeze", "pixels", "augment", "training", "seed")
FILES = ("sampling", "weights")


def main(argv: Sequence[str]) -> None:
    """Train, and write the folder ``--output``."""
    arguments = _parse(argv)
    if arguments.best is not None:
        arguments.network, arguments.training = found.fill(
            arguments.network, arguments.training, arguments.best
        )
    settings = arguments.training
    planned = stages.resolve(settings, arguments.unfreeze)
    kept = features.for_stages(arguments.features, planned, arguments.augment is not None)
    sampling = samplings.read(arguments.sampling)
    labels = labelling.labels_of(sampling, arguments.sampling)
    # A head on float32 features has nothing to gain, and the saved network stays float32.
    precision = "off" if features.only_heads(planned, kept) else settings["mixed_precision"]
    in_force = backend.configure(settings["threads"], precision, settings["xla"])
    import keras
    from pulmoscan.networks import build
    from pulmoscan.training import examples, loop, preparation

    keras.utils.set_random_seed(arguments.seed)
    network = build.build(arguments.network, len(labels), arguments.weights)
    images = examples.Examples.of(sampling, labels)
    cached = features.cached(network, planned, kept)
    prepared = preparation.Preparation(
        network=network,
        planned=planned,
        sources=preparation.sources(arguments, planned, cached, images),
        examples=images,
        batch_size=settings["batch_size"],
        seed=arguments.seed,
        augment=arguments.augment,
        jit_compile=in_force.jit_compile,
    )
    more = {"features": kept, "threads": in_force.threads}
    say = sayer(options.name_of(arguments.output))
    key = identity.fingerprint(__file__, arguments, SETTINGS, FILES, prepared.rows_read, **more)
    with backend.explain_out_of_memory(settings["batch_size"]):
        progress, steps = loop.train(planned, prepared.ready, arguments.checkpoint, key, say)
        probabilities = loop.predict(steps, prepared.predicted())
    record.write(
        arguments.output,
        network.model,
        progress.table(),
        record.predictions(sampling, labels, probabilities),
        record.facts(prepared, progress, kept, in_force),
    )
    checkpoint.remove(arguments.checkpoint)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add(parser)
    parser.add_argument("--augment", type=json.loads, default=None, help="JSON or null")
    parser.add_argument("--best", type=Path, help="JSON of a search, for $names in the network")
    parser.add_argument("--seed", type=int, required=True)
    arguments = options.parse(parser, argv)
    if "backbone" in arguments.network and arguments.weights is None:
        parser.error("a backbone needs --weights")
    return arguments


if __name__ == "__main__":
    command.run(main)
