"""The results of a small study, in the tables and arrays that its report reads.

What the project's own functions make of predictions is made by them, so that a column that they
rename is missed here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pandas as pd
from pulmoscan.config import runs
from pulmoscan.data import describe, layout, stated
from pulmoscan.results import (
    comparison,
    hardest_images,
    metrics,
    protocols,
    published,
    region_differences,
    scores,
    subgroups,
)
from pulmoscan.results.selection import selection
from pulmoscan.storage import tables

ROOT = Path(__file__).resolve().parents[2]
SIDE = 8
PER_CLASS = {"train": 2, "validation": 3, "test": 4}
SEARCHED = {"lenet5-tuned": "lungs"}
NETWORK, CLASSIFIER = "network", "classifier"
CONFIG = {
    "dataset": {"source": "phantom"},
    "weights": {"source": "none"},
    "explain": {"seed": 0, "images": []},
    "report": {"title": None},
    "models": {"lenet5": {}, "staged": {"like": "lenet5"}, "lenet5-tuned": {"tune": {}}, "knn": {}},
    "pixels": {
        "lungs": {"region": "lungs"},
        "full": {"region": "full"},
        "histogram": {"region": "lungs", "reduce": "histogram"},
    },
    "variants": {
        "lungs": {"sampling": "balanced", "pixels": "lungs"},
        "full": {"sampling": "balanced", "pixels": "full"},
        "histogram-binary": {"sampling": "binary", "pixels": "histogram"},
    },
}
RUNS = [
    ("lenet5", "all", "lungs", "synthesis"),
    ("lenet5", "all", "full", "region"),
    ("staged", "all", "lungs", ""),
    ("lenet5-tuned", "all", "lungs", "tuned_heads,dataset_size"),
    ("knn", "all", "histogram-binary", "histogram_binary"),
]


def write(
    folder: Path,
    *,
    table: Sequence[tuple[str, str, str, str]] = RUNS,
    classes: Sequence[str] = ("COVID", "Normal"),
    splits: Mapping[str, Mapping] = {"grouped": {}},
    seeds: Sequence[int] = (0, 1),
    source: str = "RSNA",
    shortfall: str = "",
    masks: bool = True,
    columns: Mapping[str, Sequence[object]] = MappingProxyType({}),
) -> Path:
    """Write a study and return its folder.

    ``table`` has the model, unfreeze, variant and published tables of each run, which is made on
    all ``splits``. With a ``shortfall`` the data fill no sampling, so that no run is made.
    ``columns`` are further ones of the images, whose values are taken in turn.
    """
    random = np.random.default_rng(0)
    names = [name for split, scheme in splits.items() for name in runs.split_names(split, scheme)]
    audit = _audit(classes, source, random)
    if not masks:
        audit[["mask_width", "mask_height"]] = 0
        audit[["useful_area", "mean_lungs", "sd_lungs"]] = np.nan
    for name, values in columns.items():
        audit[name] = np.resize(np.asarray(values, dtype=object), len(audit))
    config = CONFIG | {"seeds": list(seeds), "split": next(iter(splits))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    _write_images(folder, audit, classes, random)
    resampling = _resampling(classes, names, shortfall)
    run_table = pd.DataFrame(
        [(split, *run) for split in splits for run in table],
        columns=[*runs.KEY, "tables"],
    )
    kinds = {model: CLASSIFIER if model == "knn" else NETWORK for model, *_ in table}
    samplings = {name: entry["sampling"] for name, entry in CONFIG["variants"].items()}
    selected = selection(
        run_table,
        "",
        seeds,
        splits,
        {f"{model}/{variant}": [samplings[variant]] for model, _, variant, _ in table},
        kinds,
        resampling,
    )
    tables.write(folder / "gathered/selection.tsv", selected)
    gathered = _gathered(selected[selected["status"] == "run"], audit, random)
    for name, part in gathered.items():
        tables.write(folder / f"gathered/{name}.parquet", part)
    _draw_panels(folder, gathered["explained"])
    figures = published.read(ROOT / "workflow/study/published_results.tsv")
    results = comparison.Gathered(
        selected, gathered["metrics"], gathered["per_class"], gathered["searches"], resampling
    )
    written = _described(audit, columns) | {
        name: comparison.compare(name, figures, results, samplings, SEARCHED)
        for name in figures["table"].unique()
    }
    models = {"lenet5": {}, "staged": {"like": "lenet5", "stages": [{"unfreeze": 0}]}}
    written |= {
        "runs": comparison.runs_table(selected, gathered["metrics"]),
        "protocol": protocols.table(
            selected,
            models,
            figures,
            gathered["metrics"],
            gathered["predictions"],
            resampling,
            samplings,
        ),
        "region_differences": region_differences.table(
            selected, gathered["predictions"], audit, _regions(), resamples=200
        ),
        "subgroups": subgroups.table(
            selected, gathered["predictions"], audit, ["source"], resamples=200
        ),
        "hardest_images": hardest_images.hardest(gathered["predictions"], audit),
        "resampling": resampling,
        "source_oracle": pd.DataFrame(
            [(name, "balanced", 1, 8, 0.5, 0.2, 0.8) for name in names],
            columns=["split_name", "sampling", "sources", "n_test", "accuracy", "low", "high"],
        ),
    }
    for name, part in written.items():
        tables.write(folder / f"tables/{name}.tsv", part)
    return folder


def _regions() -> dict[str, dict[str, str]]:
    """Return what the analysis of regions is told of the variants that show an image."""
    shown = {
        name: (entry, CONFIG["pixels"][entry["pixels"]])
        for name, entry in CONFIG["variants"].items()
        if not entry.get("augment")
    }
    return {
        name: {"region": kind["region"], "sampling": entry["sampling"], "apart": ""}
        for name, (entry, kind) in shown.items()
        if set(kind) == {"region"}
    }


def _audit(classes: Sequence[str], source: str, random: np.random.Generator) -> pd.DataFrame:
    names = [name for name in classes for _ in range(sum(PER_CLASS.values()))]
    numbers = [number for _ in classes for number in range(sum(PER_CLASS.values()))]
    values = random.uniform(0.2, 0.4, len(names))
    return pd.DataFrame(
        {
            "image": [f"{name}-{number}" for name, number in zip(names, numbers, strict=True)],
            "class": names,
            "source": source,
            "duplicate_group": "",
            **dict.fromkeys(("width", "height", "mask_width", "mask_height"), SIDE),
            **{
                "mode": "L",
                "equal_channels": False,
                "mask_binary": True,
                "mask_width": 256,
                "useful_area": values,
            },
            **dict.fromkeys(("mean", "sd", "mean_lungs", "sd_lungs"), 100 * values),
            "defects": "",
            "split": [
                part for _ in classes for part, size in PER_CLASS.items() for _ in range(size)
            ],
        }
    )


def _write_images(
    folder: Path, audit: pd.DataFrame, classes: Sequence[str], random: np.random.Generator
) -> None:
    shape = (len(audit), SIDE, SIDE)
    arrays = {
        "packed/images": random.integers(0, 256, shape, dtype=np.uint8),
        "packed/masks": np.ones(shape, np.uint8),
        "audit/histograms": np.ones((len(audit), 2, 256), np.int32),
        "audit/mean_images": np.zeros((len(classes), 2, SIDE, SIDE), np.float32),
    }
    for name, array in arrays.items():
        (folder / name).parent.mkdir(exist_ok=True)
        np.save(folder / f"{name}.npy", array)
    tables.write(folder / "audit/images.parquet", audit.drop(columns="split"))


def _described(audit: pd.DataFrame, columns: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The tables of the audit, of facts, and of provenance."""
    functions = ("classes", "modes", "sizes", "sources", "class_by_source", "useful_area")
    found = {name: getattr(describe, name)(audit) for name in (*functions, "intensity")}
    return found | {
        "attributes": stated.attributes(audit, columns),
        "metadata_errors": pd.DataFrame(columns=["class", "image", "error", "value", "expected"]),
        "duplicates": pd.DataFrame(
            columns=["group", "kind", "image_a", "image_b", "distance", "correlation"]
        ),
        "defects": pd.DataFrame(columns=["image", "class", "defect"]),
        "warnings": pd.DataFrame(columns=["class", "image", "warning"]),
        "dataset_facts": pd.DataFrame(
            [
                ("images", "all", "21165", len(audit), len(audit) - 21165, "measured", "", ""),
                ("large-total", "all", "12193", None, None, "not_measured", "no such run", ""),
            ],
            columns=[
                *("fact", "class_or_set", "published", "reproduced", "difference", "status"),
                *("reason", "note"),
            ],
        ),
        "provenance": pd.DataFrame([("commit", "abc")], columns=["key", "value"]),
        "costs": pd.DataFrame(
            [("pack", "", 1.0, 1.0, None)],
            columns=["rule", "wildcards", "seconds", "cpu_seconds", "peak_mib"],
        ),
    }


def _resampling(classes: Sequence[str], names: Sequence[str], shortfall: str) -> pd.DataFrame:
    rows = [
        (name, sampling, label, label, part, size, 0 if shortfall else size, shortfall)
        for name in names
        for sampling in ("balanced", "binary")
        for label in classes
        for part, size in PER_CLASS.items()
    ]
    columns = ["split_name", "sampling", "class", "label", "split", "asked", "got", "shortfall"]
    return pd.DataFrame(rows, columns=columns)


def _gathered(
    made: pd.DataFrame, audit: pd.DataFrame, random: np.random.Generator
) -> dict[str, pd.DataFrame]:
    parts: dict[str, list[pd.DataFrame]] = {
        name: []
        for name in (
            *("predictions", "history", "stages", "metrics", "per_class", "confusion"),
            "explained",
        )
    }
    scored = audit[audit["split"] != "train"]
    for run in made.itertuples():
        key = {name: getattr(run, name) for name in runs.TRAINING}
        for name, part in _training(run, scored, random).items():
            parts[name].append(part.assign(**key)[[*key, *part.columns]])
    empty = pd.DataFrame(columns=runs.TRAINING)
    gathered = {
        name: pd.concat(rows, ignore_index=True) if rows else empty for name, rows in parts.items()
    }
    searched = made.loc[made["model"].isin(SEARCHED), ["split_name", "model", "variant"]]
    gathered["searches"] = searched.drop_duplicates().assign(setting="dense_1", value="64")
    gathered["trials"] = searched.drop_duplicates().assign(
        **{"trial": "0001", "bracket": 0, "round": 0, "epochs": 2, "val_accuracy": 0.5},
        **{"val_loss": 1.0, "status": "completed", "seconds": 3.0},
        **{"hyperparameters": '{"dense_1": 64}', "best": True},
    )
    return gathered


def _training(
    run: tuple, scored: pd.DataFrame, random: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """What one training gave, without its key."""
    images = scored[["image", "split"]].assign(label=scored["class"])
    if run.model == "knn":
        images["label"] = np.where(images["label"] == "Normal", "normal", "sick")
    labels = sorted(set(images["label"]))
    values = random.dirichlet(np.ones(len(labels)), len(images))
    probabilities = pd.DataFrame(values, images.index, [f"p_{label}" for label in labels])
    predictions = pd.concat([images, probabilities], axis=1).reset_index(drop=True)
    given = metrics.predicted(predictions)
    network = run.model != "knn"
    stages = [{"unfreeze": "0", "epochs": 3, "learning_rate": 0.001, "cached": True}]
    training = {"n_train": 4, "seconds": 1.5}
    if network:
        training |= {"epochs": 3, "trainable_parameters": 10, "parameters": 20, "cached": 1000}
        training |= {"trained_layers": ["dense_1"], "first_trained": "dense_1"}
        training |= {"stages": [{**stage, "trainable_parameters": 10} for stage in stages]}
    common = predictions.assign(**{"class": predictions["label"]})
    found = {
        "predictions": predictions.assign(predicted=given, correct=given == predictions["label"]),
        "metrics": scores.metrics_row(predictions, training, common),
        "per_class": metrics.per_class(predictions),
        "confusion": metrics.confusion(predictions),
    }
    if not network:
        return found
    epochs = {"epoch": [1, 2, 3], "stage": 1, "accuracy": 0.5, "loss": 1.0}
    measured = {"val_accuracy": 0.5, "val_loss": 1.0, "learning_rate": 0.001}
    found["history"] = pd.DataFrame(epochs | measured)
    found["stages"] = scores.stages(training)
    if run.seed == 0:
        explained = scored[["image", "class", "split"]].iloc[[0, -1]]
        found["explained"] = explained.assign(
            **{"label": explained["class"], "target": labels[0], "predicted": labels[0]},
            **{"correct": True, "energy_in_lungs": 0.4, "lung_area": 0.25},
        )
        unmasked = scored["useful_area"].iloc[[0, -1]].isna()
        found["explained"].loc[unmasked, ["energy_in_lungs", "lung_area"]] = np.nan
    return found


def _draw_panels(folder: Path, explained: pd.DataFrame) -> None:
    for row in explained.itertuples():
        name = runs.name(row.model, row.unfreeze, row.variant)
        panels = folder / "explain" / row.split_name / name / "panels"
        panels.mkdir(parents=True, exist_ok=True)
        content = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()
        (panels / f"{layout.file_stem(row.image)}.png").write_bytes(content)
