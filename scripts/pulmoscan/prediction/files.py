"""The files of radiographs that somebody names, each with its mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pulmoscan.data import formats


@dataclass(frozen=True)
class Pair:
    """A radiograph and its lung mask, None without one."""

    image: Path
    mask: Path | None


def find(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images that some paths name or hold, in order, and the files left out.

    Args:
        paths: files, which are taken whatever their name, and folders, searched with those in them:
            for the suffixes of images, and for DICOM files that have none.

    Raises:
        OSError: a path does not exist.
    """
    found: list[Path] = []
    left_out: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            held = sorted(file for file in path.rglob("*") if file.is_file())
            images = {file for file in held if _is_image(file)}
            found += [file for file in held if file in images]
            left_out += [file for file in held if file not in images]
        else:
            raise FileNotFoundError(f"no file or folder {path}")
    return list(dict.fromkeys(found)), left_out


def pair(images: Sequence[Path], masks: Sequence[Path]) -> list[Pair]:
    """Return each image with the mask of its name; a single mask belongs to a single image.

    Raises:
        ValueError: two masks have one name.
    """
    if len(images) == len(masks) == 1:
        return [Pair(images[0], masks[0])]
    by_name: dict[str, Path] = {}
    for mask in masks:
        if mask.stem in by_name:
            raise ValueError(
                f"two masks are named {mask.stem}: {by_name[mask.stem]} and {mask}; predict the "
                "images of one folder at a time"
            )
        by_name[mask.stem] = mask
    return [Pair(image, by_name.get(image.stem)) for image in images]


def _is_image(file: Path) -> bool:
    if file.suffix.lower() in formats.SUFFIXES:
        return True
    # Archives name DICOM files by numbers with dots, or without.
    if file.suffix and not file.suffix[1:].isdecimal():
        return False
    try:
        with file.open("rb") as stream:
            return formats.of(stream.read(formats.START)) == "DICOM"
    except OSError as error:
        raise OSError(f"cannot read {file}: {error.strerror}") from error
