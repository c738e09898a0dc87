"""Masks in other forms than the database's mean the same lungs, or are refused with the reason."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import small_database as small
from pulmoscan.data import masks, radiographs

INSIDE = np.zeros((256, 256), np.uint8)
cv2.ellipse(INSIDE, (80, 130), (40, 80), 0, 0, 360, 1, -1)
cv2.ellipse(INSIDE, (176, 130), (40, 80), 0, 0, 360, 1, -1)
SIDES = INSIDE * np.where(np.arange(256) < 128, 1, 2).astype(np.uint8)
LOBES = INSIDE * (1 + np.arange(256)[:, None] // 52 + 5 * (np.arange(256) > 128)).astype(np.uint8)
COLOURS = np.array([(0, 0, 0), (0, 255, 0), (255, 0, 0)], np.uint8)
PICTURE = cv2.resize(small.radiograph(0), (256, 256), interpolation=cv2.INTER_CUBIC)


def of_values(*values: int, dtype: type = np.uint8) -> np.ndarray:
    return np.array(values, dtype)[SIDES]


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_UNCHANGED)


def packed_bits() -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(INSIDE, axis=1))
    return small.png(256, 256, 1, 0, rows)


def palette(colours: bytes, indices: np.ndarray) -> bytes:
    return small.png(256, 256, 8, 3, b"".join(b"\0" + row.tobytes() for row in indices), colours)


def read(file: bytes) -> radiographs.Radiograph:
    return radiographs.read(
        small.encoded(small.radiograph(0)), file, *np.full((2, 256, 256), 77, np.uint8)
    )


EXACT: dict[str, tuple[bytes, str]] = {
    "0 and 1": (small.encoded(INSIDE), "0, 1: the brighter is lung"),
    "1 and 2": (small.encoded(INSIDE + 1), "1, 2: the brighter is lung"),
    "200 and 255": (small.encoded(of_values(200, 255, 255)), "200, 255: the brighter is lung"),
    "8 bits in 16": (small.encoded(of_values(0, 255, 255, dtype=np.uint16)), "0, 255"),
    "16 bits": (
        small.encoded(of_values(0, 65535, 65535, dtype=np.uint16)),
        "0, 65535: the brighter is lung",
    ),
    "value per lung": (small.encoded(of_values(0, 127, 255)), "0, 127, 255: all but black is lung"),
    "label per lung": (small.encoded(SIDES), "0, 1, 2: all but black is lung"),
    "background of 1": (small.encoded(of_values(1, 2, 3)), "1, 2, 3: all above 1 is lung"),
    "16-bit labels": (
        small.encoded(of_values(0, 300, 600, dtype=np.uint16)),
        "0, 300, 600: all but black is lung",
    ),
    "lobes": (small.encoded(LOBES), "0, 1, 2, 3, 4, 5, ...: all but black is lung"),
    "colours": (small.encoded(COLOURS[SIDES]), "3 colours: all but black is lung"),
    "palette": (
        palette(bytes([0, 0, 0, 128, 0, 0, 0, 128, 0]), SIDES),
        "3 colours: all but black is lung",
    ),
    "white palette": (palette(bytes([255] * 3 + [0] * 3), 1 - INSIDE), "0, 255"),
    "alpha": (small.encoded(np.dstack([0 * INSIDE] * 3 + [INSIDE * 255])), "0, 255"),
    "opaque": (small.encoded(np.dstack([INSIDE * 255] * 3 + [0 * INSIDE + 255])), "0, 255"),
    "one bit": (packed_bits(), "0, 255"),
}


@pytest.mark.parametrize("name", EXACT)
def test_other_values_mean_the_same_lungs_and_are_recorded(name):
    file, form = EXACT[name]
    pair = read(file)
    assert pair.defects == []
    assert np.array_equal(pair.mask, INSIDE)
    assert pair.mask_form == form
    assert pair.mask_binary == (form == masks.STANDARD)


@pytest.mark.parametrize(
    ("pixels", "threshold"),
    [
        (cv2.GaussianBlur(INSIDE * 255, (9, 9), 0), 127),
        (jpeg(INSIDE * 255), 127),
        (jpeg(INSIDE * 127), 63),
        (jpeg(COLOURS[SIDES]), 127),
    ],
)
def test_soft_edges_and_compression_move_no_more_than_the_edge(pixels, threshold):
    pair = read(small.encoded(pixels))
    assert pair.defects == []
    assert pair.mask_form == f"grey levels: above {threshold} is lung"
    around = np.ones((9, 9), np.uint8)
    edge = cv2.dilate(INSIDE, around) - cv2.erode(INSIDE, around)
    assert not (pair.mask != INSIDE)[edge == 0].any()
    assert abs(int(pair.mask.sum()) - int(INSIDE.sum())) < 0.02 * INSIDE.sum()


REFUSED: dict[str, tuple[np.ndarray, str]] = {
    "black": (INSIDE * 0, "mask is all black"),
    "white": (INSIDE * 0 + 255, "mask is all white"),
    "deep white": (np.full((256, 256), 65535, np.uint16), "mask is all white"),
    "grey": (INSIDE * 0 + 7, "mask has no value but 7"),
    "picture": (PICTURE, "mask is a picture: "),
    "inverted": ((1 - INSIDE) * 255, "mask looks inverted: it covers all corners and 69% of"),
    "inverted labels": (1 - INSIDE, "mask looks inverted: it covers all corners and 69% of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_mask_is_a_defect(name):
    pixels, reason = REFUSED[name]
    (defect,) = read(small.encoded(pixels)).defects
    assert defect.startswith(reason)


def test_real_masks_are_as_they_were(real_data):
    for path in sorted(real_data.glob("*/masks/*.png"))[::10]:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert masks.standard(grey)
        found = masks.lungs(grey)
        assert found.form == masks.STANDARD
        assert np.array_equal(found.inside, grey)
        assert masks.problem(grey // 255) is None


def test_real_images_are_no_masks(real_data):
    files = sorted(real_data.glob("*/images/*.png"))[::20]
    refused = 0
    for path in files:
        try:
            masks.lungs(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        except ValueError:
            refused += 1
    assert refused > 0.95 * len(files)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "a mask": lambda _: INSIDE * 255,
    "a soft mask": lambda _: cv2.GaussianBlur(INSIDE * 255, (5, 5), 0),
    "nearly black": lambda image: image // 32,
    "nearly white": lambda image: 255 - image // 32,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_cannot_be_a_radiograph_is_a_defect(name):
    image = small.encoded(CHANGES[name](small.radiograph(0)))
    pair = radiographs.read(image, small.encoded(INSIDE * 255), *np.zeros((2, 64, 64), np.uint8))
    words = "image has two grey levels" if "mask" in name else name
    assert [words in defect for defect in pair.defects if defect.startswith("image ")] == [True]
