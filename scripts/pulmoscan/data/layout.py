"""The layout of the COVID-19 Radiography Database, and the spellings its copies use.

``<Class>/images/<image>.png``, ``<Class>/masks/<image>.png`` and ``<Class>.metadata.xlsx``. The
spelling of the copy on Kaggle is the canonical one: ``Viral Pneumonia`` (elsewhere
``Viral_Pneumonia``) and ``Normal-12`` (elsewhere ``NORMAL-12``).
"""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from pulmoscan.data.formats import SUFFIXES

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
POSITIVE = "sick"  # the label of a two-class sampling that sensitivity is about
PARTS = ("images", "masks")
METADATA_SUFFIX = ".metadata.xlsx"
METADATA_SUFFIXES = (METADATA_SUFFIX, ".metadata.csv", ".metadata.tsv")  # the first that is there
PART_OF_WORD = {  # of a split, as folders and columns of data sets call it
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
LONGEST_NAME = 200  # bytes of an image name: file systems allow 255, and results add their own

_BY_KEY = {name.casefold().replace("_", " "): name for name in CLASSES}


def canonical_class(name: str) -> str:
    """Return the class that ``name`` spells; raise ``ValueError`` if it spells none."""
    try:
        return _BY_KEY[name.casefold().replace("_", " ").strip()]
    except KeyError:
        raise ValueError(f"no class {name!r}: the classes are {', '.join(CLASSES)}") from None


def canonical_image(name: str) -> str:
    """Return the canonical name of an image, without suffix: ``NORMAL-12`` gives ``Normal-12``.

    Raises ``ValueError`` unless the part before the last dash is a class and the part after it is
    text that can be printed, with at most ``LONGEST_NAME`` bytes in all.
    """
    class_name, dash, number = unicodedata.normalize("NFC", name).rpartition("-")
    number = number.strip(" \u00a0")
    if not dash or not number or not number.isprintable():
        raise ValueError(f"{name!r} is not an image name: expected <class>-<number>")
    image = f"{canonical_class(class_name)}-{number}"
    if len(image.encode()) > LONGEST_NAME:
        raise ValueError(f"the image name {name!r} is longer than {LONGEST_NAME} bytes")
    return image


def canonical_path(path: str | PurePosixPath) -> PurePosixPath | None:
    """Return where a file of any copy of the database belongs, or None if it is not part of it.

    ``path`` is relative to any folder above the classes, with ``/`` between its parts, so that the
    folders an archive wraps around the database do not matter. Upper and lower case are the same.
    """
    path = PurePosixPath(path)
    for suffix in METADATA_SUFFIXES:
        if path.name.casefold().endswith(suffix):
            try:
                return PurePosixPath(canonical_class(path.name[: -len(suffix)]) + suffix)
            except ValueError:
                return None
    part, suffix = path.parent.name.casefold(), path.suffix.lower()
    if len(path.parts) < 3 or suffix not in SUFFIXES or part not in PARTS:
        return None
    try:
        return PurePosixPath(
            canonical_class(path.parts[-3]), part, canonical_image(path.stem) + suffix
        )
    except ValueError:
        return None


def metadata_paths(class_name: str) -> list[str]:
    """Return where the metadata of a class may lie in the data set."""
    return [class_name + suffix for suffix in METADATA_SUFFIXES]


def class_of_image(image: str) -> str:
    """Return the class that the canonical name of an image begins with."""
    return image.rpartition("-")[0]


def class_seed(name: str) -> int:
    """Return the number, 0..2**32, that gives a class a random generator of its own.

    Its place among the ``CLASSES``; for any other class what its name alone decides, so that
    nothing drawn for it depends on which other classes there are.
    """
    if name in CLASSES:
        return CLASSES.index(name)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])


def file_stem(name: str) -> str:
    """Return the name of a file for an image: ``site-1/x 2.png`` gives ``site-1_x 2``.

    Without the suffix of a file that is read, and with an underscore for whatever is a separator to
    a file system, a shell or Snakemake.
    """
    stem = name
    if (suffix := PurePosixPath(name).suffix) and suffix.lower() in SUFFIXES:
        stem = name[: -len(suffix)]
    return re.sub(r"[^\w .,+=@()-]", "_", stem).strip(" .") or "_"
