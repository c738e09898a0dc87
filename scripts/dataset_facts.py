"""Put every published fact about the data set beside what the audit finds.

Settings: the split whose samplings the facts are about, and the samplings that are not taken as in
the study, whose facts are left out.
Inputs: the tables of the audit (those in `pulmoscan.results.dataset_facts.TABLES` are read), the
table of resampling, and the published facts.
Output: one row per published fact: ``fact, class_or_set, published, reproduced, difference, status
(measured | not_measured), reason, note``. The counts of a sampling are those of its train and
validation images together where the study counts them so.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.results import dataset_facts
from pulmoscan.results.selection import read_resampling
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the tables and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="of the audit")
    parser.add_argument("--resampling", type=Path, required=True, help="asked, got, shortfall")
    parser.add_argument("--split-name", required=True, help="of the samplings that are counted")
    parser.add_argument("--published", type=Path, required=True, help="published facts")
    parser.add_argument("--redefined", type=json.loads, default={}, help="settings by sampling")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    files = {path.stem: path for path in arguments.tables}
    audit = {name: dataset_facts.read(files[name], name) for name in dataset_facts.TABLES}
    resampling = read_resampling(arguments.resampling)
    resampling = resampling[resampling["split_name"] == arguments.split_name]
    facts = pd.read_csv(arguments.published, sep="\t", dtype=str, keep_default_na=False)
    result = dataset_facts.compare(facts, audit, resampling, arguments.redefined)
    tables.write(arguments.output, result)


if __name__ == "__main__":
    command.run(main)
