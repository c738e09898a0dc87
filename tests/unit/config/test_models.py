"""A model has what it says of itself, what the model it is like says, and the defaults."""

from pathlib import Path

import pytest
import yaml
from pulmoscan.config import models, run_file, stages


@pytest.fixture(scope="module")
def config(repository: Path) -> dict:
    return yaml.safe_load((repository / "config.yaml").read_text())


def test_a_model_like_another_has_its_settings_and_its_own(config):
    known = models.resolve(config)
    flatten, plain = known["resnet152v2-flatten"], known["resnet152v2"]
    assert flatten.network["backbone"] == plain.network["backbone"] == "ResNet152V2"
    assert (flatten.network["input_size"], plain.network["input_size"]) == (224, 256)
    assert flatten.network["head"][0] == "flatten"
    assert plain.network["head"] == config["head"]
    assert flatten.training["learning_rate"] == 1e-4
    assert flatten.training["batch_size"] == plain.training["batch_size"] == 32
    assert (flatten.like, plain.like) == ("resnet152v2", None)


def test_training_settings_of_a_chain_are_merged(config):
    chain = config | {
        "models": {
            "a": {"backbone": "MobileNet", "input_size": 64, "training": {"epochs": 3}},
            "b": {"like": "a", "training": {"patience": 2}},
            "c": {"like": "b", "training": {"epochs": 7}},
        }
    }
    settings = models.resolve(chain)["c"].training
    assert (settings["epochs"], settings["patience"]) == (7, 2)
    assert models.resolve(chain)["b"].training["epochs"] == 3


def test_what_a_model_is_given(config):
    known = models.resolve(config)
    histograms = {name for name, model in known.items() if model.takes_histograms}
    assert histograms == {
        "knn",
        "svm",
        "random-forest",
        "lenet1d",
        "lenet1d-tuned",
        "lenet1d-published",
    }
    assert known["lenet1d"].network["input_size"] == 256
    assert known["knn"].classifier["classifier"] == "KNeighborsClassifier"


def test_every_published_row_is_a_run(repository, config):
    import pandas as pd
    from pulmoscan.config import runs

    published = pd.read_csv(
        repository / "workflow/study/published_results.tsv", sep="\t", dtype=str
    )
    table = run_file.read(repository / "workflow/study/runs.tsv", config["split"])
    stands = {
        (name, *run[runs.NAME])
        for _, run in table.iterrows()
        for name in runs.table_names(run["tables"])
    }
    assert set(map(tuple, published[["table", *runs.NAME]].to_numpy())) <= stands


def test_every_unfrozen_row_of_the_synthesis_is_also_run_by_the_recommended_protocol(
    repository, config
):
    from pulmoscan.config import runs

    table = run_file.read(repository / "workflow/study/runs.tsv", config["split"])
    known = models.resolve(config)
    synthesis = table[table["tables"].str.contains("synthesis")]
    keys = set(map(tuple, table[runs.NAME].to_numpy()))
    unfrozen = [
        run for run in synthesis.itertuples() if run.unfreeze != "0" and known[run.model].backbone
    ]
    assert len(unfrozen) == 25
    for run in unfrozen:
        name = f"{run.model}-recommended"
        assert (name, run.unfreeze, run.variant) in keys
        resolved = stages.resolve(known[name].training, run.unfreeze)
        assert [stage.unfreeze for stage in resolved] == ["0", run.unfreeze]
        assert resolved[1].learning_rate < resolved[0].learning_rate == 1e-3
