"""A wrong configuration is reported by the key that is wrong, before anything runs."""

import copy
from pathlib import Path

import h5py
import pandas as pd
import pytest
import yaml
from pulmoscan.config import check
from pulmoscan.config.schema import typed
from pulmoscan.data.layout import CLASSES
from pulmoscan.phantom import database

RUNS = pd.DataFrame(
    [("grouped", "mobilenet", "0", "lungs", ""), ("grouped", "lenet5", "all", "lungs-1000", "")],
    columns=["split", "model", "unfreeze", "variant", "tables"],
)
TABLES = ["synthesis", "region"]


@pytest.fixture(scope="module")
def schema(repository: Path) -> Path:
    return repository / "workflow/schemas/config.schema.yaml"


@pytest.fixture
def config(repository: Path) -> dict:
    return yaml.safe_load((repository / "config.yaml").read_text())


def changed(config: dict, key: str, value: object) -> dict:
    config = copy.deepcopy(config)
    *parents, last = key.split("/")
    place = config
    for parent in parents:
        place = place[parent]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return config


def check_all(config: dict, schema: Path) -> None:
    check.check(config, schema)
    check.check_runs(config, RUNS, TABLES)


def test_the_full_study_is_right(config, schema):
    check_all(config, schema)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training/epohcs", 3, "training: 'epohcs' is not a known key: did you mean 'epochs'?"),
        ("trainnig", {}, "'trainnig' is not a known key: did you mean 'training'?"),
        (
            "dataset/colour",
            1,
            "dataset: 'colour' is not a known key: did you mean 'columns'?",
        ),
        ("dataset/source", "kagle", "dataset.source: 'kagle' is not one of kaggle, sample, local"),
        (
            "dataset/source",
            "local",
            "dataset.path: source local needs the path of a folder or a zip",
        ),
        ("dataset/on_defect", KeyError, "dataset: the key 'on_defect' is missing"),
        ("weights/source", "folder", "weights.folder: source folder needs the path of a folder"),
        ("training/epochs", "ten", "training.epochs: 'ten' is not a whole number"),
        (
            "training/learning_rate",
            "1e-3",
            "is not a finite number: YAML wants a point and a sign, as in 1.0e-3",
        ),
        ("training/epochs", 0, "training.epochs: 0 is less than 1"),
        ("training/patience", "5", "training.patience: '5' is not a whole number or null"),
        ("training/xla", "maybe", "training.xla: 'maybe' is not one of auto, on, off"),
        ("splits/grouped/test", 1.5, "splits.grouped.test: 1.5 is not less than 1"),
        (
            "split",
            "groupd",
            "split: no 'groupd': did you mean 'grouped'? It is one of grouped, naive",
        ),
        ("samplings/large", {}, "samplings.large: give exactly one of per_class and total"),
        ("samplings/large/total", 4, "samplings.large: give exactly one of per_class and total"),
        (
            "samplings/large/per_class",
            "smalest",
            "samplings.large.per_class: 'smalest' is not a number of images or smallest",
        ),
        (
            "samplings/three-class/times",
            {"Lung_Opacity": 2},
            "'Lung_Opacity' is not among its classes",
        ),
        (
            "pixels/lungs/region",
            "heart",
            "pixels.lungs.region: 'heart' is not one of lungs, outside",
        ),
        ("pixels/lungs/enhance", ["sharpen"], "pixels.lungs.enhance: step 1: no step"),
        ("variants/lungs/sampling", "balnced", "no 'balnced': did you mean 'balanced'?"),
        (
            "variants/lungs/pixels",
            "lung",
            "variants.lungs.pixels: no 'lung': did you mean 'lungs'?",
        ),
        ("models/mobilenet/backbone", "MobilNet", "no 'MobilNet': did you mean 'MobileNet'?"),
        (
            "models/mobilenet/architecture",
            "lenet5",
            "give exactly one of architecture, backbone, classifier and like",
        ),
        (
            "models/lenet5/head",
            ["flatten", {"dense": 8}],
            "models.lenet5.head: goes with a backbone",
        ),
        ("models/mobilenet/training", {"epoch": 3}, "did you mean 'epochs'?"),
        (
            "models/mobilenet/input_size",
            KeyError,
            "models.mobilenet.input_size: is missing, in pixels",
        ),
        ("models/mobilenet", KeyError, "recommended.like: no model 'mobilenet': did you mean"),
        ("models/vgg16/like", "vgg19", "give exactly one of"),
        (
            "models/vgg16",
            {"like": "vgg16-tuned"},
            "vgg16.like: circular reference: vgg16 -> vgg16-tuned -> vgg16",
        ),
        ("models/lenet5/architecture", "lenet", "no 'lenet': did you mean 'lenet5'?"),
        ("models/lenet5/input_size", KeyError, "models.lenet5.input_size: is missing, in pixels"),
        ("models/lenet5/threshold", 0.3, "the threshold of lenet5 needs two labels"),
        (
            "models/lenet5/tune",
            {"space": {}},
            "models.lenet5.tune: the keys 'variant', 'max_epochs', 'factor', 'seed' are",
        ),
        ("models/vgg16-tuned/tune", KeyError, "vgg16-tuned: $dense_1 appears in its layers, but"),
        ("models/vgg16-tuned/tune/variant", "lung", "tune.variant: no 'lung': did you mean"),
        (
            "models/vgg16-tuned/tune/space/dense_2",
            {"min": 9},
            "models.vgg16-tuned.tune: space.dense_2: it has min: expected {values:",
        ),
        (
            "models/lenet5/training",
            {"stages": [{"unfreeze": 0}, {}]},
            "models.lenet5.training.stages: unfreeze 0: there is no pre-trained part",
        ),
        (
            "models/mobilenet/training",
            {"stages": [{"unfreeze": 99}, {}]},
            "models.mobilenet.training.stages: unfreeze 99: MobileNet has 86 layers",
        ),
        (
            "models/mobilenet/training",
            {"stages": [{}, {"unfreeze": "all"}]},
            "the last stage unfreezes what the run says, not its own",
        ),
        ("models/knn/classifier", "KNeighbors", "models.knn: "),
        ("models/knn/input_size", 64, "models.knn.input_size: a classifier has none"),
        ("architectures/lenet5", ["flaten"], "architectures.lenet5: layer 1: no layer 'flaten'"),
        ("features/limit_gb", -1, "features.limit_gb: -1 is less than 0"),
        ("variants/lungs-1000", KeyError, "no variant 'lungs-1000': did you mean"),
        ("variants/lungs/pixels", "lungs-histogram", "mobilenet takes images, not the histograms"),
        ("models/xception/input_size", 64, "64 is too small: Xception needs 71 pixels"),
        ("explain/images", ["Foo-1"], "explain.images: no class 'Foo': the classes are COVID"),
        ("samplings/balanced", KeyError, "samplings: the key 'balanced' is missing"),
        ("run_filter", KeyError, "the key 'run_filter' is missing"),
        ("models/mobilenet/arguments", {"alhpa": 0.25}, "MobileNet takes no 'alhpa'"),
        (
            "models/mobilenet/arguments",
            {"alpha": -1},
            "arguments.alpha: -1 is not a number above 0",
        ),
        (
            "models/vgg16/arguments",
            {"alpha": 0.5},
            "VGG16 takes no 'alpha'",
        ),
        ("samplings/binary/labels", dict.fromkeys(CLASSES, "x"), "all classes have one label"),
        ("models/lenet5", None, "models.lenet5: null is not a mapping"),
        ("seeds", [], "seeds: [] has fewer entries than 1"),
        ("seeds", [-1], "seeds.0: -1 is less than 0"),
        ("head", ["flatten", {"dropout": 1}], "head: layer 2: dropout is 1: expected a number"),
        ("explain/per_class", -1, "explain.per_class: -1 is less than 0"),
    ],
)
def test_a_wrong_key_is_named(config, schema, key, value, expected):
    with pytest.raises(ValueError, match=r"^(config|workflow/study/runs.tsv): ") as error:
        check_all(changed(config, key, value), schema)
    assert expected in str(error.value)
    assert "Traceback" not in str(error.value)


def test_every_problem_has_its_line(config, schema):
    config = changed(changed(config, "image_size", 1), "seeds", [0, 0])
    with pytest.raises(ValueError, match="config: image_size") as error:
        check.check(config, schema)
    check.check_runs(config, RUNS, TABLES)
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == [
        " image_size",
        " seeds",
    ]


def test_more_layers_than_the_network_has(config):
    runs = RUNS.assign(unfreeze=["86", "all"])
    check.check_runs(config, runs, TABLES)
    with pytest.raises(ValueError, match="unfreeze-87: MobileNet has 86 layers"):
        check.check_runs(config, RUNS.assign(unfreeze=["87", "all"]), TABLES)


def test_a_network_without_pretrained_part_trains_whole(config):
    runs = RUNS.assign(unfreeze="0")
    with pytest.raises(ValueError, match="lenet5 has no pre-trained part: its unfreeze is all"):
        check.check_runs(config, runs, TABLES)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (("knn", "all", "lungs"), "knn takes histograms, not the images of this variant"),
        (("lenet1d", "all", "lungs"), "lenet1d takes histograms, not the images"),
        (("lenet5", "all", "histogram-binary"), "lenet5 takes images, not the histograms"),
        (("knn", "0", "histogram-binary"), "knn has no pre-trained part: its unfreeze is all"),
    ],
)
def test_a_model_and_a_variant_that_do_not_fit(config, run, expected):
    runs = pd.DataFrame([("grouped", *run, "")], columns=RUNS.columns)
    with pytest.raises(ValueError, match=expected):
        check.check_runs(config, runs, TABLES)


def test_numbers_given_on_the_command_line_are_numbers():
    given = {
        "seeds": ["0", "1"],
        "dataset": {"path": "null", "source": "local"},
        "x": 0.001,
        "y": 2,
    }
    assert typed(given) == {
        "seeds": [0, 1],
        "dataset": {"path": None, "source": "local"},
        "x": 0.001,
        "y": 2,
    }
    assert typed("model == 'mobilenet'") == "model == 'mobilenet'"
    assert typed("{broken") == "{broken"
    assert typed("off") is False


def test_a_table_that_was_not_published(config):
    runs = RUNS.assign(tables=["synthesis, sintesis", ""])
    with pytest.raises(ValueError, match="no published table 'sintesis': there are synthesis, reg"):
        check.check_runs(config, runs, TABLES)


def test_a_run_on_a_split_that_the_configuration_lacks(config):
    runs = RUNS.assign(split=["naive", "nave"])
    expected = "run lungs-1000/lenet5/unfreeze-all: no split 'nave': did you mean 'naive'"
    with pytest.raises(ValueError, match=expected) as error:
        check.check_runs(config, runs, TABLES)
    assert len(str(error.value).splitlines()) == 1
    check.check_runs(config, RUNS.assign(split="naive"), TABLES)


def test_every_missing_weights_file_has_its_line(config, tmp_path):
    config["weights"] |= {"source": "folder", "folder": str(tmp_path)}
    models = ["vgg16", "lenet5", "mobilenet"]
    runs = pd.DataFrame(
        {"model": models, "unfreeze": ["0", "all", "0"], "variant": "lungs", "tables": ""}
    ).assign(split="grouped")
    with pytest.raises(ValueError, match=r"no vgg16\.weights\.h5") as error:
        check.check_runs(config, runs, TABLES)
    assert len(str(error.value).splitlines()) == 2
    for name in ("vgg16", "mobilenet"):
        with h5py.File(tmp_path / f"{name}.weights.h5", "w") as file:
            file.create_group("layers")
    check.check_runs(config, runs, TABLES)
    (tmp_path / "vgg16.weights.h5").write_text("<!doctype html>")
    with pytest.raises(ValueError, match=r"config: .*vgg16\.weights\.h5 is a web page"):
        check.check_runs(config, runs, TABLES)


def test_as_many_phantoms_are_asked_for_as_there_must_be(config, schema):
    config["dataset"]["phantom"]["images_per_class"] = database.SMALLEST_CLASS
    check_all(config, schema)
    config["dataset"]["phantom"]["images_per_class"] -= 1
    with pytest.raises(ValueError, match="images_per_class: 11 is less than 12"):
        check_all(config, schema)
