"""Names that a user gives: each is one thing to a reader, to a table and to a file system."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from pulmoscan.data import samplings, schemes
from pulmoscan.data.layout import POSITIVE

NAMED = ("splits", "samplings", "pixels", "variants", "architectures", "models", "external")
# Their names are those of files, which have suffixes.
STEMS = ("splits", "samplings", "pixels", "external")
# A table shows these as an empty cell or a truth, in pandas, R or a spreadsheet.
NO_TEXT = ("na", "n/a", "nan", "null", "none", "nil", "true", "false")
MEANS = ("macro", "weighted", "micro", "accuracy", "all")  # rows of tables by label
# What `tune` and the gathered tables say of a trial.
OF_A_TRIAL = (
    *("trial", "bracket", "round", "epochs", "val_accuracy", "val_loss", "status", "seconds"),
    *("split_name", "model", "variant", "hyperparameters", "best"),
)
OTHER = "choose another name"
LONGEST = 60  # characters of a label
# Letters of other alphabets that look like Latin ones. Unicode's list of confusable characters has
# thousands; these are on the keyboards of people who also write Latin.
LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТХУІЈЅаеорсухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορχı",
    "ABEKMHOPCTXYIJSaeopcyxijshdqwABEZHIKMNOPTYXaiknopxi",
)


def problems(config: Mapping) -> Iterator[str]:
    """Yield what is wrong with the names of a configuration that matches the schema, a line each.

    Lines begin with the key.
    """
    for key in NAMED:
        names = list(config.get(key, ()))
        if key == "splits":
            with suppress(ValueError):  # a fold has the name of a split, which is said elsewhere
                names = list(dict.fromkeys([*names, *schemes.expand(config[key])]))
        yield from (f"{key}: {reason}" for reason in _name_problems(names, key in STEMS))
    for name, sampling in config["samplings"].items():
        labels = sampling.get("labels", {})
        place = f"samplings.{name}.labels"
        wrong = [
            f"{place}.{of}: {reason}"
            for of, label in labels.items()
            if (reason := label_problem(label) or _nearly_positive(label, sampling))
        ]
        yield from wrong or (
            f"{place}: {reason}" for reason in mixed_up(samplings.labels_by_class(sampling))
        )
    for name, model in config["models"].items():
        for taken in (model.get("tune") or {}).get("space", {}):
            if taken in OF_A_TRIAL:
                yield f"models.{name}.tune.space: {taken!r} is a column of trials.tsv: {OTHER}"


def skeleton(text: str) -> str:
    """Return what a text looks like: the same for texts that a reader takes for one another.

    Blanks, dashes and underscores, case, accents written in two ways, and letters of another
    alphabet make no difference.

    Example:
        >>> skeleton("Lung_Opacity") == skeleton(" lung opacity")
        True
    """
    folded = unicodedata.normalize("NFKC", text).translate(LOOK_ALIKES).casefold()
    folded = unicodedata.normalize("NFKC", folded.translate(LOOK_ALIKES))
    return "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LMN")


def _name_problems(names: Collection[str], stems: bool) -> Iterator[str]:
    """Yield what is wrong with names of one kind, which match the pattern of the schema.

    ``stems``: whether they are those of files, before a suffix.
    """
    seen: dict[str, str] = {}
    for name in names:
        if reads_as := _no_text(name):
            yield f"{name!r} reads as {reads_as} in a table: {OTHER}"
        if (other := seen.setdefault(name.casefold(), name)) != name:
            yield (
                f"{other!r} and {name!r} differ in case only, which some file systems ignore: "
                f"{OTHER}"
            )
    for name in names if stems else ():
        parts = name.casefold().split(".")
        for number in range(1, len(parts)):
            if shorter := seen.get(".".join(parts[:number])):
                yield f"{name!r} may be the name of a file of {shorter!r} with its suffix: {OTHER}"


def _no_text(name: str) -> str:
    """Return what a table shows instead of a name; "" where it shows the name."""
    if name.casefold() in NO_TEXT:
        return "a missing value or a truth"
    try:
        float(name)
    except ValueError:
        return ""
    return "a number"


def label_problem(label: str) -> str:
    """Return why a label would be taken for something else; "" for a good one."""
    if not label.isprintable():
        return f"{label!r} holds a character that cannot be seen"
    if label != " ".join(label.split()):
        return f"{label!r} has blanks around it or two in a row"
    if not skeleton(label):
        return f"{label!r} has no letter or digit"
    if len(label) > LONGEST:
        return f"{label[:20]!r}... has more than {LONGEST} characters"
    if reads_as := _no_text(label):
        return f"{label!r} reads as {reads_as} in a table: {OTHER}"
    if skeleton(label) in MEANS:
        return f"{label!r} is the name of a mean in the tables by label: {OTHER}"
    return ""


def _nearly_positive(label: str, sampling: Mapping) -> str:
    """Return why a label would be taken for the one that is positive by default; "" for others."""
    if "positive" in sampling or label == POSITIVE or skeleton(label) != skeleton(POSITIVE):
        return ""
    return f"{label!r} looks like {POSITIVE!r}, the positive label: write {POSITIVE!r}"


def mixed_up(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield which labels of a sampling a reader cannot tell apart, or takes for another class.

    ``labels`` are those of its classes.
    """
    seen: dict[str, str] = {}
    for label in labels.values():
        if (other := seen.setdefault(skeleton(label), label)) != label:
            yield f"{other!r} and {label!r} look alike: write them in the same way, or apart"
    for name, label in labels.items():
        if labels.get(label, label) != label:
            yield f"{name} is labelled {label!r}, the name of a class that has another label"
