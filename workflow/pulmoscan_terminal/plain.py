"""What a run prints where there is no terminal to draw on: lines."""

import threading
import time
from typing import TextIO

from pulmoscan_terminal.jobs import Job, duration
from pulmoscan_terminal.state import State

QUIET = 300.0  # seconds without a line after which the running jobs are named
NAMED = 8  # running jobs that are


class Lines:
    """Prints one line per finished job, and what is running after a while without one."""

    def __init__(self, stream: TextIO, quiet: float = QUIET) -> None:
        self._stream, self._quiet = stream, quiet
        self._last = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, state: State) -> None:
        """Say what will run, and begin to watch."""
        number = state.jobs()[1]
        parts = ", ".join(f"{stage} {count}" for stage, count in state.total.items())
        least = "at least " if state.may_grow else ""
        self._tell(f"{least}{number:,} job{'s' * (number != 1)}: {parts}")
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=[state], daemon=True)
            self._thread.start()

    def finished(self, state: State, job: Job) -> None:
        """Say that a job is done."""
        done, total = (f"{number:,}" for number in state.jobs())
        self._tell(f"{done:>{len(total)}} of {total}  {job.name}  {duration(job.seconds())}")

    def failed(self, state: State, job: Job, again: bool) -> None:
        """Say that a job failed; why is told at the end, unless it is tried again."""
        self._tell(f"failed: {job.name}" + ("; trying again" if again else ""))

    def message(self, text: str, level: int) -> None:
        """Print something else."""
        self._write(text)

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()

    def _watch(self, state: State) -> None:
        while not self._ended.wait(min(5.0, self._quiet)):
            if time.monotonic() - self._last >= self._quiet:
                with state.lock:
                    running = list(state.running.values())
                for line in running_lines(running, NAMED):
                    self._tell(line)
                self._last = time.monotonic()

    def _tell(self, line: str) -> None:
        self._last = time.monotonic()
        self._write(f"{time.strftime('[%H:%M:%S]')}  {line}")

    def _write(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def running_lines(running: list[Job], named: int) -> list[str]:
    """Return a line for each of the first running jobs, and one that counts the others."""
    waiting = [job for job in running if job.is_waiting()]
    shown = [job for job in running if job not in waiting]
    lines = [
        "  ".join(filter(None, [f"running: {job.name}", duration(job.seconds()), job.last_line()]))
        for job in shown[:named]
    ]
    if len(shown) > named:
        lines.append(f"and {len(shown) - named:,} more")
    if waiting:
        lines.append(f"{len(waiting):,} submitted, not yet running")
    return lines
