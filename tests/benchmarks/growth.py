"""Run the whole workflow on more and more phantoms: how time, memory and disk grow with images.

For every number of images per class the workflow runs to its report in a copy of the repository.
What the jobs took is read from their benchmarks, what lies on disk at the end is counted. A stage
whose memory is bounded by its batch takes the same for all numbers of images.

Settings: see ``--help``. Outputs: tables on standard output, and with ``--output`` ``stages.tsv``
(one row per number of images and rule: jobs, seconds, CPU seconds, peak memory), ``disk.tsv`` (one
row per number of images and folder of results) and ``machine.json``.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import measure
import pandas as pd
import repository

sys.path.append(str(measure.ROOT / "scripts"))
from pulmoscan.results import provenance

DEMO = measure.ROOT / "tests/config/demo.yaml"
# A network on pixels, a frozen one, a partly frozen one, a search, a classifier.
RUNS = "variant in ['lungs', 'histogram-binary'] and not model.str.contains('recommended')"


def main(argv: Sequence[str]) -> None:
    """Run the workflow for every number of images and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[60, 180, 600], help="per class")
    parser.add_argument("--configfile", type=Path, nargs="*", default=[DEMO])
    parser.add_argument("--run-filter", default=RUNS, help="which runs of the configuration")
    parser.add_argument("--until", help="last rule that runs (default: report)")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, help="folder for the tables")
    options = parser.parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    until = ("--until", options.until) if options.until else ()
    stages, disk = [], []
    for number in options.images:
        phantoms = {"source": "phantom", "phantom": {"images_per_class": number}}
        ours = {"dataset": phantoms, "run_filter": options.run_filter}
        with tempfile.TemporaryDirectory(prefix="growth-") as work:
            config = repository.merged(*options.configfile, ours)
            copy = repository.Repository(Path(work) / "copy", config, options.cores)
            cost = copy.run(Path(work) / "log", *until)
            table = copy.file(copy.outputs(), "audit", "images.parquet")
            images = len(pd.read_parquet(table, columns=["image"]))
            print(f"{number} images per class, {images} in all: {cost.seconds:.0f} s", flush=True)
            results = copy.folder / "results"
            stages.append(by_rule(results / "benchmarks").assign(images=images))
            disk.append(by_folder(results).assign(images=images))
    tables = {"stages": pd.concat(stages), "disk": pd.concat(disk)}
    print(
        side_by_side(tables["stages"], "rule"), side_by_side(tables["disk"], "folder"), sep="\n\n"
    )
    if options.output is not None:
        measure.write(options.output, tables, facts)


def by_rule(benchmarks: Path) -> pd.DataFrame:
    """Return what the jobs took, added up by ``rule``; ``peak_mib`` is the highest of one.

    ``benchmarks`` holds the files that Snakemake wrote: ``<rule>.tsv``, ``<rule>/<wildcards>.tsv``.
    """
    names = {
        path.relative_to(benchmarks).with_suffix("").as_posix(): path
        for path in benchmarks.rglob("*.tsv")
    }
    costs = provenance.costs({name.partition("/")[::2]: path for name, path in names.items()})
    return costs.groupby("rule", as_index=False).agg(
        jobs=("rule", "size"),
        seconds=("seconds", "sum"),
        cpu_seconds=("cpu_seconds", "sum"),
        peak_mib=("peak_mib", "max"),
    )


def by_folder(results: Path) -> pd.DataFrame:
    """Return ``folder`` and ``mb``: the size of the files in each folder of results, 10^6 bytes."""
    rows = [
        (folder.name, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
        for folder in sorted(results.iterdir())
        if folder.is_dir()
    ]
    return pd.DataFrame({"folder": name, "mb": size / measure.MB} for name, size in rows)


def side_by_side(table: pd.DataFrame, key: str) -> str:
    """Return a table as text: one row per key, one column per figure and number of images.

    ``+1000`` is what 1,000 images more add, from the smallest to the largest number.
    """
    figures = table.columns.drop([key, "images"])
    wide = table.pivot(index=key, columns="images", values=list(figures))
    few, many = table["images"].min(), table["images"].max()
    if many > few:
        for figure in figures:
            growth = (wide[figure, many] - wide[figure, few]) / (many - few)
            wide[figure, "+1000"] = 1000 * growth
    return wide[figures].to_string(float_format="%.1f", na_rep="-")


if __name__ == "__main__":
    measure.start(main)
