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

AFTER_TRAIN = {"evaluate", "compare", "gradcam"}
# Trainings with partly frozen layers compute the features that they need again.
TRAIN = {"train", "cut"} | AFTER_TRAIN
AFTER_SPLIT = {
    "sampling",
    "resampling",
    "source_oracle",
    "dataset_facts",
    "features",
    "tune",
    "classify",
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
        ({"explain": {"seed": 7}}, {"gradcam"}),
        ({"augmentation": {"rotation": 3}}, set()),
        ({"pixels": {"outside": {"enhance": ["blur"]}}}, {"features", "train"} | AFTER_TRAIN),
        ({"features": {"dtype": "float16"}}, TRAIN),
        ({"models": {"knn": {"threshold": 0.4}}}, {"evaluate", "compare"}),
        ({"splits": {"grouped": {"seed": 5}}}, {"split"} | AFTER_SPLIT),
        ({"splits": {"naive": {"seed": 5}}}, set()),
        ({"weights": {"seed": 3}}, {"weights", "features", "tune"} | TRAIN),
        ({"run_filter": "model in ['lenet5', 'lenet1d'] and variant != 'lungs-4000'"}, {"compare"}),
        ({"image_size": 48}, AFTER_DOWNLOAD),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_parameter_reruns_what_uses_it(finished, config, expected):
    assert finished.pending(**config) - PAGE == expected


def test_a_parameter_of_one_model_leaves_the_others(finished):
    done = finished.snakemake("--dry-run", models={"lenet5": {"training": {"epochs": 2}}})
    trained = re.findall(r"wildcards: .*model=([\w-]+).*seed", done.stdout)
    assert set(trained) == {"lenet5"}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("scripts/gradcam.py", {"gradcam"}),
        ("scripts/evaluate.py", {"evaluate", "compare"}),
        ("scripts/pulmoscan/inputs/pixels.py", {"features", "tune", "classify"} | TRAIN),
        ("scripts/pulmoscan/data/duplicates.py", {"audit", "split"} | AFTER_SPLIT),
        ("scripts/pulmoscan/acquire/local.py", {"download"} | AFTER_DOWNLOAD),
        ("scripts/pulmoscan/acquire/kaggle.py", set()),  # the data set is local
        ("scripts/pulmoscan/networks/build.py", {"features", "tune"} | TRAIN),
        ("scripts/pulmoscan/networks/backbones.py", {"weights", "features", "tune"} | TRAIN),
        ("scripts/tune.py", {"tune", "train"} | AFTER_TRAIN),
        ("scripts/classify.py", {"classify", "evaluate", "compare"}),
        ("scripts/pulmoscan/report/figures.py", set()),
    ],
)
def test_code_reruns_the_rules_that_import_it(editable, file, expected):
    with (editable.folder / file).open("a") as code:
        code.write("\nEDITED = True\n")
    assert editable.pending() - PAGE == expected


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
    reasons = set(re.findall(r"reason: Params have changed.*", done.stdout))
    assert all("before: 'pulmoscan/explain/panels.py " in reason for reason in reasons), reasons
    assert editable.pending() - PAGE == {"gradcam"}


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


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("raw.tsv", {"download"} | AFTER_DOWNLOAD),
        ("splits/grouped.parquet", {"split"} | AFTER_SPLIT),
        ("runs/histogram-binary/knn/unfreeze-all/seed-0/predictions.parquet", {"classify"}),
    ],
)
def test_what_a_failed_job_left_missing_is_made_again_and_what_depends_on_it(
    editable, file, expected
):
    (editable.folder / "results" / file).unlink()
    assert editable.pending() >= expected


def test_an_added_seed_trains_it_alone(finished):
    done = finished.snakemake("--dry-run", seeds=[0, 1])
    trained = re.findall(r"wildcards: .*model=([\w-]+), unfreeze=(\w+), seed=(\d+)", done.stdout)
    assert {seed for _, _, seed in trained} == {"0", "1"}
    # Only where temporary features are computed again do the other seeds train again on them.
    assert {unfreeze for _, unfreeze, seed in trained if seed == "0"} == {"19"}
