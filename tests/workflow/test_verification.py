"""Changed results: `make verify` names them, no stage takes them, and both ways out work."""

import os
import re
import shlex
import subprocess
import sys

METRICS = "results/runs/grouped/lungs/lenet5/unfreeze-all/seed-0/metrics.tsv"
RUNS = "results/tables/runs.tsv"


def verify(workflow) -> tuple[int, list[str]]:
    program = workflow.folder / "workflow/verify.py"
    done = subprocess.run(
        [sys.executable, program],
        cwd=workflow.folder,
        env=workflow.environment(),
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def edit(workflow) -> None:
    """Give a run an accuracy of 0.99, with the date that the file had."""
    path = workflow.folder / METRICS
    dates = path.stat()
    header, row = path.read_text().splitlines()
    cells = row.split("\t")
    cells[header.split("\t").index("test_accuracy")] = "0.99"
    path.write_text("\n".join([header, "\t".join(cells), ""]))
    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))


def test_every_result_of_the_workflow_is_recorded_and_matches(finished):
    status, (line,) = verify(finished)
    assert status == 0
    number = int(re.fullmatch(r"([\d,]+) files match their digests", line)[1].replace(",", ""))
    folders = {".snakemake", "digests", "logs", "benchmarks", "cache", "checkpoints"}
    files = [
        path
        for path in (finished.folder / "results").rglob("*")
        if path.is_file() and not path.name.startswith(".")
        if not folders.intersection(path.relative_to(finished.folder / "results").parts)
    ]
    assert number == len(files)
    page = (finished.folder / "results/report/report.html").read_text()
    (told,) = re.findall(r"All ([\d,]+) results that this report was made from match", page)
    assert 0 < int(told.replace(",", "")) < number


def test_an_edited_metric_is_named_and_made_anew_by_the_command_that_is_printed(editable):
    before = (editable.folder / METRICS).read_text()
    edit(editable)
    status, lines = verify(editable)
    assert (status, lines[0]) == (1, f"{METRICS} was changed after it was made")
    command = [*shlex.split(lines[-1]), "--until", "evaluate"]
    assert command[command.index("--forcerun") + 1] == METRICS
    subprocess.run(command, cwd=editable.folder, env=editable.environment(), check=True)
    assert (editable.folder / METRICS).read_text() == before
    assert verify(editable)[0] == 0


def test_an_edited_metric_reaches_no_table(editable):
    edit(editable)
    (editable.folder / RUNS).unlink()
    (editable.folder / "results/gathered/metrics.parquet").unlink()
    done = editable.snakemake(RUNS)
    assert done.returncode != 0
    told = f"{METRICS} was changed after it was made: remove it and run evaluate again"
    assert told in done.stdout
    (editable.folder / METRICS).unlink()
    done = editable.snakemake(RUNS)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "0.99" not in (editable.folder / RUNS).read_text()
