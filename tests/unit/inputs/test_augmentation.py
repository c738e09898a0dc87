"""Augmentation: how far images move, and that an epoch can be repeated."""

import cv2
import numpy as np
from pulmoscan.inputs import augmentation

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8)
ALL = {"translation": 0.1, "rotation": 10, "zoom": 0.15, "intensity": 0.1, "flip": True}


def test_augmentation_depends_on_seed_epoch_and_row_only() -> None:
    one = augmentation.augment(IMAGES[:4], ALL, 7, 2, [0, 1, 2, 3])
    alone = augmentation.augment(IMAGES[2:3], ALL, 7, 2, [2])
    np.testing.assert_array_equal(one[2], alone[0])
    assert not np.array_equal(one, augmentation.augment(IMAGES[:4], ALL, 7, 3, [0, 1, 2, 3]))
    assert not np.array_equal(one, augmentation.augment(IMAGES[:4], ALL, 8, 2, [0, 1, 2, 3]))


def test_without_settings_nothing_changes() -> None:
    np.testing.assert_array_equal(augmentation.augment(IMAGES, {}, 0, 0, range(20)), IMAGES)


def test_flip_mirrors_about_half_of_the_images() -> None:
    moved = augmentation.augment(IMAGES[:1].repeat(200, axis=0), {"flip": True}, 0, 0, range(200))
    same = (moved == IMAGES[0]).all(axis=(1, 2))
    mirrored = (moved == IMAGES[0][:, ::-1]).all(axis=(1, 2))
    assert (same | mirrored).all()
    assert 70 < mirrored.sum() < 130


def disc(size: int = 101, x: int = 50, radius: int = 10) -> np.ndarray:
    """A bright disc on black."""
    image = np.zeros((1, size, size), np.uint8)
    cv2.circle(image[0], (x, 50), radius, 200, -1)
    return image


def centres(moved: np.ndarray) -> np.ndarray:
    """Centres of mass (x, y) of images."""
    grid = np.arange(moved.shape[1])
    total = moved.sum(axis=(1, 2))
    return np.stack([moved.sum(axis=1) @ grid, moved.sum(axis=2) @ grid], axis=1) / total[:, None]


def test_translation_stays_within_its_share() -> None:
    moved = augmentation.augment(disc().repeat(200, axis=0), {"translation": 0.1}, 0, 0, range(200))
    shift = centres(moved) - 50
    assert np.abs(shift).max() < 10.2
    assert (np.abs(shift).max(axis=0) > 9).all()
    assert np.abs(shift.mean(axis=0)).max() < 1.5


def test_rotation_zoom_and_intensity_stay_within_theirs() -> None:
    off_centre = disc(x=80).repeat(200, axis=0)
    turned = centres(augmentation.augment(off_centre, {"rotation": 10}, 0, 0, range(200))) - 50
    angles = np.degrees(np.arctan2(turned[:, 1], turned[:, 0]))
    assert 9 < np.abs(angles).max() < 10.1
    np.testing.assert_allclose(np.hypot(*turned.T), 30, atol=0.2)
    scaled = centres(augmentation.augment(off_centre, {"zoom": 0.15}, 0, 0, range(200))) - 50
    assert 30 * 0.85 - 0.2 < scaled[:, 0].min() < 26.5
    assert 33.5 < scaled[:, 0].max() < 30 * 1.15 + 0.2
    gain = augmentation.augment(disc().repeat(200, axis=0), {"intensity": 0.1}, 0, 0, range(200))
    gain = gain[:, 50, 50] / 200
    assert 0.9 <= gain.min() < 0.91
    assert 1.09 < gain.max() <= 1.1
    bright = augmentation.augment(IMAGES, ALL, 0, 0, range(20))
    assert bright.max() <= 255
