"""Record what a report was made with, and what each stage cost.

Settings: the whole configuration, as JSON.
Inputs: the table of the data's files, the records of the weights that were used, the selection of
runs, and the benchmarks that Snakemake wrote (``<rule>.tsv`` or ``<rule>/<wildcards>.tsv``).
Outputs: the configuration (JSON, sorted), ``provenance.tsv`` (key, value) and ``costs.tsv`` (rule,
wildcards, seconds, cpu_seconds, peak_mib; one row per benchmark, the longest first).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.results import provenance
from pulmoscan.results.selection import RUN, read_selection
from pulmoscan.storage import tables
from pulmoscan.storage.atomic import replacing


def main(argv: Sequence[str]) -> None:
    """Write the configuration and both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=json.loads, required=True, help="JSON")
    parser.add_argument("--raw", type=Path, required=True, help="table of the data's files")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="records of weights")
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder")
    parser.add_argument("--shared", type=Path, nargs="*", default=[], help="not of one training")
    parser.add_argument("--settings", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--provenance", type=Path, required=True, help="TSV table to write")
    parser.add_argument("--costs", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)

    text = json.dumps(arguments.config, indent=2, sort_keys=True) + "\n"
    files = tables.read(arguments.raw, "the download", ("file", "sha256"), whole=["bytes"])
    record = provenance.record(arguments.config, text, files, arguments.weights)
    selection = read_selection(arguments.selection)
    benchmarks = provenance.benchmarks_of(
        selection[selection["status"] == RUN], arguments.benchmarks, arguments.shared
    )
    with replacing(arguments.settings) as path:
        path.write_text(text, encoding="utf-8")
    tables.write(arguments.provenance, pd.DataFrame(record.items(), columns=["key", "value"]))
    tables.write(arguments.costs, provenance.costs(benchmarks))


if __name__ == "__main__":
    command.run(main)
