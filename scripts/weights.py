"""Write the weights of one backbone as the rest of the workflow reads them.

Settings: the backbone with its constructor arguments, and the source of the weights. ``imagenet``:
Keras fetches the file that it publishes and checks its hash; ``folder``: a file of the user's,
``<backbone>.weights.h5`` or under the name that Keras gives it; ``none``: random initialisation
from a seed.

Inputs: only the file in ``--folder``, if any.

Outputs: ``<backbone>.weights.h5`` for the network without top that
`pulmoscan.networks.backbones.build` makes, and with ``--record`` a table of one row about what was
read: backbone, source, file, bytes, sha256, url.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.networks import backbones, weights
from pulmoscan.storage import disk, tables
from pulmoscan.storage.atomic import replacing

BYTES = 4  # of one weight, in float32


def main(argv: Sequence[str]) -> None:
    """Write the weights of ``--backbone`` to ``--output``."""
    options = _parse(argv)
    network = options.backbone, options.arguments or {}
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # no work for a GPU, which trainings may hold
    backend.configure(threads=2)
    path = None
    if options.source == "imagenet":
        path = weights.fetch(*network, options.cache)
    elif options.source == "folder":
        path = backbones.find_file(options.folder, *network)
    if path is None:
        model = weights.initialise(*network, options.seed)
    else:
        model = weights.read(*network, path)
    # On a full disk HDF5 prints an error for every part it could not write, or crashes.
    disk.check_space(options.output.parent, BYTES * model.count_params(), "the weights file")
    with replacing(options.output) as temporary:
        model.save_weights(temporary)
    if options.record is not None:
        facts = weights.record(*network, options.source, path)
        tables.write(options.record, pd.DataFrame([facts]))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", choices=tuple(backbones.BACKBONES), required=True)
    parser.add_argument("--arguments", type=json.loads, default={}, help="JSON, of its constructor")
    parser.add_argument("--source", choices=weights.SOURCES, required=True)
    parser.add_argument("--folder", default="", help="with --source folder")
    parser.add_argument(
        "--cache", type=Path, default=Path("results/cache/weights"), help="of downloads"
    )
    parser.add_argument("--seed", type=int, default=0, help="with --source none")
    parser.add_argument("--record", type=Path, help="TSV to write")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
