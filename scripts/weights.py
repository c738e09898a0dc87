"""Write the weights of one backbone as the rest of the workflow reads them.

Settings: the backbone with its constructor arguments, and the source of the weights. ``imagenet``:
Keras fetches the file that it publishes and checks its hash; ``folder``: a file of the user's,
``<backbone>.weights.h5`` or under the name that Keras gives it; ``none``: random initialisation
from a seed. Inputs: none but these. Outputs: ``<backbone>.weights.h5`` for the network without top
that `pulmoscan.networks.backbones.build` makes, and with ``--record`` a table of one row that says
what was read: backbone, source, file, bytes, sha256, url.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.networks import backbones
from pulmoscan.storage import digests, disk
from pulmoscan.storage.atomic import replacing, writing

if TYPE_CHECKING:
    import keras

RANDOM_IMAGES = 8  # that random weights are normalised on
SOURCES = ("imagenet", "folder", "none")
ELSEWHERE = "set weights.source to folder (files of yours) or none (random weights)"
# Keras checks no hash of MobileNet's files. Known of them: bytes, and SHA-256 where established.
UNCHECKED_BY_KERAS: dict[str, tuple[int, str | None]] = {
    "mobilenet_1_0_224_tf_no_top.h5": (17225924, None),
    "mobilenet_2_5_224_tf_no_top.h5": (
        2108140,
        "dbdb03ee2a22fd895301636cd328b234bb3a9952358f436d82f46b81e0d5b0bf",
    ),
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5": (9406464, None),
}


def main(argv: Sequence[str]) -> None:
    """Write the weights of ``--backbone`` to ``--output``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", required=True, help=", ".join(backbones.BACKBONES))
    parser.add_argument("--arguments", type=json.loads, default={}, help="JSON, of its constructor")
    parser.add_argument("--source", choices=SOURCES, required=True)
    parser.add_argument("--folder", default="", help="with --source folder")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.keras").expanduser(), help="where Keras downloads to"
    )
    parser.add_argument("--seed", type=int, default=0, help="with --source none")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(argv)
    arguments = options.arguments or {}
    backbones.find(options.backbone)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # no work for a GPU, which trainings may hold
    backend.configure(threads=2)
    path = None
    if options.source == "imagenet":
        path = fetch(options.backbone, arguments, options.cache)
    elif options.source == "folder":
        path = backbones.find_file(options.folder, options.backbone, arguments)
    if path is None:
        model = initialise(options.backbone, arguments, options.seed)
    else:
        model = read(options.backbone, arguments, path)
    # On a full disk HDF5 prints an error for every part it could not write, or crashes.
    disk.check_space(options.output.parent, 4 * model.count_params(), "the weights file")
    with replacing(options.output) as temporary:
        model.save_weights(temporary)
    if options.record is not None:
        facts = {
            "backbone": backbones.weights_name(options.backbone, arguments),
            "source": options.source,
            "file": path.name if path else "",
            "bytes": path.stat().st_size if path else "",
            "sha256": digests.file_digest(path) if path else "",
            "url": backbones.published_url(options.backbone, arguments)
            if options.source == "imagenet"
            else "",
        }
        with replacing(options.record) as temporary:
            pd.DataFrame([facts]).to_csv(temporary, sep="\t", index=False)


def fetch(backbone: str, arguments: Mapping, cache: Path) -> Path:
    """Return the file of weights that Keras publishes, downloaded to ``cache``/models.

    A file that is there already is checked and not downloaded again. Raises ``ConnectionError``
    when it cannot be fetched whole, and ``ValueError`` when it is not the file that is known; what
    was downloaded is then removed.
    """
    import keras

    url = backbones.published_url(backbone, arguments)
    name = url.rpartition("/")[2]
    size, sha256 = UNCHECKED_BY_KERAS.get(name, (None, None))
    path = cache / "models" / name
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        keras.utils.get_file(
            name,
            url,
            cache_dir=cache,
            cache_subdir="models",
            file_hash=backbones.find(backbone).md5 or sha256,
        )
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"{url} is not the file that Keras published: {error}") from error
    except Exception as error:  # Keras raises a plain Exception for a failed download
        path.unlink(missing_ok=True)
        reason = str(error).rpartition(" -- ")[2]  # without Keras' own mention of the address
        raise ConnectionError(f"cannot fetch {url}: {reason}; {ELSEWHERE}") from error
    if size is not None and path.stat().st_size != size:
        found = path.stat().st_size
        path.unlink()
        raise ValueError(f"{url} has {found} bytes and not {size}: fetch it again, or {ELSEWHERE}")
    return path


def read(backbone: str, arguments: Mapping, path: Path) -> "keras.Model":
    """Return a backbone with the weights of a file, in Keras' current or its older h5 format.

    An EfficientNet's weights from Keras miss a factor (see `backbones.fold_rescaling`): it is put
    in where the file has the published name or still has the published variance. Raises
    ``ValueError`` for a damaged file and for one of another network.
    """
    model = backbones.load(backbone, arguments, path)
    if not path.name.endswith(".weights.h5") or backbones.is_unfolded(model):
        backbones.fold_rescaling(model)
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
    model = backbones.build(backbone, arguments, backbones.MOBILENET_SIZE)
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


def _smooth_images(random: np.random.Generator) -> np.ndarray:
    """Return random grey images of 3 channels in -1..1 without detail finer than 1/16 of a side."""
    coarse = random.uniform(-1, 1, (RANDOM_IMAGES, 16, 16)).astype(np.float32)
    size = (backbones.MOBILENET_SIZE, backbones.MOBILENET_SIZE)
    smooth = [cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in coarse]
    return np.repeat(np.stack(smooth)[..., None], 3, axis=-1)


if __name__ == "__main__":
    command.run(main)
