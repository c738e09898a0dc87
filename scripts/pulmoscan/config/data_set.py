"""What the configured data set holds, as far as that is known before anything is read."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from pulmoscan import spelling
from pulmoscan.acquire import local, own
from pulmoscan.acquire.listing import UNLABELLED, Listing
from pulmoscan.config import names
from pulmoscan.data import given, layout
from pulmoscan.inputs import pixels


@dataclass(frozen=True)
class DataSet:
    """The classes and masks of a data set.

    Attributes:
        classes: The classes, sorted.
        listing: What a table or folders list; None for the database.
        images: Number of images; 0 where it is not known yet.
        without_mask: How many of them have no mask.
    """

    classes: list[str]
    listing: Listing | None = None
    images: int = 0
    without_mask: int = 0

    @property
    def of_study(self) -> bool:
        """Whether what the study published is about these images: they are of its database."""
        return self.listing is None


DATABASE = DataSet(list(layout.CLASSES))


def read(dataset: Mapping, key: str = "dataset", *, to_train: bool = True) -> DataSet:
    """Return what a data set holds.

    Args:
        dataset: its settings, whose paths exist.
        key: where they stand in the configuration.
        to_train: whether it needs two classes, as what networks are trained on does.

    Raises:
        OSError: a file or folder cannot be read.
        ValueError: it is not what its source says, lacks what the settings name, or has a class
            whose name would be taken for something else.
    """
    try:
        return _read(dataset, key, to_train)
    except ValueError as error:
        raise ValueError(f"config: {error}") from None


def _read(dataset: Mapping, key: str, to_train: bool) -> DataSet:
    listing = own.listing(dataset, key)
    if listing is None:
        wanted = dataset.get("classes") if dataset["source"] == "local" else None
        classes = sorted(wanted or layout.CLASSES)
        if dataset["source"] != "local" or dataset["masks"] == "required":
            return DataSet(classes)
        with local.database(dataset["path"], dataset["classes"]) as found:
            rows = found.image_rows()
        return DataSet(classes, None, len(rows), sum(row.mask is None for row in rows))
    problems = [
        f"{key}.classes: {problem}" for problem in _class_problems(listing.classes, to_train)
    ]
    if problems:
        raise ValueError(problems[0])
    return DataSet(listing.classes, listing, len(listing.images), listing.without_mask)


def _class_problems(classes: list[str], to_train: bool) -> Iterator[str]:
    """Yield why classes cannot be told apart, or be the names of folders."""
    if UNLABELLED in classes and to_train:
        yield "the images have no class: name the column of the table, or give each class a folder"
        return
    classes = [name for name in classes if name != UNLABELLED]
    if to_train and len(classes) < 2:
        yield f"all images are {classes[0]!r}: a network needs two classes to tell apart"
    for name in classes:
        if problem := names.label_problem(name):
            yield f"{problem}: map it, as in {{{name!r}: another name}}"
        elif "/" in name or "\\" in name or name.startswith("."):
            yield f"{name!r} cannot be the name of a folder: map it, as in {{{name!r}: another}}"
    yield from names.mixed_up({name: name for name in classes})


def split_problems(config: Mapping, names: Collection[str], data: DataSet) -> Iterator[str]:
    """Yield what splits of the configuration need of a table and do not find there, a line each.

    Args:
        config: a configuration without problems.
        names: the splits that are used, of which some may not exist.
        data: what the data set holds; of the database nothing is said here.
    """
    if data.listing is None:
        return
    images = pd.DataFrame(
        [
            {"image": image.name, "class": image.class_name, given.OWN: "", **image.columns}
            for image in data.listing.images
        ]
    )
    for name in names:
        scheme = config["splits"].get(name, {})
        if scheme.get("group") == "patient" and "patient" not in images:
            yield (
                f"config: splits.{name}.group: {data.listing.where} has no column of patients: "
                "name it in dataset.columns.patient, or let the group be duplicates"
            )
        try:
            if "column" in scheme:
                given.of_column(images, scheme["column"])
            if "hold_out" in scheme:
                given.held_out(images, scheme["hold_out"])
        except ValueError as error:
            yield f"config: splits.{name}: {error}"


def image_problems(images: Collection[str], data: DataSet) -> Iterator[str]:
    """Yield which of the images to explain a table or folders do not list, a line each.

    Names that only the study's database has are those of the default, and are nobody's mistake.
    """
    if data.listing is None:
        return
    known = {image.name for image in data.listing.images}
    for name in images:
        if name not in known and not _is_of_database(name):
            guess = spelling.guess(name, known)
            yield f"config: explain.images: {guess}{data.listing.where} lists no image {name!r}"


def _is_of_database(image: str) -> bool:
    try:
        return bool(layout.canonical_image(image))
    except ValueError:
        return False


def explained(explain: Mapping, data: DataSet) -> Mapping:
    """Return the settings ``explain`` without the images that a table or folders do not list."""
    if data.listing is None:
        return explain
    known = {image.name for image in data.listing.images}
    return {**explain, "images": [name for name in explain["images"] if name in known]}


def unshown(config: Mapping, runs: pd.DataFrame, data: DataSet) -> dict[str, str]:
    """Return why runs cannot be made for want of masks, by their ``model/variant``.

    Args:
        config: a configuration without problems.
        runs: the selected runs, with ``model`` and ``variant``.
        data: what the data set holds.
    """
    if config["dataset"]["masks"] == "required":
        return {}
    if config["dataset"]["masks"] == "none":
        lacking = "masks are not read (dataset.masks: none)"
    else:
        lacking = f"{data.without_mask:,} of {data.images:,} images have no mask"
    found = {}
    for model, variant in dict.fromkeys(zip(runs["model"], runs["variant"], strict=True)):
        tune = config["models"][model].get("tune") or {}
        if any(
            _needs_masks(config, name, data)
            for name in (variant, tune.get("variant"))
            if name is not None
        ):
            found[f"{model}/{variant}"] = lacking
    return found


def shown(runs: pd.DataFrame, reasons: Mapping[str, str]) -> pd.DataFrame:
    """Return the runs that can be made; ``reasons`` are those of `unshown`.

    Raises:
        ValueError: there is none.
    """
    kept = [f"{run.model}/{run.variant}" not in reasons for run in runs.itertuples()]
    if len(runs) and not any(kept):
        raise ValueError(
            f"no selected run can be made: {next(iter(reasons.values()))}, and all of them show "
            "what only a mask can tell. Select runs on whole images, such as those of variant full"
        )
    return runs[kept]


def _needs_masks(config: Mapping, variant: str, data: DataSet) -> bool:
    """Return whether a variant shows what only a mask can tell, of images that lack one."""
    settings = config["variants"][variant]
    if not pixels.needs_mask(config["pixels"][settings["pixels"]]):
        return False
    if config["dataset"]["masks"] == "none":
        return True
    return data.without_mask > 0 and not config["samplings"][settings["sampling"]].get("masked")
