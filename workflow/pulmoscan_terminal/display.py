"""What a run shows on a terminal: its stages, and what is running, redrawn in place."""

import logging
import os
from typing import Any, TextIO

from pulmoscan_terminal.jobs import Job, duration
from pulmoscan_terminal.state import State

BAR = 24  # columns
EVERY = 1.0  # seconds between two drawings: each reads the end of the logs of running jobs
COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red"}
SPARE = 4  # rows of the terminal that are left


def can_be_redrawn(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that lines can be taken back on."""
    if not (hasattr(stream, "isatty") and stream.isatty()):
        return False
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    try:
        import rich  # noqa: F401
    except ImportError:  # of a Snakemake from elsewhere
        return False
    return True


class Screen:
    """Draws how far a run is, every second; other messages go above."""

    def __init__(self, stream: TextIO, without_colour: bool) -> None:
        from rich.console import Console

        self._console = Console(file=stream, no_color=without_colour or None, highlight=False)
        self._live: Any = None

    def begin(self, state: State) -> None:
        """Begin to draw."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(
                get_renderable=lambda: self._drawn(state),
                console=self._console,
                refresh_per_second=1 / EVERY,
                transient=False,
            )
            self._live.start()

    def finished(self, state: State, job: Job) -> None:
        """Do nothing: the next drawing shows it."""

    def failed(self, state: State, job: Job, again: bool) -> None:
        """Say that a job failed; why is told at the end, unless it is tried again."""
        self.message(f"failed: {job.name}" + ("; trying again" if again else ""), logging.WARNING)

    def message(self, text: str, level: int) -> None:
        """Print something above the drawing."""
        self._console.print(text, style=COLOURS.get(level), markup=False, soft_wrap=True)

    def end(self) -> None:
        """Leave the last drawing where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _drawn(self, state: State) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        with state.lock:
            total, done = dict(state.total), dict(state.done)
            running = list(state.running.values())
            jobs = state.jobs()
        bars = Table.grid(padding=(0, 2))
        for stage, number in total.items():
            finished = min(done.get(stage, 0), number)
            bar = ProgressBar(number, finished, BAR, complete_style="green", finished_style="green")
            active = sum(job.stage == stage and not job.is_waiting() for job in running)
            now = f"{active} running" if active else ""
            bars.add_row(stage, bar, Text(f"{finished:,} of {number:,}", justify="right"), now)
        line = f"{jobs[0]:,} of {jobs[1]:,} jobs done, {duration(state.seconds())}"
        failed = f", {len(state.failed)} failed" if state.failed else ""
        return Group(bars, *self._running(running, len(total)), Text(line + failed, style="bold"))

    def _running(self, running: list[Job], stages: int) -> list[Any]:
        """Return a row for each running job, as many as there is room for."""
        from rich.table import Table

        waiting = [job for job in running if job.is_waiting()]
        shown = [job for job in running if job not in waiting]
        room = max(1, self._console.height - stages - SPARE)
        rows = Table.grid(padding=(0, 2), expand=True)
        rows.add_column(no_wrap=True, overflow="ellipsis", max_width=self._console.width * 2 // 3)
        rows.add_column(no_wrap=True, justify="right")
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for job in shown[:room]:
            rows.add_row(job.name, duration(job.seconds()), job.last_line())
        if len(shown) > room:
            rows.add_row(f"and {len(shown) - room:,} more", "", "")
        if waiting:
            rows.add_row(f"{len(waiting):,} submitted, not yet running", "", "")
        return [rows] if shown or waiting else []
