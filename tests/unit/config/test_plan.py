"""What runs need, worked out once: features, samplings and searches, on one split or several."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from pulmoscan.config import models, run_file
from pulmoscan.config import runs as run_table
from pulmoscan.config.plan import BALANCED, Plan, Search
from pulmoscan.data import schemes

CONFIG = yaml.safe_load("""
splits: {grouped: {}, naive: {}, cv: {folds: 2}}
pixels:
  lungs: {region: lungs}
  full: {region: full}
  histogram: {region: lungs, reduce: histogram}
variants:
  lungs: {sampling: balanced, pixels: lungs}
  lungs-large: {sampling: large, pixels: lungs}
  lungs-augmented: {sampling: balanced, pixels: lungs, augment: true}
  full: {sampling: balanced, pixels: full}
  full-large: {sampling: large, pixels: full}
  histogram: {sampling: binary, pixels: histogram}
training: {epochs: 3, learning_rate: 0.001, mixed_precision: auto, xla: auto, stages: null}
head: [average_pooling, {dense: 8}]
architectures: {lenet: [{conv2d: 4}, flatten, {dense: $units}]}
models:
  small: {backbone: MobileNet, arguments: {alpha: 0.25}, input_size: 96}
  larger: {like: small, input_size: 128}
  flat: {like: small, head: [flatten, {dense: 8}]}
  staged: {like: small, training: {stages: [{unfreeze: 0}, {unfreeze: half}, {}]}}
  tuned: {like: small, head: [average_pooling, {dense: $units}], tune: {variant: full-large}}
  lenet: {architecture: lenet, input_size: 32, tune: {variant: lungs}}
  knn: {classifier: KNeighborsClassifier}
""")
POOLED = "results/features/mobilenet_0_25-96px"


def planned(*rows: str) -> Plan:
    """The plan of runs, each given as "model unfreeze variant", or with its split in front."""
    named = [row.split() if row.count(" ") == 3 else ["grouped", *row.split()] for row in rows]
    runs = pd.DataFrame([[*row, ""] for row in named], columns=[*run_table.KEY, "tables"])
    expanded = run_table.expand(runs, CONFIG["splits"])
    return Plan(CONFIG, expanded, models.resolve(CONFIG))


def test_models_that_are_like_one_another_share_a_backbone():
    plan = planned("small 0 lungs")
    assert set(plan.backbones) == {"mobilenet_0_25-96px", "mobilenet_0_25-128px"}
    assert set(plan.weights) == {"mobilenet_0_25"}
    assert plan.backbone("small") == plan.backbone("staged") == plan.backbone("flat")
    assert plan.backbone("larger").network["input_size"] == 128
    for model in ("small", "larger"):
        assert plan.weights_file(model) == "results/weights/mobilenet_0_25.weights.h5"
    for model in ("lenet", "knn"):
        assert plan.backbone(model) is None
        assert plan.weights_file(model) is None


def test_a_plan_cannot_be_changed():
    plan = planned("small 0 lungs")
    with pytest.raises(TypeError):
        plan.backbones["mobilenet"] = plan.backbone("small")
    with pytest.raises(TypeError):
        plan.samplings_of_features[POOLED] = ()


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("small 0 lungs", {"0": f"{POOLED}/lungs"}),
        ("small 0 lungs-large", {"0": f"{POOLED}/lungs"}),
        ("small 0 full", {"0": f"{POOLED}/full"}),
        ("small 19 lungs", {"19": f"{POOLED}/unfreeze-19/lungs"}),
        ("small all lungs", {}),
        ("small 0 lungs-augmented", {}),
        ("larger half full", {"half": "results/features/mobilenet_0_25-128px/unfreeze-half/full"}),
        # Without pooling the frozen layers put out whole maps, also of the whole backbone.
        ("flat 0 lungs", {"0": f"{POOLED}/unfreeze-0/lungs"}),
        ("staged all lungs", {"0": f"{POOLED}/lungs", "half": f"{POOLED}/unfreeze-half/lungs"}),
        (
            "staged 5 lungs",
            {
                "0": f"{POOLED}/lungs",
                "half": f"{POOLED}/unfreeze-half/lungs",
                "5": f"{POOLED}/unfreeze-5/lungs",
            },
        ),
        ("lenet all lungs", {}),
        ("knn all histogram", {}),
    ],
)
def test_features_of_a_run(run, expected):
    assert planned(run).features(*run.split()) == expected


def test_features_hold_the_images_of_every_run_and_search_that_reads_them():
    plan = planned(
        *("small 0 lungs", "small 0 lungs-large", "naive staged all lungs"),
        *("tuned 0 lungs", "small all full", "small 0 lungs-augmented", "knn all histogram"),
    )
    assert plan.samplings_of_features == {
        f"{POOLED}/lungs": (
            "results/samplings/grouped/balanced.parquet",
            "results/samplings/grouped/large.parquet",
            "results/samplings/naive/balanced.parquet",
        ),
        f"{POOLED}/unfreeze-half/lungs": ("results/samplings/naive/balanced.parquet",),
        # Of the search alone: the run itself is on other pixels.
        f"{POOLED}/full": ("results/samplings/grouped/large.parquet",),
    }


def test_samplings_that_the_runs_use():
    plan = planned("tuned 0 lungs", "naive knn all histogram", "lenet all lungs-large")
    assert plan.used_samplings == (
        ("grouped", BALANCED),
        ("grouped", "large"),
        ("naive", BALANCED),
        ("naive", "binary"),
    )
    assert plan.samplings("tuned", "lungs") == {"balanced", "large"}
    assert plan.samplings("small", "lungs") == {"balanced"}
    assert plan.sampling_file("naive", "full-large") == "results/samplings/naive/large.parquet"


def test_each_model_is_searched_once_per_split():
    plan = planned(
        *("tuned 0 lungs", "tuned 0 full", "tuned 19 lungs", "naive tuned 0 lungs"),
        *("lenet all full", "small 0 lungs"),
    )
    assert list(plan.searches(plan.runs)) == [
        Search("grouped", "lenet", "lungs"),
        Search("grouped", "tuned", "full-large"),
        Search("naive", "tuned", "full-large"),
    ]
    assert list(plan.searches(plan.runs.iloc[-1:])) == []
    assert plan.search_of("naive", "tuned") == "results/tuning/naive/tuned/full-large"
    assert plan.search_of("naive", "small") is None
    assert plan.searched_unfreeze("tuned") == "0"
    assert plan.searched_unfreeze("lenet") == "all"


def test_every_fold_has_samplings_and_searches_of_its_own_and_shares_features():
    plan = planned("cv tuned 0 lungs", "small 0 lungs")
    folds = ("cv-1", "cv-2")
    assert list(plan.runs["split_name"]) == [*folds, "grouped"]
    assert plan.used_samplings == (
        *((fold, sampling) for fold in folds for sampling in ("balanced", "large")),
        ("grouped", "balanced"),
    )
    assert [search.split_name for search in plan.searches(plan.runs)] == list(folds)
    assert plan.samplings_of_features == {
        f"{POOLED}/lungs": tuple(
            f"results/samplings/{split}/balanced.parquet" for split in (*folds, "grouped")
        ),
        f"{POOLED}/full": tuple(f"results/samplings/{fold}/large.parquet" for fold in folds),
    }


def test_runs_of_a_table_are_those_named_there_and_those_published_in_it():
    plan = planned("small 0 lungs", "small 19 lungs", "naive small 0 lungs", "larger 0 lungs")
    plan.runs["tables"] = ["", "region", "", "synthesis, region"]
    figures = pd.DataFrame(
        [
            ("synthesis", "small", "0", "lungs"),
            ("synthesis", "small", "0", "lungs"),
            ("region", "absent", "0", "lungs"),
        ],
        columns=["table", *run_table.NAME],
    )
    assert list(plan.of_table("synthesis", figures).index) == [0, 2, 3]
    assert list(plan.of_table("region", figures).index) == [1, 3]
    none = plan.of_table("reg", figures)
    assert len(none) == 0
    assert list(none.columns) == list(plan.runs.columns)


@pytest.fixture(scope="module")
def config(repository: Path) -> dict:
    return yaml.safe_load((repository / "config.yaml").read_text())


@pytest.fixture(scope="module")
def figures(repository: Path) -> pd.DataFrame:
    path = repository / "workflow/study/published_results.tsv"
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def of_study(config: dict, repository: Path, split: str = "grouped", **folds: int) -> Plan:
    entries = config["splits"] | {name: {"folds": number} for name, number in folds.items()}
    runs = run_file.read(repository / "workflow/study/runs.tsv", split)
    return Plan(config, run_table.expand(runs, entries), models.resolve(config))


def test_every_published_run_of_the_study_stands_in_its_table(config, figures, repository):
    plan = of_study(config, repository)
    for table, part in figures.groupby("table"):
        found = plan.of_table(table, figures)[run_table.NAME]
        assert not found.duplicated().any()
        names = set(found.itertuples(index=False, name=None))
        assert names >= set(part[run_table.NAME].itertuples(index=False, name=None))
    # Small tables do not wait for the runs of the synthesis.
    assert len(plan.of_table("region", figures)) == 5
    assert len(plan.of_table("augmentation", figures)) == 2


def test_features_of_the_study(config, repository):
    """Every run of a backbone trains on features, unless it augments or trains every layer."""
    plan = of_study(config, repository)
    without = {
        run_table.name(run.model, run.unfreeze, run.variant)
        for run in plan.runs.itertuples()
        if plan.backbone(run.model) and not plan.features(run.model, run.unfreeze, run.variant)
    }
    augmented = {"lungs-augmented/resnet152v2/unfreeze-0"}
    assert without - augmented == {
        run_table.name(run.model, run.unfreeze, run.variant)
        for run in plan.runs.itertuples()
        if run.unfreeze == "all" and plan.models[run.model].training["stages"] is None
        if plan.backbone(run.model)
    }
    assert augmented <= without
    assert plan.features("vgg19-progressive", "all", "lungs-large") == {
        "0": "results/features/vgg19-256px/lungs",
        "half": "results/features/vgg19-256px/unfreeze-half/lungs",
    }
    assert plan.features("resnet152v2-flatten", "0", "lungs-3class") == {
        "0": "results/features/resnet152v2-224px/unfreeze-0/lungs"
    }
    needed = plan.samplings_of_features
    assert needed["results/features/vgg19-256px/lungs"] == (
        "results/samplings/grouped/balanced.parquet",
        "results/samplings/grouped/large.parquet",
    )
    of_runs = {
        path
        for run in plan.runs.itertuples()
        for path in plan.features(run.model, run.unfreeze, run.variant).values()
    }
    assert set(needed) == of_runs  # no search of the study needs others


def test_samplings_and_searches_of_the_study(config, repository):
    plan = of_study(config, repository)
    used = {config["variants"][name]["sampling"] for name in plan.runs["variant"]}
    assert set(plan.used_samplings) == {("grouped", sampling) for sampling in used}
    tuned = {name for name, entry in config["models"].items() if "tune" in entry}
    assert {search.model for search in plan.searches(plan.runs)} == tuned


def test_the_study_on_folds_needs_the_same_features(config, repository):
    """Folds have the same images, so what frozen layers put out is computed once for all."""
    plan, once = of_study(config, repository, split="cv", cv=3), of_study(config, repository)
    assert len(plan.runs) == 3 * len(once.runs)
    assert set(plan.samplings_of_features) == set(once.samplings_of_features)
    for path, files in plan.samplings_of_features.items():
        assert len(files) == 3 * len(once.samplings_of_features[path])
    assert len(plan.used_samplings) == 3 * len(once.used_samplings)
    names = {"folds": 3, "validation": 0.2, "seed": 1, "group": "image"}
    assert set(plan.runs["split_name"]) == set(schemes.expand({"cv": names}))


def test_the_positive_label_of_a_variant_is_that_of_its_sampling():
    plan = planned("small 0 lungs")
    plan.config = CONFIG | {"samplings": {"balanced": {}, "binary": {"positive": "COVID"}}}
    assert (plan.positive("lungs"), plan.positive("histogram")) == ("sick", "COVID")
