"""Changed copies of radiographs are found, told by what was done to them, and nothing else is."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pandas as pd
import pytest
from pulmoscan.data import duplicates, lookalikes
from pulmoscan.phantom import database

SIDE = 256  # of packed images
Change = Callable[[np.ndarray], np.ndarray]


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)


def cropped(image: np.ndarray, percent: float) -> np.ndarray:
    edge = round(len(image) * percent / 100)
    return image[edge:-edge, edge:-edge]


def framed(image: np.ndarray, percent: float, level: int = 0) -> np.ndarray:
    edge = round(len(image) * percent / 100)
    return cv2.copyMakeBorder(image, *[edge] * 4, cv2.BORDER_CONSTANT, value=level)


def rotated(image: np.ndarray, degrees: float) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), degrees, 1)
    return cv2.warpAffine(image, turn, image.shape[::-1])


def shifted(image: np.ndarray, pixels: int) -> np.ndarray:
    moved = np.float32([[1, 0, pixels], [0, 1, pixels]])
    return cv2.warpAffine(image, moved, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def mirrored(image: np.ndarray) -> np.ndarray:
    return cv2.flip(image, 1)


def inverted(image: np.ndarray) -> np.ndarray:
    return 255 - image


def clahe(image: np.ndarray) -> np.ndarray:
    return cv2.createCLAHE(2, (8, 8)).apply(image)


CHANGES: dict[str, tuple[Change, str]] = {
    "JPEG 30": (lambda image: jpeg(image, 30), ""),
    "brighter": (lambda image: cv2.add(image, 25), ""),
    "twice the size": (lambda image: cv2.resize(image, None, fx=2, fy=2), ""),
    "half the size": (lambda image: cv2.resize(image, None, fx=0.5, fy=0.5), ""),
    "cropped 1 %": (lambda image: cropped(image, 1), "moved"),
    "cropped 3 %": (lambda image: cropped(image, 3), "cropped"),
    "cropped 5 %": (lambda image: cropped(image, 5), "cropped"),
    "shifted 3 pixels": (lambda image: shifted(image, 3), "moved"),
    "rotated 2 degrees": (lambda image: rotated(image, 2), "rotated"),
    "black margin 3 %": (lambda image: framed(image, 3), "margin"),
    "black margin 6 %": (lambda image: framed(image, 6), "margin"),
    "black margin 10 %": (lambda image: framed(image, 10), "margin"),
    "white margin 5 %": (lambda image: framed(image, 5, 255), "margin"),
    "mirrored": (mirrored, "mirrored"),
    "mirrored, cropped": (lambda image: cropped(mirrored(image), 3), "mirrored, cropped"),
    "inverted": (inverted, "inverted"),
    "inverted in a margin": (lambda image: framed(inverted(image), 5), "inverted, margin"),
    "CLAHE": (clahe, "contrast"),
    "equalised": (cv2.equalizeHist, "contrast"),
    "cropped, margin": (lambda image: framed(cropped(image, 5), 5), "cropped, margin"),
    "all": (
        lambda image: jpeg(cropped(inverted(mirrored(image)), 3), 30),
        "mirrored, inverted, cropped",
    ),
}

COMBINED = ("cropped, margin", "all")  # of all 800, 1 % is lost


def described(originals: Sequence[np.ndarray], named: str) -> duplicates.Images:
    packed = [cv2.resize(image, (SIDE, SIDE)) for image in originals]
    names = [f"{named} {row}" for row in range(len(packed))]
    table = pd.DataFrame({"width": 299, "height": 299, "pixel_sha256": names})
    return duplicates.described(table, packed.__getitem__, map)


@pytest.fixture(scope="module")
def phantoms() -> list[np.ndarray]:
    names = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
    return [
        database.draw_radiograph(name, number, 299, 5).image
        for name in names
        for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("name", CHANGES)
def test_every_changed_copy_of_a_phantom_is_found_and_no_other_pair(name, phantoms):
    change, _ = CHANGES[name]
    copies = described([change(image) for image in phantoms], "copy")
    pairs = duplicates.find_between(copies, described(phantoms, "original"))
    assert pairs[["a", "b"]].to_numpy().tolist() == [[row, row] for row in range(len(phantoms))]
    assert set(pairs["kind"]) == {"near"}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copies_of_real_radiographs_are_found(name, real_data):
    files = sorted(real_data.glob("*/images/*.png"))[::10]
    originals = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
    change, words = CHANGES[name]
    copies = described([change(image) for image in originals], "copy")
    pairs = duplicates.find_between(copies, described(originals, "original"))
    assert (pairs["a"] == pairs["b"]).all()
    assert len(pairs) >= len(files) - 2 * (name in COMBINED)
    told = pairs.loc[pairs["change"] != "", "change"] if words else pairs["change"]
    # A radiograph with dark sides of its own may seem to have a margin, too.
    assert (told == words).mean() > 0.6


def test_another_radiograph_of_a_patient_is_no_copy(real_data):
    """The same catheter, taken anew, with other shadows and the arms elsewhere."""
    one, other = (
        cv2.imread(str(real_data / f"Lung_Opacity/images/Lung_Opacity-{number}.png"), 0)
        for number in (17, 1275)
    )
    images = [one, other, cropped(one, 3), other[15:, 15:], other[:-15, :-15]]
    pairs = duplicates.find(described(images, "image"))
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 2], [1, 3], [1, 4]]


def test_a_pair_is_told_once_within_a_set(phantoms):
    pairs = duplicates.find(described([*phantoms, mirrored(phantoms[3])], "image"))
    assert pairs[["kind", "a", "b", "change"]].to_numpy().tolist() == [
        ["near", 3, len(phantoms), "mirrored"]
    ]
    assert duplicates.groups(pairs, len(phantoms) + 1)[3] == 3


def test_blocks_of_images_and_threads_change_nothing(phantoms, monkeypatch):
    everything = [*phantoms, *map(mirrored, phantoms), *(framed(one, 5) for one in phantoms)]
    images = described(everything, "image")
    expected = duplicates.find(images)
    assert len(expected) == 3 * len(phantoms)
    monkeypatch.setattr(lookalikes, "_IMAGES", 5)
    monkeypatch.setattr(lookalikes, "_COLUMNS", 7)
    pd.testing.assert_frame_equal(duplicates.find(images), expected)


def test_sets_are_compared_by_content_first(phantoms):
    training = described([*phantoms[:3], phantoms[0]], "same")
    test = described([phantoms[0], phantoms[5], phantoms[0]], "same")
    # Row 0 has the content of row 0, "same 0"; row 1 that of another radiograph; row 2 that of the
    # training's third, whatever its pixels.
    pairs = duplicates.find_between(test, training)
    assert pairs[["kind", "a", "b"]].to_numpy().tolist() == [
        ["exact", 0, 0],
        ["exact", 1, 1],
        ["exact", 2, 2],
    ]
    other = described([cropped(phantoms[1], 3), phantoms[5], phantoms[2]], "other")
    pairs = duplicates.find_between(other, training)
    assert pairs[["kind", "a", "b"]].to_numpy().tolist() == [["near", 0, 1], ["near", 2, 2]]
    assert len(duplicates.find_between(described([], "none"), training)) == 0
    assert len(duplicates.find_between(training, described([], "none"))) == 0


@pytest.mark.parametrize("level", [0, 7, 255])
def test_images_of_one_level_look_like_nothing(level, phantoms):
    flat = np.full((299, 299), level, np.uint8)
    assert len(duplicates.find(described([*phantoms[:2], flat, 255 - flat], "image"))) == 0
