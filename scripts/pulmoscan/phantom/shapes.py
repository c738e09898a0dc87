"""Place outlines given in thorax units on a film, and draw them as soft layers.

Thorax units: the origin lies between the lungs, x grows to the right of the image (the patient's
left), y downwards; the chest wall is near x = -1 and 1, the apices of the lungs near y = -1 and the
costophrenic angles near y = 0.9.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

_SUBPIXEL_BITS = 4  # OpenCV's fixed-point coordinates: 1/16 pixel


@dataclass(frozen=True)
class Frame:
    """The position of one patient on a square film.

    Attributes:
        centre: x and y, as shares of the side of the film.
        half: Half width and half height of the thorax, as shares of the side.
        rotation: In radians.
        bend: 3 x 2, amplitude, frequency and phase of a slow wave that deforms everything together.
    """

    centre: tuple[float, float]
    half: tuple[float, float]
    rotation: float
    bend: np.ndarray

    def onto_film(self, points: np.ndarray, size: int) -> np.ndarray:
        """Return ``points`` (..., 2) in thorax units as pixels (..., 2) of a ``size`` film."""
        amplitude, frequency, phase = self.bend
        bent = points + amplitude * np.sin(points[..., ::-1] * frequency + phase)
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        turn = np.array(((cos, sin), (-sin, cos)))
        return size * (np.array(self.centre) + (bent * self.half) @ turn)

    def grid(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the thorax coordinates x and y (side, side) of a film of ``side`` pixels.

        ``bend`` is left out: it is smaller than the structures that the grid is used for.
        """
        axis = (np.arange(side) + 0.5) / side
        x, y = axis[None, :] - self.centre[0], axis[:, None] - self.centre[1]
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        return (cos * x + sin * y) / self.half[0], (cos * y - sin * x) / self.half[1]

    def filled(self, outlines: Iterable[np.ndarray], size: int) -> np.ndarray:
        """Return a float32 layer, 1 inside any of the outlines (points, 2) and 0 outside."""
        layer = np.zeros((size, size), np.uint8)
        for outline in outlines:
            _fill(layer, self.onto_film(outline, size), 255)
        return layer * np.float32(1 / 255)

    def rimmed(self, outlines: np.ndarray, size: int, rim: float, inside: float) -> np.ndarray:
        """Return a float32 layer of bones: ``rim`` on each outline, ``inside * rim`` within.

        ``outlines`` is (shapes, points, 2). Overlaps do not add up.
        """
        layer = np.zeros((size, size), np.uint8)
        pixels = self.onto_film(outlines, size)
        for outline in pixels:
            _fill(layer, outline, round(255 * inside))
        width = max(1, round(size / 299))
        cv2.polylines(layer, list(_fixed(pixels)), True, 255, width, cv2.LINE_AA, _SUBPIXEL_BITS)
        return layer * np.float32(rim / 255)

    def lines(self, curves: np.ndarray, size: int, width: float, value: float) -> np.ndarray:
        """Return a float32 layer with open curves (curves, points, 2), as wide as a share of it."""
        layer = np.zeros((size, size), np.uint8)
        pixels = list(_fixed(self.onto_film(curves, size)))
        thick = max(1, round(width * size))
        cv2.polylines(layer, pixels, False, round(255 * value), thick, cv2.LINE_AA, _SUBPIXEL_BITS)
        return layer * np.float32(1 / 255)


def smooth(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """Return a closed Catmull-Rom curve through ``points`` (n, 2), as (n * steps, 2).

    A point given twice is a corner.
    """
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    before, here, after, beyond = (np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2))
    curve = here + 0.5 * (
        (after - before) * t
        + (2 * before - 5 * here + 4 * after - beyond) * t**2
        + (3 * here - before - 3 * after + beyond) * t**3
    )
    return curve.swapaxes(0, 1).reshape(-1, 2)


def ribbon(curves: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Return the outlines (..., 2n, 2) of bands of ``width`` along open curves (..., n, 2)."""
    along = np.empty_like(curves)
    along[..., 1:-1, :] = curves[..., 2:, :] - curves[..., :-2, :]
    along[..., 0, :] = curves[..., 1, :] - curves[..., 0, :]
    along[..., -1, :] = curves[..., -1, :] - curves[..., -2, :]
    aside = along[..., ::-1] * (-0.5, 0.5) / np.linalg.norm(along, axis=-1, keepdims=True)
    aside = aside * np.asarray(width)[..., None, None]
    return np.concatenate([curves + aside, (curves - aside)[..., ::-1, :]], axis=-2)


def mirrored(curves: np.ndarray) -> np.ndarray:
    """Return curves (n, points, 2) and their mirror images (2n, points, 2)."""
    return np.concatenate([curves, curves * (-1, 1)])


def blurred(layer: np.ndarray, sigma: float) -> np.ndarray:
    """Return a float32 layer after a Gaussian blur of ``sigma`` pixels (at least 0.3)."""
    return cv2.GaussianBlur(layer.astype(np.float32, copy=False), (0, 0), max(sigma, 0.3))


def enlarged(coarse: np.ndarray, size: int) -> np.ndarray:
    """Return a coarse map as a float32 map of ``size`` by ``size`` pixels, smoothly."""
    return cv2.resize(
        coarse.astype(np.float32, copy=False), (size, size), interpolation=cv2.INTER_CUBIC
    )


def depth(inside: np.ndarray, full: float) -> np.ndarray:
    """Return how deep inside a layer each pixel is: 0 outside, 1 from ``full`` pixels on."""
    distance = cv2.distanceTransform((inside > 0.5).view(np.uint8), cv2.DIST_L2, 3)
    return np.minimum(distance / np.float32(full), np.float32(1))


def step(value: np.ndarray) -> np.ndarray:
    """Return a smooth step: 0 up to -1, 1 from 1 on."""
    value = np.clip(value * 0.5 + 0.5, 0, 1)
    return value * value * (3 - 2 * value)


def _fill(layer: np.ndarray, pixels: np.ndarray, value: int) -> None:
    cv2.fillPoly(layer, [_fixed(pixels)], value, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
