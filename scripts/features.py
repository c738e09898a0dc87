"""Run the part of a network that a run does not train once over all images that samplings need.

Settings: the network (backbone, arguments, input size, and the first layer of its head), what the
run unfreezes, and the pixels. Inputs: the backbone's weights, the packed images and masks, the
samplings.

Outputs: the tensors that cross the cut before the first trained layer, flattened, one after the
other, a row an image (n x D float32, or float16 on request, ``.npy``); the sorted rows of the
packed arrays they belong to (n int64, ``.npy``), so samplings and seeds only select among them; and
a description (JSON): ``tensors`` (layer and shape), ``first_trained``, ``bytes`` (of n images) and
``bytes_per_image``, ``dtype``, ``kept``, and ``sha256`` of the values. Above the limit, and where
no layer with weights is frozen, nothing is computed: ``kept`` is false, the array has no row, and
trainings run the whole network.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.inputs import cached_features, pixels
from pulmoscan.storage import arrays, disk
from pulmoscan.storage.atomic import replacing

if TYPE_CHECKING:
    import keras

PROGRESS_EVERY = 30  # seconds between two lines
CLASSES = 2  # of the network that is built: how many it has changes nothing before the cut


def main(argv: Sequence[str]) -> None:
    """Compute the features and write them."""
    options = _parse(argv)
    rows = union_of_rows(options.samplings)
    backend.configure(options.threads)
    from pulmoscan.inputs import batches
    from pulmoscan.networks import build, cut

    network = build.build(options.network, CLASSES, options.weights)
    cut.freeze(network, options.unfreeze)
    frozen, _ = cut.cut(network)
    described = cached_features.describe(
        [] if frozen is None else batches.crossing(frozen),
        cut.first_trained(network),
        len(rows),
        np.dtype(options.dtype),
        options.limit_gb,
    )
    if described["kept"]:
        disk.check_space(options.output.parent, described["bytes"], "the file of features")
    elif not described["tensors"]:
        print(f"unfreeze is {options.unfreeze}: all layers with weights train, nothing is computed")
        rows = rows[:0]
    else:
        print(
            f"{described['bytes'] / 1e9:.1f} GB for {len(rows)} images, "
            f"above the limit of {options.limit_gb:g} GB: not computed"
        )
        rows = rows[:0]
    source = batches.Pixels(
        arrays.NpyFile(options.images),
        arrays.NpyFile(options.masks),
        options.pixels,
        options.network["input_size"],
    )
    width = sum(cached_features.sizes(described["tensors"]))
    digest = hashlib.sha256()
    with replacing(options.output) as path, path.open("wb") as file:
        arrays.begin(file, options.dtype, (len(rows), width))
        for part in _parts(len(rows), options.batch_size):
            x = pixels.with_channel(source.read(rows[part]))
            with backend.explain_out_of_memory(options.batch_size):
                outputs = _forward(frozen, x, options.batch_size)
            values = _stored(outputs, options.dtype)
            arrays.append(file, values)
            digest.update(values)
    with replacing(options.rows) as path:
        arrays.write(path, rows)
    with replacing(options.description) as path:
        text = json.dumps(described | {"sha256": digest.hexdigest()}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")


def union_of_rows(samplings: Sequence[Path]) -> np.ndarray:
    """Return the rows of the packed arrays that any sampling holds, sorted, int64.

    Raises ``ValueError`` when they hold none.
    """
    tables = [pd.read_parquet(path, columns=["row"])["row"].to_numpy() for path in samplings]
    rows = np.unique(np.concatenate(tables)).astype(np.int64)
    if not rows.size:
        raise ValueError(f"no image in {', '.join(map(str, samplings))}: the data do not fill them")
    return rows


def _forward(frozen: "keras.Model", x: np.ndarray, size: int) -> np.ndarray:
    """Return the flattened outputs for n images, n x D; a batch is filled up to ``size``.

    With one size there is one function to compile, and images in a small batch get the same
    numbers as in a full one.
    """
    batch = np.pad(x, [(0, size - len(x)), *[(0, 0)] * (x.ndim - 1)]) if len(x) < size else x
    outputs = frozen.predict_on_batch(batch)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return np.concatenate([np.asarray(value).reshape(size, -1) for value in outputs], 1)[: len(x)]


def _stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return values in the type they are stored in; raise ``ValueError`` where it has no room."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype)
    if not np.isfinite(stored).all():
        advice = {"float16": "choose float32", "float32": "check the weights"}
        raise ValueError(f"some features are no finite {dtype}: {advice[dtype]}")
    return stored


def _parts(number: int, size: int) -> Iterator[slice]:
    """Yield the slices of the batches, with a line on how far the work is from time to time."""
    started = reported = time.perf_counter()
    for start in range(0, number, size):
        yield slice(start, start + size)
        now, done = time.perf_counter(), min(start + size, number)
        if done == number or now - reported > PROGRESS_EVERY:
            reported = now
            print(f"{done} of {number} images, {done / (now - started):.1f} a second", flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=json.loads, required=True, help="JSON, see models:")
    parser.add_argument("--unfreeze", required=True, help="0, a number of layers or half")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--pixels", type=json.loads, required=True, help="JSON, see pixels:")
    parser.add_argument("--samplings", type=Path, nargs="+", required=True)
    parser.add_argument("--limit-gb", type=float, default=20, help="nothing is computed above it")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--description", type=Path, required=True)
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
