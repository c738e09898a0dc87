"""Search a network's hyperparameters by Keras Tuner's Hyperband.

The network (an entry of ``models:``) has ``$names`` in its layers. The search has ``max_epochs``,
``factor``, ``iterations``, ``seed`` and the ``space``, which may contain the learning rate. Inputs:
the sampling, the packed images and masks, and for the head of a frozen backbone its cached
features: the backbone itself is not run.

Outputs, in one folder: ``best.json`` (``hyperparameters``, the ``val_accuracy`` and ``trial`` they
were found by, the number of ``trials``, ``seconds``) and ``trials.tsv`` (one row per trial in their
order: ``trial, bracket, round, epochs, val_accuracy, val_loss, status, seconds`` and the
hyperparameters). Accuracy and loss are those of a trial's best epoch; a trial whose loss was not
finite has the status ``failed``. A killed search resumes from the checkpoint folder, which is
removed at the end.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial

from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.config import stages
from pulmoscan.data import labelling, samplings
from pulmoscan.storage import tables
from pulmoscan.storage.atomic import replacing
from pulmoscan.storage.progress import sayer
from pulmoscan.training import features, found, identity, options

ITERATIONS = 1  # of Hyperband, unless the search has its own number
VALIDATION_BATCH = 256  # features, at least: a small head takes as long for a batch of any size
# What decides the result, beside the rows of the packed arrays and the cached features.
SETTINGS = ("network", "tune", "unfreeze", "pixels", "training")
FILES = ("sampling",)


def main(argv: Sequence[str]) -> None:
    """Search, and write the folder ``--output``."""
    arguments = _parse(argv)
    file = arguments.features.get("0")
    described = None if file is None else features.for_search(file)
    sampling = samplings.read(arguments.sampling)
    labels = labelling.labels_of(sampling, arguments.sampling)
    settings = arguments.training
    # A head on float32 features has nothing to gain.
    precision = settings["mixed_precision"] if described is None else "off"
    in_force = backend.configure(settings["threads"], precision, settings["xla"])
    from pulmoscan.training import examples, search, trainer

    images = examples.Examples.of(sampling, labels)
    train, validation = images.select("train"), images.select("validation")
    rows = images.select("train", "validation").rows
    size = check_size = settings["batch_size"]
    if described is None:
        read, source, tensors = rows, examples.pixels(arguments, rows), None
    else:
        read, source, tensors = rows[:0], examples.held(file, rows), described["tensors"]
        check_size = max(size, VALIDATION_BATCH)
    trials = trainer.Trainer(
        build=partial(trainer.model_of, arguments.network, tensors, len(labels)),
        order=lambda seed, epoch: train.batches(source, size, seed=seed, epoch=epoch),
        validation=validation.batches(source, check_size),
        stage=stages.single(settings, arguments.unfreeze),
        seed=arguments.tune["seed"],
        jit_compile=in_force.jit_compile,
    )
    more = {"features": described, "threads": in_force.threads, "tuner": search.VERSION}
    say = sayer(options.name_of(arguments.output))
    key = identity.fingerprint(__file__, arguments, SETTINGS, FILES, read, **more)
    with backend.explain_out_of_memory(size):
        rows = search.search(arguments.tune, trials.run, arguments.checkpoint, key, say)
    tables.write(arguments.output / "trials.tsv", found.trials(rows))
    with replacing(arguments.output / "best.json") as path:
        path.write_text(json.dumps(found.best(rows), indent=2) + "\n", encoding="utf-8")
    search.remove(arguments.checkpoint)


def _tune(text: str) -> dict:
    return {"iterations": ITERATIONS} | json.loads(text)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add(parser)
    parser.add_argument("--tune", type=_tune, required=True, help="JSON, see models:")
    arguments = options.parse(parser, argv)
    if "backbone" in arguments.network and "0" not in arguments.features:
        parser.error("a search trains the head of a frozen backbone: it needs --features 0=FILE")
    return arguments


if __name__ == "__main__":
    command.run(main)
