"""What is known of a job: its name, its log, and why it failed."""

import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOGS = "logs"  # the folder of the logs, under results/
TAIL = 1 << 16  # bytes at the end of a log that are read
SLACK = 2.0  # seconds that the clock of a file system may be behind


@dataclass
class Job:
    """A job that was started, or submitted to a cluster.

    Attributes:
        name: its rule and what tells it from others, see `name_of`.
        stage: the stage of the workflow that it belongs to.
        log: the file that it writes what it says to, None where it has none.
        benchmark: the file with the time it took, written at its end.
        counted: whether it makes anything; the target of a workflow does not.
        waits: whether it may wait for a node of a cluster.
        began: seconds since the epoch.
    """

    name: str
    stage: str
    log: Path | None = None
    benchmark: Path | None = None
    counted: bool = True
    waits: bool = False
    began: float = field(default_factory=time.time)

    def seconds(self) -> float:
        """Return how long it has been running, or ran according to its benchmark."""
        passed = time.time() - self.began
        measured = None
        if self.waits and self.benchmark is not None and written_since(self.benchmark, self.began):
            measured = seconds_of([self.benchmark])
        return measured or passed

    def last_line(self) -> str:
        """Return the last line of its log without its name, empty where it has said nothing."""
        lines = lines_of(self.log, self.began)
        return lines[-1].removeprefix(f"{self.name.partition(' ')[2]}: ") if lines else ""

    def is_waiting(self) -> bool:
        """Return whether a job on a cluster has not begun to write its log."""
        return self.waits and self.log is not None and not written_since(self.log, self.began)


def name_of(rule: str, log: Sequence[str], wildcards: Sequence[str] = ()) -> str:
    """Return a job's name, as its log has it: ``train grouped/lungs/mobilenet/unfreeze-0/seed-1``.

    Example:
        >>> name_of("train", ["results/logs/train/grouped/lungs/mobilenet/unfreeze-0/seed-1.log"])
        'train grouped/lungs/mobilenet/unfreeze-0/seed-1'
    """
    parts = Path(log[0]).with_suffix("").parts if log else ()
    if LOGS in parts[:-1]:
        kind, *rest = parts[parts.index(LOGS) + 1 :]
        return " ".join([kind, "/".join(rest)]).strip()
    return " ".join([rule, "/".join(wildcards)]).strip()


def lines_of(log: Path | None, since: float = 0.0) -> list[str]:
    """Return the last lines of a log that was written to since some time, blank ones left out."""
    if log is None or not written_since(log, since):
        return []
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in re.split(r"[\n\r]", text) if line.strip()]


def written_since(path: Path, since: float) -> bool:
    """Return whether a file was written to since some time, in seconds since the epoch."""
    try:
        return path.stat().st_mtime >= since - SLACK
    except OSError:
        return False


def error_line(lines: Sequence[str], programs: Collection[str], status: str) -> str:
    """Return the line that says why a job failed.

    Args:
        lines: the last ones of its log.
        programs: names of the workflow's scripts, with one of which their error lines begin.
        status: how its command ended, used where the log does not say why.
    """
    if not lines:
        return status or "failed, and its log is empty"
    for line in reversed(lines[-50:]):
        if line.partition(": ")[0] in programs:
            return line
    # That a program ended with an error is known; that it was ended is not in its log.
    was_ended = status and not status.startswith("exit status")
    return f"{lines[-1]} ({status})" if was_ended else lines[-1]


def status_of(text: str) -> str:
    """Return how a command ended, from what Snakemake says about it; empty where it does not."""
    if found := re.search(r"died with <Signals\.SIG\w+: (\d+)>", text):
        return _killed(int(found[1]))
    if found := re.search(r"exit status (\d+)", text):
        status = int(found[1])
        return _killed(status - 128) if status > 128 else f"exit status {status}"
    return ""


def _killed(signal: int) -> str:
    return f"killed by signal {signal}" + ("; often for want of memory" if signal == 9 else "")


def seconds_of(benchmarks: Sequence[Path]) -> float | None:
    """Return the sum of the times in benchmark files, None where none of them can be read."""
    found = []
    for path in benchmarks:
        try:
            header, first = path.read_text(encoding="utf-8").splitlines()[:2]
            row = dict(zip(header.split("\t"), first.split("\t"), strict=False))
            found.append(float(row["s"]))
        except (OSError, ValueError, KeyError):
            continue
    return sum(found) if found else None


def duration(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> duration(41.6), duration(190), duration(7500), duration(90000)
        ('42 s', '3 min 10 s', '2 h 05 min', '1 d 1 h')
    """
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
