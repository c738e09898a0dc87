"""What every run does before its first job, however much it prints."""

import logging
import sys
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from pulmoscan_terminal import losses, resume

FILES = 3  # incomplete ones that are named
ROOT = Path(__file__).resolve().parents[2]


class Watch(logging.Handler):
    """Records how Snakemake was started, and warns of finished trainings that are made again.

    A handler, because Snakemake's own ``onstart`` is left out of a workflow that is imported as a
    module, and because the jobs that follow a checkpoint are known only after it.
    """

    def __init__(self, workflow: Any) -> None:
        """Watch a workflow of Snakemake."""
        super().__init__()
        self._workflow = workflow
        self._start = resume.started_in()
        self._known: set[Any] = set()  # jobs that were looked at
        self._of: int | None = None  # jobs in all, as far as they are known
        self._planned: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record of Snakemake's."""
        event = getattr(record, "event", None)
        if self._workflow.touch or event not in (LogEvent.RUN_INFO, LogEvent.PROGRESS):
            return
        try:
            if event == LogEvent.PROGRESS:
                self._progress(record.total)
            elif self._workflow.dryrun:
                self._plan()
            else:
                resume.record_command(self._start)
                self._warn(self._message())
        except Exception:
            self.handleError(record)

    def _progress(self, total: int) -> None:
        if total != self._of:  # a checkpoint brought jobs
            self._of = total
            self._warn(self._message())

    def _plan(self) -> None:
        """Warn below the plan; it begins and ends with the table of jobs."""
        if self._planned is None:
            self._planned = self._message() or ""
        else:
            self._warn(self._planned)

    def _message(self) -> str | None:
        return losses.message(self._workflow.dag, self._known, self._workflow.dryrun)

    def _warn(self, message: str | None) -> None:
        if message:
            logger.warning(message)


class Explain(logging.Filter):
    """Says what to do where Snakemake finds its lock, or files of a run that was killed."""

    def __init__(self, workflow: Any) -> None:
        """Prepare for a workflow of Snakemake."""
        super().__init__()
        self._workflow = workflow

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True, after changing the message of a record about a lock."""
        kind = getattr(record, "exception", None)
        if kind == "LockException":
            record.msg, record.args = locked(Path.cwd()), ()
        elif kind == "IncompleteFilesException":
            record.msg, record.args = incomplete(record.getMessage()), ()
        return True


def locked(folder: Path) -> str:
    """Return why a folder is locked, and what to do."""
    try:
        alive = resume.alive(folder)
    except ValueError as error:
        return f"Error: Directory cannot be locked: {folder}. {error}"
    if alive:
        said = resume.still_alive(alive)
        return f"Error: Directory cannot be locked: {folder}. {said[0].upper()}{said[1:]}"
    return (
        f"Error: Directory cannot be locked: {folder}. A Snakemake left its lock there, and no "
        f"process of it runs on this machine. If it ran here and was killed, {command(folder)} "
        "removes the lock and starts its command again"
    )


def incomplete(text: str) -> str:
    """Return a short form of what Snakemake says about incomplete files."""
    files = text.partition("Incomplete files:\n")[2].split()
    more = f" and {len(files) - FILES:,} more" if len(files) > FILES else ""
    return (
        f"IncompleteFilesException: {', '.join(files[:FILES])}{more} were being made when a run "
        f"was killed. Add --rerun-incomplete to make them again, or use {command(Path.cwd())}: "
        "it does so with the last command. A training resumes after its last epoch"
    )


def command(folder: Path) -> str:
    """Return the command that resumes a run in a folder."""
    if folder.resolve() == ROOT:
        return "make resume"
    return f"{sys.executable} {ROOT / 'workflow/resume.py'}"
