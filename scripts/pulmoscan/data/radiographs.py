"""One radiograph and its lung mask: from two PNG files to two packed arrays and their defects.

The pixels are those of the study: ``cv2.imread(..., IMREAD_GRAYSCALE)``, then a bilinear
``cv2.resize``. So palettes and alpha channels become what OpenCV makes of them, and 16-bit images
keep their upper 8 bits, or, where the data set uses fewer, the upper 8 of those; the mode is
recorded for the audit. Unlike ``cv2.imread``, an EXIF orientation is not applied, since the mask
would not follow it.
"""

import hashlib
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import cv2
import numpy as np

from pulmoscan.data import depth, masks, png

DATABASE_MASK = (256, 256)  # width and height of every mask of the database
LARGE = 2**24  # pixels; at ``png.MOST_BYTES`` decoding takes 0.6 GB

_GREY = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
_DARK = 16  # levels; the brightest of 800 radiographs' pixels are above 150
_MOST_OF_TWO = 0.9  # of the pixels in two grey levels; at most 0.57 in the same 800
_one_large = threading.Lock()


@dataclass
class Radiograph:
    """What a pair of files holds. Where it cannot be read, numbers are 0, means NaN, text empty.

    Attributes:
        image: s x s uint8 grey levels; zeros if the image cannot be read.
        mask: s x s uint8, 1 inside the lungs; zeros if the mask cannot be used.
        width: Of the image as stored, in pixels.
        height: Of the image as stored, in pixels.
        mode: ``png.Header.mode`` of the image.
        equal_channels: Whether a colour image has three equal channels; False for a grey one.
        mask_width: Of the mask as stored, in pixels.
        mask_height: Of the mask as stored, in pixels.
        mask_binary: Whether the mask holds only 0 and 255. Other values are no defect.
        mask_form: What the mask holds and what counts as lung, see ``masks.Lungs``.
        bits: Bits per channel of the image; of a file with 16, those that the data set uses.
        mean: Mean grey level (0..255) of the image at its stored size.
        sd: Standard deviation (divided by n) of the same.
        pixel_sha256: SHA-256 of the grey pixels (uint8, row by row) at the stored size.
        defects: Reasons why the pair cannot be used; empty if it can.
    """

    image: np.ndarray
    mask: np.ndarray
    width: int = 0
    height: int = 0
    mode: str = ""
    equal_channels: bool = False
    mask_width: int = 0
    mask_height: int = 0
    mask_binary: bool = False
    mask_form: str = ""
    bits: int = 0
    mean: float = float("nan")
    sd: float = float("nan")
    pixel_sha256: str = ""
    defects: list[str] = field(default_factory=list)


def highest(file: bytes) -> int:
    """Return the highest value of an image, 0 if it cannot be decoded."""
    try:
        header, file = png.checked(file)
        with _turn(header):
            pixels = _decoded(file, header, cv2.IMREAD_UNCHANGED)
        return int(pixels.max() if pixels.ndim == 2 else pixels[..., :3].max())
    except ValueError:
        return 0


def read(
    image_file: bytes,
    mask_file: bytes | None,
    image: np.ndarray,
    mask: np.ndarray,
    bits: int = 16,
) -> Radiograph:
    """Decode an image and its mask, each once.

    Args:
        image_file: content of the image's PNG file.
        mask_file: content of the mask's, None if there is none.
        image: s x s uint8 to write the image to.
        mask: s x s uint8 to write the mask to.
        bits: those in use of images with 16 bits, see ``depth``.

    Returns:
        The pair, which holds ``image`` and ``mask``. A mask of another size than s is resized to
        its nearest pixels. Nothing is raised for a bad file: ``defects`` says what is wrong.
    """
    pair = Radiograph(image, mask)
    try:
        header, image_file = png.checked(image_file)
        with _turn(header):
            _read_image(pair, image_file, header, bits)
    except ValueError as error:
        pair.defects.append(f"unreadable image: {error}")
        image.fill(0)
    if not _read_mask(pair, mask_file):
        mask.fill(0)
    return pair


def _turn(header: png.Header) -> AbstractContextManager:
    """Let one thread at a time decode a large image, so that memory does not grow with threads."""
    return _one_large if header.width * header.height > LARGE else nullcontext()


def _read_image(pair: Radiograph, file: bytes, header: png.Header, bits: int) -> None:
    if header.depth == 16 and bits < 16:
        grey, pair.equal_channels = _reduced(_decoded(file, header, cv2.IMREAD_UNCHANGED), bits)
    elif header.mode == "RGB":
        colour = _decoded(file, header, cv2.IMREAD_UNCHANGED)
        pair.equal_channels = _equal_channels(colour)
        # Grey from equal channels is any of them; OpenCV's own conversion serves the others.
        grey = colour[..., 0].copy() if pair.equal_channels else _decoded(file, header, _GREY)
    else:
        grey = _decoded(file, header, _GREY)
        if not header.mode.startswith("L"):
            pair.equal_channels = _equal_channels(_decoded(file, header, cv2.IMREAD_UNCHANGED))
    pair.width, pair.height, pair.mode = header.width, header.height, header.mode
    pair.bits = bits if header.depth == 16 else header.depth
    pair.pixel_sha256 = hashlib.sha256(grey).hexdigest()
    mean, sd = cv2.meanStdDev(grey)
    pair.mean, pair.sd = float(mean.item()), float(sd.item())
    cv2.resize(grey, pair.image.shape, dst=pair.image, interpolation=cv2.INTER_LINEAR)
    if header.depth == 16:
        used = depth.bits_in_use(int(grey.max()) << (bits - 8))
        pair.defects += _problems(pair.image, f" (it uses {used} of {bits} bits)")
    else:
        pair.defects += _problems(pair.image)


def _reduced(pixels: np.ndarray, bits: int) -> tuple[np.ndarray, bool]:
    """Return grey levels of 8 bits, and whether a colour image has equal channels."""
    pixels = depth.reduced(pixels, bits)
    if pixels.ndim == 2:
        return pixels, False
    if _equal_channels(pixels):
        return pixels[..., 0].copy(), True
    return cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2GRAY), False


def _problems(image: np.ndarray, depth_in_use: str = "") -> list[str]:
    """Return why the s x s uint8 grey levels cannot be a radiograph; nothing if they can."""
    counts = cv2.calcHist([image], [0], None, [256], [0, 256]).ravel()
    levels = np.flatnonzero(counts)
    if len(levels) == 1:
        return ["image has one grey level only"]
    if levels[-1] < _DARK:
        return [f"image is nearly black: no grey level is above {levels[-1]} of 255{depth_in_use}"]
    if levels[0] > 255 - _DARK:
        return [f"image is nearly white: no grey level is below {levels[0]} of 255"]
    share = np.partition(counts, -2)[-2:].sum() / image.size
    if share > _MOST_OF_TWO:
        return [f"image has two grey levels in {share:.0%} of its pixels"]
    return []


def _read_mask(pair: Radiograph, file: bytes | None) -> bool:
    """Return whether the mask was written; if not, a defect says why."""
    if file is None:
        pair.defects.append("no mask")
        return False
    try:
        header, file = png.checked(file)
        # Every mask of the database is decoded as it was by the study.
        flags = _GREY if header.mode == "L" else cv2.IMREAD_UNCHANGED
        with _turn(header):
            pixels = _decoded(file, header, flags)
    except ValueError as error:
        pair.defects.append(f"unreadable mask: {error}")
        return False
    pair.mask_width, pair.mask_height = header.width, header.height
    pair.mask_binary = header.mode == "L" and masks.standard(pixels)
    of_image = (pair.width, pair.height)
    if pair.width and not _fits((header.width, header.height), of_image):
        pair.defects.append(
            f"mask is {header.width}x{header.height}, "
            f"the image {pair.width}x{pair.height}: expected the same size, or 256x256 if square"
        )
        return False
    if pair.mask_binary:
        inside, pair.mask_form = pixels, masks.STANDARD
    else:
        try:
            lungs = masks.lungs(pixels)
        except ValueError as error:
            pair.defects.append(str(error))
            return False
        inside, pair.mask_form = lungs.inside, lungs.form
        pair.mask_binary = lungs.form == masks.STANDARD
    if inside.shape != pair.mask.shape:
        inside = cv2.resize(inside, pair.mask.shape, interpolation=cv2.INTER_NEAREST)
    cv2.threshold(inside, 127, 1, cv2.THRESH_BINARY, dst=pair.mask)
    problem = masks.problem(pair.mask)
    if problem is not None:
        pair.defects.append(problem)
    return True


def _fits(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    """Return whether both show one field of view: the same size, or sizes as in the database.

    A mask of any other size would be scaled by guess, and no later number would show a wrong guess.
    """
    return mask == image or (mask == DATABASE_MASK and image[0] == image[1])


def _decoded(file: bytes, header: png.Header, flags: int) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise ValueError("its pixels cannot be decoded")
    return pixels


def _equal_channels(colour: np.ndarray) -> bool:
    """Return whether the first three channels of h x w x c pixels are equal."""
    first = colour[..., 0]
    return bool((first == colour[..., 1]).all() and (first == colour[..., 2]).all())
