"""Write a database of synthetic chest radiographs with known, planted defects.

The folder has the layout and spelling of the real database, so that every stage can be run and
tested without a real image. What is planted is known (``planted``) and can be compared with what an
audit finds:

- Viral Pneumonia images saved as RGB with three equal channels;
- exact duplicates: the same pixels in another file of the class (its bytes differ);
- near duplicates: the same radiograph with another exposure, moved by up to half a pixel (of 299),
  with new noise;
- metadata: one row without image, one image without row, a SIZE that is wrong for every image
  (unless the images are 256 pixels wide), several spellings of a source's URL.

Image ``n`` of a class depends on the seed and on ``n`` alone, not on the number of images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pulmoscan.data.layout import CLASSES, METADATA_SUFFIX
from pulmoscan.phantom.anatomy import draw_anatomy
from pulmoscan.phantom.film import LOOKS, expose
from pulmoscan.phantom.findings import add_findings
from pulmoscan.phantom.patient import draw_patient
from pulmoscan.phantom.workbook import SOURCE_COUNTS, SOURCE_URLS, workbook

MASK_SIZE = 256
SMALLEST_CLASS = 12
_BLOCK = 40  # images of a class among which one exact and one near pair are planted
_UNUSUAL_URLS = 1 / 8  # share of rows that use another spelling of the source


@dataclass(frozen=True)
class Planted:
    """What ``write_database`` plants; images by canonical name, such as ``Normal-12``.

    Attributes:
        rgb: Images saved as RGB.
        exact: Exact duplicates, as (original, copy).
        near: Near duplicates, as (original, copy).
        rows_without_image: Names in the metadata, as spelt there, that no image has.
        images_without_row: Images that the metadata lack.
        sources: The source of every image, a name in ``SOURCE_URLS``.
    """

    rgb: tuple[str, ...]
    exact: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]
    rows_without_image: tuple[str, ...]
    images_without_row: tuple[str, ...]
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Radiograph:
    """One synthetic radiograph: ``image`` (uint8), ``mask`` (256 x 256 uint8, 0 or 255)."""

    image: np.ndarray
    mask: np.ndarray


def write_database(
    folder: Path, images_per_class: int | Mapping[str, int], size: int = 299, seed: int = 0
) -> None:
    """Write a database into ``folder``; the same arguments give the same bytes.

    The metadata files are written last.

    Args:
        folder: Where to write it.
        images_per_class: One number, or one for each class; at least ``SMALLEST_CLASS``, so that
            every defect can be planted.
        size: Width and height of the images, in pixels, at least 32; masks have ``MASK_SIZE``.
        seed: Of everything that is drawn, 0 or more.
    """
    counts = _counts(images_per_class)
    folder = Path(folder)
    known = planted(counts, seed)
    for class_name, count in counts.items():
        for part in ("images", "masks"):
            (folder / class_name / part).mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            _write_image(folder / class_name, class_name, number, size, seed)
    for class_name, count in counts.items():
        path = folder / (class_name + METADATA_SUFFIX)
        path.write_bytes(_metadata(class_name, count, known, seed))


def planted(images_per_class: int | Mapping[str, int], seed: int = 0) -> Planted:
    """Return what ``write_database`` plants with these arguments, without drawing an image."""
    counts = _counts(images_per_class)
    names = [(name, n) for name, count in counts.items() for n in range(1, count + 1)]
    roles = {(name, n): _role(name, n, seed) for name, n in names}
    pairs = {
        kind: tuple(
            (f"{name}-{role.original}", f"{name}-{n}")
            for (name, n), role in roles.items()
            if role.copy == kind
        )
        for kind in ("exact", "near")
    }
    return Planted(
        rgb=tuple(f"{name}-{n}" for (name, n), role in roles.items() if role.rgb),
        exact=pairs["exact"],
        near=pairs["near"],
        rows_without_image=(f"Lung_Opacity-{counts['Lung_Opacity'] + 1}",),
        images_without_row=(f"COVID-{counts['COVID']}",),
        sources={f"{name}-{n}": role.source for (name, n), role in roles.items()},
    )


def draw_radiograph(class_name: str, number: int, size: int = 299, seed: int = 0) -> Radiograph:
    """Return image ``number`` of a class, planted copies included."""
    role = _role(class_name, number, seed)
    if role.copy:
        original = draw_radiograph(class_name, role.original, size, seed)
        if role.copy == "exact":
            return original
        return replace(original, image=_taken_again(original.image, _rng(class_name, number, seed)))
    rng = _rng(class_name, number, seed)
    look = LOOKS[role.source]
    patient = draw_patient(rng, look.child, look.fill)
    anatomy = draw_anatomy(patient, size)
    attenuation = anatomy.attenuation + add_findings(class_name, patient, anatomy.air, rng)
    lungs = cv2.resize(anatomy.lungs, (MASK_SIZE, MASK_SIZE))
    mask = np.where(lungs > 0.5, 255, 0).astype(np.uint8)
    return Radiograph(expose(attenuation, look, patient, rng), mask)


@dataclass(frozen=True)
class _Role:
    source: str
    rgb: bool = False
    copy: str = ""  # exact, near, or no copy
    original: int = 0  # number of the image that this one copies


@cache
def _role(class_name: str, number: int, seed: int) -> _Role:
    """Return what image ``number`` is, whatever the number of images."""
    block, place = divmod(number - 1, _BLOCK)
    rng = _rng(class_name, 0, seed, block)
    # Two originals before two copies, all among the first images of the block.
    half = SMALLEST_CLASS // 2
    first, second = rng.permutation(half)[:2].tolist()
    copies = (half + rng.permutation(half)[:2]).tolist()
    rgb = class_name == "Viral Pneumonia" and place in {
        int(rng.integers(SMALLEST_CLASS)),
        *rng.choice(np.arange(SMALLEST_CLASS, _BLOCK), 3, replace=False).tolist(),
    }
    for kind, original, copy in (("exact", first, copies[0]), ("near", second, copies[1])):
        if place == copy:
            original_number = block * _BLOCK + original + 1
            return _Role(_source(class_name, original_number, seed), rgb, kind, original_number)
    return _Role(_source(class_name, number, seed), rgb)


def _source(class_name: str, number: int, seed: int) -> str:
    """Return the source of an image, with the shares of the real database.

    A golden-ratio sequence keeps the shares of the first n images close to the real ones, for
    every n.
    """
    counts = SOURCE_COUNTS[class_name]
    offset = _rng(class_name, 0, seed).random()
    place = (offset + number * (5**0.5 - 1) / 2) % 1 * sum(counts.values())
    edges = np.cumsum(list(counts.values()))
    return list(counts)[int(np.searchsorted(edges, place, side="right"))]


def _taken_again(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the same radiograph slightly moved, with another exposure and new noise."""
    shift = rng.uniform(0.2, 0.5, 2) * rng.choice((-1, 1), 2) * len(image) / 299
    move = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(image, move, image.shape, borderMode=cv2.BORDER_REPLICATE)
    exposed = moved * rng.uniform(0.94, 1.0) + rng.uniform(1, 8) + rng.normal(0, 1.5, image.shape)
    return np.clip(np.rint(exposed), 0, 255).astype(np.uint8)


def _write_image(folder: Path, class_name: str, number: int, size: int, seed: int) -> None:
    role = _role(class_name, number, seed)
    drawn = draw_radiograph(class_name, number, size, seed)
    image = cv2.merge([drawn.image] * 3) if role.rgb else drawn.image
    # Another compression: an exact copy has the same pixels, not the same bytes.
    level = 3 if role.copy == "exact" else 1
    name = f"{class_name}-{number}.png"
    (folder / "images" / name).write_bytes(_png(image, level))
    (folder / "masks" / name).write_bytes(_png(cv2.merge([drawn.mask] * 3), 1))


def _png(image: np.ndarray, level: int) -> bytes:
    return cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, level))[1].tobytes()


def _metadata(class_name: str, count: int, known: Planted, seed: int) -> bytes:
    """Return the bytes of a class's metadata workbook, with the planted errors."""
    spelling = "NORMAL" if class_name == "Normal" else class_name
    rows = []
    for number in range(1, count + 1):
        image = f"{class_name}-{number}"
        if image not in known.images_without_row:
            urls = SOURCE_URLS[known.sources[image]]
            unusual = _rng(class_name, number, seed, 1).random() < _UNUSUAL_URLS
            rows.append((f"{spelling}-{number}", urls[-1] if unusual else urls[0]))
    lost = (image for image in known.rows_without_image if image.startswith(f"{class_name}-"))
    rows.extend((image, SOURCE_URLS["RSNA"][0]) for image in lost)
    return workbook(rows)


def _rng(class_name: str, number: int, seed: int, *more: int) -> np.random.Generator:
    return np.random.default_rng([seed, CLASSES.index(class_name), number, *more])


def _counts(images_per_class: int | Mapping[str, int]) -> dict[str, int]:
    """Return the number of images of every class, in the order of ``CLASSES``."""
    if isinstance(images_per_class, Mapping):
        return {name: images_per_class[name] for name in CLASSES}
    return dict.fromkeys(CLASSES, images_per_class)
