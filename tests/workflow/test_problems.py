"""Problems are reported on one line, before anything runs where that is possible."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"training": {"epohcs": 3}},
            "config: training: 'epohcs' is not a known key: did you mean",
        ),
        ({"run_filter": "model == 'resnet'"}, "leaves none of the 10 runs"),
        ({"run_filter": "modle == 'lenet5'"}, "run_filter \"modle == 'lenet5'\" cannot be read"),
        ({"runs": "runs.tsv"}, "runs: cannot read the run table runs.tsv: No such file"),
        (
            {"dataset": {"source": "local", "path": "/no/such"}},
            "dataset.path: /no/such does not exist",
        ),
        (
            {"dataset": {"source": "local", "path": None}},
            "dataset.path: source local needs the path",
        ),
        (
            {"weights": {"source": "folder", "folder": "/no/such"}},
            "weights.folder: /no/such does not exist",
        ),
    ],
)
def test_a_wrong_configuration_ends_before_any_job(finished, config, expected):
    done = finished.snakemake("--dry-run", **config)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if expected in line]
    assert len(lines) == 1, done.stdout
    assert "Traceback (most recent call last)" not in done.stdout


def test_a_run_that_the_data_cannot_fill_is_an_error_that_names_the_shortfall(editable):
    done = editable.snakemake("results/tables/dataset_size.tsv", run_filter=None)
    assert done.returncode != 0
    assert (
        "sampling 'size-4000' asks for 1000 training and validation images per class" in done.stdout
    )
    folder = editable.folder / "results/samplings/grouped"
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {"balanced", "binary"}


def test_or_with_skip_a_row_marked_not_run(editable):
    local = {"source": "local", "path": str(editable.database), "on_shortfall": "skip"}
    command = ["results/tables/runs.tsv", "--printshellcmds"]
    done = editable.snakemake(*command, run_filter=None, dataset=local)
    assert done.returncode == 0, done.stdout[-3000:]
    runs = pd.read_csv(editable.folder / "results/tables/runs.tsv", sep="\t")
    runs = runs.set_index("variant")
    missing = runs.loc["lungs-4000"]
    assert missing["status"] == "not_run"
    assert missing["reason"].startswith("sampling 'size-4000' asks for 1000")
    others = runs.drop("lungs-4000")
    assert (others["status"] == "run").all()
    assert others["reason"].isna().all()
    assert np.isnan(missing["test_accuracy"])
    assert others["test_accuracy"].notna().all()
    # One training at a time, unless --resources gpu=N says otherwise.
    assert re.search(r"Provided resources:.*gpu.*\b1\b", done.stdout)
    # The samplings were made again, with the same content: no training was.
    assert "rule train:" not in done.stdout


def test_a_missing_class_stops_at_the_download_and_leaves_nothing(editable):
    shutil.rmtree(editable.database / "Normal")
    done = editable.snakemake()
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("download: ")]
    assert len(lines) == 1
    assert "Normal" in lines[0]
    assert done.stdout.splitlines()[-2:] == [lines[0], "log: results/logs/download.log"]
    results = editable.folder / "results"
    assert not (results / "raw").exists()
    assert not (results / "raw.tsv").exists()


def test_a_truncated_image_is_excluded_or_stops_the_audit(editable):
    path = next((editable.database / "COVID/images").glob("*.png"))
    path.write_bytes(path.read_bytes()[:-100])
    fail = {"source": "local", "path": str(editable.database), "on_defect": "fail"}
    done = editable.snakemake("results/tables/defects.tsv", dataset=fail)
    assert done.returncode != 0
    assert path.stem in done.stdout
    assert not (editable.folder / "results/audit/images.parquet").exists()
    done = editable.snakemake("results/splits/grouped.parquet")
    assert done.returncode == 0, done.stdout[-3000:]
    defects = pd.read_csv(editable.folder / "results/tables/defects.tsv", sep="\t")
    assert defects["image"].tolist() == [path.stem]
    split = pd.read_parquet(editable.folder / "results/splits/grouped.parquet")
    assert path.stem not in set(split["image"])
