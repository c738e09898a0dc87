"""Time ``snakemake -n`` on a finished study, and its growth with the number of runs.

For every size, a study of that many runs is finished in a copy of the repository without running a
job: its output files are made, empty, and recorded. The dry run then compares every parameter,
digest and date, and must answer "Nothing to be done", or the measurement fails.

The study's own run table is measured first. A larger one continues with the networks of the study
on its other variants, then with more unfrozen layers. Outputs: a table on standard output, and with
``--output`` ``dry_run.tsv`` and ``machine.json``. ``--profile`` prints in which functions the time
of the largest study goes.
"""

import argparse
import itertools
import pstats
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import measure
import pandas as pd
import repository

DONE = "Nothing to be done"
# ``snakemake --touch`` that makes missing files, and does not sleep a tenth of a second per job.
FINISH = """
from snakemake.cli import main
from snakemake.executors.touch import Executor

def run_job(self, job, touch=Executor.run_job):
    for output in job.output:
        output.touch_or_create()
    touch(self, job)

Executor.run_job, Executor.SLEEPING_TIME = run_job, 0
main()
"""
KEYS = ["model", "unfreeze", "variant"]
MORE_LAYERS = 5
PROFILED = 40  # functions of a profile that are printed


def main(argv: Sequence[str]) -> None:
    """Time the dry run for every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="*", default=[100, 300, 1000], help="sizes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=8)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--output", type=Path, help="folder for the table")
    options = parser.parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    config = repository.merged({"seeds": list(range(options.seeds))})
    study = pd.read_csv(measure.ROOT / config["runs"], sep="\t", dtype=str).fillna("")
    sizes = [len(study), *options.runs]
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="dry-run-") as work:
            runs = run_table(study, image_variants(config), size)
            copy = repository.Repository(Path(work) / "copy", config, options.cores, runs)
            finish(copy)
            log = Path(work) / "dry-run.log"
            costs = [copy.run(log, "--dry-run") for _ in range(options.repeats)]
            printed = log.read_text(encoding="utf-8")
            if DONE not in printed:
                raise ValueError(f"{size} runs: something is left to do: {printed[-2000:]}")
            row = {"runs": size, "seeds": options.seeds, "outputs": len(copy.outputs())}
            seconds = measure.spread(cost.seconds for cost in costs)
            row |= {f"seconds_{key}": value for key, value in seconds.items()}
            row["cpu_seconds"] = measure.spread(cost.cpu_seconds for cost in costs)["median"]
            rows.append(row | {"peak_mb": max(cost.peak_mb for cost in costs)})
            print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"), flush=True)
            if options.profile and size == max(sizes):
                profile(copy, Path(work) / "profile")
    if options.output is not None:
        measure.write(options.output, {"dry_run": pd.DataFrame(rows)}, facts)


def run_table(study: pd.DataFrame, variants: Collection[str], size: int) -> pd.DataFrame:
    """Return a run table of ``size`` rows: those of the study, then more of the same kinds.

    Added rows are the study's runs of backbones, in turn on every one of ``variants``, first with
    the layers that the study unfreezes, then with up to ``MORE_LAYERS`` more. Raises ``ValueError``
    when these are too few.
    """
    backbones = study[study["unfreeze"].str.fullmatch(r"\d+")].drop_duplicates(KEYS[:2])
    more = (
        (run.model, str(int(run.unfreeze) + layers), variant)
        for layers, variant, run in itertools.product(
            range(MORE_LAYERS + 1), variants, backbones.itertuples()
        )
    )
    table = pd.concat([study, pd.DataFrame(more, columns=KEYS)]).drop_duplicates(KEYS)
    if len(table) < size:
        raise ValueError(f"no run table of {size} rows: there are only {len(table)} different runs")
    return table.head(size).fillna("")


def image_variants(config: Mapping) -> list[str]:
    """Return the variants of a configuration that give images, not histograms."""
    return [
        name
        for name, variant in config["variants"].items()
        if not config["pixels"][variant["pixels"]].get("reduce")
    ]


def finish(copy: repository.Repository) -> None:
    """Make and record all output files of a copy, empty."""
    everything = ("--touch", "--forceall", "--quiet", "rules", "--scheduler", "greedy")
    together = ("--cores", 1000, "--resources", "gpu=1000")
    snakemake = copy.command(*everything, *together)
    words = snakemake[snakemake.index("snakemake") + 1 :]
    measure.run([sys.executable, "-c", FINISH, *words], copy.folder / "finish.log", copy.folder)


def profile(copy: repository.Repository, path: Path) -> None:
    """Print the functions in which a dry run spends its time."""
    python, *module = copy.command("--dry-run")
    command = [python, "-m", "cProfile", "-o", str(path), *module]
    measure.run(command, path.with_suffix(".log"), copy.folder)
    pstats.Stats(str(path)).sort_stats("cumulative").print_stats(PROFILED)


if __name__ == "__main__":
    measure.start(main)
