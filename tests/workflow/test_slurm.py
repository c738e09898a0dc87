"""The whole DAG on a real Slurm: to the report, with the predictions of a local run.

While it runs a training is cancelled, a job is stopped until its time is over, and another one asks
for too little memory at first: all are tried again with more. PULMOSCAN_SLURM=1 says that the test
may start a Slurm on this machine, with three of the runs; PULMOSCAN_SLURM=all takes all runs.
"""

import os
import re
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
import slurm_cluster
import yaml

PERMITTED = os.environ.get("PULMOSCAN_SLURM")
THREE = {"run_filter": "variant == 'lungs' and model in ['lenet5', 'mobilenet-small']"}
pytestmark = pytest.mark.timeout(2400)  # the local run that it is compared with included
GPU_RULES = {"features", "cut", "tune", "train", "gradcam"}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A running Slurm."""
    if PERMITTED not in ("1", "all"):
        pytest.skip(
            "PULMOSCAN_SLURM is neither 1 nor all: this test would start a Slurm on this machine"
        )
    if reason := slurm_cluster.missing():
        pytest.skip(reason)
    leave_what_a_restart_leaves()
    with slurm_cluster.running(tmp_path_factory.mktemp("slurm")):
        yield


def leave_what_a_restart_leaves():
    """Let the socket of a dead munged lie where there is no living one."""
    path = Path("/run/munge/munge.socket.2")
    if not path.exists() and path.parent.is_dir():
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))


@pytest.fixture(scope="module")
def on_slurm(slurm, finished, copied, tmp_path_factory):
    """A workflow that ran on Slurm, its jobs, and what Snakemake printed."""
    workflow = copied(finished, tmp_path_factory.mktemp("on-slurm"), with_results=False)
    profile = workflow.folder / "workflow/profiles/slurm"
    settings = yaml.safe_load((profile / "config.yaml").read_text())
    for rule in GPU_RULES:  # as a site edits it
        settings["set-resources"][rule] = {"slurm_partition": "gpu", "gpu_model": "toy"}
    # The first try of one gets too little memory, that of another a minute.
    settings["set-resources"]["split"] = {"mem_mb": "40 * 100 ** (attempt - 1)"}
    settings["set-resources"]["source_oracle"] = {"runtime": "attempt"}
    site = workflow.folder.parent / "profile"
    site.mkdir()
    (site / "config.yaml").write_text(yaml.safe_dump(settings))
    log = workflow.folder.parent / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            workflow.command(
                *("--workflow-profile", str(site), "--slurm-status-command", "squeue"),
                *("--slurm-init-seconds-before-status-checks", "4", "--slurm-no-account"),
                **({} if PERMITTED == "all" else THREE),
            ),
            cwd=workflow.folder,
            env=workflow.environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            disturb(process, workflow.folder)
            limit = 1800 if PERMITTED == "all" else 900
            assert process.wait(timeout=limit) == 0, log.read_text()[-6000:]
        finally:
            process.kill()
    return workflow, slurm_cluster.jobs(), log.read_text()


def disturb(process, folder):
    """Cancel the first training once it runs, and stop the first source_oracle for good."""
    left = {"train", "source_oracle"}
    while left and process.poll() is None:
        time.sleep(0.1)
        for one in psutil.process_iter(["cmdline", "cwd"]):
            words = (one.info["cmdline"] or []) if one.info["cwd"] == str(folder) else []
            programs = {Path(word).stem for word in words[1:4] if "/scripts/" in word}
            name = next(iter(left & programs), None)
            with suppress(psutil.NoSuchProcess):
                if name == "train":
                    subprocess.run(["scancel", one.environ()["SLURM_JOB_ID"]], check=True)
                elif name:
                    one.suspend()
                left -= {name}


def rule_of(job):
    return re.match(r"(?:rule_)?([a-z_]+?)(?:_wildcards.*)?$", job["Comment"])[1]


def test_the_run_ends_in_the_report_with_the_predictions_of_a_local_one(on_slurm, finished):
    workflow, _, _ = on_slurm
    results = workflow.folder / "results"
    assert (results / "report/report.html").stat().st_size > 100_000
    made = sorted((results / "runs").rglob("predictions.parquet"))
    assert len(made) == len(pd.read_csv(results / "tables/runs.tsv", sep="\t"))
    assert PERMITTED == "all" or len(made) == 3
    for path in made:
        pd.testing.assert_frame_equal(
            pd.read_parquet(path),
            pd.read_parquet(finished.folder / path.relative_to(workflow.folder)),
            check_exact=True,
        )


def test_jobs_that_compute_with_keras_ask_for_a_gpu_and_no_others(on_slurm):
    _, jobs, _ = on_slurm
    for job in jobs:
        wanted = rule_of(job) in GPU_RULES
        assert job.get("TresPerJob") == ("gres:gpu:toy:1" if wanted else None)
        assert job["Partition"] == ("gpu" if wanted else "cpu")
    assert {rule_of(job) for job in jobs} >= {"pack", "train", "features", "gradcam", "report"}


def test_what_needs_the_network_runs_where_snakemake_does(on_slurm):
    _, jobs, log = on_slurm
    assert not {rule_of(job) for job in jobs} & {"download", "weights"}
    assert re.search(r"of \d+  download  ", log)
    assert re.search(r"of \d+  weights mobilenet_0_25  ", log)


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("train", "CANCELLED"),
        ("source_oracle", "TIMEOUT"),
        # So this Slurm calls it; a node with cgroups would say OUT_OF_MEMORY.
        ("split", "FAILED|CANCELLED"),
    ],
)
def test_jobs_that_were_ended_are_tried_again_with_more_and_finish(on_slurm, rule, state):
    _, jobs, _ = on_slurm
    ended = [job for job in jobs if rule_of(job) == rule and job["JobState"] != "COMPLETED"]
    assert len(ended) == 1
    assert re.fullmatch(state, ended[0]["JobState"])
    again = [
        job
        for job in jobs
        if job["Comment"] == ended[0]["Comment"] and job["JobState"] == "COMPLETED"
    ]
    assert len(again) == 1
    if rule == "source_oracle":
        assert (ended[0]["TimeLimit"], again[0]["TimeLimit"]) == ("00:01:00", "00:02:00")
    else:
        assert megabytes(again[0]) > megabytes(ended[0])


def megabytes(job):
    number, unit = re.match(r"([\d.]+)([MG])", job["MinMemoryNode"]).groups()
    return float(number) * {"M": 1, "G": 1024}[unit]


def test_the_profile_names_every_rule_that_asks_for_a_gpu(repository):
    asking = {
        rule
        for path in (repository / "workflow/rules").glob("*.smk")
        for rule, body in re.findall(
            r"^rule (\w+):\n(.*?)(?=^rule |^use rule |^def |\Z)",
            path.read_text(),
            re.MULTILINE | re.DOTALL,
        )
        if re.search(r"^\s+gpu=1,", body, re.MULTILINE)
    }
    asking |= {"cut"}  # made from `features`
    profile = yaml.safe_load((repository / "workflow/profiles/slurm/config.yaml").read_text())
    assert set(profile["set-resources"]) == asking
