"""What a report was made with, and what its stages cost."""

import hashlib
import json
import subprocess

import pandas as pd
import provenance
import pytest

CONFIG = {
    "dataset": {"source": "phantom", "path": None},
    "seeds": [0, 1],
    "split": "grouped",
    "splits": {"grouped": {"seed": 123}},
    "weights": {"source": "none"},
}


@pytest.fixture
def written(tmp_path):
    files = pd.DataFrame({"file": ["b.png", "a.png"], "bytes": [1, 2], "sha256": ["bb", "aa"]})
    files.to_csv(tmp_path / "raw.tsv", sep="\t", index=False)
    (tmp_path / "mobilenet.tsv").write_text(
        "backbone\tsource\tfile\tbytes\tsha256\turl\nmobilenet\tfolder\tm.h5\t9\tabc\t\n"
    )
    (tmp_path / "vgg16.tsv").write_text(
        "backbone\tsource\tfile\tbytes\tsha256\turl\nvgg16\tnone\t\t\t\t\n"
    )
    benchmarks = tmp_path / "benchmarks"
    (benchmarks / "train/lungs/mobilenet").mkdir(parents=True)
    header = "s\th:m:s\tmax_rss\tmean_load\tcpu_time\n"
    (benchmarks / "audit.tsv").write_text(header + "0.2\t0:00:00\tNA\t0\tNA\n")
    (benchmarks / "train/lungs/mobilenet/seed-0.tsv").write_text(
        header + "12.5\t0:00:12\t800.25\t99\t20.0\n"
    )
    provenance.main(
        [
            *("--config", json.dumps(CONFIG), "--raw", f"{tmp_path}/raw.tsv"),
            *(
                "--weights",
                f"{tmp_path}/mobilenet.tsv",
                f"{tmp_path}/vgg16.tsv",
                "--benchmarks",
                str(benchmarks),
            ),
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


def test_costs_longest_first_and_gaps_where_nothing_was_measured(written):
    costs = pd.read_csv(written / "costs.tsv", sep="\t", keep_default_na=False)
    assert costs.to_numpy().tolist() == [
        ["train", "lungs/mobilenet/seed-0", 12.5, "20.0", "800.25"],
        ["audit", "", 0.2, "", ""],
    ]


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
