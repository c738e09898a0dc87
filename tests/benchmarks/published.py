"""The published way: what a Keras user of the study writes, to measure this workflow against.

Masked PNGs in one folder per class, read by ``keras.utils.image_dataset_from_directory`` in every
epoch; the whole network in every ``fit``, its base frozen; a whole network for every trial of
Hyperband; Grad-CAM by the functions of the Keras example, one image at a time. Nothing of the
workflow is imported here. Early stopping, which the study used, is left out on both sides, so that
both train for as many epochs.

Arguments: ``fit``, ``hyperband`` or ``gradcam``, and a JSON file that `compare_speed.py` writes:

- ``threads``, and ``output``, the folder to write;
- ``fit`` and ``hyperband``: ``folder`` of the PNGs (``train/<label>`` and ``validation/<label>``),
  ``weights`` of the backbone, ``network``, ``training`` and ``tune`` as ``models.resolve`` gives
  them, and ``unfreeze``, the number of last layers of the base that train;
- ``gradcam``: ``folder`` of the PNGs (``*/*.png``), ``model``, and ``layer``, the name of its last
  convolutional layer.

Outputs: ``work.json``, the number of epochs, trials or maps (``gradcam``: maps and overlays, too).
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import keras_tuner
    import tensorflow as tf

SEED = 42
READY = "ready"  # printed when everything is loaded
OPACITY = 0.5  # of a map over its image


def main(argv: Sequence[str]) -> None:
    """Do what the command line says."""
    way, path = argv
    settings = json.loads(Path(path).read_text(encoding="utf-8"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(settings["threads"])
    output = Path(settings["output"])
    output.mkdir(parents=True, exist_ok=True)
    work = {"fit": fit, "hyperband": hyperband, "gradcam": gradcam}[way](settings, output)
    (output / "work.json").write_text(json.dumps(work) + "\n", encoding="utf-8")


def fit(settings: Mapping, output: Path) -> int:
    """Train a head, and the last layers of the base, by ``fit``; return the number of epochs."""
    import keras

    keras.utils.set_random_seed(SEED)
    train, validation = datasets(settings)
    model = network(settings, len(train.class_names), {})
    epochs = settings["training"]["epochs"]
    return len(model.fit(train, validation_data=validation, epochs=epochs, verbose=2).epoch)


def hyperband(settings: Mapping, output: Path) -> int:
    """Search the head, with a whole network per trial; return the number of trials."""
    import keras_tuner

    train, validation = datasets(settings)
    search = settings["tune"]

    def build(space: keras_tuner.HyperParameters) -> "keras.Model":
        values = {name: drawn(space, name, one) for name, one in search["space"].items()}
        return network(settings, len(train.class_names), values)

    tuner = keras_tuner.Hyperband(
        build,
        objective="val_accuracy",
        max_epochs=search["max_epochs"],
        factor=search["factor"],
        hyperband_iterations=search.get("iterations", 1),
        seed=search["seed"],
        directory=output,
        project_name="hyperband",
        overwrite=True,
    )
    tuner.search(train, validation_data=validation, verbose=2)
    return len(tuner.oracle.trials)


def drawn(space: "keras_tuner.HyperParameters", name: str, one: Mapping) -> float:
    """Return the value of a hyperparameter in this trial."""
    if "values" in one:
        return space.Choice(name, one["values"])
    return space.Float(name, one["min"], one["max"], step=one["step"])


def datasets(settings: Mapping) -> tuple["tf.data.Dataset", "tf.data.Dataset"]:
    """Return the training and the validation images, decoded and resized anew in every epoch."""
    import keras

    size = settings["network"]["input_size"]
    return tuple(
        keras.utils.image_dataset_from_directory(
            Path(settings["folder"], part),
            image_size=(size, size),
            color_mode="rgb",
            batch_size=settings["training"]["batch_size"],
            seed=SEED,
            verbose=False,
        )
        for part in ("train", "validation")
    )


def network(settings: Mapping, classes: int, values: Mapping) -> "keras.Model":
    """Return the compiled network: preprocessing, base, head, softmax.

    ``values`` are those of the hyperparameters in the head, and of the learning rate, by name.
    """
    import keras

    described = settings["network"]
    build = getattr(keras.applications, described["backbone"])
    preprocess_input = importlib.import_module(build.__module__).preprocess_input
    shape = (described["input_size"], described["input_size"], 3)
    weights = str(settings["weights"])
    base = build(include_top=False, weights=weights, input_shape=shape, **described["arguments"])
    for layer in base.layers[: len(base.layers) - settings["unfreeze"]]:
        layer.trainable = False
    inputs = keras.Input(shape)
    x = base(preprocess_input(inputs))
    for layer in described["head"]:
        if layer == "average_pooling":
            x = keras.layers.GlobalAveragePooling2D()(x)
            continue
        ((kind, value),) = layer.items()
        value = values[value[1:]] if isinstance(value, str) else value
        if kind == "dropout":
            x = keras.layers.Dropout(value)(x)
        elif value:
            x = keras.layers.Dense(value, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
    rate = values.get("learning_rate", settings["training"]["learning_rate"])
    model.compile(
        keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def gradcam(settings: Mapping, output: Path) -> int:
    """Explain every image of a folder by the loop of the Keras example, then draw the overlays."""
    import keras

    loaded = keras.saving.load_model(settings["model"], compile=False)
    # The example takes the softmax off the last layer; in this model it is a layer of its own.
    model = keras.Model(loaded.input, loaded.get_layer("logits").output)
    size = int(model.input.shape[1])
    paths = sorted(Path(settings["folder"]).glob("*/*.png"))
    print(READY, flush=True)
    maps = []
    for path in paths:
        image = keras.utils.load_img(path, color_mode="grayscale", target_size=(size, size))
        batch = np.expand_dims(keras.utils.img_to_array(image), axis=0)
        maps.append(heatmap(batch, model, settings["layer"]))
    np.save(output / "cams.npy", np.stack(maps))
    for path, one in zip(paths, maps, strict=True):
        overlay(path, one, output / path.name)
    return len(maps)


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


if __name__ == "__main__":
    main(sys.argv[1:])
