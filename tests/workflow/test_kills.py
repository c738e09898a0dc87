"""SIGKILL at random moments: the run goes on, and ends as if nothing had happened.

PULMOSCAN_KILLS sets how many times each stage is killed. 0, the default, kills only a training, a
search and Snakemake itself, a few times, in a finished workflow of which some results were removed.
From 1 on, all stages are killed, from the first one on (5: more than 50 kills in a quarter of an
hour).
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

EACH = int(os.environ.get("PULMOSCAN_KILLS", "0"))
STAGES = (
    *("download", "pack", "audit", "split", "sampling", "resampling", "weights", "features"),
    *("tune", "train", "classify", "evaluate", "compare", "source_oracle", "dataset_facts"),
    *("gradcam", "provenance", "report"),
)
KERAS = ("features", "tune", "train", "gradcam")
SHORT, LONG = 0.8, 8.0  # seconds within which a job is killed; LONG: one that computes with Keras
GIVE_UP = 100  # starts without an end


class Killer:
    """Starts a workflow again and again, and kills the jobs that are left to kill."""

    def __init__(self, workflow, left, snakemakes):
        self.workflow, self.left, self.snakemakes = workflow, Counter(left), snakemakes
        self.random = random.Random(0)
        self.killed = Counter()
        self.told = []  # what was printed by each start

    def run_to_the_end(self, *options, **config):
        """Start until nothing is left to do; return what the last start printed."""
        command, resume = self.workflow.command(*options, **config), False
        for _ in range(GIVE_UP):
            command_now = [sys.executable, "workflow/resume.py"] if resume else command
            resume, status = self._round(command_now)
            if status == 0:
                return self.told[-1]
        raise AssertionError(f"no end after {GIVE_UP} starts: {self.told[-1][-3000:]}")

    def _round(self, command):
        """Run a command, kill one process of it; return whether that was Snakemake, the status."""
        log = self.workflow.folder.parent / f"start-{len(self.told)}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                command,
                cwd=self.workflow.folder,
                env=self.workflow.environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                victim = self._wait_and_kill(process)
                status = process.wait(timeout=600)
                if victim == "snakemake":
                    self._wait_for_orphans()
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self.told.append(log.read_text())
        # A job was killed while a run was resumed: Snakemake says that files are left to resume.
        refused = "IncompleteFilesException" in self.told[-1]
        if victim is None and not refused:
            assert status == 0, self.told[-1][-5000:]
        return victim == "snakemake" or refused, status

    def _wait_and_kill(self, process):
        doomed = None  # a running job, when it dies, and whether Snakemake does instead
        while process.poll() is None:
            time.sleep(0.05)
            jobs = self._jobs()
            if doomed is None:
                for name, job in jobs.items():
                    if self.left[name] > 0:
                        wait = self.random.uniform(0, LONG if name in KERAS else SHORT)
                        doomed = name, job, time.monotonic() + wait
                        break
            elif not doomed[1].is_running():
                doomed = None
            elif time.monotonic() > doomed[2]:
                name, job, _ = doomed
                # The second time, and then by chance.
                second = self.killed.total() == 1
                if self.snakemakes > 0 and (second or self.random.random() < 0.3):
                    self.snakemakes -= 1
                    self.killed["snakemake"] += 1
                    for one in self._snakemakes(process):
                        with suppress(psutil.NoSuchProcess):
                            one.kill()
                    return "snakemake"
                try:
                    job.kill()
                except psutil.NoSuchProcess:
                    doomed = None
                    continue
                self.left[name] -= 1
                self.killed[name] += 1
                return name
        return None

    def _here(self):
        for one in psutil.process_iter(["cwd", "cmdline"]):
            if one.info["cwd"] == str(self.workflow.folder):
                yield one, one.info["cmdline"] or [""]

    def _jobs(self):
        """Return the running jobs by their stage."""
        found = {}
        for one, words in self._here():
            if len(words) > 1 and words[1].startswith("scripts/"):
                found[Path(words[1]).stem] = one
            elif words[2:3] in (["papermill"], ["nbconvert"]):
                found["report"] = one
        return found

    def _snakemakes(self, process):
        """Return the started process, and Snakemake itself where that is another one."""
        found = [one for one, words in self._here() if words[1:3] == ["-m", "snakemake"]]
        return {*found, psutil.Process(process.pid)}

    def _wait_for_orphans(self):
        """See that nothing resumes beside a living job; end half of them, wait for the others."""
        jobs = list(self._jobs().values())
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.suspend()  # so that it does not end meanwhile
        if any(job.is_running() for job in jobs):
            refused = resumed(self.workflow.folder, self.workflow.folder)
            assert refused.returncode == 1, refused.stdout[-3000:]
            assert re.search(r"resume: the run is not dead, still there: \w+", refused.stderr)
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.kill() if self.random.random() < 0.5 else job.resume()
        psutil.wait_procs(jobs)
        while self._jobs():  # the second of two commands, of the report
            time.sleep(0.1)


def files_of(workflow, *but):
    """Return the paths of all results, those of some folders left out."""
    results = workflow.folder / "results"
    return {
        str(path.relative_to(results))
        for path in results.rglob("*")
        if path.is_file() and path.relative_to(results).parts[0] not in but
    }


@pytest.mark.timeout(4 * 3600 if EACH else 900)
def test_killed_jobs_and_a_killed_snakemake_lose_nothing(finished, editable):
    results = editable.folder / "results"
    if EACH:
        shutil.rmtree(results)
        shutil.rmtree(editable.folder / ".snakemake")
        left, snakemakes = dict.fromkeys(STAGES, EACH), 2 * EACH
    else:
        for part in ("runs/lungs/lenet5", "runs/lungs/mobilenet-small", "tuning", "report"):
            shutil.rmtree(results / part)
        (results / "tables/runs.tsv").unlink()  # else nobody asks for what was removed
        left, snakemakes = {"tune": 1, "train": 2, "features": 1}, 1
    killer = Killer(editable, left, snakemakes)
    killer.run_to_the_end()
    print(f"{killer.killed.total()} kills: {dict(killer.killed)}")
    assert killer.killed["snakemake"] >= 1
    assert killer.killed.total() >= (len(STAGES) * EACH // 2 if EACH else 3)
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
        assert "Directory cannot be locked" in second.stdout
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
    assert done.stderr.startswith("resume: no run to go on with: there is no results/logs/command")


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
        ("echo 17 $PWD", 1, "resume: the run is not dead, still there: job 17 of Slurm"),
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
        (["python", "scripts/train.py", "--seed", "0"], "train.py"),
        (["vim", "scripts/train.py"], None),
        (["less", "/usr/share/snakemake/README"], None),
        (["python", "-m", "papermill", "in.ipynb", "out.ipynb"], "papermill"),
        (["make", "resume"], None),
        (["vim", "scripts.txt"], None),
        ([], None),
    ],
)
def test_processes_of_a_run_are_known_by_their_command_line(repository, command, name):
    sys.path.append(str(repository / "workflow"))
    try:
        from resume import job_name
    finally:
        sys.path.remove(str(repository / "workflow"))
    assert job_name(command) == name
