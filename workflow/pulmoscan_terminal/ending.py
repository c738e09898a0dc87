"""What is printed at the end of a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pulmoscan_terminal.jobs import duration
from pulmoscan_terminal.state import State

RUNS = "tables/runs.tsv"
REPORT = "report/report.html"
ROWS = 12  # of the table of runs
AGAIN = "start the same command again: what is finished stays"


def finished(state: State) -> str:
    """Return how many jobs a run made, and how long it took."""
    number = state.jobs()[0]
    return f"{number:,} job{'s' * (number != 1)} in {duration(state.seconds())}"


def interrupted(state: State) -> str:
    """Return what to do after an interruption."""
    done, total = state.jobs()
    return (
        f"Interrupted after {duration(state.seconds())}, {done:,} of {total:,} jobs done. "
        f"To go on, {AGAIN}, and a training resumes after its last epoch."
    )


def failed(state: State) -> list[str]:
    """Return each failed job with the line that says why, and its log."""
    done, total = state.jobs()
    number = len(state.failed)
    lines = [
        "",
        f"{number:,} job{'s' * (number != 1)} failed, {done:,} of {total:,} done, in "
        f"{duration(state.seconds())}. When that is mended, {AGAIN}.",
    ]
    for job, line in state.failed.values():
        lines += ["", f"{job.name}", line]
        if job.log is not None:
            lines.append(f"log: {job.log}")
    return lines


def results(workflow: Any) -> list[str]:
    """Return the accuracies of the runs and where the report is, as far as they were asked for."""
    made = {kind: next(_outputs(workflow, kind), None) for kind in (RUNS, REPORT)}
    lines = []
    if made[RUNS]:
        try:
            lines += [*headline(made[RUNS].parents[1]), ""]
        except (ValueError, OSError) as error:  # something changed it meanwhile
            lines += [str(error), ""]
    if made[REPORT]:
        lines.append(f"The report: {made[REPORT]}")
    return lines


def _outputs(workflow: Any, ending: str) -> Iterator[Path]:
    """Return the existing outputs of the jobs that were asked for, with some ending."""
    for job in workflow.dag.jobs:
        for path in map(Path, map(str, job.output)):
            if path.as_posix().endswith(ending) and path.is_file():
                yield path


def headline(folder: Path, rows: int = ROWS) -> list[str]:
    """Return lines with the accuracies of the runs in a folder of results, as the report has them.

    No more than ``rows`` runs are named.
    """
    import pandas as pd
    from pulmoscan.config.runs import KEY
    from pulmoscan.report.page import percent
    from pulmoscan.report.study import Study
    from pulmoscan.results.published import measure

    made = Study(folder).made
    if made.empty:
        return []
    part = "val" if made["test_accuracy"].isna().all() else "test"
    name = {"val": "validation", "test": "test"}[part]
    cells = [("model", "unfrozen", "variant", f"{name} accuracy in %, with its 95 % interval")]
    groups = list(made.groupby(KEY, sort=False))
    for (split, model, unfreeze, variant), group in groups[:rows]:
        found = measure(f"{part}_accuracy", group, pd.DataFrame())
        figure = percent(found.mean, *found.interval, found.sd) if found else "–"
        where = variant if made["split"].nunique() == 1 else f"{variant} ({split})"
        cells.append((model, unfreeze, where, figure))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]) for row in cells]
    if len(groups) > rows:
        lines.append(f"and {len(groups) - rows:,} more in {folder / RUNS}")
    return lines
