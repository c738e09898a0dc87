"""JPEG and TIFF are read as what they show, or refused with the reason."""

import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import small_database as small
import small_images as make
from pulmoscan.data import formats, jpeg, radiographs
from pulmoscan.data.options import Options

SCRIPTS = Path(radiographs.__file__).resolve().parents[2]
GREY = cv2.resize(small.radiograph(1), (48, 64))  # higher than wide
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
DEEP = GREY.astype(np.uint16) * 16


def read(file: bytes, mask: bytes | None = None, bits: int = 16) -> radiographs.Radiograph:
    pair = radiographs.read(file, mask, *np.full((2, 40, 40), 7, np.uint8), bits)
    pair.defects = [defect for defect in pair.defects if defect != "no mask"]
    return pair


def shown(pixels: np.ndarray) -> list[list[int]]:
    return cv2.resize(pixels, (40, 40), interpolation=cv2.INTER_LINEAR).tolist()


def test_a_format_is_told_by_the_content_and_the_import_is_light():
    code = "import sys, pulmoscan.data.formats; assert not {'cv2', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(SCRIPTS)})
    files = {
        "PNG": small.encoded(GREY),
        "JPEG": make.jpeg(GREY),
        "TIFF": make.tiff(GREY, order=">"),
        "DICOM": make.dicom(GREY),
        None: b"radiograph",
    }
    for name, file in files.items():
        assert formats.of(file[: formats.START]) == name
        assert read(file).format == (name or "")


@pytest.mark.parametrize("options", [{}, {"PROGRESSIVE": 1}, {"RST_INTERVAL": 2}, {"QUALITY": 20}])
@pytest.mark.parametrize("pixels", [GREY, COLOUR, np.dstack([GREY] * 3)], ids=["L", "RGB", "equal"])
def test_a_jpeg_is_what_opencv_makes_of_it(pixels, options):
    file = make.jpeg(pixels, **options)
    pair = read(file)
    assert pair.defects == []
    assert (pair.mode, pair.bits, pair.scale) == ("L" if pixels.ndim == 2 else "RGB", 8, "")
    assert pair.image.tolist() == shown(cv2.imdecode(np.frombuffer(file, np.uint8), 0))
    assert pair.equal_channels == (pixels.ndim == 3 and bool((pixels[..., :1] == pixels).all()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_of_a_jpeg_is_applied_as_opencv_does(orientation, order):
    file = make.jpeg(GREY, orientation, order)
    upright = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_GRAYSCALE)
    pair = read(file)
    assert (pair.height, pair.width) == upright.shape
    assert pair.image.tolist() == shown(upright)
    same = read(make.tiff(GREY, tags={274: orientation}))
    turned = cv2.imdecode(
        np.frombuffer(make.jpeg(GREY, orientation, QUALITY=100), np.uint8), cv2.IMREAD_GRAYSCALE
    )
    assert (same.height, same.width) == upright.shape
    assert np.abs(same.image.astype(int) - shown(turned)).max() < 4


def test_a_mask_of_the_image_as_it_lies_in_the_file_is_a_defect():
    mask = small.encoded(cv2.resize(small.mask(), (48, 64), interpolation=cv2.INTER_NEAREST))
    assert read(make.jpeg(GREY), mask).defects == []
    (defect,) = read(make.jpeg(GREY, 6), mask).defects
    assert defect == (
        "mask is 48x64, the image 64x48: one of them is turned by its orientation or stored lying; "
        "turn the mask"
    )


def frame(file: bytes, **changes: int) -> bytes:
    """A JPEG file with changes in its frame: marker, bits, channels."""
    at = file.index(b"\xff\xc0")
    changed = bytearray(file)
    for name, value in changes.items():
        changed[at + {"marker": 1, "bits": 4, "height": 5, "width": 7, "channels": 9}[name]] = value
    return bytes(changed)


JPEG = make.jpeg(GREY)
REFUSED = {
    "CMYK": (frame(JPEG, channels=4), "CMYK JPEG, as made for print, is not read: save it as grey"),
    "12 bits": (frame(JPEG, bits=12), "JPEG of 12 bits is not read: save it as PNG or TIFF of 16"),
    "lossless": (frame(JPEG, marker=0xC3), "lossless JPEG is not read: save it as PNG"),
    "arithmetic": (frame(JPEG, marker=0xC9), "JPEG with arithmetic coding is not read: save it"),
    "hierarchical": (frame(JPEG, marker=0xC5), "hierarchical JPEG is not read: save it as PNG"),
    "bomb": (frame(JPEG, height=255, width=255), "65328x65344 pixels are more than 67,108,864"),
    "no pixels": (JPEG[:2] + b"\xff\xd9", "the JPEG file has no image"),
    "damaged": (
        JPEG[:2] + b"\xff\xe0\0\x03radiograph",
        "the segments of the JPEG file are damaged",
    ),
    "pages": (make.tiff(GREY, pages=3), "it has 3 pages, not one image"),
    "floats": (make.tiff(GREY.astype(np.float32)), "TIFF of floating-point numbers is not read"),
    "signed": (make.tiff(GREY, tags={339: 2}), "TIFF of signed numbers is not read: save it with"),
    "32 bits": (make.tiff(GREY.astype(np.uint32)), "TIFF of 32 bits is not read: save it with 8"),
    "4 bits": (make.tiff(GREY, tags={258: 4}), "TIFF of 4 bits is not read: save it with 8 or 16"),
    "print": (
        make.tiff(np.dstack([COLOUR, GREY]), tags={262: 5}),
        "TIFF in CMYK, as made for print, is not read: save it as grey or RGB",
    ),
    "two of 16": (
        make.tiff(np.dstack([DEEP, DEEP]), tags={262: 1}),
        "TIFF of 2 channels of 16 bits is not read: save it as grey or RGB",
    ),
    "planes": (make.tiff(COLOUR, tags={284: 2}), "TIFF with separate planes is not read: save it"),
    "compression": (make.tiff(GREY, tags={259: 34712}), "TIFF compression 34712 is not read: save"),
    "TIFF bomb": (
        make.tiff(GREY, tags={256: 10**5, 257: 10**5}),
        "100000x100000 pixels are more than",
    ),
    "rows": (make.tiff(GREY, tags={257: 65}), "the TIFF header does not say where its pixels are"),
    "columns": (make.tiff(GREY, tags={256: 49}), "the file is cut off"),
    "loop": (
        make.tiff(GREY)[:-4] + make.tiff(GREY)[4:8],
        "it has 10,000 or more pages, not one image",
    ),
    "BigTIFF": (b"II+\0\x08\0\0\0", "not a PNG, JPEG, TIFF or DICOM file but BigTIFF"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_named_in_one_line(name, capfd):
    file, reason = REFUSED[name]
    pair = read(file)
    (defect,) = pair.defects
    assert defect.startswith(f"unreadable image: {reason}")
    assert (pair.width, pair.format, pair.pixel_sha256) == (0, "", "")
    assert not pair.image.any()


@pytest.mark.parametrize(
    "file",
    [make.jpeg(GREY), make.jpeg(COLOUR, 6, PROGRESSIVE=1), make.tiff(GREY), make.tiff(DEEP, ">")],
)
def test_a_file_cut_anywhere_is_a_defect(file):
    for length in range(0, len(file), 3):
        (defect,) = read(file[:length]).defects
        assert any(words in defect for words in ("cut off", "not a PNG", "is empty", "damaged"))


@pytest.mark.parametrize("pixels", [GREY, DEEP, COLOUR], ids=["L", "L16", "RGB"])
def test_damage_within_a_deflated_tiff_is_a_defect(pixels):
    file = cv2.imencode(".tif", pixels, [cv2.IMWRITE_TIFF_COMPRESSION, 8])[1].tobytes()
    assert read(file, bits=12).defects == []
    random = np.random.default_rng(0)
    for place in random.integers(8, len(file) - 400, 40):
        damaged = file[:place] + random.bytes(8) + file[place + 8 :]
        (defect,) = read(damaged, bits=12).defects
        assert defect.startswith("unreadable image: ")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize(
    ("pixels", "mode"),
    [(GREY, "L"), (DEEP, "L16"), (COLOUR, "RGB"), (COLOUR.astype(np.uint16) * 16, "RGB16")],
    ids=["L", "L16", "RGB", "RGB16"],
)
def test_a_tiff_is_the_png_of_its_pixels(pixels, mode, compression, order):
    if compression == 1:
        file = make.tiff(pixels if pixels.ndim == 2 else pixels[..., ::-1], order)
    else:
        options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
        file = cv2.imencode(".tif", pixels, options)[1].tobytes()
    pair, png = read(file, bits=12), read(small.encoded(pixels), bits=12)
    assert pair.defects == []
    assert (pair.mode, pair.bits, pair.scale) == (mode, png.bits, png.scale)
    # OpenCV takes grey from the three colours of a PNG while it decodes them, and rounds down.
    most = 2 if mode == "RGB" else 0
    assert np.abs(pair.image.astype(int) - png.image).max() <= most


@pytest.mark.parametrize("pixels", [GREY, DEEP], ids=["L", "L16"])
def test_a_tiff_whose_zero_is_white_is_inverted(pixels):
    pair = read(make.tiff(pixels, tags={262: 0}), bits=12)
    assert pair.image.tolist() == shown(255 - GREY)


MASK = small.mask(64)
FORMS = {
    "JPEG": make.jpeg(MASK),
    "colour JPEG": make.jpeg(np.dstack([MASK, MASK, MASK // 2])),
    "TIFF": make.tiff(MASK),
    "TIFF of 16 bits": make.tiff((MASK // 255).astype(np.uint16) * 9, ">"),
    "white is 0": make.tiff(255 - MASK, tags={262: 0}),
    "DICOM": make.dicom(MASK // 255),
    "MONOCHROME1": make.dicom(255 - MASK, PhotometricInterpretation="MONOCHROME1"),
    "signed": make.dicom((MASK // 255).astype(np.int16)),
}


@pytest.mark.parametrize("name", FORMS)
def test_masks_are_read_in_every_format(name):
    arrays = np.zeros((2, 64, 64), np.uint8)
    pair = radiographs.read(make.tiff(small.radiograph(0)), FORMS[name], *arrays)
    assert pair.defects == []
    assert np.count_nonzero(pair.mask != MASK // 255) < (300 if "JPEG" in name else 1)


@pytest.mark.parametrize(
    ("size", "fits"),
    [((32, 43), True), ((33, 43), True), ((96, 128), True), ((34, 43), False), ((64, 64), False)],
)
def test_a_mask_may_have_another_size_of_the_same_ratio(size, fits):
    mask = small.encoded(cv2.resize(small.mask(), size, interpolation=cv2.INTER_NEAREST))
    pair = read(small.encoded(GREY), mask)
    assert (pair.mask_width, pair.mask_height) == size
    if fits:
        assert pair.defects == []
        assert pair.mask.any()
    else:
        sizes = f"mask is {size[0]}x{size[1]}, the image 48x64"
        ratio = "expected the same size or the same ratio of width to height"
        assert pair.defects == [f"{sizes}: {ratio}"]


def test_a_white_mask_is_the_whole_image_where_the_config_says_so():
    for white in (np.full((64, 48), 255, np.uint8), np.full((64, 48), 65535, np.uint16)):
        files = small.encoded(GREY), small.encoded(white)
        arrays = np.zeros((2, 40, 40), np.uint8)
        assert radiographs.read(*files, *arrays).defects == ["mask is all white"]
        whole = radiographs.read(*files, *arrays, options=Options(white_masks="whole"))
        assert whole.defects == []
        assert whole.mask.all()
        assert whole.mask_form == "all white: the whole image is lung"


@pytest.mark.parametrize("policy", ["optional", "none"])
def test_an_image_without_a_mask_is_no_defect_where_none_is_asked_for(policy):
    arrays = np.full((2, 40, 40), 7, np.uint8)
    file = small.encoded(small.radiograph(0))
    pair = radiographs.read(file, None, *arrays, options=Options(masks=policy))
    assert (pair.defects, pair.mask_form, pair.mask.any()) == ([], "", False)
    given = radiographs.read(file, b"no mask", *arrays, options=Options(masks=policy))
    assert bool(given.defects) == (policy == "optional")


def test_a_size_is_read_from_any_frame_and_never_beyond_the_file():
    assert jpeg.frame_size(JPEG) == (48, 64)
    assert jpeg.frame_size(frame(JPEG, marker=0xC3)) == (48, 64)
    assert jpeg.frame_size(b"\xff\xd8") is None
    assert jpeg.frame_size(b"\xff\xd8\xff\xc0" + struct.pack(">H", 3) + b"\0") is None


def deflated(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".tif", pixels, [cv2.IMWRITE_TIFF_COMPRESSION, 8])[1].tobytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "file",
    [
        make.jpeg(COLOUR, 6, PROGRESSIVE=1),
        make.tiff(DEEP, ">"),
        deflated(COLOUR),
        make.dicom(DEEP, 12, WindowCenter=1500, WindowWidth=2000),
        make.compressed(GREY, "1.2.840.10008.1.2.5", make.run_lengths(GREY)),
        make.compressed(GREY, "1.2.840.10008.1.2.4.50", make.jpeg(GREY)),
    ],
    ids=["JPEG", "TIFF", "deflated", "DICOM", "run lengths", "JPEG in DICOM"],
)
def test_a_damaged_file_is_read_or_refused_and_stops_nothing(file):
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(file)
        for place in random.integers(0, len(file), random.integers(1, 5)):
            damaged[place] = random.integers(0, 256)
        if random.random() < 0.3:
            start, end = sorted(random.integers(0, len(file), 2))
            del damaged[start:end]
        pair = read(bytes(damaged), bits=12)
        unreadable = [defect for defect in pair.defects if defect.startswith("unreadable image: ")]
        assert pair.image.any() != bool(unreadable) or pair.defects
        refused += bool(unreadable)
    assert refused > 30
