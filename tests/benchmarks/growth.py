"""Run the whole workflow on more and more phantoms: what grows, and how.

For every number of images a class a copy of the repository is made in a temporary folder, and the
demo's workflow runs there to its report on two cores. What the jobs took is read from their
benchmarks, what lies on disk at the end is counted.

Settings: see ``--help``. Outputs: tables on standard output, and with ``--output`` ``stages.tsv``
(a row a number of images and rule: jobs, seconds, CPU seconds, peak memory), ``disk.tsv`` (a row a
number of images and folder of results) and ``machine.json``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dry_run
import measure
import pandas as pd

FOLDERS = ("raw", "packed", "audit", "splits", "samplings", "features", "runs", "explain", "report")
# A network on pixels, a frozen one, a partly frozen one, a search, a classifier.
RUNS = "variant in ['lungs', 'histogram-binary'] and not model.str.contains('recommended')"


def main(argv: Sequence[str]) -> None:
    """Run the workflow for every number of images and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[60, 180, 600], help="a class")
    parser.add_argument("--run-filter", default=RUNS, help="of the demo's runs")
    parser.add_argument("--output", type=Path, help="folder for the tables")
    options = parser.parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    stages, disk = [], []
    for number in options.images:
        with tempfile.TemporaryDirectory(prefix="growth-") as work:
            folder = Path(work) / "repository"
            dry_run.copy_repository(folder)
            log = Path(work) / "log"
            cost = measure.run(command(number, options.run_filter), log, folder=folder)
            results = folder / "results"
            images = len(pd.read_parquet(results / "audit/images.parquet", columns=["image"]))
            print(f"{number} images a class, {images} in all: {cost.seconds:.0f} s", flush=True)
            stages.append(by_rule(results).assign(images=images))
            disk.append(by_folder(results).assign(images=images))
    tables = {"stages": pd.concat(stages), "disk": pd.concat(disk)}
    for name, key, values in (
        ("stages", "rule", ["seconds", "cpu_seconds", "peak_mib"]),
        ("disk", "folder", ["mb"]),
    ):
        wide = tables[name].pivot(index=key, columns="images", values=values)
        print(f"\n{name}\n{wide.to_string(float_format='%.1f')}")
    if options.output is not None:
        measure.write(options.output, tables, facts)


def command(number: int, run_filter: str) -> list[str]:
    """Return the command of Snakemake for phantoms of a number of images a class."""
    return [
        *(sys.executable, "-m", "snakemake", "--cores", "2"),
        *("--configfile", "tests/config/demo.yaml", "--config"),
        f"dataset={json.dumps({'phantom': {'images_per_class': number}})}",
        f"run_filter={run_filter}",
    ]


def by_rule(results: Path) -> pd.DataFrame:
    """Return the costs of a finished workflow, added up by ``rule``; ``peak_mib`` is the highest.

    The report's own rule is not among them: it reads the table.
    """
    costs = pd.read_csv(results / "tables/costs.tsv", sep="\t")
    return costs.groupby("rule", as_index=False).agg(
        jobs=("rule", "size"),
        seconds=("seconds", "sum"),
        cpu_seconds=("cpu_seconds", "sum"),
        peak_mib=("peak_mib", "max"),
    )


def by_folder(results: Path) -> pd.DataFrame:
    """Return ``folder`` and ``mb``: the size of the files in each folder of results, 10^6 bytes."""
    return pd.DataFrame(
        [
            {
                "folder": name,
                "mb": sum(p.stat().st_size for p in (results / name).rglob("*") if p.is_file())
                / measure.MB,
            }
            for name in FOLDERS
        ]
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"growth: {error}")
