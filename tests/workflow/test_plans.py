"""Which jobs are planned for one table, another seed, another split, and folds."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.config import runs
from pulmoscan.data.layout import CLASSES

TRAININGS = ("train", "classify", "tune")
RUNS = "tests/config/demo-runs.tsv"


def trained(plan):
    """Runs, each with its seed, that a plan trains."""
    return {
        tuple(job[name] for name in ("split", "model", "unfreeze", "variant", "seed"))
        for rule in ("train", "classify")
        for job in plan.get(rule, [])
    }


def test_a_table_waits_for_the_runs_that_stand_in_it_and_for_nothing_else(finished):
    plan = finished.plan("results/tables/histogram_binary.tsv", "--forceall")
    assert trained(plan) == {
        ("grouped", model, "all", "histogram-binary", "0") for model in ("knn", "lenet1d")
    }
    assert set(plan) == {
        *("download", "pack", "audit", "split", "sampling", "resampling", "selection"),
        *("train", "classify", "evaluate", "gather_table", "compare"),
    }
    assert plan["compare"] == plan["gather_table"] == [{"table": "histogram_binary"}]
    assert len(plan["evaluate"]) == 2


def test_a_table_of_searches_waits_for_them(finished):
    plan = finished.plan("results/tables/tuned_heads.tsv", "--forceall")
    assert {run[1] for run in trained(plan)} == {"mobilenet-small-tuned"}
    assert [job["model"] for job in plan["tune"]] == ["mobilenet-small-tuned"]
    assert "gradcam" not in plan


@pytest.mark.parametrize("table", ["three_classes", "vgg16_test_report"])
def test_a_table_without_runs_trains_nothing(finished, table):
    plan = finished.plan(f"results/tables/{table}.tsv", "--forceall")
    assert not set(plan) & {*TRAININGS, "evaluate", "features", "weights"}


def test_an_added_seed_trains_it_alone(finished):
    plan = trained(finished.plan(seeds=[0, 1]))
    assert {seed for *_, seed in plan} == {"0", "1"}
    # Only where temporary features are computed again do the other seeds train again on them.
    assert {unfreeze for _, _, unfreeze, _, seed in plan if seed == "0"} == {"19"}
    assert len(plan) == 9 + 2


@pytest.fixture
def with_splits(editable):
    """A workflow whose run table has runs on other splits too; and its settings."""
    path = editable.folder / RUNS
    header, *rows = path.read_text().splitlines()
    lines = [f"{header}\tsplit", *(f"{row}\t" for row in rows)]
    lines.append("lenet5\tall\tlungs\t\tnaive")
    path = editable.folder / "with-splits.tsv"
    path.write_text("\n".join(lines) + "\n")
    return editable, {"runs": path.name}


def test_a_run_on_another_split_trains_alone(with_splits):
    workflow, config = with_splits
    plan = workflow.plan(**config)
    assert trained(plan) == {("naive", "lenet5", "all", "lungs", "0")}
    assert plan["split"] == [{"split": "naive"}]
    assert plan["sampling"] == [{"split": "naive", "sampling": "balanced"}]
    assert plan["gradcam"] == [
        {"split": "naive", "variant": "lungs", "model": "lenet5", "unfreeze": "all"}
    ]
    assert set(plan) - {"all", "provenance", "report"} == {
        *("split", "sampling", "train", "describe", "evaluate", "gradcam"),
        # What lists all splits or runs.
        *("resampling", "source_oracle", "dataset_facts", "selection"),
        *("gather", "gather_explained", "gather_table", "compare", "compare_runs", "protocol"),
        *("hardest_images", "region_differences", "subgroups"),
    }


def test_results_of_several_splits_and_folds_stand_side_by_side(with_splits):
    workflow, config = with_splits
    with (workflow.folder / config["runs"]).open("a") as table:
        table.write("knn\tall\thistogram-binary\t\tcv\n")
    folds = {"folds": 2, "validation": 0.2, "seed": 1, "group": "duplicates"}
    names = ("synthesis", "histogram_binary", "resampling")
    synthesis, binary, resampling = (f"results/tables/{name}.tsv" for name in names)
    done = workflow.snakemake(synthesis, binary, resampling, **config, splits={"cv": folds})
    assert done.returncode == 0, done.stdout[-4000:]
    results = workflow.folder / "results"
    found = pd.read_csv(workflow.folder / synthesis, sep="\t").query("status == 'run'")
    assert found[["split", "model", "n", "folds"]].to_numpy().tolist() == [
        ["grouped", "lenet5", 1, 1],
        ["naive", "lenet5", 1, 1],
    ]
    found = pd.read_csv(workflow.folder / binary, sep="\t")
    row = found[(found["model"] == "knn") & (found["split"] == "cv")].squeeze()
    assert (row["n"], row["folds"], row["status"]) == (2, 2, "run")
    name = runs.name("knn", "all", "histogram-binary")
    predictions = [
        pd.read_parquet(results / f"runs/cv-{fold}/{name}/seed-0/predictions.parquet")
        for fold in (1, 2)
    ]
    test = [part[part["split"] == "test"] for part in predictions]
    shares = [(part["p_sick"] > 0.5) == (part["label"] == "sick") for part in test]
    assert row["reproduced"] == pytest.approx(np.mean([share.mean() for share in shares]))
    # Every image tests once.
    tested = pd.concat(test)["image"]
    assert tested.is_unique
    samplings = [
        pd.read_parquet(results / f"samplings/cv-{fold}/binary.parquet") for fold in (1, 2)
    ]
    assert set(tested) == set(pd.concat(samplings).query("split == 'test'")["image"])
    counts = pd.read_csv(workflow.folder / resampling, sep="\t")
    assert set(counts["split_name"]) == {"grouped", "naive", "cv-1", "cv-2"}
    assert set(counts["class"]) == set(CLASSES)


def test_other_data_are_not_put_beside_what_was_published(finished, tmp_path):
    for class_name in ("ill", "well"):
        (tmp_path / "data" / class_name).mkdir(parents=True)
        (tmp_path / "data" / class_name / "1.png").write_bytes(b"")
    folder = tmp_path / "study"
    folder.mkdir()
    dataset = {"source": "folders", "path": str(tmp_path / "data"), "masks": "none"}
    only = "model == 'lenet5' and variant == 'full'"
    plan = finished.plan("--directory", str(folder), dataset=dataset, run_filter=only)
    assert {"report", "compare_runs", "source_oracle"} <= set(plan)
    assert not set(plan) & {"compare", "gather_table", "protocol", "dataset_facts"}
