"""Whatever is wrong with a result that a stage reads, the stage ends in a line that names it."""

import json
from pathlib import Path

import compare
import compare_runs
import damages
import evaluate
import gather
import hardest_images
import pandas as pd
import protocol
import pytest
import resampling
import selection
import source_oracle
from pulmoscan.results import scores
from pulmoscan.storage import tables
from refusals import refusal
from trainings import FIGURES, GATHERED, HEADER, SAMPLINGS, Trainings

RUN = "runs/grouped/lungs/mobilenet/unfreeze-0/seed-0"
TUNED = "tuning/grouped/mobilenet/lungs"
ALL = "gathered"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The results of one tuned training, gathered."""
    folder = tmp_path_factory.mktemp("results")
    trainings = Trainings(
        folder, f"{HEADER}mobilenet\t0\tlungs\tsynthesis\n", tuned={"mobilenet": "lungs"}
    )
    trainings.train(7, images=12)
    trainings.search("mobilenet", dense_1=64, activation="relu")
    trainings.gather()
    trainings.compare("synthesis")
    images = pd.read_parquet(folder / RUN / "predictions.parquet")[["image", "label", "split"]]
    images = images.assign(row=range(len(images)), source="RSNA", **{"class": "COVID"}, defects="")
    tables.write(folder / "samplings/grouped/balanced.parquet", images)
    tables.write(folder / "audit/images.parquet", images.drop_duplicates("image"))
    counts = {"sampling": "balanced", "class": "COVID", "label": "COVID", "split": "train"}
    counts = pd.DataFrame([counts | {"asked": 9, "got": 8, "shortfall": ""}])
    tables.write(folder / "samplings/grouped/balanced.counts.tsv", counts)
    return folder


def stages(folder: Path) -> dict:
    """The command lines of the stages by what they read, with outputs in a folder of their own."""
    out = folder / "out"
    one = f"{ALL}/published/synthesis"
    files = {
        "predictions": f"{ALL}/predictions.parquet",
        "metrics": f"{ALL}/metrics.parquet",
        "selection": f"{ALL}/selection.tsv",
        "resampling": "tables/resampling.tsv",
        "images": "audit/images.parquet",
    }

    def words(*names: str, **more: str) -> list[str]:
        inputs = {name: files[name] for name in names}
        return [
            *(word for name, file in inputs.items() for word in (f"--{name}", f"{folder}/{file}")),
            *(word for name, value in more.items() for word in (f"--{name}", value)),
            *("--output", f"{out}/table.tsv"),
        ]

    key = f"--split-name grouped --model mobilenet --unfreeze 0 --variant lungs --output {out}"
    run = folder / RUN
    common = folder / "samplings/grouped/balanced.parquet"
    gathering = ["--selection", f"{folder}/{ALL}/selection.tsv", "--results", str(folder)]
    gathering += ["--tuned", '{"mobilenet": "lungs"}', "--output", str(out), "--tables", *GATHERED]
    published = {"published": str(FIGURES), "samplings": json.dumps(SAMPLINGS)}
    of_table = {"metrics": f"{folder}/{one}/metrics.parquet"}
    of_table |= {
        name: f"{folder}/{one}/{name.replace('-', '_')}.parquet" for name in ("per-class",)
    }
    of_table |= {"searches": f"{folder}/{one}/searches.parquet", "table": "synthesis"}
    settings = [
        "--filter=",
        *[
            "--seeds",
            "0",
            "--split",
            "grouped",
            "--samplings",
            "{}",
            "--kinds",
            '{"mobilenet": "network"}',
        ],
    ]
    settings += ["--runs", f"{folder}/runs.tsv", "--folds", '{"grouped": {}}']
    return {
        "evaluate": (
            evaluate.main,
            f"--predictions {run}/predictions.parquet --training {run}/training.json "
            f"--common {common} --seed 0 {key}".split(),
        ),
        "gather": (gather.main, gathering),
        "compare": (
            compare.main,
            words(
                "selection", "resampling", **of_table, **published, tuned='{"mobilenet":"lungs"}'
            ),
        ),
        "compare_runs": (compare_runs.main, words("selection", "metrics")),
        "protocol": (
            protocol.main,
            words("selection", "metrics", "predictions", "resampling", **published, models="{}"),
        ),
        "hardest_images": (hardest_images.main, words("predictions", "images")),
        "source_oracle": (source_oracle.main, words(samplings=str(common))),
        "resampling": (
            resampling.main,
            words(counts=f"{folder}/samplings/grouped/balanced.counts.tsv"),
        ),
        "selection": (selection.main, [*words("resampling"), *settings]),
    }


READ = {
    "evaluate": [
        f"{RUN}/predictions.parquet",
        f"{RUN}/training.json",
        "samplings/grouped/balanced.parquet",
    ],
    "gather": [
        f"{ALL}/selection.tsv",
        *(
            f"{RUN}/{name}"
            for name in (
                *("predictions.parquet", "history.tsv", "metrics.tsv"),
                *("per_class.tsv", "confusion.tsv", "stages.tsv"),
            )
        ),
        "explain/grouped/lungs/mobilenet/unfreeze-0/scores.tsv",
        f"{TUNED}/best.json",
        f"{TUNED}/trials.tsv",
    ],
    "compare": [
        f"{ALL}/selection.tsv",
        "tables/resampling.tsv",
        *(f"{ALL}/published/synthesis/{n}.parquet" for n in ("metrics", "per_class", "searches")),
    ],
    "compare_runs": [f"{ALL}/selection.tsv", f"{ALL}/metrics.parquet"],
    "protocol": [
        f"{ALL}/selection.tsv",
        f"{ALL}/metrics.parquet",
        f"{ALL}/predictions.parquet",
        "tables/resampling.tsv",
    ],
    "hardest_images": [f"{ALL}/predictions.parquet", "audit/images.parquet"],
    "source_oracle": ["samplings/grouped/balanced.parquet"],
    "resampling": ["samplings/grouped/balanced.counts.tsv"],
    "selection": ["tables/resampling.tsv"],
}


@pytest.mark.parametrize(
    ("stage", "name"), [(stage, name) for stage, names in READ.items() for name in names]
)
def test_a_damaged_result_is_named_by_whatever_reads_it(folder, stage, name):
    damages.check(folder / name, *stages(folder)[stage])


RECORD = {"n_train": 7, "seconds": 1.5, "epochs": 2, "trained_layers": ["dense"], "stages": []}
STAGE = {"unfreeze": "0", "epochs": 2, "learning_rate": 0.1, "trainable_parameters": 1}


@pytest.mark.parametrize(
    "record",
    [
        [],
        None,
        {"n_train": 7},
        RECORD | {"n_train": "many"},
        RECORD | {"seconds": None},
        RECORD | {"trained_layers": 3},
        RECORD | {"stages": {"unfreeze": "0"}},
        RECORD | {"stages": ["0"]},
        RECORD | {"stages": [STAGE]},
        RECORD | {"stages": [STAGE | {"cached": 1}]},
    ],
)
def test_what_a_training_recorded_is_checked(tmp_path, record):
    path = tmp_path / "training.json"
    path.write_text(json.dumps(RECORD | {"stages": [STAGE | {"cached": True}]}))
    scores.read_training(path)
    path.write_text(json.dumps(record))
    _, sentence = refusal(scores.read_training, path)
    assert sentence.startswith(f"{path} is damaged (")
    assert sentence.endswith("): remove it and run the training again")
