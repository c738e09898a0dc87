"""Where the networks look: Grad-CAM in numbers, by class, and by what the networks are shown."""

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data.layout import canonical_image
from pulmoscan.report import page
from pulmoscan.report.captions import TABLES
from pulmoscan.report.study import KEY, Study

RUN_KEY = ["split_name", *runs.NAME]
MEASURED = {
    "images": ("image", "size"),
    "correct": ("correct", "mean"),
    "energy in the lungs": ("energy_in_lungs", "mean"),
    "lung area": ("lung_area", "mean"),
}


def numbers(study: Study) -> str:
    """Return how much of the maps lies inside the lungs, one row per run."""
    explained = study.gathered("explained")
    if not len(explained):
        return page.note("No run of this configuration is explained: Grad-CAM needs one on images.")
    rows = explained.groupby(RUN_KEY, sort=False).agg(**MEASURED).reset_index()
    if rows["split_name"].nunique() == 1:
        rows = rows.drop(columns="split_name")
    shares = dict.fromkeys(("correct", "energy in the lungs", "lung area"), page.share)
    names = {"split_name": "split"}
    caption = TABLES["explained"]
    if rows["lung area"].isna().all():  # no image has a mask
        rows, caption = rows.drop(columns=["energy in the lungs", "lung area"]), ""
    table = page.table(rows, {"images": page.count} | shares, caption, names)
    return table + _not_explained(study, set(explained["image"]))


def _not_explained(study: Study, explained: set[str]) -> str:
    """Return which of the images that the configuration names no run explains."""
    named = study.config["explain"]["images"]
    if study.published:
        named = map(canonical_image, named)
    missing = [image for image in dict.fromkeys(named) if image not in explained]
    if not missing:
        return ""
    return page.note(
        f"Named in <code>explain.images</code>, and among the validation and test images of no run "
        f"here: {page.escaped(', '.join(missing))}."
    )


def by_class(study: Study) -> str:
    """Return the panels of the run with the best validation accuracy."""
    explained = _named(study)
    if not len(explained):
        return ""
    accuracies = study.made.groupby("name")["val_accuracy"].max()
    best = max(explained["name"].unique(), key=lambda name: accuracies[name])
    rows = explained[explained["name"] == best].sort_values(["class", "image"])
    parts = [f"<h3>By class: {page.escaped(best)}</h3>"]
    parts += [
        _panel(study, row, f"{row.image}, of the {row.split} images.") for row in rows.itertuples()
    ]
    if explained["name"].nunique() > 1:
        parts.append(
            page.note(
                "The run with the best validation accuracy. Panels of all runs: "
                "<code>results/explain/&lt;split&gt;/&lt;run&gt;/panels</code>."
            )
        )
    return "".join(parts)


def by_region(study: Study) -> str:
    """Return the same image of each class under several kinds of pixels, as in the study."""
    explained = _named(study)
    for (_, model, unfreeze), rows in explained.groupby(
        ["split_name", "model", "unfreeze"], sort=False
    ):
        variants = rows["variant"].nunique()
        if variants < 2:
            continue
        shown = rows.groupby("image")["variant"].transform("nunique") == variants
        parts = []
        if shown.any():
            parts.append(
                f"<h3>By region: {page.escaped(model)}, unfreeze {page.escaped(unfreeze)}</h3>"
            )
        firsts = rows[shown].sort_values("image").groupby("class")["image"].first()
        for image in firsts:
            parts += [
                _panel(study, row, f"{image}, trained and shown on: {row.variant}.")
                for row in rows[rows["image"] == image].itertuples()
            ]
        return "".join(parts)
    return ""


def _named(study: Study) -> pd.DataFrame:
    """Return the explained images with the name of their run."""
    explained = study.gathered("explained")
    if not len(explained):  # whose columns have no types
        return explained.assign(name="")
    return explained.merge(study.made[[*KEY, "name"]], on=KEY)


def _panel(study: Study, row: tuple, caption: str) -> str:
    return page.figure(study.panel(row, row.image), caption)
