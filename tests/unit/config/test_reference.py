"""A run is compared with a published figure only where it has the settings of the study."""

import copy

import pandas as pd
import pytest
import yaml
from pulmoscan.config import reference, run_file, runs
from pulmoscan.results import dataset_facts, published


@pytest.fixture(scope="module")
def study(repository) -> dict:
    return reference.load(repository / "workflow/study/reference.yaml")


@pytest.fixture
def config(repository) -> dict:
    return yaml.safe_load((repository / "config.yaml").read_text())


@pytest.fixture(scope="module")
def figures(repository) -> pd.DataFrame:
    return published.read(repository / "workflow/study/published_results.tsv")


def names(figures: pd.DataFrame) -> set[tuple[str, str, str]]:
    return set(figures[runs.NAME].itertuples(index=False, name=None))


def laid_over(config: dict, changes: dict) -> dict:
    config = copy.deepcopy(config)

    def update(below: dict, changed: dict) -> None:
        for key, value in changed.items():
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                update(below[key], value)
            else:
                below[key] = value

    update(config, changes)
    return config


def test_the_full_study_is_as_published(config, study, figures, repository):
    table = run_file.read(repository / "workflow/study/runs.tsv", config["split"])
    assert reference.redefined(config, study, table, names(figures)) == {}
    for split in config["splits"]:
        assert reference.redefined_samplings(config, study, split) == {}
    assert reference.redefined(config, study, table.assign(split="naive"), names(figures)) == {}


@pytest.mark.parametrize("scheme", [{"column": "split"}, {"hold_out": {"source": ["SIRM"]}}])
def test_a_test_set_that_the_data_give_is_not_that_of_the_study(config, study, scheme):
    changed = laid_over(config, {"splits": {"own": scheme}})
    found = reference.redefined_samplings(changed, study, "own")
    assert found == dict.fromkeys(study["samplings"], "splits.own")


def test_the_settings_of_the_study_are_those_of_the_configuration(config, study):
    for key, value in study.items():
        if key == "split":
            continue
        if isinstance(value, dict):
            value, own = value.items(), config[key].items()
            assert [(k, v) for k, v in value if (k, v) not in own] == []
        else:
            assert value == config[key]


CASES = [
    ({"samplings": {"balanced": {"labels": {"COVID": "sick"}}}}, "samplings.balanced"),
    ({"samplings": {"balanced": {"per_class": 160}}}, "samplings.balanced"),
    ({"variants": {"lungs": {"sampling": "large"}}}, "variants.lungs.sampling"),
    ({"variants": {"lungs": {"augment": True}}}, "variants.lungs.augment"),
    ({"pixels": {"lungs": {"region": "full"}}}, "pixels.lungs"),
    ({"pixels": {"lungs": {"enhance": ["equalize"]}}}, "pixels.lungs"),
    ({"image_size": 128}, "image_size"),
    ({"splits": {"grouped": {"test": 0.5}}}, "splits.grouped"),
    ({"models": {"vgg16": {"input_size": 64}}}, "models.vgg16.input_size"),
    ({"models": {"vgg16": {"head": ["flatten"]}}}, "models.vgg16.head"),
    ({"models": {"vgg16": {"training": {"epochs": 3}}}}, "models.vgg16.training.epochs"),
    ({"head": ["flatten"]}, "head"),
    ({"training": {"learning_rate": 0.1}}, "training.learning_rate"),
    ({"weights": {"source": "none"}}, "weights.source none"),
    ({"dataset": {"source": "phantom"}}, "dataset.source phantom"),
    ({"models": {"vgg16": {"backbone": "VGG19"}}}, "models.vgg16.backbone"),
]


# What is measured stays the same under these.
ADJUSTED = {
    *("image_size", "models.vgg16.input_size", "models.vgg16.training.epochs"),
    *("training.learning_rate", "weights.source none", "dataset.source phantom"),
}


def of_kinds(keys: str) -> dict[str, str]:
    """Return the settings in which a run differs, all of which are of one kind."""
    return {
        "redefined": "" if keys in ADJUSTED else keys,
        "adjusted": keys if keys in ADJUSTED else "",
    }


@pytest.mark.parametrize(("changes", "keys"), CASES, ids=[keys for _, keys in CASES])
def test_a_run_of_the_study_with_other_settings(config, study, figures, changes, keys):
    table = pd.DataFrame(
        [("grouped", "vgg16", "0", "lungs", ""), ("grouped", "mine", "0", "lungs", "synthesis")],
        columns=[*runs.KEY, "tables"],
    )
    config["models"]["mine"] = {"like": "vgg19"}
    changed = laid_over(config, changes)
    found = reference.redefined(changed, study, table, names(figures))
    assert found == {"lungs/vgg16/unfreeze-0": of_kinds(keys)}


def test_what_changes_no_result_is_compared(config, study, figures):
    table = pd.DataFrame([("grouped", "vgg16", "0", "lungs", "")], columns=[*runs.KEY, "tables"])
    changes = {
        "training": {"threads": 8, "mixed_precision": "off"},
        "seeds": [1, 2],
        "augmentation": {"flip": False},
        "samplings": {"mine": {"per_class": 5}},
        "splits": {"grouped": {"seed": 3, "group": "image"}},
        "architectures": {"lenet5": ["flatten"]},
        "dataset": {"source": "local", "path": "x"},
    }
    assert reference.redefined(laid_over(config, changes), study, table, names(figures)) == {}


def test_architectures_augmentation_searches_and_thresholds_count(config, study, figures):
    wanted = {
        ("lenet5", "all", "lungs"): (
            {"architectures": {"lenet5": ["flatten"]}},
            {"redefined": "models.lenet5.architecture", "adjusted": ""},
        ),
        ("lenet5-tuned", "all", "lungs"): (
            {"models": {"lenet5-tuned": {"tune": {"max_epochs": 2}}}},
            {"redefined": "", "adjusted": "models.lenet5-tuned.tune"},
        ),
        ("lenet1d-tuned", "all", "histogram-binary"): (
            {"models": {"lenet1d-tuned": {"threshold": 0.5}}},
            {"redefined": "models.lenet1d-tuned.threshold", "adjusted": ""},
        ),
    }
    for run, (changes, keys) in wanted.items():
        assert run in names(figures)
        table = pd.DataFrame([("grouped", *run, "")], columns=[*runs.KEY, "tables"])
        found = reference.redefined(laid_over(config, changes), study, table, names(figures))
        assert list(found.values()) == [keys]


def test_a_run_that_differs_in_both_ways_names_each(config, study, figures):
    table = pd.DataFrame([("grouped", "vgg16", "0", "lungs", "")], columns=[*runs.KEY, "tables"])
    changes = {"image_size": 64, "training": {"epochs": 1}, "samplings": {"balanced": {"total": 9}}}
    changed = laid_over(config, changes)
    del changed["samplings"]["balanced"]["per_class"]
    (found,) = reference.redefined(changed, study, table, names(figures)).values()
    assert found == {
        "redefined": "samplings.balanced",
        "adjusted": "image_size, training.epochs",
    }


def test_the_figures_of_runs_under_other_conditions_stay_and_say_so(figures):
    differing = {"redefined": "", "adjusted": "training.epochs"}
    kept = published.comparable(figures, {"lungs/vgg16/unfreeze-0": differing})
    of_run = (figures[runs.NAME] == ["vgg16", "0", "lungs"]).all(axis=1)
    assert (kept["value"] == figures["value"]).all()
    note = "made with other settings than in the study: training.epochs"
    before, now = (table.loc[of_run, "note"].tolist() for table in (figures, kept))
    assert now == [f"{text}; {note}" if text else note for text in before]
    assert (kept.loc[~of_run, "note"] == figures.loc[~of_run, "note"]).all()


def test_the_figures_of_other_measurements_are_left_out(figures):
    differing = {"redefined": "samplings.balanced", "adjusted": "image_size"}
    kept = published.comparable(figures, {"lungs/vgg16/unfreeze-0": differing})
    of_run = (figures[runs.NAME] == ["vgg16", "0", "lungs"]).all(axis=1)
    assert of_run.any()
    assert set(kept.loc[of_run, "value"]) == {""}
    expected = "not compared with the study, which differs in samplings.balanced"
    assert set(kept.loc[of_run, "note"]) == {expected}
    pd.testing.assert_frame_equal(kept[~of_run], figures[~of_run])
    pd.testing.assert_frame_equal(published.comparable(figures, {}), figures)


def test_facts_about_another_sampling_are_not_compared(config, study):
    changed = laid_over(config, {"samplings": {"balanced": {"per_class": 5}}})
    redefined = reference.redefined_samplings(changed, study, "grouped")
    assert redefined == {"balanced": "samplings.balanced"}
    facts = pd.DataFrame(
        [("train", "COVID", "860"), ("large-total", "", "12193")],
        columns=["fact", "class_or_set", "value"],
    )
    counts = pd.DataFrame(
        [("balanced", "COVID", "train", 5, ""), ("large", "COVID", "train", 9, "")],
        columns=["sampling", "class", "split", "got", "shortfall"],
    )
    audit = {name: pd.DataFrame({"class": []}) for name in dataset_facts.TABLES}
    rows = dataset_facts.compare(facts, audit, counts, redefined)
    assert rows["published"].tolist() == ["", "12193"]
    assert rows["reproduced"].tolist() == [5, 9]
    assert rows["note"].tolist() == [
        "not compared with the study, which differs in samplings.balanced",
        "",
    ]
