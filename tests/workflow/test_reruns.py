"""What runs again after an edit: the rules that use what changed, and what depends on them."""

import ast
import json
import re
import shutil
import time

import cv2
import h5py
import numpy as np
import pytest
from code_edits import edited

OF_ALL = {
    "compare_runs",
    "protocol",
    "hardest_images",
    "region_differences",
    "subgroups",
}  # one table from gathered ones each
AFTER_METRICS = {"gather", "gather_table", "compare"} | OF_ALL
AFTER_GRADCAM = {"gather_explained"}
AFTER_GATHER = AFTER_METRICS | AFTER_GRADCAM
AFTER_EVALUATE = {"evaluate"} | AFTER_METRICS
AFTER_TRAIN = {"gradcam", "describe"} | AFTER_GRADCAM | AFTER_EVALUATE
# The runs on `outside`, and of partly frozen networks, stand in no published table.
OF_NO_TABLE = AFTER_TRAIN - {"gather_table", "compare"}
# Trainings with partly frozen layers compute the features that they need again.
TRAIN = {"train", "cut"} | AFTER_TRAIN
AFTER_SPLIT = {
    *("sampling", "resampling", "source_oracle", "dataset_facts", "selection"),
    *("features", "tune", "classify"),
} | TRAIN
AFTER_PACK = {"audit", "split"} | AFTER_SPLIT
AFTER_DOWNLOAD = {"pack"} | AFTER_PACK
# The report ends in the configuration, hashes and costs of what ran, so any change reaches it.
PAGE = {"all", "provenance", "report"}


def test_nothing_runs_the_second_time(finished):
    done = finished.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"training": {"learning_rate": 0.002}}, {"tune"} | TRAIN),
        ({"explain": {"seed": 7}}, {"gradcam"} | AFTER_GRADCAM),
        ({"augmentation": {"rotation": 3}}, set()),
        ({"pixels": {"outside": {"enhance": ["blur"]}}}, {"features", "train"} | OF_NO_TABLE),
        ({"features": {"dtype": "float16"}}, {"train", "cut"} | OF_NO_TABLE),
        ({"models": {"knn": {"threshold": 0.4}}}, AFTER_EVALUATE),
        (
            {"samplings": {"binary": {"positive": "normal"}}},
            {"describe", "dataset_facts"} | AFTER_EVALUATE,
        ),
        ({"splits": {"grouped": {"seed": 5}}}, {"split"} | AFTER_SPLIT),
        ({"splits": {"naive": {"seed": 5}}}, set()),
        ({"weights": {"seed": 3}}, {"weights", "features", "tune"} | TRAIN),
        (
            {"run_filter": "model in ['lenet5', 'lenet1d'] and variant != 'lungs-4000'"},
            {"selection"} | AFTER_GATHER,
        ),
        ({"image_size": 48}, AFTER_DOWNLOAD),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_parameter_reruns_what_uses_it(finished, config, expected):
    assert finished.pending(**config) - PAGE == expected


def test_a_parameter_of_one_model_leaves_the_others(finished):
    done = finished.plan(models={"lenet5": {"training": {"epochs": 2}}})
    assert {job["model"] for job in done["train"]} == {"lenet5"}


@pytest.fixture(scope="module")
def code(finished, copied, tmp_path_factory):
    """A copy of the finished workflow whose code is edited, and put back by each test."""
    return copied(finished, tmp_path_factory.mktemp("code"))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("gradcam", {"gradcam"} | AFTER_GRADCAM),
        ("evaluate", AFTER_EVALUATE),
        ("describe", {"describe"}),
        ("selection", {"selection"} | AFTER_GATHER),
        ("gather", AFTER_GATHER),
        ("compare", {"compare"}),
        ("compare_runs", {"compare_runs"}),
        ("protocol", {"protocol"}),
        ("hardest_images", {"hardest_images"}),
        ("region_differences", {"region_differences"}),
        ("subgroups", {"subgroups"}),
        ("source_oracle", {"source_oracle"}),
        ("dataset_facts", {"dataset_facts"}),
        ("provenance", set()),
        ("tune", {"tune", "train"} | AFTER_TRAIN),
        ("classify", {"classify"} | AFTER_EVALUATE),
        ("pulmoscan/acquire/kaggle", set()),  # the data set is local
        ("pulmoscan/data/duplicates", {"audit", "split"} | AFTER_SPLIT),
        ("pulmoscan/data/samplings", AFTER_SPLIT),
        ("pulmoscan/inputs/pixels", {"features", "tune", "classify"} | TRAIN),
        ("pulmoscan/networks/build", {"features", "tune"} | TRAIN),
        ("pulmoscan/training/loop", {"tune"} | TRAIN),
        ("pulmoscan/training/search", {"tune", "train"} | AFTER_TRAIN),
        ("pulmoscan/prediction/description", {"describe"}),
        ("pulmoscan/prediction/predict", set()),
        ("pulmoscan/explain/panels", {"gradcam"} | AFTER_GRADCAM),
        ("pulmoscan/results/comparison", {"compare", "compare_runs"}),
        ("pulmoscan/results/protocols", {"protocol"}),
        ("pulmoscan/results/hardest_images", {"hardest_images"}),
        ("pulmoscan/results/selection", {"selection", "dataset_facts"} | AFTER_GATHER),
        ("pulmoscan/results/gather", AFTER_GATHER),
        ("pulmoscan/results/scores", {"evaluate"} | AFTER_GATHER),
        (
            "pulmoscan/results/metrics",
            {"evaluate", "source_oracle", "dataset_facts"} | AFTER_GATHER,
        ),
        (
            "pulmoscan/results/published",
            {"compare", "compare_runs", "protocol", "dataset_facts"},
        ),
        ("pulmoscan/results/bootstrap", {"region_differences", "subgroups"}),
        ("pulmoscan/results/source_oracle", {"source_oracle"}),
        ("pulmoscan/results/dataset_facts", {"dataset_facts"}),
        ("pulmoscan/results/provenance", set()),
        ("pulmoscan/report/figures", set()),
    ],
)
def test_one_number_in_one_function_reruns_the_rules_that_import_it(code, file, expected):
    path = code.folder / f"scripts/{file}.py"
    before = path.read_text()
    try:
        path.write_text(edited(before))
        assert code.pending() - PAGE == expected
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "acquire/content",
            "LARGE = 100_000_000",
            "LARGE = 100_000_001",
            {"download"} | AFTER_DOWNLOAD,
        ),
        ("data/schemes", "the name of another split", "as another split", {"split"} | AFTER_SPLIT),
        ("networks/classifiers", "FOLDS = 5", "FOLDS = 6", {"classify"} | AFTER_EVALUATE),
        ("networks/backbones", "(0.485,", "(0.486,", {"weights", "features", "tune"} | TRAIN),
        (
            *("config/runs", "leaves none of the", "leaves none of all"),
            {"describe", "evaluate", "selection", "dataset_facts"} | AFTER_GATHER,
        ),
        ("config/plan", "", "EDITED = True\n", set()),  # its paths are parameters, not its code
    ],
)
def test_code_that_the_snakefile_runs_too(code, file, old, new, expected):
    path = code.folder / f"scripts/pulmoscan/{file}.py"
    before = path.read_text()
    assert old in before
    try:
        path.write_text(before.replace(old, new) if old else before + new)
        assert code.pending() - PAGE == expected
    finally:
        path.write_text(before)


def test_the_form_of_code_reruns_nothing(editable):
    """All modules and scripts without their comments, with other docstrings, otherwise laid out."""
    for path in (editable.folder / "scripts").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if documented and ast.get_docstring(node) is not None:
                node.body[0].value.value = "Reworded."
        path.write_text("# Another comment.\n\n\n" + ast.unparse(tree))
    assert editable.pending() == set()


def test_a_rerun_for_code_names_the_module_that_changed(editable):
    path = editable.folder / "scripts/pulmoscan/explain/panels.py"
    path.write_text(path.read_text().replace("OPACITY = 0.5", "OPACITY = 0.4"))
    done = editable.snakemake("--dry-run")
    (reason,) = set(re.findall(r"reason: (Code has changed.*)", done.stdout))
    assert reason == "Code has changed: pulmoscan/explain/panels.py"
    assert editable.pending() - PAGE == {"gradcam"} | AFTER_GRADCAM


def test_an_edited_notebook_reruns_the_report(editable):
    path = editable.folder / "notebooks/report.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"].append(
        {"cell_type": "markdown", "id": "x", "metadata": {}, "source": ["new"]}
    )
    path.write_text(json.dumps(notebook))
    assert editable.pending() == {"all", "report"}


def test_a_changed_image_reruns_everything_from_the_download(editable):
    path = next((editable.database / "Normal/images").glob("*.png"))
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.roll(image, 3, axis=0))
    assert editable.pending() - PAGE == {"download"} | AFTER_DOWNLOAD


def test_a_changed_weights_file_of_a_folder_is_read_again(editable, tmp_path):
    target = "results/weights/mobilenet_0_25.weights.h5"
    shutil.copy2(editable.folder / target, tmp_path)
    weights = {"source": "folder", "folder": str(tmp_path)}
    done = editable.snakemake(target, weights=weights)
    assert done.returncode == 0, done.stdout[-3000:]
    assert editable.pending(target, weights=weights) == set()
    path = tmp_path / "mobilenet_0_25.weights.h5"
    path.touch()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    path.rename(moved / path.name)
    weights["folder"] = str(moved)
    assert editable.pending(target, weights=weights) == set()
    with h5py.File(moved / path.name, "r+") as file:
        file.attrs["edited"] = True
    assert editable.pending(target, weights=weights) == {"weights"}


def test_touching_runs_nothing(editable):
    time.sleep(0.01)
    touched = [
        *(editable.folder / "scripts").rglob("*.py"),
        *(editable.folder / "workflow").rglob("*"),
        *(editable.folder / "tests/config").glob("*"),
        editable.folder / "config.yaml",
        editable.folder / "notebooks/report.ipynb",
        *editable.database.rglob("*.png"),
    ]
    for path in touched:
        path.touch()
    assert editable.pending() == set()


def test_a_moved_folder_runs_nothing(editable):
    assert editable.pending() == set()


KNN = "grouped/histogram-binary/knn/unfreeze-all/seed-0"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("raw.tsv", {"download"} | AFTER_DOWNLOAD),
        ("splits/grouped.parquet", {"split"} | AFTER_SPLIT),
        ("tables/resampling.tsv", {"resampling", "dataset_facts", "selection"} | AFTER_GATHER),
        ("tables/source_oracle.tsv", {"source_oracle"}),
        ("tables/dataset_facts.tsv", {"dataset_facts"}),
        (f"runs/{KNN}/predictions.parquet", {"classify"} | AFTER_EVALUATE),
        (f"runs/{KNN}/metrics.tsv", AFTER_EVALUATE),
        (
            "explain/grouped/lungs/lenet5/unfreeze-all/panels",
            {"gradcam"} | AFTER_GRADCAM,
        ),
        ("gathered/selection.tsv", {"selection"} | AFTER_GATHER),
        ("gathered/metrics.parquet", {"gather"} | OF_ALL),
        ("gathered/published/synthesis/metrics.parquet", {"gather_table", "compare"}),
        ("tables/synthesis.tsv", {"compare"}),
        ("tables/runs.tsv", {"compare_runs"}),
        ("tables/protocol.tsv", {"protocol"}),
        ("tables/hardest_images.tsv", {"hardest_images"}),
        ("tables/costs.tsv", {"provenance"}),
    ],
)
def test_what_a_failed_job_left_missing_is_made_again_and_what_depends_on_it(code, file, expected):
    path = code.folder / "results" / file
    path.rename(path.with_name("away"))
    try:
        assert code.pending() - PAGE == expected - PAGE
        assert code.pending() >= {"report"} | expected
    finally:
        path.with_name("away").rename(path)
