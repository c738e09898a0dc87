"""TIFF files, checked before a decoder sees them, and decoded.

A TIFF may hold almost anything. The checks here read its directory (TIFF 6.0, sections 2 and 8),
let through what scanners and ImageJ write of a radiograph, and name the rest. Of the compressions
only Deflate has checksums; damage within another one may change pixels, and nothing can tell.
"""

import io
import struct
import zlib
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pulmoscan.data import formats
from pulmoscan.data.formats import Header

MOST_PAGES = 10_000  # counted; a directory may also point to itself

_SIZES = {1: "B", 3: "H", 4: "I"}  # bytes, short and long numbers
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES = 273, 274, 277, 278, 279, 284
_TILES, _TILE_BYTES, _FORMAT = 324, 325, 339
_NEEDED = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES}
_NEEDED |= {_ROWS, _STRIP_BYTES, _PLANES, _TILES, _TILE_BYTES, _FORMAT}
_MOST_STRIPS = 1 << 20
# None, fax, LZW, JPEG, Deflate (two numbers) and PackBits.
_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32946, 32773)
_DEFLATE = (8, 32946)
_CHUNK = 1 << 20  # bytes unpacked at a time
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_OTHER_COLOURS = {4: "a transparency mask", 5: "CMYK, as made for print,", 8: "CIELab colour"}
_KINDS = {2: "signed", 3: "floating-point"}
_MODES = {
    (_BLACK_IS_ZERO, 1): "L",
    (_BLACK_IS_ZERO, 2): "LA",
    (_RGB, 3): "RGB",
    (_RGB, 4): "RGBA",
    (_PALETTE, 1): "P",
    (_YCBCR, 3): "RGB",
}


@dataclass(frozen=True)
class Tiff:
    """A checked TIFF file.

    Attributes:
        header: Of the image as it is shown.
        orientation: 1 to 8, as in EXIF.
        inverted: Whether 0 is white.
        data: The file for a decoder, which says that neither is so.
    """

    header: Header
    orientation: int
    inverted: bool
    data: bytes


def checked(data: bytes) -> Tiff:
    """Return a complete TIFF file of one image.

    Args:
        data: the content of the file, which begins like a TIFF.

    Raises:
        ValueError: with the reason. The file is cut off, has several pages, holds anything but
            grey levels, RGB or a palette of 1, 8 or 16 bits, or is larger than
            `formats.check_size` allows.
    """
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        pages = _pages(data, order, start)
        if pages > 1:
            more = " or more" * (pages >= MOST_PAGES)
            raise ValueError(f"it has {pages:,}{more} pages, not one image")
        tags, places = _directory(data, order, start)
    except struct.error:
        raise ValueError("the file is cut off") from None
    header, inverted = _header(tags)
    _check_strips(data, tags, header)
    for tag in (_PHOTOMETRIC, _ORIENTATION):
        if tags.get(tag, [1])[0] != 1 and (inverted or tag == _ORIENTATION):
            place = places[tag]
            data = data[:place] + struct.pack(f"{order}H", 1) + data[place + 2 :]
    orientation = tags.get(_ORIENTATION, [1])[0]
    orientation = orientation if 1 <= orientation <= 8 else 1
    if orientation > 4:
        header = replace(header, width=header.height, height=header.width)
    return Tiff(header, orientation, inverted, data)


def decoded(tiff: Tiff) -> np.ndarray:
    """Return the pixels as stored: h x w, or h x w x 2 to 4 (BGR, alpha), uint8 or uint16.

    Raises ``ValueError`` where they cannot be decoded.
    """
    if tiff.header.depth == 16 and tiff.header.mode.startswith("RGB"):
        # Pillow reads these with 8 bits; of those with fewer, OpenCV fills up what is damaged.
        pixels = cv2.imdecode(np.frombuffer(tiff.data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("its pixels cannot be decoded")
        return pixels
    from PIL import Image  # not every data set has a TIFF

    try:
        with Image.open(io.BytesIO(tiff.data), formats=["TIFF"]) as image:
            image.load()
            if image.mode in ("P", "RGBX"):
                image = image.convert("RGB")
            pixels = np.asarray(image)
    except Exception:  # Pillow raises whatever its parts do
        raise ValueError("its pixels cannot be decoded") from None
    if pixels.dtype == bool:
        return np.where(pixels, np.uint8(255), np.uint8(0))
    if pixels.dtype.itemsize == 2:
        return pixels.astype(np.uint16)
    if pixels.dtype != np.uint8:
        raise ValueError("its pixels cannot be decoded")
    if pixels.ndim == 3 and pixels.shape[2] > 2:
        return cv2.cvtColor(pixels, {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[pixels.shape[2]])
    return pixels


def _pages(data: bytes, order: str, start: int) -> int:
    pages = 0
    while start and pages < MOST_PAGES:
        (count,) = struct.unpack_from(f"{order}H", data, start)
        (start,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
        pages += 1
    if not pages:
        raise ValueError("the TIFF file has no image")
    return pages


def _directory(data: bytes, order: str, start: int) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Return the numbers of the tags in a directory, and where those of each begin."""
    tags, places = {}, {}
    (entries,) = struct.unpack_from(f"{order}H", data, start)
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        if tag not in _NEEDED or kind not in _SIZES or not 0 < count <= _MOST_STRIPS:
            continue
        form, at = f"{order}{count}{_SIZES[kind]}", place + 8
        if struct.calcsize(form) > 4:
            (at,) = struct.unpack_from(f"{order}I", data, at)
        tags[tag], places[tag] = list(struct.unpack_from(form, data, at)), at
    return tags, places


def _header(tags: dict[int, list[int]]) -> tuple[Header, bool]:
    """Return the header of the image as it is stored, and whether 0 is white."""

    def number(tag: int, default: int) -> int:
        return tags.get(tag, [default])[0]

    width, height, samples = number(_WIDTH, 0), number(_HEIGHT, 0), number(_SAMPLES, 1)
    bits, kind = tags.get(_BITS, [1]), number(_FORMAT, 1)
    if not (width and height):
        raise ValueError("the TIFF header has values that do not exist")
    if kind != 1:
        what = _KINDS.get(kind, "unknown")
        raise ValueError(f"TIFF of {what} numbers is not read: save it with 8 or 16 bits")
    if len({*bits}) > 1 or bits[0] not in (1, 8, 16):
        named = ", ".join(map(str, bits[:4]))
        raise ValueError(f"TIFF of {named} bits is not read: save it with 8 or 16 bits")
    photometric = number(_PHOTOMETRIC, _BLACK_IS_ZERO)
    inverted = photometric == _WHITE_IS_ZERO
    mode = _MODES.get((_BLACK_IS_ZERO if inverted else photometric, samples))
    depth = bits[0]
    if mode is None or (depth == 1 and mode != "L") or (depth == 16 and mode in ("LA", "P")):
        what = _OTHER_COLOURS.get(photometric, f"of {samples} channels of {depth} bits")
        raise ValueError(
            f"TIFF in {what} is not read: save it as grey or RGB".replace("in of", "of")
        )
    if number(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise ValueError(
            f"TIFF compression {number(_COMPRESSION, 1)} is not read: save it without compression"
        )
    if samples > 1 and number(_PLANES, 1) != 1:
        raise ValueError("TIFF with separate planes is not read: save it with interleaved channels")
    formats.check_size(width, height, 3 if mode == "P" else samples, depth)
    return Header("TIFF", width, height, mode + ("" if depth == 8 else str(depth)), depth), inverted


def _check_strips(data: bytes, tags: dict[int, list[int]], header: Header) -> None:
    """Raise ``ValueError`` unless all strips or tiles lie in the file."""
    starts = tags.get(_STRIPS) or tags.get(_TILES) or []
    sizes = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES) or []
    if not starts or len(starts) != len(sizes):
        raise ValueError("the TIFF header does not say where its pixels are")
    if any(at + size > len(data) or not size for at, size in zip(starts, sizes, strict=True)):
        raise ValueError("the file is cut off")
    if _STRIPS in tags:
        rows = min(tags.get(_ROWS, [header.height])[0] or header.height, header.height)
        row_bytes = (header.width * tags.get(_SAMPLES, [1])[0] * header.depth + 7) // 8
        if len(starts) != -(-header.height // rows):
            raise ValueError("the TIFF header does not say where its pixels are")
        if tags.get(_COMPRESSION, [1])[0] == 1 and sum(sizes) < row_bytes * header.height:
            raise ValueError("the file is cut off")
    if tags.get(_COMPRESSION, [1])[0] in _DEFLATE:
        view = memoryview(data)
        for at, size in zip(starts, sizes, strict=True):
            _check_deflated(view[at : at + size])


def _check_deflated(packed: memoryview) -> None:
    """Raise ``ValueError`` for a wrong checksum, which decoders do not look at."""
    unpacking, left = zlib.decompressobj(), bytes(packed)
    try:
        while left and not unpacking.eof:
            unpacking.decompress(left, _CHUNK)
            left = unpacking.unconsumed_tail
    except zlib.error:
        raise ValueError("its pixels cannot be decoded") from None
    if not unpacking.eof:
        raise ValueError("the file is cut off")
