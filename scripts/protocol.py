"""Put the published protocol of training beside the recommended one.

Settings: the sampling of each variant; what the selected models are like, their stages and network;
and the runs that are not made as in the study, whose figures are left out.
Inputs: the selection of runs, gathered metrics and predictions, the table of resampling, and the
published figures.
Output: two metrics per pair of runs, see `pulmoscan.results.protocols`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.results import gather, protocols, published
from pulmoscan.results.selection import read_resampling, read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read what was gathered and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--metrics", type=Path, required=True, help="gathered")
    parser.add_argument("--predictions", type=Path, required=True, help="gathered")
    parser.add_argument("--resampling", type=Path, required=True, help="asked, got, shortfall")
    parser.add_argument("--published", type=Path, required=True, help="published figures")
    parser.add_argument("--samplings", type=json.loads, required=True, help="by variant")
    parser.add_argument("--models", type=json.loads, required=True, help="like, stages, network")
    parser.add_argument("--redefined", type=json.loads, default={}, help="settings by run")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    result = protocols.table(
        read_selection(arguments.selection),
        arguments.models,
        published.comparable(published.read(arguments.published), arguments.redefined),
        gather.read(arguments.metrics, "metrics"),
        gather.read(arguments.predictions, "predictions"),
        read_resampling(arguments.resampling),
        arguments.samplings,
    )
    tables.write(arguments.output, result)


if __name__ == "__main__":
    command.run(main)
