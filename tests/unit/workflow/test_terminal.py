"""What a run prints: one line per finished job, why jobs failed, and what to do next."""

import io
import logging
import os
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "workflow"))
from pulmoscan_terminal import jobs, losses, watch
from pulmoscan_terminal.display import Screen, can_be_redrawn
from pulmoscan_terminal.echo import Echo
from pulmoscan_terminal.plain import Lines
from pulmoscan_terminal.state import State
from pulmoscan_terminal.terminal import Terminal
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

RUN = "grouped/lungs/mobilenet/unfreeze-0/seed-1"


def rule(name, file="training"):
    return SimpleNamespace(
        name=name, snakefile=f"/x/workflow/rules/{file}.smk", is_checkpoint=False
    )


class Dag:
    """As much of Snakemake's graph of jobs as is asked for."""

    def __init__(self, *needed):
        self.jobs, self.needed = list(needed), list(needed)
        self.finished_jobs = []
        self.dependencies = {job: job.before for job in needed}

    def needrun_jobs(self, exclude_finished=True):
        return iter(self.needed)

    def needrun(self, job):
        return job in self.needed

    def jobid(self, job):
        return self.jobs.index(job) + 1

    def reason(self, job):
        return job.reason


class Reason(str):
    incomplete_output = False


class Needed(SimpleNamespace):
    """A job of the graph; compared by identity, as Snakemake's are."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def needed(name, file="training", **parts):
    usual = {"output": ["x"], "log": [], "benchmark": None, "before": [], "reason": Reason()}
    usual |= {"restart_times": 0, "attempt": 1}
    return Needed(rule=rule(name, file), wildcards=["grouped"], **usual | parts)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Run:
    """A run of two trainings whose records the handler is given, and what it prints."""

    def __init__(self, trainings=2, view=Lines):
        self.stream = io.StringIO()
        self.workflow = SimpleNamespace(
            dryrun=False,
            touch=False,
            local_exec=True,
            rules=[rule("train"), rule("report", "report")],
            dag=Dag(*[needed("train") for _ in range(trainings)]),
            get_rule=rule,
        )
        self.handler = Terminal(self.workflow, view(self.stream), DefaultFormatter())
        self.record(LogEvent.RUN_INFO)

    def record(self, event, msg="", level=logging.INFO, **parts):
        made = logging.makeLogRecord({"event": event, "msg": msg, "levelno": level} | parts)
        self.handler.emit(made)

    def start(self, number, log_text=None):
        log = Path(f"results/logs/train/{RUN}{number}.log")
        parts = {"log": [str(log)], "output": ["x"], "benchmark": None, "wildcards": {}}
        self.record(LogEvent.JOB_INFO, jobid=number, rule_name="train", local=False, **parts)
        if log_text is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(log_text)

    def fail(self, number, command):
        failed = f"RuleException:\nCalledProcessError in file x, line 1:\nCommand 'x' {command}"
        self.record(LogEvent.ERROR, failed, logging.ERROR, exception="RuleException")
        self.record(LogEvent.JOB_ERROR, "Error in rule", logging.ERROR, jobid=number, rule_msg=None)

    def end(self):
        self.handler.close()
        return self.stream.getvalue().splitlines()


def test_a_finished_job_is_a_line(folder):
    run = Run()
    run.start(1)
    run.record(LogEvent.JOB_FINISHED, job_id=1)
    lines = run.end()
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\]  2 jobs: training 2", lines[0])
    assert re.fullmatch(rf"\[\d\d:\d\d:\d\d\]  1 of 2  train {RUN}1  0 s", lines[1])
    assert len(lines) == 2


def test_warnings_of_a_finished_job_are_shown(folder):
    run = Run()
    run.start(1, "8 images\nwarning: 2 files not read\nno warning: this\n")
    run.record(LogEvent.JOB_FINISHED, job_id=1)
    lines = run.end()
    assert lines[2:] == [f"train {RUN}1: warning: 2 files not read"]


def test_failed_jobs_end_with_their_own_lines_each_once(folder):
    run = Run()
    run.start(1, f"{RUN}1: epoch 1/8\ntrain: loss is nan\nlast words of a library\n")
    run.start(2, "Traceback (most recent call last):\n  File\nKeyError: 'x'\n")
    run.fail(1, "returned non-zero exit status 1.")
    run.fail(2, "returned non-zero exit status 1.")
    run.record(None, "Exiting because a job execution failed. Look above", logging.ERROR)
    failed = "WorkflowError:\nAt least one job did not complete successfully."
    run.record(LogEvent.ERROR, failed, logging.ERROR, exception="WorkflowError")
    lines = run.end()
    text = "\n".join(lines)
    assert lines[-8:] == [
        *("", f"train {RUN}1", "train: loss is nan", f"log: results/logs/train/{RUN}1.log"),
        *("", f"train {RUN}2", "KeyError: 'x'", f"log: results/logs/train/{RUN}2.log"),
    ]
    assert lines[-9].startswith("2 jobs failed, 0 of 2 done, in ")
    assert text.count("loss is nan") == 1
    assert "Exception" not in text
    assert "WorkflowError" not in text


def test_a_killed_job_is_said_to_be_killed(folder):
    run = Run()
    run.start(1, f"{RUN}1: epoch 3/8\n")
    run.fail(1, "died with <Signals.SIGKILL: 9>.")
    assert f"{RUN}1: epoch 3/8 (killed by signal 9; often for want of memory)" in run.end()


def test_a_job_that_slurm_ended_says_so(folder):
    run = Run()
    run.workflow.local_exec = False
    run.start(1, f"{RUN}1: epoch 3/8\n")
    said = "SLURM-job '5' failed, SLURM status is: 'TIMEOUT'. For further error details see the"
    run.record(LogEvent.JOB_ERROR, "Error in rule", logging.ERROR, jobid=1, rule_msg=said)
    lines = run.end()
    ended = "(SLURM-job '5' failed, SLURM status is: 'TIMEOUT'.)"
    assert lines[-2:] == [f"{RUN}1: epoch 3/8 {ended}", f"log: results/logs/train/{RUN}1.log"]


def test_the_log_of_an_earlier_run_is_not_quoted(folder):
    run = Run()
    log = folder / f"results/logs/train/{RUN}1.log"
    log.parent.mkdir(parents=True)
    log.write_text("train: of yesterday\n")
    os.utime(log, (time.time() - 1000,) * 2)
    run.start(1)
    run.fail(1, "returned non-zero exit status 127.")
    lines = run.end()
    assert "exit status 127" in lines
    assert "train: of yesterday" not in lines


def test_a_job_that_is_tried_again_does_not_count_as_failed(folder):
    run = Run()
    run.workflow.dag.jobs[0].restart_times = 2
    run.start(1, "train: out of memory\n")
    run.fail(1, "returned non-zero exit status 1.")
    run.record(None, "Trying to restart job 1.")
    run.start(1)
    run.record(LogEvent.JOB_FINISHED, job_id=1)
    lines = run.end()
    assert lines[1].endswith(f"failed: train {RUN}1; trying again")
    assert "out of memory" not in "\n".join(lines)


def test_an_interruption_says_what_to_do(folder):
    run = Run()
    run.start(1, "x")
    run.record(None, "Terminating processes on user request, this might take some time.")
    run.fail(1, "died with <Signals.SIGINT: 2>.")
    lines = run.end()
    assert len(lines) == 2
    assert re.match(
        r"Interrupted after \d+ s, 0 of 2 jobs done\. To go on, start the same", lines[1]
    )


def test_what_is_not_known_is_printed_once(folder):
    run = Run()
    for _ in range(2):
        run.record(None, "Creating conda environment x.yaml...")
        run.record(None, "Select jobs to execute...")
    assert run.end()[1:] == ["Creating conda environment x.yaml..."]


def test_long_jobs_are_named_while_nothing_ends(folder):
    run = Run(view=lambda stream: Lines(stream, quiet=0.05))
    run.start(1, f"{RUN}1: epoch 3/8  loss 1.0\n")
    deadline = time.monotonic() + 10
    while "running" not in run.stream.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert f"running: train {RUN}1  0 s  epoch 3/8  loss 1.0" in run.end()[1]


def test_a_screen_shows_stages_and_running_jobs(folder, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    run = Run(view=lambda stream: Screen(stream, without_colour=True))
    run.start(1, f"{RUN}1: epoch 3/8  loss 1.0\n")
    run.start(2)
    run.record(LogEvent.JOB_FINISHED, job_id=2)
    state = run.handler._state
    with run.handler._view._console.capture() as drawn:
        run.handler._view._console.print(run.handler._view._drawn(state))
    assert re.search(r"training +\S+ +1 of 2  1 running", drawn.get())
    assert re.search(rf"train {RUN}1  0 s  epoch 3/8  loss 1.0", drawn.get())
    assert "1 of 2 jobs done" in drawn.get()
    run.end()


@pytest.mark.parametrize(("term", "possible"), [("xterm", True), ("dumb", False), (None, False)])
def test_only_a_terminal_is_drawn_on(monkeypatch, term, possible):
    monkeypatch.setenv("TERM", term) if term else monkeypatch.delenv("TERM", raising=False)
    assert can_be_redrawn(SimpleNamespace(isatty=lambda: True)) == possible
    assert not can_be_redrawn(io.StringIO())


def test_all_that_jobs_write_can_be_printed(folder):
    stream = io.StringIO()
    echo = Echo(stream)
    made = {"event": LogEvent.JOB_INFO, "jobid": 1, "log": ["job.log"]}
    echo.emit(logging.makeLogRecord(made))
    Path("job.log").write_text("one\ntwo\n")
    echo.emit(logging.makeLogRecord({"event": LogEvent.JOB_FINISHED, "job_id": 1}))
    echo.close()
    assert stream.getvalue() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("rule_name", "log", "expected"),
    [
        ("train", f"results/logs/train/{RUN}.log", f"train {RUN}"),
        ("other_train", f"here/results/logs/train/{RUN}.log", f"train {RUN}"),
        ("download", "results/logs/download.log", "download"),
        ("of_the_user", "a.log", "of_the_user b/c"),
        ("of_the_user", None, "of_the_user b/c"),
    ],
)
def test_jobs_are_called_as_their_logs(rule_name, log, expected):
    assert jobs.name_of(rule_name, [log] if log else [], ["b", "c"]) == expected


def training(folder, number, reason, before=()):
    output, benchmark = folder / f"{number}.keras", folder / f"{number}.tsv"
    output.touch()
    benchmark.write_text("s\th:m:s\n95.0\t0:01:35\n")
    log = f"results/logs/train/grouped/lungs/lenet5/unfreeze-all/seed-{number}.log"
    made = {"output": [output], "benchmark": benchmark, "before": before, "reason": Reason(reason)}
    return needed("train", log=[log], **made)


def test_trainings_that_are_made_again_are_counted_with_their_time_and_reason(folder):
    changed = "Params have changed since last execution: Union of exclusive params before and now "
    changed += "across all output: before: 'a.py 0123456789abcdef' now: 'a.py fedcba9876543210'"
    pack = needed("pack", reason=Reason(changed))
    updated = "Input files updated by another job: y"
    lost = [training(folder, number, updated, [pack]) for number in range(2)]
    new = needed("train", log=lost[0].log, output=["missing"])
    dag = Dag(pack, *lost, new)
    known = set()
    assert losses.message(dag, known, planned=True) == (
        "2 finished trainings, which took 3 min 10 s, would be made again. "
        "Reason: Code has changed: a.py (pack)"
    )
    assert losses.message(dag, known, planned=False) is None  # said once
    assert losses.message(Dag(new), set(), planned=False) is None


def test_a_lock_says_how_to_resume(folder, monkeypatch):
    record = {"exception": "LockException", "msg": "Error: Directory cannot be locked. Please"}
    made = logging.makeLogRecord(record)
    assert watch.Explain(None).filter(made)
    assert "Directory cannot be locked" in made.getMessage()
    assert f"{sys.executable} {watch.ROOT}/workflow/resume.py" in made.getMessage()
    assert len(made.getMessage().splitlines()) == 1
    monkeypatch.setattr(watch.resume, "job_name", lambda command: "snakemake")
    assert "no process of it runs" in watch.locked(folder)  # but this process, which asks
    monkeypatch.chdir(watch.ROOT)
    assert watch.command(Path.cwd()) == "make resume"
    alive = {"snakemake (process 3)": "kill 3", "train.py (process 4)": "kill 4"}
    monkeypatch.setattr(watch.resume, "alive", lambda folder: alive)
    assert "snakemake (process 3), train.py (process 4). Wait" in watch.locked(folder)


def test_incomplete_files_are_counted():
    text = "x\nIncomplete files:\n" + "\n".join(f"results/{n}" for n in range(9))
    assert "results/0, results/1, results/2 and 6 more were being made" in watch.incomplete(text)


@pytest.mark.parametrize(
    ("living", "expected"),
    [
        ({"snakemake (process 1)": "kill 1"}, "Wait for it to end, or end it, and try again"),
        (
            {"train.py (process 2)": "kill 2", "job 3 of Slurm": "scancel 3"},
            "what is finished without it is made again. End it (kill 2; scancel 3) and try again",
        ),
    ],
)
def test_an_orphan_is_not_worth_waiting_for(living, expected):
    assert expected in watch.resume.still_alive(living)


def test_a_state_counts_jobs_that_a_checkpoint_brought():
    state = State()
    state.done["training"] = 3
    assert state.jobs() == (3, 3)
