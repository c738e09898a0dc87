"""What a run would throw away: finished trainings and searches that are made again."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pulmoscan_terminal.jobs import duration, name_of, seconds_of
from pulmoscan_terminal.listing import short_reason

KINDS = {"train": "training", "tune": "search"}  # by the folders of their logs
UPDATED = "Input files updated by another job"
CAUSES = 2  # that are named


def message(dag: Any, known: set[Any], planned: bool) -> str | None:
    """Return a line about finished trainings and searches that are made again, None without any.

    Args:
        dag: Snakemake's graph of jobs.
        known: those that were looked at; the others are added to it.
        planned: whether nothing is made now, but planned.
    """
    first = not known
    jobs = [job for job in dag.needrun_jobs() if job not in known]
    known.update(jobs)
    lost = [(kind, job) for job in jobs if (kind := _kind(job)) and _is_finished(dag, job)]
    if not lost:
        return _perhaps(dag, jobs) if first else None
    counts = Counter(KINDS[kind] for kind, _ in lost)
    what = " and ".join(
        f"{number:,} finished {_plural(kind, number)}" for kind, number in counts.items()
    )
    seconds = seconds_of([Path(str(job.benchmark)) for _, job in lost if job.benchmark])
    took = f", which took {duration(seconds)}," if seconds else ""
    found: dict[Any, frozenset[str]] = {}
    causes = Counter(cause for _, job in lost for cause in _causes(dag, job, found))
    named = [cause for cause, _ in causes.most_common(CAUSES)]
    more = f"; and {len(causes) - CAUSES} more" if len(causes) > CAUSES else ""
    made = "would be" if planned else "is" if len(lost) == 1 else "are"
    return f"{what}{took} {made} made again. Reason: {'; '.join(named)}{more}"


def _perhaps(dag: Any, jobs: Sequence[Any]) -> str | None:
    """Return a line about trainings that are known only after a checkpoint, None without any."""
    folders = {
        Path(*Path(str(job.benchmark)).parts[: -len(job.wildcards) - 1], "train", job.wildcards[0])
        for job in jobs
        if job.rule.is_checkpoint and job.benchmark and job.wildcards and _is_finished(dag, job)
    }
    trained = [path for folder in sorted(folders) for path in folder.rglob("*.tsv")]
    seconds = seconds_of(trained)
    if not seconds:
        return None
    number = len(trained)
    return (
        f"Samplings are made again. Where one changes, its trainings are made again too: at most "
        f"{number:,} finished {_plural('training', number)}, which took {duration(seconds)}"
    )


def _kind(job: Any) -> str | None:
    kind = name_of(job.rule.name, [str(path) for path in job.log]).partition(" ")[0]
    return kind if kind in KINDS else None


def _is_finished(dag: Any, job: Any) -> bool:
    if dag.reason(job).incomplete_output:
        return False
    return bool(job.output) and all(os.path.exists(str(path)) for path in job.output)  # noqa: PTH110


def _causes(dag: Any, job: Any, found: dict[Any, frozenset[str]]) -> frozenset[str]:
    """Return why a job is run: its own reasons, or those of the jobs that it waits for."""
    if job not in found:
        own = "; ".join(_own(dag, job))
        if own:
            found[job] = frozenset([f"{short_reason(own)} ({job.rule.name})"])
        else:
            before = (one for one in dag.dependencies[job] if dag.needrun(one))
            found[job] = frozenset().union(*(_causes(dag, one, found) for one in before))
    return found[job]


def _own(dag: Any, job: Any) -> Iterator[str]:
    for part in str(dag.reason(job)).split("; "):
        if part and not part.startswith(UPDATED):
            yield part


def _plural(word: str, number: int) -> str:
    if number == 1:
        return word
    return f"{word}es" if word.endswith("ch") else f"{word}s"
