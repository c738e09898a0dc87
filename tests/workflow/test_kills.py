"""SIGKILL at random moments: the run resumes, and ends as if nothing had happened.

PULMOSCAN_KILLS sets how many times each stage is killed. 0, the default, kills only trainings, a
search, features and Snakemake itself, in a finished workflow of which some results were removed.
From 1 on, all stages are killed, from the first one on, and Snakemake once in each of them.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pandas as pd
import psutil
import pytest

DOOMED = Path(__file__).parent / "doom"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.append(str(DOOMED))  # as in the jobs
from doomed import stage_of  # noqa: E402

EACH = int(os.environ.get("PULMOSCAN_KILLS", "0"))
STAGES = (
    *("download", "pack", "audit", "split", "sampling", "resampling", "weights", "features"),
    *("tune", "train", "classify", "describe", "evaluate", "gradcam", "selection"),
    *("gather", "compare", "compare_runs", "protocol", "hardest_images", "source_oracle"),
    *("region_differences", "subgroups", "dataset_facts", "provenance", "report"),
)
GIVE_UP = 300  # starts without an end


class Killer:
    """Starts a workflow again and again, in which jobs kill themselves or Snakemake.

    ``doomed`` says how many jobs of a stage kill themselves, ``snakemakes`` which stages have a job
    that kills Snakemake. They do so at a random moment of the time that the stage took in
    ``finished``, see ``doom/doomed.py``.
    """

    def __init__(self, workflow, finished, doomed, snakemakes):
        self.workflow, self.random = workflow, random.Random(0)
        self.told = []  # what was printed by each start
        self.kills = workflow.folder.parent / "kills"
        self.kills.mkdir()
        # Jobs would not look at PYTHONPATH, where Python finds what kills them.
        common = workflow.folder / "workflow/rules/common.smk"
        text = common.read_text().replace('"-Es"', '"-s"')
        common.write_text(text.replace("ENVIRONMENT = [", 'ENVIRONMENT = ["PYTHONSAFEPATH=",'))
        kills = [(stage, "job") for stage, number in doomed.items() for _ in range(number)]
        kills += [(stage, "snakemake") for stage in snakemakes]
        # The soonest first: a job that ends before its kill may be the last one of its stage.
        timed = sorted(
            (self.random.uniform(0, seconds_of(finished, stage)), stage, whom)
            for stage, whom in kills
        )
        for number, (seconds, stage, whom) in enumerate(timed):
            (self.kills / f"{stage}.{number:03}").write_text(f"{seconds} {whom}")

    def killed(self):
        """Return how often jobs of a stage, and Snakemake, were killed."""
        return Counter(
            "snakemake" if path.read_text().endswith("snakemake") else path.name.split(".")[1]
            for path in self.kills.glob("dead.*")
        )

    def run_to_the_end(self):
        """Start until nothing is left to do."""
        command, resume = self.workflow.command(), False
        for _ in range(GIVE_UP):
            resume, status = self._round(
                [sys.executable, "workflow/resume.py"] if resume else command
            )
            if status == 0:
                return
        raise AssertionError(f"no end after {GIVE_UP} starts: {self.told[-1][-3000:]}")

    def _round(self, command):
        """Run a command; return whether it is to be resumed, and its status."""
        log = self.workflow.folder.parent / f"start-{len(self.told)}.log"
        before = self.killed()
        with log.open("w") as file:
            process = subprocess.Popen(
                command,
                cwd=self.workflow.folder,
                env=self.workflow.environment()
                | {"PYTHONPATH": str(DOOMED), "DOOM": str(self.kills)},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(timeout=900)
                killed = self.killed() - before
                if killed["snakemake"]:
                    self._wait_for_orphans()
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for path in self.kills.glob("taken.*"):  # by jobs that something else ended
            path.rename(self.kills / path.name.removeprefix("taken."))
        self.told.append(log.read_text())
        # A job was killed while a run was resumed: Snakemake says that files are left to resume.
        refused = "IncompleteFilesException" in self.told[-1]
        if not killed and not refused:
            assert status == 0, self.told[-1][-5000:]
        return bool(killed["snakemake"]) or refused, status

    def _jobs(self):
        """Return the running jobs."""
        return [
            one
            for one in psutil.process_iter(["cwd", "cmdline"])
            if one.info["cwd"] == str(self.workflow.folder) and stage_of(one.info["cmdline"] or [])
        ]

    def _wait_for_orphans(self):
        """See that nothing resumes beside a living job; end half of them, wait for the others."""
        jobs = self._jobs()
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.suspend()  # so that it does not end meanwhile
        if any(job.is_running() for job in jobs):
            refused = resumed(self.workflow.folder, self.workflow.folder)
            assert refused.returncode == 1, refused.stdout[-3000:]
            assert re.search(r"resume: the run is still alive: \w+", refused.stderr)
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.kill() if self.random.random() < 0.5 else job.resume()
        psutil.wait_procs(jobs)
        while self._jobs():  # the second of two commands, of the report
            time.sleep(0.1)


def seconds_of(workflow, stage):
    """Return how long the shortest job of a stage takes when it has to wait for no other.

    That is its processor time, of which Snakemake misses some: at least a third of the clock's.
    """
    folder = workflow.folder / "results/benchmarks"
    paths = [*folder.glob(f"{stage}.tsv"), *(folder / stage).rglob("*.tsv")]
    jobs = pd.concat(pd.read_csv(path, sep="\t") for path in paths)
    return jobs["cpu_time"].clip(jobs["s"] / 3, jobs["s"]).min()


def files_of(workflow, *but):
    """Return the paths of all results, those of some folders left out."""
    results = workflow.folder / "results"
    return {
        str(path.relative_to(results))
        for path in results.rglob("*")
        if path.is_file() and path.relative_to(results).parts[0] not in but
    }


@pytest.mark.timeout(4 * 3600 if EACH else 1800)
def test_killed_jobs_and_a_killed_snakemake_lose_nothing(finished, editable):
    results = editable.folder / "results"
    if EACH:
        shutil.rmtree(results)
        shutil.rmtree(editable.folder / ".snakemake")
        doomed, snakemakes = dict.fromkeys(STAGES, EACH), STAGES
    else:
        for model in ("lenet5", "mobilenet-small"):
            shutil.rmtree(results / "runs/grouped/lungs" / model)
        for part in ("tuning", "report"):
            shutil.rmtree(results / part)
        doomed, snakemakes = {"tune": 1, "train": 2, "features": 1}, ["train"]
    killer = Killer(editable, finished, doomed, snakemakes)
    killer.run_to_the_end()
    killed = killer.killed()
    print(f"{killed.total()} kills: {dict(killed)}")
    assert editable.pending() == set()
    assert files_of(editable, "cache") == files_of(finished, "cache")
    for path in (finished.folder / "results/runs").rglob("predictions.parquet"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(editable.folder / path.relative_to(finished.folder)),
            pd.read_parquet(path),
            check_exact=True,
        )
    for path in (finished.folder / "results/tuning").rglob("best.json"):
        found, expected = (
            json.loads((folder / path.relative_to(finished.folder)).read_text())
            for folder in (editable.folder, finished.folder)
        )
        assert found["hyperparameters"] == expected["hyperparameters"]
        assert found["val_accuracy"] == expected["val_accuracy"]
    assert killed["snakemake"] >= 1
    if EACH:
        assert EACH == 1 or killed.keys() >= set(STAGES)
        assert killed.total() >= len(STAGES) * EACH // 2
    else:
        assert killed.total() >= 3


def test_two_instances_in_one_folder_the_second_refuses(editable):
    shutil.rmtree(editable.folder / "results/explain")
    shutil.rmtree(editable.folder / "results/report")
    first = subprocess.Popen(
        editable.command(),
        cwd=editable.folder,
        env=editable.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        locks = editable.folder / ".snakemake/locks"
        while not (locks.is_dir() and any(locks.iterdir())):
            assert first.poll() is None
            time.sleep(0.05)
        second = editable.snakemake()
        assert second.returncode != 0
        (line,) = [line for line in second.stdout.splitlines() if "cannot be locked" in line]
        assert f"The run is still alive: snakemake (process {first.pid})" in line
        resumed = subprocess.run(
            [sys.executable, "workflow/resume.py"],
            cwd=editable.folder,
            capture_output=True,
            text=True,
        )
        assert resumed.returncode == 1
        assert f"snakemake (process {first.pid})" in resumed.stderr
        assert len(resumed.stderr.splitlines()) == 1
    finally:
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()


def resumed(repository, folder, path=""):
    """Return what resume.py says in a folder, with other programs before those of the PATH."""
    return subprocess.run(
        [sys.executable, str(repository / "workflow/resume.py")],
        cwd=folder,
        env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def recorded(tmp_path):
    """A folder whose last run was a Snakemake that is no more; a function that edits its record."""
    path = tmp_path / "results/logs/command.json"
    path.parent.mkdir(parents=True)

    def record(**changes):
        told = {"arguments": ["--version"], "environment": {}, "host": socket.gethostname()}
        path.write_text(json.dumps(told | changes))
        return tmp_path

    record()
    return record


def test_nothing_to_resume_is_a_line(repository, tmp_path):
    done = resumed(repository, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("resume: no run to resume: there is no results/logs/command")


def test_the_recorded_command_is_run_again(repository, recorded):
    done = resumed(repository, recorded())
    assert done.returncode == 0
    version = done.stdout.split()
    assert len(version) == 2  # to unlock, and to run
    assert version[0] == version[1] == metadata.version("snakemake")


@pytest.mark.parametrize(
    "word", ["-F", "--forceall", "-Fp", "-R", "--forcerun", "--forcerun=train"]
)
def test_forced_jobs_are_not_forced_again(repository, recorded, word):
    done = resumed(repository, recorded(arguments=["--cores", "2", word]))
    assert done.returncode == 1
    assert f"the last run forced jobs ({word})" in done.stderr


def test_a_run_of_another_machine_is_not_resumed(repository, recorded):
    done = resumed(repository, recorded(host="elsewhere"))
    assert done.returncode == 1
    assert done.stderr.startswith("resume: the last run was started on elsewhere")


def test_a_run_that_was_killed_before_its_command_was_written_is_not_mixed_up(repository, recorded):
    folder = recorded()
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    later = time.time() + 5
    os.utime(lock, (later, later))
    done = resumed(repository, folder)
    assert done.returncode == 1
    assert "its command is not known" in done.stderr


def test_a_damaged_record_is_named(repository, recorded):
    folder = recorded()
    (folder / "results/logs/command.json").write_text('{"arguments": [')
    done = resumed(repository, folder)
    assert done.returncode == 1
    assert "results/logs/command.json is damaged" in done.stderr


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        ("echo 17 $PWD", 1, "resume: the run is still alive: job 17 of Slurm"),
        ("echo 17 /elsewhere", 0, ""),
        ("echo no controller >&2; exit 1", 1, "resume: cannot ask Slurm whether jobs"),
    ],
)
def test_jobs_of_a_cluster_are_asked_for(
    repository, recorded, monkeypatch, answer, status, expected
):
    folder = recorded()
    squeue = folder / "squeue"
    squeue.write_text(f"#!/bin/sh\n{answer}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("SLURM_CONF", "/some/slurm.conf")  # this machine is part of a cluster
    done = resumed(repository, folder, path=folder)
    assert done.returncode == status
    assert done.stderr.startswith(expected)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "-m", "snakemake", "--cores", "2"], "snakemake"),
        (["/x/.venv/bin/python", "/x/.venv/bin/snakemake", "--cores", "2"], "snakemake"),
        (["python", "-Es", "-Xutf8", f"{SCRIPTS}/train.py", "--seed", "0"], "train.py"),
        (["python", "-Es", "/elsewhere/scripts/train.py"], None),
        (["vim", f"{SCRIPTS}/train.py"], None),
        (["less", "/usr/share/snakemake/README"], None),
        (["python"], None),
        (["make", "resume"], None),
        (["vim", "scripts.txt"], None),
        ([], None),
    ],
)
def test_processes_of_a_run_are_known_by_their_command_line(repository, command, name):
    sys.path.append(str(repository / "workflow"))
    try:
        from pulmoscan_terminal.resume import job_name
    finally:
        sys.path.remove(str(repository / "workflow"))
    assert job_name(command) == name
