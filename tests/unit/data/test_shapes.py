"""Images that are not square, and their masks, in the square of a packed array."""

import cv2
import numpy as np
import pytest
import small_database as small
import small_images as make
from pulmoscan.data import radiographs, shapes
from pulmoscan.data.options import Options

WIDE = cv2.resize(small.radiograph(1), (80, 40))
HIGH = cv2.rotate(WIDE, cv2.ROTATE_90_CLOCKWISE)


def fitted(pixels: np.ndarray, shape: str, side: int = 40) -> np.ndarray:
    square = np.full((side, side), 9, np.uint8)
    shapes.fit(pixels, square, shape, cv2.INTER_LINEAR)
    return square


@pytest.mark.parametrize("shape", ["stretch", "pad", "crop"])
def test_a_square_image_is_the_same_in_every_shape(shape):
    square = small.radiograph(2)
    assert np.array_equal(fitted(square, shape, 30), cv2.resize(square, (30, 30)))


@pytest.mark.parametrize("turned", [False, True])
def test_the_shapes_of_an_image_of_two_to_one(turned):
    image = HIGH if turned else WIDE

    def upright(pixels: np.ndarray) -> np.ndarray:
        return cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE) if turned else pixels

    assert np.array_equal(fitted(image, "stretch"), cv2.resize(image, (40, 40)))
    assert np.array_equal(upright(fitted(image, "crop")), WIDE[:, 20:60])
    padded = upright(fitted(image, "pad"))
    assert not padded[:10].any()
    assert not padded[30:].any()
    assert np.array_equal(padded[10:30], cv2.resize(WIDE, (40, 20)))


def test_one_row_of_pixels_is_not_lost():
    assert fitted(np.full((1, 4000), 200, np.uint8), "pad").any()


@pytest.mark.parametrize("shape", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_follows_its_image(shape, scale):
    """An image that is bright in its lungs alone stays so."""
    mask = np.zeros((60, 100), np.uint8)
    mask[10:40, 20:75] = 255
    image = cv2.GaussianBlur(mask // 2, (3, 3), 0) + np.arange(100, dtype=np.uint8) // 8
    larger = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    arrays = np.zeros((2, 50, 50), np.uint8)
    pair = radiographs.read(make.tiff(image), make.tiff(larger), *arrays, 16, Options(shape=shape))
    assert pair.defects == []
    bright = pair.image > 70
    edge = cv2.dilate(pair.mask, np.ones((3, 3))) - cv2.erode(pair.mask, np.ones((3, 3)))
    assert not (bright != pair.mask)[edge == 0].any()
