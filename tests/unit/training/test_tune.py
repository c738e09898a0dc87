"""A search: what it writes, and the inputs that it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import tune  # noqa: E402
from small_search import HEAD, HEAD_SPACE, LUNGS, SIZE, arguments, results  # noqa: E402

WIDE = {"values": [8, 16]}  # without a layer the loss is finite at any rate
LENET = {
    "architecture": [{"conv2d": "$filters", "kernel": 5}, "max_pooling", "flatten", {"dense": 4}],
    "input_size": SIZE,
}
SERIES = {
    "architecture": [
        {"conv1d": "$filters", "strides": 2, "activation": "$activation"},
        "batch_normalization",
        "flatten",
        {"dropout": 0.2},
        {"dense": 8, "l2": 0.01},
    ]
}


def test_outputs(finished_search: Path) -> None:
    trials, best = results(finished_search)
    columns = ["trial", "bracket", "round", "epochs", "val_accuracy", "val_loss", "status"]
    assert list(trials) == [*columns, "units", "drop", "learning_rate"]
    assert "seconds" in (finished_search / "trials.tsv").read_text().splitlines()[0].split("\t")
    assert list(trials["trial"]) == [f"{number:04}" for number in range(6)]
    assert list(trials["bracket"]) == [1, 1, 1, 1, 0, 0]
    assert list(trials["round"]) == [0, 0, 0, 1, 0, 0]
    assert list(trials["epochs"]) == [1, 1, 1, 3, 3, 3]
    assert set(trials["status"]) == {"completed"}
    # 22 validation images
    hits = trials["val_accuracy"] * 22
    np.testing.assert_allclose(hits, hits.round(), atol=1e-5)
    row = trials.loc[trials["val_accuracy"].idxmax()]
    assert best == {
        "hyperparameters": {
            "units": row["units"],
            "drop": row["drop"],
            "learning_rate": row["learning_rate"],
        },
        "val_accuracy": row["val_accuracy"],
        "trial": row["trial"],
        "trials": 6,
    }
    assert not finished_search.with_suffix(".checkpoint").exists()


def test_a_trial_continues_from_the_weights_of_the_earlier_one(
    search_data: Path, tmp_path: Path
) -> None:
    space = HEAD_SPACE | {"learning_rate": {"values": [1e-12]}}  # nothing changes
    network = HEAD | {"head": [*HEAD["head"], {"dense": 8}]}
    tune.main(arguments(search_data, tmp_path / "out", network, space))
    trials, _ = results(tmp_path / "out")
    first, later = trials[trials["round"] == 0], trials[trials["round"] == 1].iloc[0]
    earlier = first[first["bracket"] == 1].sort_values("val_accuracy", kind="stable").iloc[-1]
    assert later["val_accuracy"] == earlier["val_accuracy"]
    assert later["val_loss"] == pytest.approx(earlier["val_loss"], abs=1e-6)
    assert first["val_loss"].nunique() == len(first)


@pytest.mark.parametrize(
    ("network", "space", "pixels"),
    [
        (LENET, {"filters": {"values": [2, 4]}, "learning_rate": {"values": [0.01, 0.003]}}, LUNGS),
        (
            SERIES,
            {"filters": {"values": [2, 4]}, "activation": {"values": ["relu", "tanh"]}},
            {"region": "full", "reduce": "histogram"},
        ),
    ],
    ids=["images", "histograms"],
)
def test_networks_of_our_own(
    search_data: Path, tmp_path: Path, network: dict, space: dict, pixels: dict
):
    tune.main(
        arguments(search_data, tmp_path / "out", network, space, pixels=pixels, learning_rate=0.01)
    )
    trials, best = results(tmp_path / "out")
    assert set(best["hyperparameters"]) == set(space)
    assert trials["val_accuracy"].max() == best["val_accuracy"]
    assert best["val_accuracy"] > 0.6  # brightness tells the labels


def test_a_trial_that_diverges_fails_and_the_search_continues(
    search_data: Path, tmp_path: Path
) -> None:
    space = HEAD_SPACE | {"units": WIDE, "learning_rate": {"values": [1e30, 0.01]}}
    tune.main(arguments(search_data, tmp_path / "out", HEAD, space))
    trials, best = results(tmp_path / "out")
    diverged = trials["learning_rate"] == 1e30
    assert 0 < diverged.sum() < len(trials) == 6
    assert set(trials.loc[diverged, "status"]) == {"failed"}
    assert set(trials.loc[diverged, "val_accuracy"]) == {0.0}
    assert trials.loc[diverged, "val_loss"].isna().all()
    assert set(trials.loc[~diverged, "status"]) == {"completed"}
    assert best["hyperparameters"]["learning_rate"] == 0.01


def test_a_search_whose_trials_all_diverge_is_an_error(search_data: Path, tmp_path: Path) -> None:
    space = HEAD_SPACE | {"units": WIDE, "learning_rate": {"values": [1e30, 1e32]}}
    with pytest.raises(ValueError, match="loss of all 6 trials was not finite: give"):
        tune.main(arguments(search_data, tmp_path / "out", HEAD, space))
    assert not (tmp_path / "out").exists()


def test_features_of_another_head_are_refused(search_data: Path, tmp_path: Path) -> None:
    head = ["flatten", *HEAD["head"][1:]]
    line = arguments(search_data, tmp_path / "out", HEAD | {"head": head}, HEAD_SPACE)
    with pytest.raises(ValueError, match="output of pooled, but the head begins with flatten"):
        tune.main(line)


def test_features_that_were_not_kept_are_reported(search_data: Path, tmp_path: Path) -> None:
    description = json.loads((search_data / "f.json").read_text()) | {
        "kept": False,
        "bytes": 3 * 10**10,
    }
    (tmp_path / "f.json").write_text(json.dumps(description))
    line = arguments(search_data, tmp_path / "out", HEAD, HEAD_SPACE, features=tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"30\.0 GB were above the limit; raise features\.limit_"):
        tune.main(line)


def test_images_without_features_are_reported(search_data: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.load(search_data / "f.npy")[:40])
    np.save(tmp_path / "f.rows.npy", np.arange(40))
    (tmp_path / "f.json").write_text((search_data / "f.json").read_text())
    line = arguments(search_data, tmp_path / "out", HEAD, HEAD_SPACE, features=tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"no features of 10 images \(row 40 first\)"):
        tune.main(line)


def test_a_head_without_features_is_refused(
    search_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    line = arguments(
        search_data, tmp_path / "out", HEAD, HEAD_SPACE, features=search_data / "f.npy"
    )
    at = line.index("--features")
    with pytest.raises(SystemExit):
        tune.main(line[:at] + line[at + 2 :])
    assert "it needs --features 0=FILE" in capsys.readouterr().err
