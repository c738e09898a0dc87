"""The handler that prints a run, from what Snakemake logs."""

import logging
import re
import threading
from pathlib import Path
from typing import Any, Protocol

from snakemake_interface_logger_plugins.common import LogEvent

from pulmoscan_terminal import ending
from pulmoscan_terminal.jobs import Job, error_line, lines_of, name_of, status_of
from pulmoscan_terminal.listing import Plan
from pulmoscan_terminal.state import State, stage_of, stages

WARNING = "warning: "  # begins the lines of a job's log that are shown though it succeeded
PROGRAMS = frozenset(path.stem for path in Path(__file__).resolve().parents[2].glob("scripts/*.py"))
# What Snakemake and its plugin for Slurm say of every run or job, whatever happens.
SAID_ANYWAY = re.compile(
    r"Config file .* is extended|Assuming unrestricted shared filesystem|Building DAG|Using shell"
    r"|Provided |Rules claiming"
    r"|Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive"
    r"|Select jobs to execute|Execute \d+ jobs|DAG of jobs will be updated|Updating checkpoint"
    r"|Updating jobs|Removing (temporary )?output|Would remove temporary|Processed \d+ potential"
    r"|Complete log|Elapsed time|Shutting down|Exiting because a job|Activating conda env"
    r"|Touching output|SLURM run ID|Job \d+ has been submitted|Cleaning up SLURM log"
    r"|The run involves checkpoint|Some jobs were triggered by provenance|Rules with provenance"
    r"|Reasons:|Job rate limit reached|Terminating processes"
)
OF_A_JOB = re.compile(r"CalledProcessError|SpawnedJobError")  # told with the job
LEFT_OUT = (
    *(LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.RULEGRAPH),
    *(LogEvent.SHELLCMD, LogEvent.GROUP_INFO, LogEvent.JOB_STARTED),
)
IN_THE_END = "At least one job did not complete successfully"
ON_REQUEST = re.compile(r"Terminating processes on user request|Will exit after finishing")
STAMP = re.compile(r"\A\[.*\]\n")
RESTARTED = re.compile(r"Trying to restart job (\d+)")


class View(Protocol):
    """Shows how far a run is; see `plain.Lines` and `display.Screen`."""

    def begin(self, state: State) -> None:
        """Show a run, which is changed as it goes on; again when jobs were added to it."""

    def finished(self, state: State, job: Job) -> None:
        """Show that a job is done."""

    def failed(self, state: State, job: Job, again: bool) -> None:
        """Show that a job failed, and whether it is tried again."""

    def message(self, text: str, level: int) -> None:
        """Show something else, of a level of `logging`."""

    def end(self) -> None:
        """Show no more than messages."""


class Terminal(logging.Handler):
    """Prints a run or a plan of the workflow."""

    def __init__(self, workflow: Any, view: View, formatter: logging.Formatter) -> None:
        """Prepare; ``formatter`` is Snakemake's, for what is printed in its words."""
        super().__init__()
        self.setFormatter(formatter)
        self._workflow, self._view = workflow, view
        self._plan = Plan()
        self._state: State | None = None  # of a run that has begun
        self._statuses: dict[int | None, str] = {}  # of failed commands, by thread
        self._told: set[str] = set()
        self._of: int | None = None  # jobs in all, as Snakemake counts them
        self._has_ended = False
        self._events = {
            LogEvent.RUN_INFO: self._begin,
            LogEvent.JOB_INFO: self._start,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.PROGRESS: self._count,
            LogEvent.ERROR: self._error,
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, or what it changes."""
        try:
            event = getattr(record, "event", None)
            if self._workflow.dryrun and event in (LogEvent.RUN_INFO, LogEvent.JOB_INFO):
                if self._plan.filter(record):
                    # Nothing happens at the time that Snakemake puts above each job.
                    self._view.message(STAMP.sub("", self.format(record)), record.levelno)
            elif event in self._events:
                self._events[event](record)
            elif event not in LEFT_OUT:
                self._message(record)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how the run ended; Snakemake closes its handlers last."""
        if not self._has_ended:
            self._has_ended = True
            try:
                self._end()
            except Exception:
                self.handleError(logging.makeLogRecord({}))
        super().close()

    def _begin(self, record: logging.LogRecord) -> None:
        if self._workflow.touch:
            return
        self._state = self._state or State()
        with self._state.lock:
            self._state.total = stages(self._workflow)
            needed = self._workflow.dag.needrun_jobs()
            self._state.may_grow = any(job.rule.is_checkpoint for job in needed)
        self._view.begin(self._state)

    def _start(self, record: logging.LogRecord) -> None:
        if self._state is None:
            return
        rule = self._workflow.get_rule(record.rule_name)
        wildcards = dict(record.wildcards or {}).values()
        job = Job(
            name=name_of(record.rule_name, record.log, list(wildcards)),
            stage=stage_of(rule),
            log=Path(record.log[0]) if record.log else None,
            benchmark=Path(record.benchmark) if record.benchmark else None,
            counted=bool(record.output),
            waits=not (self._workflow.local_exec or record.local),
        )
        with self._state.lock:
            self._state.running[record.jobid] = job

    def _finish(self, record: logging.LogRecord) -> None:
        state = self._state
        if state is None:
            return
        with state.lock:
            job = state.running.pop(record.job_id, None)
            state.failed.pop(record.job_id, None)
            if job is None or not job.counted:
                return
            state.done[job.stage] += 1
        self._view.finished(state, job)
        for line in lines_of(job.log, job.began):
            if line.startswith(WARNING):
                self._view.message(f"{job.name}: {line}", logging.WARNING)

    def _count(self, record: logging.LogRecord) -> None:
        """Count the jobs anew where a checkpoint brought some."""
        state = self._state
        if state is not None and record.total != self._of:
            self._of = record.total
            with state.lock:
                state.total = stages(self._workflow)

    def _fail(self, record: logging.LogRecord) -> None:
        state = self._state
        if state is None:
            self._print(record)
            return
        status = self._statuses.pop(threading.get_ident(), "")
        with state.lock:
            job = state.running.pop(record.jobid, None)
            if state.interrupted or job is None:
                return
            if not status:  # on a cluster, whose scheduler may know
                status = str(record.rule_msg or "").partition(" For further error")[0]
            line = error_line(lines_of(job.log, job.began), PROGRAMS, status)
            state.failed[record.jobid] = job, line
        self._view.failed(state, job, self._is_retried(record.jobid))

    def _is_retried(self, jobid: int) -> bool:
        jobs = (job for job in self._workflow.dag.jobs if self._workflow.dag.jobid(job) == jobid)
        job = next(jobs, None)
        return job is not None and job.restart_times > job.attempt - 1

    def _error(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if OF_A_JOB.search(text):
            self._statuses[threading.get_ident()] = status_of(text)
        elif IN_THE_END not in text:
            self._print(record)

    def _message(self, record: logging.LogRecord) -> None:
        text = str(record.msg)
        if ON_REQUEST.match(text) and self._state is not None:
            self._state.interrupted = True
        elif found := RESTARTED.match(text):
            with self._state.lock:
                self._state.failed.pop(int(found[1]), None)
        elif text.startswith("Nothing to be done") and not self._workflow.dryrun:
            self._print(record)
            self._tell(ending.results(self._workflow))
        elif not SAID_ANYWAY.match(text) and text not in self._told:
            self._told.add(text)  # Snakemake repeats some
            self._print(record)

    def _print(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if text and text != "None":
            self._view.message(text, record.levelno)

    def _tell(self, lines: list[str]) -> None:
        if lines:
            self._view.message("\n".join(lines), logging.INFO)

    def _end(self) -> None:
        self._view.end()
        state = self._state
        if state is None:
            return
        with state.lock:
            left = state.jobs()[1] - state.jobs()[0]
        if state.failed:
            self._tell(ending.failed(state))
        elif state.interrupted:
            self._tell([ending.interrupted(state)])
        elif not left:
            self._tell(["", *ending.results(self._workflow), ending.finished(state)])
