"""Where each network of the study is cut, and what it costs to keep what crosses the cut.

For every backbone and ``unfreeze`` of the run table: the layers with weights before and after the
cut, the first trained layer, the tensors that cross, and the size of the kept features for a number
of images, beside the configuration's limit. Networks have random weights: no file is needed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from pulmoscan import command  # noqa: E402
from pulmoscan.backends import backend  # noqa: E402
from pulmoscan.config import models, runs, stages  # noqa: E402
from pulmoscan.inputs import cached_features  # noqa: E402

CLASSES = 4


def main(argv: Sequence[str]) -> None:
    """Print the table, and write it with ``--output``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", type=int, default=4304, help="train and validation of the study"
    )
    parser.add_argument("--output", type=Path, help="TSV")
    options = parser.parse_args(argv)
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    backend.configure(1)
    rows = []
    for backbone, size, unfreeze in cuts(config, runs.read(REPOSITORY / config["runs"])):
        row = {"backbone": backbone, "input_size": size, "unfreeze": unfreeze}
        rows.append(row | facts(backbone, size, unfreeze, options.images))
        print(row, flush=True, file=sys.stderr)
    table = pd.DataFrame(rows)
    table["kept"] = table["gb"] <= config["features"]["limit_gb"]
    print(table.to_string(index=False))
    if options.output:
        table.to_csv(options.output, sep="\t", index=False)


def cuts(config: dict, table: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Return (backbone, input size, unfreeze) of every stage of the study that can be cut, once."""
    known = models.resolve(config)
    found = {}
    for run in table.itertuples():
        network = known[run.model].network
        if known[run.model].backbone:
            for stage in stages.resolve(known[run.model].training, run.unfreeze):
                pooled = stage["unfreeze"] != "0" or network["head"][0] == "average_pooling"
                name = stage["unfreeze"] if pooled else "0, not pooled"
                if name != "all":
                    found[network["backbone"], network["input_size"], name] = None
    return list(found)


def facts(backbone: str, size: int, unfreeze: str, images: int) -> dict:
    """Return where a network is cut, how many tensors cross, and their size in GB (10^9 bytes)."""
    from pulmoscan.inputs import batches
    from pulmoscan.networks import build, cut

    head = "flatten" if unfreeze.endswith("not pooled") else "average_pooling"
    settings = {"backbone": backbone, "arguments": {}, "input_size": size, "head": [head]}
    network = build.build(settings, CLASSES)
    cut.freeze(network, unfreeze.split(",")[0])
    frozen, _ = cut.cut(network)
    tensors = batches.crossing(frozen)
    return {
        "first_trained": cut.first_trained(network),
        "tensors": len(tensors),
        "crossing": ", ".join(
            f"{tensor['layer']} {'x'.join(map(str, tensor['shape']))}" for tensor in tensors
        ),
        "mb_per_image": round(sum(cached_features.sizes(tensors)) * 4 / 1e6, 3),
        "gb": round(sum(cached_features.sizes(tensors)) * 4 * images / 1e9, 2),
    }


if __name__ == "__main__":
    command.run(main)
