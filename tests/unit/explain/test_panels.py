"""Panels of Grad-CAM."""

import numpy as np
from pulmoscan.explain import panels


def test_the_overlay_is_half_jet_with_a_white_outline():
    image = np.full((40, 40), 100, np.uint8)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 10:20] = 1
    cam = np.zeros((40, 40), np.float32)
    cam[30, 30] = 1
    picture = panels.overlay(image, mask, cam)
    np.testing.assert_array_equal(picture[10, 15], [255, 255, 255])
    np.testing.assert_array_equal(picture[0, 0], [50, 50, 50 + 64])  # jet begins at (0, 0, 0.5)
    np.testing.assert_array_equal(picture[30, 30], [50 + 64, 50, 50])  # and ends at (0.5, 0, 0)
