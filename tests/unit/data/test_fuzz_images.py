"""Whatever is done to an image file, it is refused in one sentence or its pixels are read right."""

import hashlib
import io
import re
import struct
import warnings
import zlib
from collections import Counter

import cv2
import mutants
import numpy as np
import pytest
import small_database as small
from fuzzing import good_mask, mutated, report, share
from PIL import Image
from pulmoscan.data import radiographs
from pulmoscan.phantom import database as phantom

SIDE = 64

warnings.filterwarnings("ignore", category=UserWarning)  # of what damaged files hold


def strictly_decoded(content: bytes) -> tuple[tuple[int, int], np.ndarray] | None:
    """Return size and grey levels as Pillow reads them, None where it refuses.

    Grey of colours: libpng's ``png_set_rgb_to_gray`` with the weights 0.299 and 0.587 that OpenCV
    gives it, in 15 bits. Of 16 bits the upper 8 count.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            size, mode = image.size, image.mode
            pixels = np.asarray(image.convert("RGB") if mode == "P" else image)
    except Exception:  # Pillow raises whatever its parts do
        return None
    if mode == "1":
        pixels = pixels.astype(np.uint8) * 255
    if mode.startswith("I"):
        pixels = pixels >> 8
    if pixels.ndim == 2:
        return size, pixels.astype(np.uint8)
    if pixels.shape[2] == 2:
        return size, pixels[..., 0]
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    return size, ((9797 * red + 19234 * green + 3737 * blue) >> 15).astype(np.uint8)


def forms(pixels: np.ndarray) -> list[bytes]:
    """PNG files of all modes that show these grey levels or something made of them."""
    side = len(pixels)
    random = np.random.default_rng(0)
    pairs = np.dstack([pixels, 255 - pixels])
    sixteen = (pixels.astype(np.uint16) * 257).astype(">u2")
    bits = np.packbits(pixels > 127, axis=1)
    scan = [b"".join(b"\0" + row.tobytes() for row in rows) for rows in (pairs, sixteen, bits)]
    palette = b"".join(b"\0" + (row // 8).tobytes() for row in pixels)
    return [
        small.encoded(pixels),
        small.encoded(np.dstack([pixels] * 3)),
        small.encoded(np.dstack([pixels, pixels[::-1], pixels.T])),
        small.encoded(np.dstack([pixels, pixels[::-1], pixels.T, pixels])),
        small.png(side, side, 8, 4, scan[0]),
        small.png(side, side, 16, 0, scan[1]),
        small.png(side, side, 1, 0, scan[2]),
        small.png(side, side, 8, 3, palette, random.bytes(96)),
        mutants.interlaced(pixels),
    ]


@pytest.fixture(scope="module")
def phantom_files(tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("phantoms")
    phantom.write_database(folder, 12, SIDE, 0)
    paths = sorted(folder.glob("*/images/*-[12].png"))
    grey = cv2.imread(str(paths[0]), cv2.IMREAD_GRAYSCALE)
    return [path.read_bytes() for path in paths] + forms(grey)


def outcome_of_image(file: bytes, mutant: bytes) -> str:
    """Read a damaged image; return what is said of it after comparing what is read of it."""
    arrays = np.full((2, SIDE, SIDE), 77, np.uint8)
    pair = radiographs.read(mutant, good_mask(), *arrays)
    unreadable = [defect for defect in pair.defects if defect.startswith("unreadable image: ")]
    if unreadable:
        assert not arrays[0].any()
        assert (pair.width, pair.mode, pair.pixel_sha256) == (0, "", "")
        reason = unreadable[0].partition(": ")[2]
        return f"refused: {re.sub(r'[0-9][0-9,]*', 'N', reason)}"
    # Pillow refuses long texts; then the pixels must be those before the damage.
    size, grey = strictly_decoded(mutant) or strictly_decoded(file)
    assert (pair.width, pair.height) == size
    assert pair.pixel_sha256 == hashlib.sha256(np.ascontiguousarray(grey)).hexdigest()
    assert np.array_equal(arrays[0], cv2.resize(grey, (SIDE, SIDE)))
    return "read equal" + (", with other pixels" if mutant_shows_other(file, grey) else "")


def mutant_shows_other(file: bytes, grey: np.ndarray) -> bool:
    return not np.array_equal(strictly_decoded(file)[1], grey)


def outcome_of_mask(mutant: bytes) -> str:
    arrays = np.full((2, 256, 256), 77, np.uint8)
    pair = radiographs.read(small.encoded(small.radiograph(0)), mutant, *arrays)
    if any(defect.startswith(("unreadable mask", "mask is 2")) for defect in pair.defects):
        assert not arrays[1].any()
        return "refused"
    decoded = strictly_decoded(mutant)
    if decoded is not None and decoded[0] == (256, 256):
        assert np.array_equal(arrays[1], decoded[1] > 127)
    return "read equal"


def test_mutated_phantoms(phantom_files):
    outcomes = Counter()
    for number in share(0.45):
        outcomes[
            outcome_of_image(*mutated(number, phantom_files, mutants.PNG_CHANGES, seed=1))
        ] += 1
    report("phantoms", outcomes)
    assert {"read equal", "refused: a checksum in the file is wrong"} <= set(outcomes)


def test_mutated_real_radiographs(real_data):
    paths = [sorted(folder.glob("*.png"))[7] for folder in sorted(real_data.glob("*/images"))]
    paths.append(next((real_data / "Viral_Pneumonia/images").glob("*-1*.png")))
    files = [path.read_bytes() for path in paths]
    outcomes = Counter()
    for number in share(0.2):
        outcomes[outcome_of_image(*mutated(number, files, mutants.PNG_CHANGES, seed=2))] += 1
    report("real radiographs", outcomes)
    assert {"read equal", "refused: a checksum in the file is wrong"} <= set(outcomes)


def test_mutated_masks():
    outcomes = Counter()
    for number in share(0.05):
        _, mutant = mutated(number, [good_mask()], mutants.PNG_CHANGES, seed=3)
        outcomes[outcome_of_mask(mutant)] += 1
    report("masks", outcomes)


@pytest.mark.parametrize("form", range(9))
def test_every_form_is_read_equal_before_any_damage(form):
    file = forms(small.radiograph(0))[form]
    assert outcome_of_image(file, file) == "read equal"


HEADER = struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0)
DATA = dict(mutants.chunks(small.encoded(small.radiograph(0))))[b"IDAT"]
PIXELS = (b"IDAT", DATA)
END = (b"IEND", b"")


@pytest.mark.parametrize(
    "parts",
    [
        [PIXELS, (b"tEXt", b"Comment\0" + b"a" * (9 << 20)), END],
        [(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20))), PIXELS, END],
        [(b"IDAT", DATA[:100]), (b"IDAT", b""), (b"IDAT", DATA[100:]), END],
        [(b"gAMA", struct.pack(">I", 1)), PIXELS, END],
        [(b"tRNS", b"\0\1"), PIXELS, END],
    ],
)
def test_what_lies_beside_the_pixels_does_not_matter(parts):
    file = small.encoded(small.radiograph(0))
    assert outcome_of_image(file, mutants.joined([(b"IHDR", HEADER), *parts])) == "read equal"


@pytest.mark.parametrize("seed", range(4))
def test_an_animation_is_refused(seed):
    file = mutants.animation(np.random.default_rng(seed), small.encoded(small.radiograph(0)))
    assert outcome_of_image(file, file) == "refused: it is an animation, not one image"
