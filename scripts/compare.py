"""Put the figures of one published table beside what the runs of this project give.

Settings: the table, the sampling of each variant, the variant on which each tuned model was
searched, and the runs that are not made as in the study, whose figures are left out.
Inputs: the selection of runs, what the runs of the table gave (gathered metrics, per_class and
searches), the table of resampling, and the published figures.
Output: one row per published figure: the mean over trainings with its 95 % interval (Wilson, on the
images of one evaluation), the standard deviation between trainings, and where the run was not made,
why; then what the study has no figure of. See `pulmoscan.results.comparison`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.results import comparison, gather, published
from pulmoscan.results.selection import read_resampling, read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read what was gathered for a table and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, help="name of the published table")
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--metrics", type=Path, required=True, help="gathered")
    parser.add_argument("--per-class", type=Path, required=True, help="gathered")
    parser.add_argument("--searches", type=Path, required=True, help="gathered")
    parser.add_argument("--resampling", type=Path, required=True, help="asked, got, shortfall")
    parser.add_argument("--published", type=Path, required=True, help="published figures")
    parser.add_argument("--samplings", type=json.loads, required=True, help="by variant")
    parser.add_argument("--tuned", type=json.loads, required=True, help="variant by tuned model")
    parser.add_argument("--redefined", type=json.loads, default={}, help="settings by run")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    gathered = comparison.Gathered(
        read_selection(arguments.selection),
        *(
            gather.read(getattr(arguments, name), name)
            for name in ("metrics", "per_class", "searches")
        ),
        read_resampling(arguments.resampling),
    )
    result = comparison.compare(
        arguments.table,
        published.comparable(published.read(arguments.published), arguments.redefined),
        gathered,
        arguments.samplings,
        arguments.tuned,
    )
    tables.write(arguments.output, result)


if __name__ == "__main__":
    command.run(main)
