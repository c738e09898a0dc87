"""Which images belong together: copies of one radiograph, and all images of a patient."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

KINDS = {"image": (), "duplicates": ("duplicate_group",), "patient": ("duplicate_group", "patient")}


def together(images: pd.DataFrame, kind: str) -> np.ndarray:
    """Return a number for each image, the same for images that belong together.

    Images belong together where they have a value in common, or are linked by others that do: two
    patients of whom there is one radiograph under both names are one.

    Args:
        images: one row per image, with the columns of ``KINDS[kind]``. An image with an empty or
            missing value has nothing in common by that column.
        kind: one of `KINDS`.
    """
    rows, values, number = [], [], len(images)
    for column in KINDS[kind]:
        has = (images[column].notna() & (images[column] != "")).to_numpy()
        codes, names = pd.factorize(images.loc[has, column])
        rows.append(np.flatnonzero(has))
        values.append(codes + number)
        number += len(names)
    links = (np.concatenate([*rows, []]).astype(int), np.concatenate([*values, []]).astype(int))
    graph = coo_array((np.ones(len(links[0]), bool), links), shape=(number, number))
    return connected_components(graph, directed=False)[1][: len(images)]


def known(images: pd.DataFrame) -> np.ndarray:
    """Return `together` by all that is known: patients where the data name any, and copies."""
    return together(images, "patient" if "patient" in images else "duplicates")


def named(images: pd.DataFrame, numbers: np.ndarray) -> pd.Series:
    """Return the group of each image: the first of the names that it belongs together with.

    Args:
        images: one row per image, with ``image``, in the order of these names.
        numbers: what `together` returns for them.
    """
    return images["image"].groupby(numbers).transform("first")
