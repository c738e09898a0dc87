"""Classifiers of grey-level histograms, against scikit-learn called by hand."""

import json
import re

import classify
import numpy as np
import pandas as pd
import pytest
import sklearn
from pulmoscan.networks import classifiers
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

PIXELS = {"region": "lungs", "reduce": "histogram"}
PARTS = {"train": 60, "validation": 20, "test": 20}
# Arguments of scikit-learn that a configuration may not give.
WITHHELD = {
    "KNeighborsClassifier": {"n_jobs"},
    "SVC": {
        "probability",
        "random_state",
        "verbose",
        "cache_size",
        "decision_function_shape",
        "break_ties",
    },
    "RandomForestClassifier": {
        "random_state",
        "n_jobs",
        "verbose",
        "warm_start",
        "oob_score",
        "monotonic_cst",
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sampling of 100 small images in random order; the lungs of the sick are a bit brighter."""
    folder = tmp_path_factory.mktemp("packed")
    rng = np.random.default_rng(0)
    sick = rng.random(120) < 0.5
    images = rng.normal(100 + 12 * sick[:, None, None], 30, (120, 32, 32)).clip(0, 255)
    np.save(folder / "images.npy", images.astype(np.uint8))
    np.save(folder / "masks.npy", (rng.random((120, 32, 32)) < 0.5).astype(np.uint8))
    rows = rng.permutation(120)[:100]
    sampling = pd.DataFrame(
        {
            "row": rows,
            "image": [f"Normal-{row}" for row in rows],
            "label": np.where(sick[rows], "sick", "normal"),
            "split": np.repeat(list(PARTS), list(PARTS.values())),
        }
    )
    sampling.to_parquet(folder / "sampling.parquet")
    return folder


def run(folder, output, name, arguments=None, *, pixels=PIXELS, seed=0, sampling="sampling"):
    model = {"classifier": name, "arguments": arguments or {}}
    classify.main(
        [
            *("--classifier", json.dumps(model), "--pixels", json.dumps(pixels)),
            *f"--seed {seed} --sampling {folder}/{sampling}.parquet".split(),
            *f"--images {folder}/images.npy --masks {folder}/masks.npy --output {output}".split(),
        ]
    )
    facts = json.loads((output / "training.json").read_text())
    return pd.read_parquet(output / "predictions.parquet"), facts


def histograms_by_hand(folder):
    """Counts of the grey levels 1 to 255 inside the mask over the largest of them."""
    images, masks = np.load(folder / "images.npy"), np.load(folder / "masks.npy")
    rows = pd.read_parquet(folder / "sampling.parquet")["row"]
    values = np.zeros((len(rows), 256))
    for index, row in enumerate(rows):
        levels, counts = np.unique(images[row][masks[row] == 1], return_counts=True)
        values[index, levels[levels > 0]] = counts[levels > 0] / counts[levels > 0].max()
    return values.astype(np.float32)


def scaled(values):
    deviation = values[:60].std(axis=0, dtype=float)
    return (values - values[:60].mean(axis=0, dtype=float)) / np.where(deviation, deviation, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "reference", "scale"),
    [
        ("KNeighborsClassifier", {"n_neighbors": 3}, KNeighborsClassifier(3), scaled),
        (
            "SVC",
            {"C": 2.0},
            CalibratedClassifierCV(
                SVC(C=2.0),
                cv=StratifiedKFold(5, shuffle=True, random_state=4),
                ensemble=False,
            ),
            scaled,
        ),
        (
            "RandomForestClassifier",
            {"n_estimators": 20},
            RandomForestClassifier(n_estimators=20, random_state=4),
            lambda values: values,
        ),
    ],
)
def test_predictions_are_scikit_learns(folder, tmp_path, name, arguments, reference, scale):
    table, _ = run(folder, tmp_path, name, arguments, seed=4)
    sampling = pd.read_parquet(folder / "sampling.parquet")
    values = scale(histograms_by_hand(folder))
    reference.fit(values[:60], sampling["label"][:60])
    expected = reference.predict_proba(values[60:])
    np.testing.assert_allclose(table[["p_normal", "p_sick"]], expected, atol=1e-6)
    wanted = sampling.iloc[60:][["image", "split", "label"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[["image", "split", "label"]], wanted)
    assert (table["label"] == reference.predict(values[60:])).mean() > 0.7


@pytest.mark.parametrize("name", classifiers.ARGUMENTS)
def test_predicted_class_is_that_of_the_highest_probability(folder, name):
    pipeline = classifiers.build({"classifier": name, "arguments": {}}, seed=0)
    values = histograms_by_hand(folder)
    labels = pd.read_parquet(folder / "sampling.parquet")["label"].to_numpy(str)
    probabilities = pipeline.fit(values[:60], labels[:60]).predict_proba(values)
    highest = pipeline.classes_[probabilities.argmax(axis=1)]
    assert (pipeline.predict(values) == highest).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_seed_decides(folder, tmp_path):
    tables = [
        run(folder, tmp_path / str(i), "RandomForestClassifier", {"n_estimators": 5}, seed=seed)[0]
        for i, seed in enumerate((1, 1, 2))
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


def test_the_training_record_has_nulls_for_the_figures_of_networks(folder, tmp_path):
    _, facts = run(folder, tmp_path, "KNeighborsClassifier")
    assert (facts["n_train"], facts["scikit-learn"]) == (60, sklearn.__version__)
    assert facts["seconds"] > 0
    absent = ("epochs", "parameters", "trainable_parameters", "trained_layers", "cached", "stages")
    assert {facts[name] for name in absent} == {None}
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.parquet", "training.json"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"classifier": "SVM"},
            "no classifier 'SVM': did you mean 'SVC'. it is one of KNeigh.*SVC",
        ),
        ({"classifier": None}, "no classifier None: it is one of"),
        ({"classifier": "SVC", "arguments": {"gama": 1}}, "SVC takes no argument 'gama': .*gamma"),
        ({"classifier": "SVC", "arguments": {"probability": True}}, "no argument 'probability'"),
        ({"classifier": "SVC", "arguments": [1]}, r"are \[1\], not a mapping"),
    ],
)
def test_wrong_names_are_reported_with_the_valid_ones(model, message):
    problems = classifiers.problems(model)
    assert len(problems) == 1
    assert re.search(message, problems[0])


@pytest.mark.parametrize("name", classifiers.ARGUMENTS)
def test_arguments_are_those_of_scikit_learn(name):
    constructor = {
        "KNeighborsClassifier": KNeighborsClassifier,
        "SVC": SVC,
        "RandomForestClassifier": RandomForestClassifier,
    }[name]
    assert {*classifiers.ARGUMENTS[name], *WITHHELD[name]} == set(constructor().get_params())
    assert classifiers.problems({"classifier": name}) == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("KNeighborsClassifier", {"n_neighbors": "three"}, "KNeighborsClassifier: The 'n_neigh"),
        ("KNeighborsClassifier", {"n_neighbors": 61}, "KNeighborsClassifier: Expected n_neighbors"),
    ],
)
def test_wrong_values_are_reported_on_one_line(folder, tmp_path, name, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        run(folder, tmp_path, name, arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "predictions.parquet").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t[t["split"] != "validation"], "has no validation image"),
        (
            lambda t: t[(t["split"] != "train") | (t["label"] == "sick")],
            "trains on the labels sick only",
        ),
        (
            lambda t: t.assign(label=t["label"].where(t["split"] != "test", "other")),
            "but has images of other",
        ),
    ],
)
def test_sampling_that_cannot_be_learned_is_named(folder, tmp_path, spoil, message):
    spoil(pd.read_parquet(folder / "sampling.parquet")).to_parquet(tmp_path / "spoilt.parquet")
    with pytest.raises(ValueError, match=rf"spoilt\.parquet .*{message}"):
        run(tmp_path, tmp_path, "KNeighborsClassifier", sampling="spoilt")
