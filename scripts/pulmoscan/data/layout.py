"""The layout of the COVID-19 Radiography Database, and the spellings its copies use.

``<Class>/images/<image>.png``, ``<Class>/masks/<image>.png`` and ``<Class>.metadata.xlsx``. The
spelling of the copy on Kaggle is the canonical one: ``Viral Pneumonia`` (elsewhere
``Viral_Pneumonia``) and ``Normal-12`` (elsewhere ``NORMAL-12``).
"""

import hashlib
import unicodedata
from pathlib import PurePosixPath

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
POSITIVE = "sick"  # the label of a two-class sampling that sensitivity is about
PARTS = ("images", "masks")
METADATA_SUFFIX = ".metadata.xlsx"
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
    if path.name.casefold().endswith(METADATA_SUFFIX):
        try:
            class_name = canonical_class(path.name[: -len(METADATA_SUFFIX)])
        except ValueError:
            return None
        return PurePosixPath(class_name + METADATA_SUFFIX)
    part = path.parent.name.casefold()
    if len(path.parts) < 3 or path.suffix.lower() != ".png" or part not in PARTS:
        return None
    try:
        return PurePosixPath(
            canonical_class(path.parts[-3]), part, f"{canonical_image(path.stem)}.png"
        )
    except ValueError:
        return None


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
