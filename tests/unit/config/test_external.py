"""External test sets: what the configuration means, and which runs can predict them."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pulmoscan.config import check, data_set, external, models, notices
from pulmoscan.config.data_set import DATABASE, DataSet

RUNS = pd.DataFrame(
    [("lenet5", "full"), ("lenet5", "lungs"), ("knn", "histogram-binary")],
    columns=["model", "variant"],
)


@pytest.fixture(scope="module")
def base(repository: Path) -> dict:
    return yaml.safe_load((repository / "config.yaml").read_text())


@pytest.fixture
def config(base: dict, tmp_path: Path) -> dict:
    """A configuration with one set of three images: one of COVID with a mask, two of Normal."""
    for name in ("1.png", "2.png", "3.png", "m.png"):
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "t.csv"
    table.write_text("image,class,mask\n1.png,COVID-19,m.png\n2.png,well,\n3.png,well,\n")
    sets = {"there": {"source": "table", "path": str(table)}}
    return copy.deepcopy(base) | {"external": sets}


def read(config: dict, runs: pd.DataFrame = RUNS) -> dict[str, DataSet]:
    return external.read(config, runs, models.resolve(config), DATABASE)


def unpredicted(config: dict) -> dict[str, str]:
    sets = read(config)
    return external.unpredicted(config, sets, RUNS, models.resolve(config))["there"]


def test_a_set_takes_what_it_does_not_say_from_the_data_set(config):
    config["dataset"] |= {"depth": "full", "shape": "pad", "masks": "required"}
    config["external"]["there"]["depth"] = "window"
    settings = external.settings(config)["there"]
    assert (settings["depth"], settings["shape"], settings["masks"]) == (
        "window",
        "pad",
        "optional",
    )
    assert settings["window"] == config["dataset"]["window"]


def test_a_set_needs_neither_two_classes_nor_any(config, tmp_path):
    config["external"]["there"]["classes"] = {"COVID-19": "COVID", "well": None}
    assert read(config)["there"].classes == ["COVID"]
    (tmp_path / "t.csv").write_text("image\n1.png\n2.png\n")
    config["external"]["there"] = {"source": "table", "path": str(tmp_path / "t.csv")}
    assert read(config)["there"].classes == [""]
    with pytest.raises(ValueError, match="the images have no class"):
        data_set.read(external.settings(config)["there"])
    config["external"]["there"]["classes"] = {"COVID-19": "COVID"}
    with pytest.raises(ValueError, match=r"config: external\.there\.classes: its images have no"):
        read(config)


def test_classes_that_no_run_knows_are_told_with_those_that_runs_know(config):
    with pytest.raises(ValueError, match="no selected run knows") as error:
        read(config)
    assert str(error.value) == (
        "config: external.there.classes: no selected run knows COVID-19, well: runs know COVID, "
        "Lung_Opacity, Normal, Viral Pneumonia. Map them, as in {COVID-19: COVID}"
    )


def test_one_known_class_is_enough_and_runs_without_a_network_ask_for_none(config):
    config["external"]["there"]["classes"] = {"COVID-19": "COVID", "well": "well"}
    assert read(config)["there"].classes == ["COVID", "well"]
    config["external"]["there"]["classes"] = None
    assert read(config, RUNS.iloc[2:])["there"].classes == ["COVID-19", "well"]


def test_a_class_is_known_by_its_name_or_its_label(config):
    assert external.labels(config, "histogram-binary", DATABASE) == {
        "COVID": "sick",
        "Lung_Opacity": "sick",
        "Viral Pneumonia": "sick",
        "Normal": "normal",
        "sick": "sick",
        "normal": "normal",
    }
    of_three = external.labels(config, "lungs-3class", DATABASE)
    assert of_three == {name: name for name in ("COVID", "Normal", "Viral Pneumonia")}


def test_runs_that_cannot_be_shown_any_image_have_a_reason(config, tmp_path):
    config["external"]["there"]["classes"] = {"COVID-19": "COVID", "well": "Normal"}
    classifier = {"knn/histogram-binary": external.NOT_SAVED}
    assert unpredicted(config) == classifier
    config["external"]["there"]["masks"] = "none"
    reason = "masks are not read (external.there.masks: none)"
    assert unpredicted(config) == {"lenet5/lungs": reason} | classifier
    config["external"]["there"]["masks"] = "optional"
    (tmp_path / "m.png").unlink()
    assert unpredicted(config)["lenet5/lungs"] == "none of 3 images has a mask"
    known = models.resolve(config)
    sets = read(config)
    reasons = external.unpredicted(config, sets, RUNS, known)
    told = [*notices.lines(config, RUNS, known, DATABASE, {}, sets, reasons)]
    assert told == [
        "external.there: lenet5/lungs does not predict it: none of 3 images has a mask",
        f"external.there: knn/histogram-binary does not predict it: {external.NOT_SAVED}",
    ]


def test_images_that_the_classes_of_a_set_leave_out_are_told(config):
    config["external"]["there"]["classes"] = {"COVID-19": "COVID", "well": None}
    sets = read(config)
    told = [*notices.lines(config, RUNS, models.resolve(config), DATABASE, {}, sets, {"there": {}})]
    assert told == ["external.there.classes leaves out 2 images: well (2)"]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["COVID"], "external.there.classes names 'COVID', a class of no image"),
        ({"COVID-19": "COVID"}, "external.there.classes does not say what becomes of 'well' (2)"),
        ({"COVID-19": "NA", "well": "Normal"}, "external.there.classes: 'NA' reads as a missing"),
    ],
)
def test_wrong_classes_are_told_by_their_key(config, classes, expected):
    config["external"]["there"]["classes"] = classes
    with pytest.raises(ValueError, match="config: ") as error:
        read(config)
    assert str(error.value).startswith(f"config: {expected}")
    assert len(str(error.value).splitlines()) == 1


def test_a_link_to_the_results_is_found_in_a_set_too(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "x").symlink_to(tmp_path / "results")
    config["external"]["there"] = {"source": "folders", "path": "elsewhere"}
    with pytest.raises(ValueError, match=r"config: external\.there\.path: .*links to a place"):
        check.check_results(config)
