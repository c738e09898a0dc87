"""Tables that describe a data set, from its table of images.

``images`` is the audit's table: one row per image, see ``audit.Audit``. What the files are
(classes, modes, sizes, sources) is counted over all images; what they show (lung area, intensity)
over those without defects. Where there are rows for classes, a row ``all`` is about all of them.
"""

from collections.abc import Iterator

import pandas as pd

ALL = "all"


def tables(images: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return all tables of this module, by the names of their functions."""
    described = (classes, modes, sizes, sources, class_by_source, useful_area, intensity)
    return {describe.__name__: describe(images) for describe in described}


def classes_of(images: pd.DataFrame) -> list[str]:
    """Return the classes of some images, sorted."""
    return sorted(images["class"].unique())


def classes(images: pd.DataFrame) -> pd.DataFrame:
    """Return ``class, images, share`` (of all images, 0..1), with a row ``all``."""
    counts = pd.DataFrame(
        [(name, len(members)) for name, members in _with_all(images)], columns=["class", "images"]
    )
    return counts.assign(share=counts["images"] / max(len(images), 1))


def modes(images: pd.DataFrame) -> pd.DataFrame:
    """Return ``class, mode, equal_channels, images``, with rows ``all``; no mode: unreadable."""
    return _counts(images, ["mode", "equal_channels"])


def sizes(images: pd.DataFrame) -> pd.DataFrame:
    """Return ``class, width, height, mask_width, mask_height, images`` (pixels), with rows ``all``.

    0 stands for what could not be read.
    """
    return _counts(images, ["width", "height", "mask_width", "mask_height"])


def sources(images: pd.DataFrame) -> pd.DataFrame:
    """Return ``source, images, share`` (of all images, 0..1), the largest source first."""
    counts = _by_source(images).sum(axis=1).rename("images").reset_index()
    return counts.assign(share=counts["images"] / max(len(images), 1))


def class_by_source(images: pd.DataFrame) -> pd.DataFrame:
    """Return ``source`` and one column of counts per class, in the order of `sources`."""
    return _by_source(images).reset_index()


def useful_area(images: pd.DataFrame) -> pd.DataFrame:
    """Return the share of the image (0..1) that the lung mask covers, by class and for all.

    Columns: ``class, images, mean, sd`` (divided by n - 1), ``min, q25, median, q75, max``, and
    ``grey_masks``, the number of masks with other values than 0 and 255.
    """
    rows = []
    for name, members in _with_all(_usable(images), images):
        area = members["useful_area"]
        grey = int((~members["mask_binary"] & (members["mask_width"] > 0)).sum())
        quantiles = area.quantile([0, 0.25, 0.5, 0.75, 1]).tolist()
        rows.append((name, area.count(), area.mean(), area.std(), *quantiles, grey))
    columns = ["class", "images", "mean", "sd", "min", "q25", "median", "q75", "max", "grey_masks"]
    return pd.DataFrame(rows, columns=columns)


def intensity(images: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation of the images' means and standard deviations.

    Grey levels 0..255. ``full`` is the whole image at the size in which it is stored, ``lungs`` the
    inside of the mask in the packed image: the resolutions at which the study's notebooks and its
    masked images have them.

    Columns: ``class, region, images, mean_of_means, sd_of_means, mean_of_sds, sd_of_sds``; the
    spread between images is divided by n - 1, the one within an image by n.
    """
    rows = []
    for name, members in _with_all(_usable(images), images):
        for region, suffix in (("full", ""), ("lungs", "_lungs")):
            mean, sd = members[f"mean{suffix}"], members[f"sd{suffix}"]
            rows.append((name, region, mean.count(), mean.mean(), mean.std(), sd.mean(), sd.std()))
    columns = [
        "class",
        "region",
        "images",
        "mean_of_means",
        "sd_of_means",
        "mean_of_sds",
        "sd_of_sds",
    ]
    return pd.DataFrame(rows, columns=columns)


def _usable(images: pd.DataFrame) -> pd.DataFrame:
    return images[images["defects"] == ""]


def _with_all(
    images: pd.DataFrame, of: pd.DataFrame | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the images of each class of ``of``, by default of ``images``, then all of them."""
    for name in classes_of(images if of is None else of):
        yield name, images[images["class"] == name]
    yield ALL, images


def _counts(images: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return pd.concat(
        [
            members.groupby(columns).size().rename("images").reset_index().assign(**{"class": name})
            for name, members in _with_all(images)
        ],
        ignore_index=True,
    )[["class", *columns, "images"]]


def _by_source(images: pd.DataFrame) -> pd.DataFrame:
    """Return counts, one row per source, largest first, then by name; one column per class."""
    counts = pd.crosstab(images["source"], images["class"])
    counts.columns.name = None
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return counts.loc[order]
