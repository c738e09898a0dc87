"""How far a run is: its stages, its running jobs, and those that failed."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulmoscan_terminal.jobs import Job


@dataclass
class State:
    """How far a run is; changed by Snakemake's threads, read by the one that draws.

    Attributes:
        total: jobs of each stage, in the order of the workflow.
        done: finished ones of each stage.
        running: jobs by Snakemake's number.
        failed: jobs with the lines that say why, by the same.
        started: seconds since the epoch.
        interrupted: whether the user ended the run.
        may_grow: whether jobs may follow from what a checkpoint finds.
    """

    total: Counter = field(default_factory=Counter)
    done: Counter = field(default_factory=Counter)
    running: dict[int, Job] = field(default_factory=dict)
    failed: dict[int, tuple[Job, str]] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    interrupted: bool = False
    may_grow: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def jobs(self) -> tuple[int, int]:
        """Return how many jobs are done, and how many there are."""
        return self.done.total(), max(self.total.total(), self.done.total())

    def seconds(self) -> float:
        """Return how long the run has taken so far."""
        return time.time() - self.started


def stages(workflow: Any) -> Counter:
    """Return how many jobs each stage of a workflow of Snakemake has, in the order of its files."""
    counts = Counter(dict.fromkeys((stage_of(rule) for rule in workflow.rules), 0))
    # Those that a checkpoint brought are among them; those that are done are no longer "needed".
    jobs = {*workflow.dag.needrun_jobs(exclude_finished=False), *workflow.dag.finished_jobs}
    counts.update(stage_of(job.rule) for job in jobs if job.output)
    return Counter({stage: number for stage, number in counts.items() if number})


def stage_of(rule: Any) -> str:
    """Return the stage that a rule belongs to: the name of its file."""
    return Path(str(rule.snakefile)).stem
