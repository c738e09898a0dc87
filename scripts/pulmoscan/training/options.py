"""Command-line options that training a network and searching one have in common."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options for a network, what it is trained on, its checkpoint and its output."""
    parser.add_argument("--network", type=json.loads, required=True, help="JSON, see models:")
    parser.add_argument("--unfreeze", required=True, help="0, a number of layers, half or all")
    parser.add_argument("--pixels", type=json.loads, required=True, help="JSON, see pixels:")
    parser.add_argument("--training", type=json.loads, required=True, help="JSON, see training:")
    parser.add_argument("--sampling", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="required for a backbone that is run")
    parser.add_argument(
        "--features",
        type=_features,
        nargs="+",
        action="extend",
        default=[],
        metavar="UNFREEZE=FILE",
        help="for stages that unfreeze this; rows and description lie beside the file",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder, removed at the end")
    parser.add_argument("--output", type=Path, required=True, help="folder")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; ``features`` are files by what they unfreeze."""
    options = parser.parse_args(argv)
    options.features = dict(options.features)
    return options


def name_of(output: Path) -> str:
    """Return what the lines about a training or search call it: where its results lie.

    >>> name_of(Path("results/runs/grouped/lungs/lenet5/unfreeze-all/seed-0"))
    'grouped/lungs/lenet5/unfreeze-all/seed-0'
    """
    parts = output.parts
    kinds = (index for index, part in enumerate(parts) if part in ("runs", "tuning"))
    return "/".join(parts[next(kinds, -2) + 1 :])


def _features(text: str) -> tuple[str, Path]:
    unfreeze, sign, path = text.partition("=")
    if not sign or not unfreeze or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not UNFREEZE=FILE, as in 19=features.npy")
    return unfreeze, Path(path)
