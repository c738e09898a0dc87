"""What a report was made with, and what its stages cost."""

import hashlib
import json
import subprocess

import pandas as pd
import provenance as script
import pytest
from pulmoscan.config import runs
from pulmoscan.results import provenance
from pulmoscan.storage import tables
from trainings import HEADER, Trainings

CONFIG = {
    "dataset": {"source": "phantom", "path": None},
    "seeds": [0, 1],
    "split": "grouped",
    "splits": {"grouped": {"seed": 123}, "cv": {"seed": 7, "folds": 2}},
    "weights": {"source": "none"},
}
RUNS = f"split\t{HEADER}" + (
    "\tmobilenet\t0\tlungs\t\ncv\tknn\tall\thistogram-binary\t\n\tvgg19\t0\tlungs-large\t\n"
)
BENCHMARK = "s\th:m:s\tmax_rss\tmean_load\tcpu_time\n"
TRAINED = "grouped/lungs/mobilenet/unfreeze-0"
JOBS = {
    "audit": "0.2\t0:00:00\tNA\t0\tNA\n",
    f"train/{TRAINED}/seed-0": "12.5\t0:00:12\t800.25\t99\t20.0\n",
    # A job that was tried again has two lines.
    f"train/{TRAINED}/seed-1": "2.5\t0:00:02\t10.5\t99\t2.0\n4.5\t0:00:04\t9.5\t99\t3.0\n",
    f"gradcam/{TRAINED}": "3.5\t0:00:03\t20.5\t99\t3.0\n",
    # Left by an earlier configuration.
    "train/grouped/lungs-large/vgg19/unfreeze-0/seed-0": "99\t0:01:39\t1\t1\t1\n",
    "tune/grouped/vgg19/lungs": "98\t0:01:38\t1\t1\t1\n",
}


@pytest.fixture
def written(tmp_path):
    trainings = Trainings(
        *(tmp_path, RUNS),
        seeds=(0, 1),
        splits={"grouped": {}, "cv": {"folds": 2}},
        classifiers=("knn",),
    )
    trainings.select()
    files = pd.DataFrame({"file": ["b.png", "a.png"], "bytes": [1, 2], "sha256": ["bb", "aa"]})
    tables.write(tmp_path / "raw.tsv", files)
    header = "backbone\tsource\tfile\tbytes\tsha256\turl\n"
    weights = {"mobilenet": "folder\tm.h5\t9\tabc\t", "vgg16": "none\t\t\t\t"}
    for name, record in weights.items():
        (tmp_path / f"{name}.tsv").write_text(f"{header}{name}\t{record}\n")
    for name, measured in JOBS.items():
        path = tmp_path / f"benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BENCHMARK + measured)
    script.main(
        [
            *("--config", json.dumps(CONFIG), "--raw", f"{tmp_path}/raw.tsv"),
            *("--weights", *(f"{tmp_path}/{name}.tsv" for name in weights)),
            *("--selection", f"{tmp_path}/gathered/selection.tsv"),
            *("--benchmarks", f"{tmp_path}/benchmarks"),
            *("--shared", f"{tmp_path}/benchmarks/audit.tsv", f"{tmp_path}/benchmarks/pack.tsv"),
            *("--settings", f"{tmp_path}/config.json", "--costs", f"{tmp_path}/costs.tsv"),
            *("--provenance", f"{tmp_path}/provenance.tsv"),
        ]
    )
    return tmp_path


def test_record(written):
    record = pd.read_csv(written / "provenance.tsv", sep="\t", index_col="key")["value"]
    assert record["data source"] == "phantom"
    assert record["seeds of the trainings"] == "0, 1"
    assert record["seed of the split"] == "123"
    assert record["data SHA-256"] == hashlib.sha256(b"aa  a.png\nbb  b.png\n").hexdigest()
    assert record["weights of mobilenet"] == "abc (m.h5)"
    assert record["weights of vgg16"] == "none"
    assert record["pandas"] == pd.__version__
    assert json.loads((written / "config.json").read_text()) == CONFIG


def test_costs_of_what_was_run_longest_first_and_gaps_where_nothing_was_measured(written):
    """Neither what is no longer selected nor a job whose benchmark is not there has a row."""
    costs = pd.read_csv(written / "costs.tsv", sep="\t", keep_default_na=False, dtype=str)
    assert costs.to_numpy().tolist() == [
        ["train", f"{TRAINED}/seed-0", "12.5", "20.0", "800.25"],
        ["train", f"{TRAINED}/seed-1", "4.5", "3.0", "10.5"],
        ["gradcam", TRAINED, "3.5", "3.0", "20.5"],
        ["audit", "", "0.2", "", ""],
    ]


def test_benchmarks_are_those_of_shared_jobs_and_of_what_was_made_of_each_training(tmp_path):
    made = pd.DataFrame(
        [
            ("grouped", "small", "0", "lungs", 3, "network"),
            ("grouped", "small", "0", "lungs", 4, "network"),
            ("cv-1", "lenet1d", "all", "histogram", 3, "histogram network"),
            ("cv-1", "knn", "all", "histogram", 3, "classifier"),
        ],
        columns=[*runs.TRAINING, "kind"],
    )
    found = provenance.benchmarks_of(made, tmp_path, [tmp_path / "weights/small.tsv"])
    small, lenet1d, knn = (
        *("grouped/lungs/small/unfreeze-0", "cv-1/histogram/lenet1d/unfreeze-all"),
        "cv-1/histogram/knn/unfreeze-all",
    )
    assert list(found) == [
        ("classify", f"{knn}/seed-3"),
        ("describe", f"{lenet1d}/seed-3"),
        ("describe", f"{small}/seed-3"),
        ("describe", f"{small}/seed-4"),
        ("evaluate", f"{knn}/seed-3"),
        ("evaluate", f"{lenet1d}/seed-3"),
        ("evaluate", f"{small}/seed-3"),
        ("evaluate", f"{small}/seed-4"),
        ("gradcam", small),
        ("train", f"{lenet1d}/seed-3"),
        ("train", f"{small}/seed-3"),
        ("train", f"{small}/seed-4"),
        ("weights", "small"),
    ]
    for (rule, wildcards), path in found.items():
        assert path == tmp_path / f"{rule}/{wildcards}.tsv"


def test_a_damaged_benchmark_is_named(tmp_path):
    path = tmp_path / "audit.tsv"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"^{path} is damaged .*: remove it and run audit again"):
        provenance.costs({("audit", ""): path})


def test_commit(tmp_path):
    assert provenance.commit(tmp_path / "nowhere")["commit"] == "unknown"
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]

    def git(*words):
        subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    assert len(provenance.commit(tmp_path)["commit"]) == 40
    assert provenance.commit(tmp_path)["changed since"] == "no"
    (tmp_path / "file").write_text("two")
    assert provenance.commit(tmp_path)["changed since"] == "yes"
