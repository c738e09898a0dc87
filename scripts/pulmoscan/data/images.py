"""One image file in any of the formats: checked first, decoded when asked for."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import cv2
import numpy as np

from pulmoscan.data import dicom, dicom_pixels, formats, jpeg, png, tiff
from pulmoscan.data.depth import Table
from pulmoscan.data.formats import Header

LARGE = 2**24  # pixels; at ``formats.MOST_BYTES`` decoding takes 0.6 GB

_GREY = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
# How pixels are turned upright, by EXIF orientation.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_one_large = threading.Lock()


@dataclass(frozen=True)
class Image:
    """A checked image file.

    Attributes:
        header: What the file says about itself.
        decode: Returns its pixels: for True as grey levels of 8 bits, h x w uint8, the upper 8 bits
            of deeper ones; for False as stored, h x w or h x w x 2 to 4 (BGR, alpha), uint8 or
            uint16. Raises ``ValueError`` where they cannot be decoded.
        inverted: Whether the lowest of the values is white.
        table: How the file says that its values are shown, which includes ``inverted``; None if it
            does not say.
    """

    header: Header
    decode: Callable[[bool], np.ndarray]
    inverted: bool = False
    table: Table | None = None

    def turn(self) -> AbstractContextManager:
        """Let one thread at a time decode a large image, so that memory stays within limits."""
        large = self.header.width * self.header.height > LARGE
        return _one_large if large else nullcontext()


def opened(data: bytes) -> Image:
    """Return the image in a file.

    Raises ``ValueError`` with the reason where a file is in none of the formats, or damaged as far
    as its container shows.
    """
    return _OPENERS.get(formats.of(data[: formats.START]), _opened_png)(data)


def _opened_png(data: bytes) -> Image:
    header, data = png.checked(data)

    def decode(grey: bool) -> np.ndarray:
        return _decoded(data, (header.height, header.width), grey)

    return Image(header, decode)


def _opened_jpeg(data: bytes) -> Image:
    header, orientation = jpeg.checked(data)
    shape = (header.height, header.width)

    def decode(grey: bool) -> np.ndarray:
        stored = _decoded(data, shape if orientation < 5 else shape[::-1], grey)
        return _turned(stored, orientation)

    return Image(header, decode)


def _opened_tiff(data: bytes) -> Image:
    file = tiff.checked(data)

    def decode(grey: bool) -> np.ndarray:
        pixels = _turned(tiff.decoded(file), file.orientation)
        if pixels.shape[:2] != (file.header.height, file.header.width):
            raise ValueError("its pixels cannot be decoded")
        return _as_grey(pixels, file.header.depth) if grey else pixels

    return Image(file.header, decode, file.inverted)


def _opened_dicom(data: bytes) -> Image:
    file = dicom.checked(data)

    def decode(grey: bool) -> np.ndarray:
        pixels = dicom_pixels.decoded(file)
        return _as_grey(pixels, file.header.depth) if grey else pixels

    return Image(file.header, decode, file.inverted, file.table)


_OPENERS = {
    "PNG": _opened_png,
    "JPEG": _opened_jpeg,
    "TIFF": _opened_tiff,
    "DICOM": _opened_dicom,
}


def _decoded(file: bytes, shape: tuple[int, int], grey: bool) -> np.ndarray:
    flags = _GREY if grey else cv2.IMREAD_UNCHANGED
    try:
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != shape:
        raise ValueError("its pixels cannot be decoded")
    return pixels


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _TURNS[orientation](pixels) if orientation in _TURNS else pixels


def _as_grey(pixels: np.ndarray, depth: int) -> np.ndarray:
    if pixels.dtype == np.uint16:
        pixels = (pixels >> (depth - 8)).astype(np.uint8)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 2:
        return np.ascontiguousarray(pixels[..., 0])
    return cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_BGR2GRAY)
