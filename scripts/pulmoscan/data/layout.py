"""The layout of the COVID-19 Radiography Database, and the spellings its copies use.

``<Class>/images/<image>.png``, ``<Class>/masks/<image>.png`` and ``<Class>.metadata.xlsx``. The
spelling of the copy on Kaggle is the canonical one: ``Viral Pneumonia`` (elsewhere
``Viral_Pneumonia``) and ``Normal-12`` (elsewhere ``NORMAL-12``).
"""

from pathlib import PurePosixPath

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
POSITIVE = "sick"  # the label of a two-class sampling that sensitivity is about
PARTS = ("images", "masks")
METADATA_SUFFIX = ".metadata.xlsx"

_BY_KEY = {name.casefold().replace("_", " "): name for name in CLASSES}


def canonical_class(name: str) -> str:
    """Return the class that ``name`` spells; raise ``ValueError`` if it spells none."""
    try:
        return _BY_KEY[name.casefold().replace("_", " ").strip()]
    except KeyError:
        raise ValueError(f"no class {name!r}: the classes are {', '.join(CLASSES)}") from None


def canonical_image(name: str) -> str:
    """Return the canonical name of an image, without suffix: ``NORMAL-12`` gives ``Normal-12``.

    Raises ``ValueError`` if the part before the last dash is not a class, or the part after it has
    characters that cannot be printed.
    """
    class_name, dash, number = name.rpartition("-")
    if not dash or not number.strip().isprintable():
        raise ValueError(f"{name!r} is not an image name: expected <class>-<number>")
    return f"{canonical_class(class_name)}-{number.strip()}"


def canonical_path(path: str | PurePosixPath) -> PurePosixPath | None:
    """Return where a file of any copy of the database belongs, or None if it is not part of it.

    ``path`` is relative to any folder above the classes, with ``/`` between its parts, so that the
    folders an archive wraps around the database do not matter.
    """
    path = PurePosixPath(path)
    if path.name.endswith(METADATA_SUFFIX):
        try:
            return PurePosixPath(
                canonical_class(path.name.removesuffix(METADATA_SUFFIX)) + METADATA_SUFFIX
            )
        except ValueError:
            return None
    if len(path.parts) < 3 or path.suffix.lower() != ".png" or path.parts[-2] not in PARTS:
        return None
    try:
        return PurePosixPath(
            canonical_class(path.parts[-3]), path.parts[-2], f"{canonical_image(path.stem)}.png"
        )
    except ValueError:
        return None
