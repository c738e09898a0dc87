"""Made-up predictions of runs on external sets and on their own test images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

LABELS = ("COVID", "Normal", "Other")
RUN = {"split_name": "grouped", "model": "net", "unfreeze": "0", "variant": "full"}


def predictions(
    counts: Mapping[str, int],
    right: float,
    *,
    seeds: Sequence[int] = (0, 1),
    labels: Sequence[str] = LABELS,
    label_of: Mapping[str, str] | None = None,
    per_group: int = 1,
    prefix: str = "own",
    random: int = 0,
    **run: str,
) -> pd.DataFrame:
    """Return what the trainings of a run say of ``counts`` images of each class.

    About a share ``right`` of them is right. ``label_of`` names the labels of classes that differ
    from their names, or None for a class that the run does not know. Runs of ``per_group`` images
    of a class make a group.
    """
    draw = np.random.default_rng(random)
    parts = []
    for name, number in counts.items():
        label = {name: name, "": None, **(label_of or {})}[name]
        for seed in seeds:
            values = draw.dirichlet(np.ones(len(labels)), number)
            if label is not None:
                hits = draw.random(number) < right
                best = values.argmax(axis=1)
                swapped = np.where(hits, list(labels).index(label), best)
                rows = np.arange(number)
                values[rows, best], values[rows, swapped] = (
                    values[rows, swapped],
                    values[rows, best],
                )
            images = [f"{prefix}-{name or 'x'}-{i}" for i in range(number)]
            parts.append(
                pd.DataFrame(
                    {
                        **RUN,
                        **run,
                        "seed": seed,
                        "image": images,
                        "class": name,
                        "label": label,
                        "group": [f"{prefix}-{name}-{i // per_group}" for i in range(number)],
                        "predicted": np.array(labels, object)[values.argmax(axis=1)],
                        **{f"p_{label}": values[:, i] for i, label in enumerate(labels)},
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def of_set(name: str, counts: Mapping[str, int], right: float, **settings: object) -> pd.DataFrame:
    """Return rows of ``gathered/external.parquet``; see `predictions`."""
    rows = predictions(counts, right, prefix=name, **settings)
    rows.insert(0, "set", name)
    return rows.assign(patient=None, copy_of=None)


def own(counts: Mapping[str, int], right: float, **settings: object) -> pd.DataFrame:
    """Return rows of ``gathered/predictions.parquet``; see `predictions`."""
    rows = predictions(counts, right, **settings)
    rows["correct"] = rows["predicted"] == rows["label"]
    return rows.drop(columns=["class", "group"]).assign(split="test")


def audit(counts: Mapping[str, int], *, prefix: str = "own", per_group: int = 1) -> pd.DataFrame:
    """Return ``image, class, duplicate_group, patient`` of the images of `own`."""
    return pd.DataFrame(
        [
            (f"{prefix}-{name}-{i}", name, "", f"{prefix}-{name}-{i // per_group}")
            for name, number in counts.items()
            for i in range(number)
        ],
        columns=["image", "class", "duplicate_group", "patient"],
    )


def selection(*runs: Mapping[str, str], reason: str = "") -> pd.DataFrame:
    """Return a selection of runs with the seeds 0 and 1; ``cv-1`` is a fold of the split ``cv``."""
    rows = [RUN | dict(run) for run in runs or ({},)]
    table = pd.DataFrame(rows).merge(pd.DataFrame({"seed": [0, 1]}), how="cross")
    status = "not_run" if reason else "run"
    split = table["split_name"].str.removesuffix("-1").str.removesuffix("-2")
    return table.assign(split=split, selected=True, status=status, reason=reason)
