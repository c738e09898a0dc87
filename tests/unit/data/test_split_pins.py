"""What was drawn once stays drawn: the part and rank of every image of a made-up data set."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from pulmoscan.data import splits

GROUPED = {"seed": 123, "group": "duplicates"}
SCHEMES = {
    "grouped": {"test": 0.2, "validation": 0.2} | GROUPED,
    "naive": {"test": 0.2, "validation": 0.2, "seed": 123, "group": "image"},
    "uneven": {"test": 0.13, "validation": 0.31, "seed": 7, "group": "duplicates"},
    "cv-1": {"folds": 5, "fold": 1, "validation": 0.2} | GROUPED,
    "cv-4": {"folds": 5, "fold": 4, "validation": 0.2} | GROUPED,
    "cv-image": {"folds": 3, "fold": 2, "validation": 0.25, "seed": 9, "group": "image"},
}
EXPECTED = {
    "grouped": "ced73d3a787b3d4d",
    "naive": "b213b02abd1cdd5e",
    "uneven": "a4a2ce2537a34b6a",
    "cv-1": "d92ebb20c184c0d7",
    "cv-4": "f7abcdce20230698",
    "cv-image": "1ec1a172d4f5aeec",
}


def made_up():
    """A data set with groups of duplicates, small sources, defects, and a class of another name."""
    rng = np.random.default_rng(20260101)
    sizes = {"COVID": 211, "Lung_Opacity": 97, "Normal": 302, "Tuberculosis": 63}
    sources = np.array(["A", "B", "C", "", "E"])
    rows = []
    for name, size in sizes.items():
        drawn = sources[rng.choice(len(sources), size, p=[0.5, 0.25, 0.15, 0.05, 0.05])]
        rows += [(f"{name}-{i}", name, source) for i, source in enumerate(drawn)]
    images = pd.DataFrame(rows, columns=["image", "class", "source"])
    images["duplicate_group"] = None
    for name, members in images.groupby("class"):
        shuffled = rng.permutation(members.index)
        start = 0
        for number, size in enumerate((5, 4, 3, 3, 2, 2, 2)):
            images.loc[shuffled[start : start + size], "duplicate_group"] = f"{name} {number}"
            start += size
    images["defects"] = np.where(rng.random(len(images)) < 0.03, "mask is all black", "")
    return images.sample(frac=1, random_state=1).reset_index(drop=True)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_drawn_parts_and_ranks_are_those_of_ever(name):
    table = splits.assign(made_up(), **SCHEMES[name])
    columns = ["row", "image", "class", "source", "group", "split", "rank"]
    text = table[columns].to_csv(index=False, lineterminator="\n")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == EXPECTED[name]
