"""Weights of backbones: fetched from Keras, read from a file, or drawn at random."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pulmoscan.acquire import trust
from pulmoscan.networks import backbones, published_weights
from pulmoscan.networks.backbones import WEIGHTS_SIZE
from pulmoscan.storage import digests
from pulmoscan.storage.atomic import writing

if TYPE_CHECKING:
    import keras

SOURCES = ("imagenet", "folder", "none")
RANDOM_IMAGES = 8  # on which random weights are normalised
ELSEWHERE = "set weights.source to folder (your own files) or none (random weights)"
# Keras checks no hash of MobileNet's files. Known of them: bytes, and SHA-256 where established.
UNCHECKED_BY_KERAS: dict[str, tuple[int, str | None]] = {
    "mobilenet_1_0_224_tf_no_top.h5": (17225924, None),
    "mobilenet_2_5_224_tf_no_top.h5": (
        2108140,
        "dbdb03ee2a22fd895301636cd328b234bb3a9952358f436d82f46b81e0d5b0bf",
    ),
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5": (9406464, None),
}


def fetch(backbone: str, arguments: Mapping, cache: Path) -> Path:
    """Return the file of weights that Keras publishes, downloaded to ``cache``/models.

    A file that is already there is checked and not downloaded again. A download that fails or is
    not the known file is removed.

    Raises:
        ConnectionError: it cannot be fetched completely.
        ValueError: it is not the file that is known, or the environment names certificates that
            there are not.
    """
    import keras

    url = backbones.published_url(backbone, arguments)
    name = url.rpartition("/")[2]
    size, sha256 = UNCHECKED_BY_KERAS.get(name, (None, None))
    path = cache / "models" / name
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    trust.share_certificates()
    try:
        keras.utils.get_file(
            name,
            url,
            cache_dir=cache,
            cache_subdir="models",
            file_hash=published_weights.HASHES.get(name, sha256),
        )
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"{url} is not the file that Keras published: {error}") from error
    except Exception as error:  # Keras raises a plain Exception for a failed download
        path.unlink(missing_ok=True)
        # Without Keras' own mention of the address.
        reason = trust.refusal(error) or str(error).rpartition(" -- ")[2]
        raise ConnectionError(f"cannot fetch {url}: {reason}; {ELSEWHERE}") from error
    if size is not None and path.stat().st_size != size:
        found = path.stat().st_size
        path.unlink()
        raise ValueError(f"{url} has {found} bytes and not {size}: fetch it again, or {ELSEWHERE}")
    return path


def read(backbone: str, arguments: Mapping, path: Path) -> "keras.Model":
    """Return a backbone with the weights of a file, in Keras' current or its older h5 format.

    EfficientNet's weights from Keras lack a factor (see `fold_rescaling`), which is put in where
    the file has the published name or still has the published variance. Raises ``ValueError`` for
    a damaged file and for one of another network.
    """
    model = backbones.build(backbone, arguments, WEIGHTS_SIZE)
    backbones.load_weights(model, backbone, arguments, path)
    if backbones.BACKBONES[backbone].family == "efficientnet" and (
        not path.name.endswith(".weights.h5") or is_unfolded(model)
    ):
        fold_rescaling(model)
    return model


def initialise(backbone: str, arguments: Mapping, seed: int) -> "keras.Model":
    """Return a backbone with random weights that depend on ``seed`` alone.

    Its batch normalisations hold the statistics of smooth random images, as after one training step
    without momentum. Otherwise their initial mean 0 and variance 1 let the signal of a deep frozen
    network fade (to 1e-17 in MobileNet), and a head on it learns nothing (data-dependent
    initialisation: Krähenbühl et al. 2016, ICLR, section 3.1).
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = backbones.build(backbone, arguments, WEIGHTS_SIZE)
    normalisations = [
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.momentum = 0.0
    model(_smooth_images(np.random.default_rng(seed)), training=True)
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum
    return model


def record(backbone: str, arguments: Mapping, source: str, path: Path | None) -> dict:
    """Return what is recorded of weights; ``path`` is the file they were read from, if any."""
    return {
        "backbone": backbones.weights_name(backbone, arguments),
        "source": source,
        "file": path.name if path else "",
        "bytes": path.stat().st_size if path else "",
        "sha256": digests.file_digest(path) if path else "",
        "url": backbones.published_url(backbone, arguments) if source == "imagenet" else "",
    }


def fold_rescaling(model: "keras.Model") -> None:
    """Make published weights of an EfficientNet right for a network built without them.

    Built with ``weights="imagenet"``, Keras multiplies the normalised input by 1/sqrt(deviation)
    (keras/src/applications/efficientnet.py, "Build stem"); built without weights it does not. As
    Normalization divides by the square root of its variance, variance * deviation does the same.
    """
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            mean, variance, count = layer.get_weights()
            deviation = np.array(backbones.DEVIATION, variance.dtype)
            layer.set_weights([mean, variance * deviation, count])
            layer.finalize_state()


def is_unfolded(model: "keras.Model") -> bool:
    """Return whether the variance of a network's Normalization is still as Keras publishes it.

    The published variance is ImageNet's standard deviation, not its square: that is why Keras
    divides by the root of the deviation once more.
    """
    return any(
        np.allclose(layer.get_weights()[1], backbones.DEVIATION, rtol=1e-3)
        for layer in model.layers
        if type(layer).__name__ == "Normalization"
    )


def _smooth_images(random: np.random.Generator) -> np.ndarray:
    """Return random grey images of 3 channels in -1..1 without detail finer than 1/16 of a side."""
    coarse = random.uniform(-1, 1, (RANDOM_IMAGES, 16, 16)).astype(np.float32)
    smooth = [
        cv2.resize(image, (WEIGHTS_SIZE, WEIGHTS_SIZE), interpolation=cv2.INTER_CUBIC)
        for image in coarse
    ]
    return np.repeat(np.stack(smooth)[..., None], 3, axis=-1)
