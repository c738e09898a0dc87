"""Which images the trainings get wrong most often."""

import pandas as pd

GROUP = ["split_name", "split", "image", "label"]
COLUMNS = [
    *GROUP,
    "class",
    "source",
    "trainings",
    "wrong",
    "share_wrong",
    "most_predicted",
]


def hardest(predictions: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return one row per image, part of a split and expected label, hardest first.

    Args:
        predictions: gathered predictions of all trainings.
        images: the audit's ``image, class, source``.

    Returns:
        The columns `COLUMNS`: ``trainings`` that predict the image, how many are ``wrong`` and
        their share (0 to 1), and the label that is given most often (the first by name among
        equals). Equally hard images are in the order of their names.
    """
    if not len(predictions):  # without the columns of predictions
        return pd.DataFrame(columns=COLUMNS)
    groups = predictions.groupby(GROUP, observed=True)
    table = groups["correct"].agg(trainings="size", right="sum").reset_index()
    table["wrong"] = table["trainings"] - table["right"]
    table["share_wrong"] = table["wrong"] / table["trainings"]
    given = predictions.groupby([*GROUP, "predicted"], observed=True).size().rename("times")
    given = given.reset_index().sort_values(["times", "predicted"], ascending=[False, True])
    most = given.drop_duplicates(GROUP)[[*GROUP, "predicted"]]
    table = table.merge(most.rename(columns={"predicted": "most_predicted"}), on=GROUP)
    table = table.merge(images[["image", "class", "source"]], on="image", how="left")
    order = ["share_wrong", "trainings", "image", "split_name", "label"]
    ranked = table.sort_values(order, ascending=[False, False, True, True, True], ignore_index=True)
    return ranked[COLUMNS]
