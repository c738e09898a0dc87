"""A setting without effect is said, and a library of definitions is not."""

import pandas as pd
import pytest
import yaml
from pulmoscan.config import models, notices, run_file, runs


@pytest.fixture
def config(repository) -> dict:
    return yaml.safe_load((repository / "config.yaml").read_text())


def said(config: dict, *selected: tuple[str, str]) -> list[str]:
    """Return what is said where these models are run on these variants."""
    table = pd.DataFrame(
        [("grouped", model, "0", variant, "") for model, variant in selected],
        columns=[*runs.KEY, "tables"],
    )
    return list(notices.lines(config, table, models.resolve(config)))


def test_nothing_is_said_of_the_full_study(config, repository):
    table = run_file.read(repository / "workflow/study/runs.tsv", config["split"])
    assert list(notices.lines(config, table, models.resolve(config))) == []


def test_inputs_larger_than_the_packed_images(config):
    config["image_size"] = 128
    selected = [(name, "lungs") for name in ("lenet5", "vgg16", "vgg19", "xception", "resnet50")]
    (line,) = said(config, *selected)
    assert line.startswith(
        "input_size of lenet5 (256), vgg16 (256), vgg19 (256), xception (256) and 1 more exceeds "
        "image_size 128"
    )
    config["models"]["lenet5"]["input_size"] = 128
    assert said(config, ("lenet5", "lungs"), ("knn", "histogram-binary")) == []


def test_images_larger_than_the_phantoms(config):
    config["dataset"] |= {"source": "phantom", "phantom": {"size": 100}}
    (line,) = said(config, ("knn", "histogram-binary"))
    assert line.startswith("image_size 256 exceeds dataset.phantom.size 100")


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"unfreeze": 0, "learning_rate": 0.1}, {"learning_rate": 0.01}], "every stage"),
        ([{"unfreeze": 0}, {"learning_rate": 0.01}], "stage 2"),
        ([{"unfreeze": 0}, {}], None),
        (None, None),
    ],
)
def test_a_search_for_a_rate_that_stages_have_themselves(config, stages, expected):
    config["models"]["vgg16-tuned"]["training"] = {"stages": stages}
    found = said(config, ("vgg16-tuned", "lungs"))
    if expected is None:
        assert found == []
    else:
        assert found == [
            f"models.vgg16-tuned.tune.space.learning_rate: {expected} of training.stages has a "
            "learning_rate of its own, so the one that is found does not train it"
        ]
    assert said(config, ("vgg16", "lungs")) == []


def test_a_search_that_tries_all_there_is(config):
    tune = config["models"]["vgg16-tuned"]["tune"] | {"max_epochs": 9, "factor": 3}
    tune["space"] = {"dense_1": {"values": list(range(12))}}
    config["models"]["vgg16-tuned"]["tune"] = tune
    (line,) = said(config, ("vgg16-tuned", "lungs"))
    assert "its space has 12 combinations, of the 17 that Hyperband would try" in line


def test_paths_that_nothing_reads(config):
    config["dataset"]["path"] = config["weights"]["folder"] = "x"
    assert said(config, ("lenet5", "lungs")) == [
        "dataset.path is not read: dataset.source is kaggle, not local or table or folders",
        "weights.folder is not read: weights.source is imagenet, not folder",
    ]


def test_augmentation_by_nothing(config):
    config["augmentation"] = dict.fromkeys(config["augmentation"], 0)
    assert said(config, ("lenet5", "lungs")) == []
    (line,) = said(config, ("lenet5", "lungs-augmented"))
    assert line.startswith("variants.lungs-augmented.augment: it changes no image")


def test_the_size_of_a_network_of_histograms(config):
    config["models"]["lenet1d"]["input_size"] = 64
    (line,) = said(config, ("lenet1d", "histogram-binary"))
    assert line.startswith("models.lenet1d.input_size has no effect")


def test_two_labels_without_a_positive_one(config):
    assert said(config, ("lenet1d", "histogram-binary")) == []
    labels = config["samplings"]["binary"]["labels"]
    labels |= dict.fromkeys([name for name, label in labels.items() if label == "sick"], "krank")
    (line,) = said(config, ("lenet1d", "histogram-binary"))
    assert line.startswith(
        "samplings.binary: neither of its two labels, krank and normal, is 'sick'"
    )
