"""Search a network's hyperparameters by Keras Tuner's Hyperband.

Settings: the network (an entry of ``models:``) whose layers have ``$names``, the search
(``max_epochs``, ``factor``, ``iterations``, ``seed`` and the ``space``, which may have the learning
rate), ``unfreeze``, the pixels and the training. Inputs: the sampling, the packed images and masks,
and for the head of a frozen backbone its cached features: the backbone itself is not run.

Outputs, in one folder: ``best.json`` (``hyperparameters``, the ``val_accuracy`` and ``trial`` they
were found by, the number of ``trials``, ``seconds``) and ``trials.tsv`` (a row a trial in their
order: ``trial, bracket, round, epochs, val_accuracy, val_loss, status, seconds`` and the
hyperparameters). Accuracy and loss are those of a trial's best epoch; a trial whose loss was not
finite has the status ``failed``. A search that was killed goes on from the checkpoint folder, which
is emptied at the end.
"""

import argparse
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.config import hyperparameters, stages
from pulmoscan.data import labelling
from pulmoscan.inputs import cached_features
from pulmoscan.storage import arrays, checkpoint, code_digest, digests
from pulmoscan.storage.atomic import replacing
from pulmoscan.training import options as training_options

ITERATIONS = 1  # where the search does not say
VALIDATION_BATCH = 256  # at least, of features: for a small head a batch of any size takes as long


def main(argv: Sequence[str]) -> None:
    """Search, and write the folder ``--output``."""
    options = _parse(argv)
    described = check(options.network, options.tune, options.unfreeze, options.features)
    sampling = pd.read_parquet(options.sampling)
    classes = labelling.labels_of(sampling, options.sampling)
    settings = options.training
    in_force = backend.configure(
        settings["threads"],
        # A head on float32 features has nothing to gain.
        settings["mixed_precision"] if described is None else "off",
        settings["xla"],
    )
    from pulmoscan.inputs import batches
    from pulmoscan.training import loop, search

    rows = sampling["row"].to_numpy()
    labels = np.searchsorted(classes, sampling["label"])
    split = sampling["split"].to_numpy()
    if described is None:
        images, masks = arrays.NpyFile(options.images), arrays.NpyFile(options.masks)
        source = batches.Pixels(images, masks, options.pixels, options.network.get("input_size"))
        source = source.keep(rows[split != "test"])
    else:
        features = batches.Features.open(options.features[options.unfreeze])
        source = search.held(features, rows[split != "test"])

    def build(values: Mapping) -> object:
        network = hyperparameters.fill(options.network, values)
        if described is None:
            return search.architecture(network, len(classes))
        return search.head(network["head"], described["tensors"], len(classes))

    def some(part: str, size: int, **order: int) -> batches.Batches:
        chosen = split == part
        return batches.Batches(source, rows[chosen], labels[chosen], size, **order)

    size = settings["batch_size"]
    trainer = search.Trainer(
        build,
        lambda seed, epoch: some("train", size, seed=seed, epoch=epoch),
        some("validation", size if described is None else max(size, VALIDATION_BATCH)),
        loop.Settings(**{key: settings.get(key) for key in stages.SETTINGS}),
        options.tune["seed"],
        in_force.jit_compile,
    )
    identity = _identity(options, described, sampling, in_force.threads)
    with backend.explain_out_of_memory(size):
        found = search.search(options.tune, trainer.run, options.checkpoint, identity)
    with replacing(options.output / "trials.tsv") as path:
        table(found).to_csv(path, sep="\t", index=False)
    with replacing(options.output / "best.json") as path:
        path.write_text(json.dumps(best(found), indent=2) + "\n", encoding="utf-8")
    search.remove(options.checkpoint)


def check(network: Mapping, tune: Mapping, unfreeze: str, features: Mapping) -> dict | None:
    """Return the description of the features that a search needs; None for one on pixels.

    ``features`` are files by what their cut unfreezes. Raises ``ValueError`` where the search
    cannot be read, or what it needs is not given.
    """
    if problems := hyperparameters.problems({**network, "tune": tune}):
        raise ValueError("; ".join(problems))
    if "architecture" in network:
        if unfreeze != "all":
            raise ValueError(f"unfreeze is {unfreeze!r}: a network of its own trains whole: 'all'")
        return None
    if unfreeze != "0" or unfreeze not in features:
        raise ValueError(
            "a search trains the head of a frozen backbone, on its cached features: it needs "
            f"unfreeze 0 and --features 0=FILE, but unfreeze is {unfreeze!r} and there are "
            f"features of {', '.join(features) or 'none'}"
        )
    described = cached_features.description(features[unfreeze])
    if not described["kept"]:
        raise ValueError(
            f"{features[unfreeze]} holds no features: {described['bytes'] / 1e9:.1f} GB were above "
            "the limit; raise features.limit_gb, a search does not run the backbone"
        )
    return described


def table(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Return the rows of a search with a column for each hyperparameter."""
    return pd.DataFrame(
        [
            {name: row[name] for name in row if name != "hyperparameters"} | row["hyperparameters"]
            for row in rows
        ]
    )


def best(rows: Sequence[Mapping]) -> dict:
    """Return what the best trial found, the first one among equals."""
    found = max(
        (row for row in rows if row["val_loss"] is not None), key=lambda row: row["val_accuracy"]
    )
    return {
        "hyperparameters": found["hyperparameters"],
        "val_accuracy": found["val_accuracy"],
        "trial": found["trial"],
        "trials": len(rows),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }


def _identity(
    options: argparse.Namespace, described: Mapping | None, sampling: pd.DataFrame, threads: int
) -> str:
    """Return the fingerprint of everything that decides the result of this search.

    Features are known by the digest in their description, images by the rows that are read.
    """
    import keras_tuner

    files = {"sampling": digests.file_digest(options.sampling)}
    if described is None:
        rows = np.sort(sampling["row"].to_numpy())
        for name, path in (("images", options.images), ("masks", options.masks)):
            files[name] = digests.rows_digest(arrays.NpyFile(path), rows)
    names = ("network", "tune", "unfreeze", "pixels", "training")
    settings = {name: getattr(options, name) for name in names}
    versions = backend.describe() | {"keras_tuner": keras_tuner.__version__}
    return checkpoint.fingerprint(
        **settings,
        **files,
        features=described,
        threads=threads,
        versions=versions,
        code=code_digest.code_digest(__file__),
    )


def _tune(text: str) -> dict:
    return {"iterations": ITERATIONS} | json.loads(text)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    training_options.add(parser)
    parser.add_argument("--tune", type=_tune, required=True, help="JSON, see models:")
    return training_options.parse(parser, argv)


if __name__ == "__main__":
    command.run(main)
