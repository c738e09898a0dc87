"""A saved network that cannot be one of the workflow's is named in one line."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.networks import build, saved  # noqa: E402
from pulmoscan.storage import atomic  # noqa: E402
from refusals import refusal  # noqa: E402
from small_networks import LENET  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    build.build({"architecture": LENET, "input_size": 32}, classes=4).model.save(path)
    return path


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def without_weights(path: Path) -> None:
    content = {name: zipfile.ZipFile(path).read(name) for name in ("config.json", "metadata.json")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)


def of_histograms(path: Path) -> None:
    histogram = keras.Input((256, 1))
    logits = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(histogram))
    keras.Model(histogram, logits).save(path)


def of_another_project(path: Path) -> None:
    grey = keras.Input((8, 8, 1))
    keras.Model(grey, keras.layers.Dense(2)(keras.layers.Flatten()(grey))).save(path)


@pytest.mark.parametrize(
    "damage",
    [
        shorter,
        without_weights,
        of_histograms,
        of_another_project,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("text"),
    ],
)
def test_a_damaged_network_is_named(model, tmp_path, damage):
    path = Path(shutil.copy(model, tmp_path))
    assert saved.load(path).count_params() > 0
    damage(path)
    _, sentence = refusal(saved.load, path)
    assert re.fullmatch(
        rf"{path} is damaged \(.+\): remove it and run the training again", sentence
    )


def test_a_network_of_another_run_is_not_loaded(model, tmp_path, monkeypatch):
    """As when two folders of runs were exchanged: dates and sizes say nothing."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a", 1), ("b", 2)):
        keras.utils.set_random_seed(seed)
        network = build.build({"architecture": LENET, "input_size": 32}, classes=4).model
        with atomic.replacing(f"results/runs/{name}/model.keras") as path:
            network.save(path)
        saved.load(Path(f"results/runs/{name}/model.keras"))
    shutil.copy2("results/runs/b/model.keras", "results/runs/a/model.keras")
    _, sentence = refusal(saved.load, Path("results/runs/a/model.keras"))
    assert sentence == (
        "results/runs/a/model.keras was changed after it was made: "
        "remove it and run the training again"
    )
