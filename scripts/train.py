"""Train one network of one run with one seed, and predict its validation and test images.

Settings: the network (an entry of ``models:`` with its layers), ``unfreeze``, the pixels, the
augmentation, the training with its stages, and its seed. Inputs: the sampling (Parquet: row, image,
label, split), the packed images and masks, the backbone's weights, what a search found for the
``$names`` in the layers, and features: cached outputs of what a stage does not train, by what it
unfreezes (see ``features.py``). A stage without, or whose features were not kept, runs the whole
network. An augmented run has none.

Outputs, in one folder: ``model.keras`` (the whole network, grey pixels 0..255 or histograms to
probabilities), ``history.tsv`` (a row an epoch, from 1, on over the stages),
``predictions.parquet`` (image, split, label and ``p_<label>`` of the validation and test images)
and ``training.json``. A training that was killed goes on from the checkpoint folder, which is
emptied at the end.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pulmoscan.networks.build import Network
    from pulmoscan.training.loop import Progress


def main(argv: Sequence[str]) -> None:
    """Train, and write the folder ``--output``."""
    options = _parse(argv)
    if options.best is not None:
        found = json.loads(options.best.read_text(encoding="utf-8"))["hyperparameters"]
        options.network, options.training = chosen(options.network, options.training, found)
    settings = options.training
    plan = stages.resolve(settings, options.unfreeze)
    descriptions = {
        key: cached_features.description(path) for key, path in options.features.items()
    }
    check_features(list(descriptions), plan, options.augment is not None)
    kept = {key: described for key, described in descriptions.items() if described["kept"]}
    sampling = pd.read_parquet(options.sampling)
    classes = labelling.labels_of(sampling, options.sampling)
    in_force = backend.configure(
        settings["threads"],
        # A head on float32 features has nothing to gain, and the saved network stays float32.
        "off" if trains_heads_alone(plan, kept) else settings["mixed_precision"],
        settings["xla"],
    )
    import keras
    from pulmoscan.inputs import batches
    from pulmoscan.networks import build, cut
    from pulmoscan.training import loop

    keras.utils.set_random_seed(options.seed)
    network = build.build(options.network, len(classes), options.weights)
    for stage, valid in zip(plan, features_valid(network, plan), strict=True):
        stage["cached"] = valid and stage["unfreeze"] in kept
    rows = sampling["row"].to_numpy()
    images, masks = arrays.NpyFile(options.images), arrays.NpyFile(options.masks)
    pixels = batches.Pixels(images, masks, options.pixels, options.network.get("input_size"))
    on_pixels = not all(stage["cached"] for stage in plan)
    if on_pixels:
        pixels = pixels.keep(rows)
    sources = [
        batches.Features.open(options.features[stage["unfreeze"]]) if stage["cached"] else pixels
        for stage in plan
    ]
    labels = np.searchsorted(classes, sampling["label"])
    split = sampling["split"].to_numpy()

    def some(index: int, part: np.ndarray, **order: object) -> batches.Batches:
        size = settings["batch_size"]
        return batches.Batches(sources[index], rows[part], labels[part], size, **order)

    def prepare(index: int) -> loop.Stage:
        stage = plan[index]
        cut.freeze(network, stage["unfreeze"])
        frozen, trained = cut.cut(network)
        if stage["cached"]:
            sources[index].check(batches.crossing(frozen) if frozen else [])
        model = trained if stage["cached"] else cut.joined(network, frozen, trained)
        loop.compile_model(model, stage["learning_rate"], in_force.jit_compile)
        stage["trainable_parameters"] = count(network.model.trainable_weights)
        order = {"seed": options.seed, "augment": options.augment}
        return loop.Stage(
            model,
            trained,
            lambda epoch: some(index, split == "train", epoch=epoch, **order),
            some(index, split == "validation"),
            loop.Settings(**{key: stage[key] for key in stages.SETTINGS}),
        )

    identity = _identity(options, kept, rows if on_pixels else rows[:0], in_force.threads)
    with backend.explain_out_of_memory(settings["batch_size"]):
        progress, steps = loop.train(prepare, len(plan), options.checkpoint, identity)
        probabilities = loop.predict(steps, some(-1, split != "train"))
    facts = {
        "n_train": int((split == "train").sum()),
        **_facts(network, progress, plan, kept),
        **backend.describe(),
        "dtype_policy": in_force.dtype_policy,
        "xla": in_force.jit_compile,
        "threads": in_force.threads,
        "augmented": options.augment is not None,
    }
    table = sampling.loc[split != "train", ["image", "split", "label"]].reset_index(drop=True)
    for index, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, index]
    history = pd.DataFrame(progress.history, columns=list(loop.HISTORY))
    _write(options.output, network, history, table, facts)
    checkpoint.remove(options.checkpoint)


def chosen(network: Mapping, training: Mapping, values: Mapping) -> tuple[dict, dict]:
    """Return a network and training settings with the hyperparameters that a search found.

    Raises ``ValueError`` for a ``$name`` that has no value.
    """
    rate = {key: values[key] for key in values if key == hyperparameters.LEARNING_RATE}
    return hyperparameters.fill(network, values), {**training, **rate}


def check_features(given: Sequence[str], plan: Sequence[Mapping], augmented: bool) -> None:
    """Raise ``ValueError`` where features are given that no stage of the training could use.

    ``given`` are the ``unfreeze`` that they belong to.
    """
    if given and augmented:
        raise ValueError(
            "an augmented training sees other images in every epoch, so it takes no cached "
            f"features; given are those of unfreeze {', '.join(given)}"
        )
    unfreeze = [stage["unfreeze"] for stage in plan]
    if unused := [key for key in given if key not in unfreeze]:
        raise ValueError(
            f"cached features of unfreeze {unused[0]}, but the stages unfreeze "
            f"{', '.join(unfreeze)}"
        )


def trains_heads_alone(plan: Sequence[Mapping], kept: Mapping) -> bool:
    """Return whether every stage trains nothing but the head, on cached features."""
    return all(stage["unfreeze"] == "0" and "0" in kept for stage in plan)


def features_valid(network: "Network", plan: Sequence[Mapping]) -> list[bool]:
    """Return for each stage whether features of the untrained network are still right.

    They are not where a stage before has trained layers that the stage itself freezes.
    """
    from pulmoscan.networks import cut

    numbers = [len(cut.trainable_layers(network, stage["unfreeze"])) for stage in plan]
    return [number == max(numbers[: index + 1]) for index, number in enumerate(numbers)]


def count(weights: Sequence) -> int:
    """Return how many numbers there are in weights."""
    return sum(int(np.prod(weight.shape)) for weight in weights)


def _facts(
    network: "Network", progress: "Progress", plan: Sequence[Mapping], kept: Mapping
) -> dict:
    """Return what ``training.json`` tells of the network, its stages and their features.

    What is said once is that of the last stage.
    """
    from pulmoscan.networks import cut

    cached = kept[plan[-1]["unfreeze"]] if plan[-1]["cached"] else {}
    return {
        "epochs": len(progress.history),
        "parameters": int(network.model.count_params()),
        "trainable_parameters": plan[-1]["trainable_parameters"],
        "trained_layers": cut.trained_layers(network),
        "first_trained": cut.first_trained(network),
        "cached": cached.get("bytes"),
        "features_dtype": cached.get("dtype"),
        "seconds": round(progress.seconds, 3),
        "stages": [
            {
                "unfreeze": stage["unfreeze"],
                "epochs": sum(row["stage"] == number for row in progress.history),
                "learning_rate": stage["learning_rate"],
                "trainable_parameters": stage["trainable_parameters"],
                "cached": stage["cached"],
            }
            for number, stage in enumerate(plan, start=1)
        ],
    }


def _identity(options: argparse.Namespace, kept: Mapping, rows: np.ndarray, threads: int) -> str:
    """Return the fingerprint of everything that decides the result of this training.

    Features are known by the digest in their description, images by ``rows``, those that are read.
    """
    files = {
        name: digests.file_digest(path)
        for name, path in (("sampling", options.sampling), ("weights", options.weights))
        if path is not None
    }
    for name, path in (("images", options.images), ("masks", options.masks)):
        files[name] = digests.rows_digest(arrays.NpyFile(path), np.sort(rows))
    names = ("network", "unfreeze", "pixels", "augment", "training", "seed")
    settings = {name: getattr(options, name) for name in names}
    return checkpoint.fingerprint(
        **settings,
        **files,
        features=kept,
        threads=threads,
        backend=backend.describe(),
        code=code_digest.code_digest(__file__),
    )


def _write(
    folder: Path, network: "Network", history: pd.DataFrame, table: pd.DataFrame, facts: Mapping
) -> None:
    with replacing(folder / "model.keras") as path:
        network.model.save(path)
    with replacing(folder / "history.tsv") as path:
        history.to_csv(path, sep="\t", index=False)
    with replacing(folder / "predictions.parquet") as path:
        table.to_parquet(path, index=False)
    with replacing(folder / "training.json") as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    training_options.add(parser)
    parser.add_argument("--augment", type=json.loads, default=None, help="JSON or null")
    parser.add_argument("--best", type=Path, help="JSON of a search, for $names in the network")
    parser.add_argument("--seed", type=int, required=True)
    options = training_options.parse(parser, argv)
    if "backbone" in options.network and options.weights is None:
        parser.error("a backbone needs --weights")
    return options


if __name__ == "__main__":
    command.run(main)
