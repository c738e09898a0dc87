"""Train one network of one run with one seed, and predict its validation and test images.

Settings: the network (an entry of ``models:`` with its head), ``unfreeze``, the pixels, the
augmentation, the training and its seed. Inputs: the sampling (Parquet: row, image, label, split),
the packed images and masks, the backbone's weights, and, for a frozen backbone without
augmentation, its cached features.

Outputs, in one folder: ``model.keras`` (the whole network, grey pixels 0..255 to probabilities),
``history.tsv`` (a row an epoch, from 1), ``predictions.parquet`` (image, split, label and
``p_<label>`` of the validation and test images) and ``training.json``. A training that was killed
goes on from the checkpoint folder, which is emptied at the end.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pulmoscan import backend, checkpoint, command
from pulmoscan.atomic import replacing


def main(argv: Sequence[str]) -> None:
    """Train, and write the folder ``--output``."""
    options = _parse(argv)
    settings, seed = options.training, options.seed
    sampling = pd.read_parquet(options.sampling)
    classes = check_sampling(sampling, options.sampling)
    cached = options.features is not None
    if cached and (options.unfreeze != "0" or options.augment is not None):
        raise ValueError(
            "cached features serve only a frozen backbone without augmentation: "
            f"unfreeze is {options.unfreeze!r}, augment is {json.dumps(options.augment)}"
        )
    in_force = backend.configure(
        settings["threads"],
        # A head on float32 features has nothing to gain, and the saved network stays float32.
        "off" if cached else settings["mixed_precision"],
        settings["xla"],
    )
    import keras
    from pulmoscan import batches, networks, training

    keras.utils.set_random_seed(seed)
    network = networks.build(options.network, len(classes), options.weights)
    networks.freeze(network, options.unfreeze)
    frozen, trained = networks.split(network)
    if cached:
        values = np.load(options.features, mmap_mode="r", allow_pickle=False)
        model = trained
        source = batches.Features(values, np.load(options.feature_rows, allow_pickle=False))
    else:
        images = np.load(options.images, mmap_mode="r", allow_pickle=False)
        masks = np.load(options.masks, mmap_mode="r", allow_pickle=False)
        model = networks.joined(network, frozen, trained)
        source = batches.Pixels(images, masks, options.pixels, options.network["input_size"])
        source = source.keep(sampling["row"].to_numpy())
    labels = np.searchsorted(classes, sampling["label"])
    part = {name: (sampling["split"] == name).to_numpy() for name in ("train", "validation")}

    def some(chosen: np.ndarray, **order: object) -> batches.Batches:
        rows = sampling["row"].to_numpy()[chosen]
        return batches.Batches(source, rows, labels[chosen], settings["batch_size"], **order)

    training.compile_model(model, settings["learning_rate"], in_force.jit_compile)
    progress = training.train(
        model,
        trained,
        lambda epoch: some(part["train"], seed=seed, epoch=epoch, augment=options.augment),
        some(part["validation"]),
        training.Settings(
            settings["epochs"],
            settings["learning_rate"],
            settings["patience"],
            settings["start_from_epoch"],
        ),
        options.checkpoint,
        _identity(options, sampling, in_force.threads),
    )
    predicted = ~part["train"]
    probabilities = training.predict(model, some(predicted))
    _write(options.output, network.model, progress.history, training.HISTORY)
    table = sampling.loc[predicted, ["image", "split", "label"]].reset_index(drop=True)
    for index, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, index]
    with replacing(options.output / "predictions.parquet") as path:
        table.to_parquet(path, index=False)
    facts = {
        "n_train": int(part["train"].sum()),
        "epochs": len(progress.history),
        "parameters": int(network.model.count_params()),
        "trainable_parameters": sum(
            int(np.prod(weight.shape)) for weight in network.model.trainable_weights
        ),
        "seconds": round(progress.seconds, 3),
        **backend.describe(),
        "dtype_policy": in_force.dtype_policy,
        "xla": in_force.jit_compile,
        "threads": in_force.threads,
        "cached_features": cached,
    }
    with replacing(options.output / "training.json") as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    checkpoint.remove(options.checkpoint)


def check_sampling(sampling: pd.DataFrame, path: str | Path) -> list[str]:
    """Return the labels of a sampling, sorted; raise ``ValueError`` where it cannot be trained on.

    It needs images to train and to validate on, at least two labels among the former, and no
    validation or test image with a label that is not trained.
    """
    counts = sampling["split"].value_counts()
    for split in ("train", "validation"):
        if not counts.get(split, 0):
            raise ValueError(
                f"{path} has no {split} image: the data do not fill this sampling; "
                "give it fewer images or classes, or leave its runs out"
            )
    classes = sorted(sampling.loc[sampling["split"] == "train", "label"].unique())
    unknown = sorted(set(sampling["label"]) - set(classes))
    if unknown or len(classes) < 2:
        raise ValueError(
            f"{path} trains on the labels {', '.join(classes)} only"
            + (f", but has images of {', '.join(unknown)}" if unknown else ": two are needed")
        )
    return classes


def _identity(options: argparse.Namespace, sampling: pd.DataFrame, threads: int) -> str:
    """Return the fingerprint of everything that decides the result of this training."""
    files = {
        name: checkpoint.file_digest(path)
        for name, path in (
            ("sampling", options.sampling),
            ("weights", options.weights),
            ("features", options.features),
            ("feature_rows", options.feature_rows),
        )
        if path is not None
    }
    if options.features is None:
        rows = np.sort(sampling["row"].to_numpy())
        for name, path in (("images", options.images), ("masks", options.masks)):
            files[name] = checkpoint.rows_digest(np.load(path, mmap_mode="r"), rows)
    names = ("network", "unfreeze", "pixels", "augment", "training", "seed", "fingerprint")
    chosen = {name: getattr(options, name) for name in names}
    return checkpoint.fingerprint(**chosen, **files, threads=threads, backend=backend.describe())


def _write(folder: Path, model: object, history: list[dict], columns: Sequence[str]) -> None:
    with replacing(folder / "model.keras") as path:
        model.save(path)
    with replacing(folder / "history.tsv") as path:
        pd.DataFrame(history, columns=list(columns)).to_csv(path, sep="\t", index=False)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=json.loads, required=True, help="JSON, see models:")
    parser.add_argument("--unfreeze", required=True, help="0, a number of layers, half or all")
    parser.add_argument("--pixels", type=json.loads, required=True, help="JSON, see pixels:")
    parser.add_argument("--augment", type=json.loads, default=None, help="JSON or null")
    parser.add_argument("--training", type=json.loads, required=True, help="JSON, see training:")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--sampling", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="needed by a backbone")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--feature-rows", type=Path)
    parser.add_argument("--fingerprint", default="", help="of code and inputs, for the checkpoint")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(argv)
    if (options.features is None) != (options.feature_rows is None):
        parser.error("--features and --feature-rows go together")
    if "backbone" in options.network and options.weights is None:
        parser.error("a backbone needs --weights")
    return options


if __name__ == "__main__":
    command.run(main)
