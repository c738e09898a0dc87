"""Networks that are built in a second, as the configuration writes them."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

HEAD = ["average_pooling", {"dense": 12}, {"dense": 6}, {"dropout": 0.2}]
BACKBONE = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 64}
MOBILENET = BACKBONE | {"head": HEAD}
LENET = [
    *({"conv2d": 16}, "max_pooling", {"conv2d": 32}, "max_pooling", {"conv2d": 64}, "max_pooling"),
    *({"dropout": 0.3}, "flatten", {"dense": 128}),
]
GREY = np.random.default_rng(0).uniform(0, 255, (6, 64, 64, 1)).astype("float32")


def outputs(model: "keras.Model", x: np.ndarray) -> np.ndarray:
    """Return what a model gives in inference mode, without compiling it."""
    import keras

    return keras.ops.convert_to_numpy(model(x, training=False))


def dense_parameters(*widths: int) -> int:
    """Return the number of parameters of dense layers between these widths."""
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(widths))
