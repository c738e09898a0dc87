"""One radiograph and its lung mask: from two files to two packed arrays and their defects.

The pixels are those of the study: ``cv2.imread(..., IMREAD_GRAYSCALE)``, then a bilinear
``cv2.resize``. So palettes and alpha channels become what OpenCV makes of them, and 16-bit images
keep their upper 8 bits, or what ``depth`` makes of them. The orientation that a JPEG or TIFF states
is applied, since every viewer does; that of a PNG is not, since hardly any does.
"""

import hashlib
from dataclasses import dataclass, field

import cv2
import numpy as np

from pulmoscan.data import depth, images, masks, shapes
from pulmoscan.data.options import Options

DATABASE_MASK = (256, 256)  # width and height of every mask of the database
DEFAULTS = Options()

_DARK = 16  # levels; the brightest of 800 radiographs' pixels are above 150
_SMALLEST_MASK = 32  # pixels; in smaller ones a rounded pixel is more than the ratio says
_MOST_OF_TWO = 0.9  # of the pixels in two grey levels; at most 0.57 in the same 800


@dataclass
class Radiograph:
    """What a pair of files holds. Where it cannot be read, numbers are 0, means NaN, text empty.

    Attributes:
        image: s x s uint8 grey levels; zeros if the image cannot be read.
        mask: s x s uint8, 1 inside the lungs; zeros if the mask cannot be used.
        width: Of the image at its stored size, in pixels.
        height: Of the same, in pixels.
        format: ``formats.Header.format`` of the image.
        mode: ``formats.Header.mode`` of the image.
        equal_channels: Whether a colour image has three equal channels; False for a grey one.
        mask_width: Of the mask as stored, in pixels.
        mask_height: Of the mask as stored, in pixels.
        mask_binary: Whether the mask holds only 0 and 255. Other values are no defect.
        mask_form: What the mask holds and what counts as lung, see ``masks.Lungs``.
        bits: Bits per channel of the image; of a file with more than 8, those in use.
        scale: What became black and white of values that have more than 8 bits, or that the file
            says how to show; "" for others.
        highest: Of an image that its data set scales, its highest value; 0 for others.
        mean: Mean grey level (0..255) of the image at its stored size.
        sd: Standard deviation (divided by n) of the same.
        pixel_sha256: SHA-256 of the grey pixels (uint8, row by row) at the stored size.
        defects: Reasons why the pair cannot be used; empty if it can.
    """

    image: np.ndarray
    mask: np.ndarray
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    equal_channels: bool = False
    mask_width: int = 0
    mask_height: int = 0
    mask_binary: bool = False
    mask_form: str = ""
    bits: int = 0
    scale: str = ""
    highest: int = 0
    mean: float = float("nan")
    sd: float = float("nan")
    pixel_sha256: str = ""
    defects: list[str] = field(default_factory=list)


def highest(file: bytes, options: Options = DEFAULTS) -> int:
    """Return the highest value of an image that its data set scales.

    0 for any other image, and for one that cannot be decoded.
    """
    try:
        image = images.opened(file)
        if not depth.needs_data_set(image.header.depth, image.table, options):
            return 0
        with image.turn():
            return _highest(image.decode(False))
    except ValueError:
        return 0


def read(
    image_file: bytes,
    mask_file: bytes | None,
    image: np.ndarray,
    mask: np.ndarray,
    bits: int = 16,
    options: Options = DEFAULTS,
) -> Radiograph:
    """Decode an image and its mask, each once.

    Args:
        image_file: content of the image's file.
        mask_file: content of the mask's, None if there is none.
        image: s x s uint8 to write the image to.
        mask: s x s uint8 to write the mask to.
        bits: those in use of images with more than 8, see ``depth``.
        options: how the data set is packed.

    Returns:
        The pair, which holds ``image`` and ``mask``. A mask of another size than s is resized to
        its nearest pixels. Nothing is raised for a bad file: ``defects`` says what is wrong.
    """
    pair = Radiograph(image, mask)
    try:
        opened = images.opened(image_file)
        with opened.turn():
            _read_image(pair, opened, bits, options)
    except ValueError as error:
        pair.defects.append(f"unreadable image: {error}")
        image.fill(0)
    if not _read_mask(pair, mask_file, options):
        mask.fill(0)
    return pair


def scaled_masks(
    mask_width: np.ndarray, mask_height: np.ndarray, width: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """Return whether masks have neither the size of their image nor that of the database."""
    same = (mask_width == width) & (mask_height == height)
    usual = (mask_width == DATABASE_MASK[0]) & (mask_height == DATABASE_MASK[1])
    return (mask_width > 0) & (width > 0) & ~same & ~(usual & (width == height))


def _read_image(pair: Radiograph, file: images.Image, bits: int, options: Options) -> None:
    header = file.header
    grey, by_bits = _grey(pair, file, bits, options)
    pair.width, pair.height = header.width, header.height
    pair.format, pair.mode = header.format, header.mode
    pair.pixel_sha256 = hashlib.sha256(grey).hexdigest()
    mean, sd = cv2.meanStdDev(grey)
    pair.mean, pair.sd = float(mean.item()), float(sd.item())
    shapes.fit(grey, pair.image, options.shape, cv2.INTER_LINEAR)
    used = ""
    if by_bits:
        highest_bits = depth.bits_in_use(int(grey.max()) << (pair.bits - 8))
        used = f" (it uses {highest_bits} of {pair.bits} bits)"
    pair.defects += _problems(pair.image, used)


def _grey(
    pair: Radiograph, file: images.Image, bits: int, options: Options
) -> tuple[np.ndarray, bool]:
    """Return 8 bits of an image, and whether they are the upper ones of those in use.

    What was made of its channels and bits is written to ``pair``.
    """
    deep = file.header.depth > 8
    pair.bits = file.header.depth
    if file.table is not None and not (
        options.depth == "full" or (deep and options.depth != "auto")
    ):
        pair.scale = file.table.text
        return file.table.levels[file.decode(False)], False
    if deep and options.depth == "window":
        grey, pair.equal_channels = _one_channel(file.decode(False))
        grey, pair.scale = depth.windowed(grey, options.window)
    elif deep:
        if options.depth == "auto":
            pair.bits = min(bits, pair.bits)
        used = depth.IN_USE if options.depth == "auto" else depth.ALL
        pair.scale = f"{used}: 0 to {(1 << pair.bits) - 1}"
        pixels = file.decode(False)
        pair.highest = _highest(pixels) if options.depth == "auto" else 0
        if pixels.ndim == 2 or pair.bits < file.header.depth:
            pixels = depth.reduced(pixels, pair.bits)
            grey, pair.equal_channels = _one_channel(pixels)
        else:
            grey = _grey_of_8_bits(pair, file)
    else:
        grey = _grey_of_8_bits(pair, file)
    by_bits = deep and options.depth != "window" and not file.inverted
    return (cv2.bitwise_not(grey) if file.inverted else grey), by_bits


def _grey_of_8_bits(pair: Radiograph, file: images.Image) -> np.ndarray:
    if file.header.mode == "RGB":
        colour = file.decode(False)
        pair.equal_channels = _equal_channels(colour)
        # Grey from equal channels is any of them; OpenCV's own conversion serves the others.
        return colour[..., 0].copy() if pair.equal_channels else file.decode(True)
    grey = file.decode(True)
    if not file.header.mode.startswith("L"):
        pair.equal_channels = _equal_channels(file.decode(False))
    return grey


def _one_channel(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return grey levels, and whether a colour image has equal channels."""
    if pixels.ndim == 2:
        return pixels, False
    if _equal_channels(pixels):
        return pixels[..., 0].copy(), True
    return cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_BGR2GRAY), False


def _highest(pixels: np.ndarray) -> int:
    return int(pixels.max() if pixels.ndim == 2 else pixels[..., :3].max())


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


def _read_mask(pair: Radiograph, file: bytes | None, options: Options) -> bool:
    """Return whether the mask was written; if not, a defect says why, unless none is asked for."""
    if file is None or options.masks == "none":
        if options.masks == "required":
            pair.defects.append("no mask")
        return False
    try:
        opened = images.opened(file)
        # Every mask of the database is decoded as it was by the study.
        with opened.turn():
            pixels = opened.decode(opened.header.mode == "L")
    except ValueError as error:
        pair.defects.append(f"unreadable mask: {error}")
        return False
    if opened.inverted:
        pixels = np.iinfo(pixels.dtype).max - pixels
    pair.mask_height, pair.mask_width = pixels.shape[:2]
    problem = _misfit((pair.mask_width, pair.mask_height), (pair.width, pair.height))
    if problem and pair.width:
        pair.defects.append(problem)
        return False
    try:
        inside = _inside(pair, pixels, opened.header.mode == "L", options)
    except ValueError as error:
        pair.defects.append(str(error))
        return False
    if inside.shape != pair.mask.shape:
        fitted = np.empty_like(pair.mask)
        shapes.fit(inside, fitted, options.shape, cv2.INTER_NEAREST)
        inside = fitted
    cv2.threshold(inside, 127, 1, cv2.THRESH_BINARY, dst=pair.mask)
    problem = None if pair.mask_form == masks.WHOLE else masks.problem(pair.mask)
    if problem is not None:
        pair.defects.append(problem)
    return True


def _inside(pair: Radiograph, pixels: np.ndarray, plain: bool, options: Options) -> np.ndarray:
    """Return h x w uint8, 255 inside the lungs, and write to ``pair`` what the mask holds."""
    if options.white_masks == "whole" and masks.all_white(pixels):
        pair.mask_form = masks.WHOLE
        return np.full(pixels.shape[:2], 255, np.uint8)
    pair.mask_binary = plain and masks.standard(pixels)
    if pair.mask_binary:
        pair.mask_form = masks.STANDARD
        return pixels
    lungs = masks.lungs(pixels)
    pair.mask_form = lungs.form
    pair.mask_binary = lungs.form == masks.STANDARD
    return lungs.inside


def _misfit(mask: tuple[int, int], image: tuple[int, int]) -> str | None:
    """Return why a mask and an image, both width and height, do not show one field of view.

    None if they do: the sizes are equal, as in the database, or have one ratio, give or take the
    pixel that scaling rounds. A mask of any other size would be stretched by guess, and no later
    number would show a wrong guess.
    """
    if mask == image or (mask == DATABASE_MASK and image[0] == image[1]):
        return None
    difference = abs(mask[0] * image[1] - mask[1] * image[0])
    if min(mask) >= _SMALLEST_MASK and difference <= max(image):
        return None
    sizes = f"mask is {mask[0]}x{mask[1]}, the image {image[0]}x{image[1]}"
    if mask == image[::-1]:
        return f"{sizes}: one of them is turned by its orientation or stored lying; turn the mask"
    return f"{sizes}: expected the same size or the same ratio of width to height"


def _equal_channels(colour: np.ndarray) -> bool:
    """Return whether the first three channels of h x w x c pixels are equal."""
    first = colour[..., 0]
    return bool((first == colour[..., 1]).all() and (first == colour[..., 2]).all())
