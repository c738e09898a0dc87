"""The published way: what a Keras user of the study writes, to measure this workflow against.

Masked PNGs in a folder a class, read by ``keras.utils.image_dataset_from_directory`` in every
epoch; the whole network in every ``fit``, its base frozen; a whole network for every trial of
Hyperband; Grad-CAM by the functions of the Keras example, an image at a time. Nothing of the
workflow is imported here. Early stopping, which the study used, is left out on both sides, so that
both train as many epochs.

Settings: ``fit``, ``hyperband`` or ``gradcam`` and its options. Inputs: the folder of PNGs
(``train/<label>/*.png`` and ``validation/<label>/*.png``; ``gradcam``: any ``*/*.png``), the
backbone's weights, or a saved model. Outputs: a JSON of what came out (``fit``, ``hyperband``), or
the maps and overlays (``gradcam``).
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

LEARNING_RATES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]
WIDTHS = [0, 32, 64, 128, 256, 512]
READY = "ready"  # printed when everything is loaded
MAPS = "cams.npy"
OPACITY = 0.5  # of a map over its image


def main(argv: Sequence[str]) -> None:
    """Do what the command line says."""
    options = _parser().parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    options.run(options)


def fit(options: argparse.Namespace) -> None:
    """Train a head, and the last layers of the base, by ``fit`` on the whole network."""
    import keras

    keras.utils.set_random_seed(options.seed)
    train, validation = datasets(options.folder, options.input_size)
    model = network(options, len(train.class_names), dense=(128, 32), dropout=0.2)
    print(READY, flush=True)
    found = model.fit(train, validation_data=validation, epochs=options.epochs, verbose=2).history
    _write(
        options.output,
        {"epochs": len(found["loss"]), "val_accuracy": max(found["val_accuracy"])},
    )


def hyperband(options: argparse.Namespace) -> None:
    """Search the published head of VGG16 on a whole network a trial."""
    import keras_tuner

    train, validation = datasets(options.folder, options.input_size)
    classes = len(train.class_names)

    def build(space: keras_tuner.HyperParameters) -> "keras.Model":
        return network(
            options,
            classes,
            base_dropout=space.Float("base_dropout", 0, 0.5, step=0.1),
            dense=(space.Choice("dense_1", WIDTHS), space.Choice("dense_2", WIDTHS)),
            dropout=space.Float("dropout", 0, 0.5, step=0.1),
            learning_rate=space.Choice("learning_rate", LEARNING_RATES),
        )

    tuner = keras_tuner.Hyperband(
        build,
        objective="val_accuracy",
        max_epochs=options.epochs,
        factor=options.factor,
        hyperband_iterations=options.iterations,
        seed=options.seed,
        directory=options.output.with_suffix(".trials"),
        project_name="hyperband",
        overwrite=True,
    )
    print(READY, flush=True)
    tuner.search(train, validation_data=validation, verbose=2)
    trials = tuner.oracle.trials.values()
    best = tuner.oracle.get_best_trials()[0]
    _write(
        options.output,
        {
            "trials": len(trials),
            "failed": sum(trial.status != "COMPLETED" for trial in trials),
            "epochs": sum(_epochs(trial.hyperparameters.values) for trial in trials),
            "val_accuracy": best.score,
            "hyperparameters": best.hyperparameters.values,
        },
    )


def _epochs(values: dict) -> int:
    return values["tuner/epochs"] - values["tuner/initial_epoch"]


def datasets(folder: Path, size: int) -> tuple["tf.data.Dataset", "tf.data.Dataset"]:
    """Return the training and the validation images, decoded and resized anew in every epoch."""
    import keras

    def read(part: str) -> "tf.data.Dataset":
        return keras.utils.image_dataset_from_directory(
            folder / part,
            image_size=(size, size),
            color_mode="rgb",
            batch_size=32,
            seed=123,
            verbose=False,
        )

    return read("train"), read("validation")


def network(
    options: argparse.Namespace,
    classes: int,
    dense: Sequence[int],
    dropout: float,
    base_dropout: float = 0.0,
    learning_rate: float = 1e-3,
) -> "keras.Model":
    """Return the compiled network: preprocessing, base, pooling, dense layers, softmax."""
    import keras

    build = getattr(keras.applications, options.backbone)
    preprocess_input = importlib.import_module(build.__module__).preprocess_input
    shape = (options.input_size, options.input_size, 3)
    base = build(
        include_top=False, weights=str(options.weights), input_shape=shape, **options.arguments
    )
    if options.unfreeze:
        for layer in base.layers[: -options.unfreeze]:
            layer.trainable = False
    else:
        base.trainable = False
    inputs = keras.Input(shape)
    x = base(preprocess_input(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(base_dropout)(x)
    for units in filter(None, dense):
        x = keras.layers.Dense(units, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x)
    model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
    model.compile(
        keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def gradcam(options: argparse.Namespace) -> None:
    """Explain every image of a folder by the loop of the Keras example, then draw the overlays."""
    import keras

    loaded = keras.saving.load_model(options.model, compile=False)
    # The example takes the softmax off the last layer; in this model it is a layer of its own.
    model = keras.Model(loaded.input, loaded.get_layer("logits").output)
    size = int(model.input.shape[1])
    paths = sorted(options.folder.glob("*/*.png"))
    options.output.mkdir(parents=True, exist_ok=True)
    print(READY, flush=True)
    maps = []
    for path in paths:
        image = keras.utils.load_img(path, color_mode="grayscale", target_size=(size, size))
        batch = np.expand_dims(keras.utils.img_to_array(image), axis=0)
        maps.append(heatmap(batch, model, options.layer))
    np.save(options.output / MAPS, np.stack(maps))
    for path, one in zip(paths, maps, strict=True):
        overlay(path, one, options.output / path.name)


def heatmap(batch: np.ndarray, model: "keras.Model", layer: str) -> np.ndarray:
    """Return the map of one image for its predicted class, h x w float32 in 0..1.

    The steps are those of ``make_gradcam_heatmap`` in https://keras.io/examples/vision/grad_cam/,
    among them a model that is built in every call and runs without being traced.
    """
    import keras
    import tensorflow as tf

    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        features, scores = both(batch)
        score = scores[:, tf.argmax(scores[0])]
    weights = tf.reduce_mean(tape.gradient(score, features), axis=(0, 1, 2))
    positive = tf.maximum(tf.squeeze(features[0] @ weights[..., tf.newaxis], axis=-1), 0)
    return (positive / tf.math.reduce_max(positive)).numpy()


def overlay(image_path: Path, one: np.ndarray, path: Path) -> None:
    """Write an image with its map in the colours of jet over it, as the Keras example does."""
    import keras
    import matplotlib as mpl

    image = keras.utils.img_to_array(keras.utils.load_img(image_path))
    colours = mpl.colormaps["jet"](np.arange(256))[:, :3]
    coloured = keras.utils.array_to_img(colours[np.uint8(255 * np.nan_to_num(one))])
    coloured = keras.utils.img_to_array(coloured.resize((image.shape[1], image.shape[0])))
    keras.utils.array_to_img(coloured * OPACITY + image).save(path)


def _write(path: Path, facts: dict) -> None:
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], None], what: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=what)
        one.set_defaults(run=run)
        one.add_argument("--folder", type=Path, required=True, help="of PNGs in a folder a class")
        one.add_argument("--threads", type=int, default=2)
        one.add_argument("--output", type=Path, required=True)
        return one

    for name, run, what in (
        ("fit", fit, "train a run"),
        ("hyperband", hyperband, "search the head"),
    ):
        one = command(name, run, what)
        one.add_argument("--weights", type=Path, required=True)
        one.add_argument("--backbone", default="MobileNet")
        one.add_argument(
            "--arguments", type=json.loads, default={}, help="JSON, of its constructor"
        )
        one.add_argument("--input-size", type=int, default=256, help="pixels")
        one.add_argument("--unfreeze", type=int, default=0, help="last layers of the base to train")
        one.add_argument("--epochs", type=int, default=15, help="hyperband: at most")
        one.add_argument("--seed", type=int, default=42)
        if run is hyperband:
            one.add_argument("--factor", type=int, default=3)
            one.add_argument("--iterations", type=int, default=1)
    one = command("gradcam", gradcam, "explain the images")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--layer", required=True, help="name of the last convolutional layer")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
