"""Time ``snakemake -n`` on a finished study, and its growth with the number of runs.

For every size a copy of the repository is made in a temporary folder, with a run table of that
many runs; all output files are made, empty, and recorded as finished (``snakemake --touch
--forceall``), so that the dry run compares every parameter, digest and date and answers "Nothing to
be done". Without that answer the measurement fails.

The study's own run table is measured first. A larger one goes on with the networks of the study on
its other variants, then with more unfrozen layers. Outputs: a table on standard output, and with
``--output`` ``dry_run.tsv`` and ``machine.json``. ``--profile`` prints in which functions the time
of the largest goes.
"""

import argparse
import itertools
import pstats
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import measure
import pandas as pd
import yaml

DONE = "Nothing to be done"
RUNS = "benchmark-runs.tsv"
# Snakemake waits a tenth of a second before it touches the outputs of a job.
TOUCH = (
    "from snakemake.executors import touch; touch.Executor.SLEEPING_TIME = 0; "
    "from snakemake.cli import main; main()"
)
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
    study = pd.read_csv(measure.REPOSITORY / "workflow/study/runs.tsv", sep="\t", dtype=str)
    config = yaml.safe_load((measure.REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    rows = []
    for size in [len(study), *options.runs]:
        with tempfile.TemporaryDirectory(prefix="dry-run-") as work:
            table = run_table(study, image_variants(config), size)
            folder = finished(Path(work) / "repository", table, options.seeds)
            command = snakemake(options.seeds, "--dry-run", "--cores", options.cores)
            log = Path(work) / "dry-run.log"
            costs = [measure.run(command, log, folder=folder) for _ in range(options.repeats)]
            said = log.read_text(encoding="utf-8")
            if DONE not in said:
                raise ValueError(f"{size} runs: the dry run wants to run something: {said[-2000:]}")
            outputs = sum(1 for _ in (folder / ".snakemake/metadata").iterdir())
            seconds = measure.spread(cost.seconds for cost in costs)
            row = {"runs": size, "seeds": options.seeds, "outputs": outputs}
            row |= {f"seconds_{key}": value for key, value in seconds.items()}
            row["cpu_seconds"] = measure.spread(cost.cpu_seconds for cost in costs)["median"]
            rows.append(row | {"resident_mb": max(cost.resident_mb for cost in costs)})
            print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"), flush=True)
            if options.profile and size == max([len(study), *options.runs]):
                profile(folder, command, Path(work) / "profile")
    if options.output is not None:
        measure.write(options.output, {"dry_run": pd.DataFrame(rows)}, facts)


def run_table(study: pd.DataFrame, variants: Collection[str], size: int) -> pd.DataFrame:
    """Return a run table of ``size`` rows: those of the study, then more of the same kinds.

    Added rows are the study's runs of backbones, by turns on every one of ``variants``, first with
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
        raise ValueError(f"no run table of {size} rows: there are {len(table)} different runs")
    return table.head(size).fillna("")


def image_variants(config: Mapping) -> list[str]:
    """Return the variants of a configuration that give images, not histograms."""
    return [
        name
        for name, variant in config["variants"].items()
        if not config["pixels"][variant["pixels"]].get("reduce")
    ]


def finished(folder: Path, runs: pd.DataFrame, seeds: int) -> Path:
    """Return ``folder`` as a copy of the repository in which a study of these runs is finished."""
    copy_repository(folder)
    runs.to_csv(folder / RUNS, sep="\t", index=False)
    log = folder / "results/logs/prepare.log"
    measure.run(snakemake(seeds, "--summary"), log, folder=folder)
    lines = log.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("output_file\t"))
    for line in lines[start + 1 :]:
        path = folder / line.split("\t", 1)[0]
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:  # an output without a suffix is a folder
            path.mkdir(parents=True, exist_ok=True)
    everything = ("--touch", "--forceall", "--quiet", "all", "--scheduler", "greedy")
    together = ("--cores", "1000", "--resources", "gpu=1000")
    touch = snakemake(seeds, *everything, *together)
    measure.run([sys.executable, "-c", TOUCH, *touch[3:]], log, folder=folder)
    return folder


def copy_repository(folder: Path) -> None:
    """Copy what is, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=measure.REPOSITORY,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = measure.REPOSITORY / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)


def snakemake(seeds: int, *options: object) -> list[str]:
    """Return the command of Snakemake on the benchmark's run table, to be run in its folder."""
    config = (f"runs={RUNS}", f"seeds={list(range(seeds))}")
    return [sys.executable, "-m", "snakemake", *map(str, options), "--config", *config]


def profile(folder: Path, command: Sequence[str], path: Path) -> None:
    """Print the functions in which a command of Snakemake spends its time."""
    python, module = command[:1], command[1:]
    profiled = [*python, "-m", "cProfile", "-o", str(path), *module]
    measure.run(profiled, path.with_suffix(".log"), folder=folder)
    pstats.Stats(str(path)).sort_stats("cumulative").print_stats(PROFILED)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"dry_run: {error}")
