"""Run the part of a network that a run does not train once over all images that samplings need.

Settings: the network (backbone, arguments, input size, and the first layer of its head), what the
run unfreezes, and the pixels. Inputs: the backbone's weights, the packed images and masks, the
samplings.

Outputs: the tensors that cross the cut before the first trained layer, flattened and side by side,
one row per image (n x D float32, or float16 on request, ``.npy``); the sorted rows of the packed
arrays they belong to (n int64, ``.npy``), so samplings and seeds only select among them; and a
description (JSON): ``tensors`` (layer and shape), ``first_trained`` (layer of the backbone, null
where only the head trains), ``bytes`` (of n images) and ``bytes_per_image``, ``dtype``, ``kept``,
and ``sha256`` of the values. Above the limit, and where no layer with weights is frozen, nothing is
computed: ``kept`` is false, the array has no row, and trainings run the whole network.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.data import packed
from pulmoscan.inputs import cached_features, pixels
from pulmoscan.storage import arrays, disk
from pulmoscan.storage.atomic import replacing


def main(argv: Sequence[str]) -> None:
    """Compute the features and write them."""
    options = _parse(argv)
    rows = cached_features.union_of_rows(options.samplings)
    backend.configure(options.threads)
    from pulmoscan.inputs import batches
    from pulmoscan.networks import build, cut

    network = build.features_network(options.network, options.weights)
    cut.freeze(network, options.unfreeze)
    frozen = cut.frozen_part(network)
    described = cached_features.describe(
        cut.crossing(frozen),
        cut.first_trained(network),
        len(rows),
        np.dtype(options.dtype),
        options.limit_gb,
    )
    if described["kept"]:
        disk.check_space(options.output.parent, described["bytes"], "the file of features")
    else:
        print(cached_features.reason_not_kept(described, options.limit_gb))
        rows = rows[:0]
    images = packed.opened(options.images, options.masks)
    source = batches.Pixels(*images, options.pixels, options.network["input_size"])

    def read(rows: np.ndarray) -> np.ndarray:
        return pixels.with_channel(source.read(rows))

    size = options.batch_size
    with replacing(options.output) as path, backend.explain_out_of_memory(size):
        digest = cached_features.write(path, frozen, read, rows, described, size)
    with replacing(options.rows) as path:
        arrays.write(path, rows)
    with replacing(options.description) as path:
        text = json.dumps(described | {"sha256": digest}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")


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
