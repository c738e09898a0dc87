"""DICOM is read as its viewers show it, or refused with the reason; nothing of a patient stays."""

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
import small_database as small
import small_images as make
from pulmoscan.data import dicom, images, radiographs
from pulmoscan.data.options import Options
from pydicom.pixels import apply_modality_lut, apply_voi_lut

GREY = cv2.resize(small.radiograph(1), (48, 64))
DEEP = (GREY.astype(np.uint16) * 16) + 7  # 12 bits
NEEDS_NO_MASK = Options(masks="optional")


def read(file: bytes, bits: int = 16, **options: object) -> radiographs.Radiograph:
    arrays = np.full((2, 40, 40), 7, np.uint8)
    return radiographs.read(file, None, *arrays, bits, Options(masks="optional", **options))


def png(pixels: np.ndarray) -> list:
    return read(small.encoded(pixels)).image.tolist()


def lut(data: list[int], first: int, bits: int) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [len(data), first, bits])
    item.add_new("LUTData", "US", data)
    item.add_new("ModalityLUTType", "LO", "US")
    return pydicom.Sequence([item])


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
)
@pytest.mark.parametrize("colour", [False, True])
def test_8_bits_without_a_window_are_those_of_the_file(syntax, colour):
    pixels = np.dstack([GREY, GREY[::-1], GREY]) if colour else GREY
    made = make.dataset(pixels)
    made.file_meta.TransferSyntaxUID = syntax
    pair = read(make.saved(made))
    assert pair.defects == []
    assert (pair.format, pair.mode, pair.scale) == ("DICOM", "RGB" if colour else "L", "")
    expected = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if colour else pixels
    assert pair.image.tolist() == png(expected)


def test_monochrome1_is_inverted_and_a_falling_slope_inverts_once_more():
    one = {"PhotometricInterpretation": "MONOCHROME1"}
    assert read(make.dicom(GREY, **one)).image.tolist() == png(255 - GREY)
    assert read(make.dicom(GREY, **one, RescaleSlope=-1)).image.tolist() == png(GREY)


def test_without_a_window_the_scale_is_that_of_the_data_set():
    file = make.dicom(DEEP, 12)
    assert radiographs.highest(file) == DEEP.max()
    pair = read(file, bits=12)
    assert (pair.mode, pair.bits, pair.scale) == ("L12", 12, "bits in use: 0 to 4095")
    assert pair.image.tolist() == png(GREY)
    white = read(make.dicom(DEEP, 12, PhotometricInterpretation="MONOCHROME1"), bits=12)
    assert white.image.tolist() == png(255 - GREY)
    signed = DEEP.astype(np.int16) - 2048
    assert radiographs.highest(make.dicom(signed, 12)) == DEEP.max()
    assert read(make.dicom(signed, 12), bits=12).image.tolist() == png(GREY)


SHOWN: dict[str, dict] = {
    "window": {"WindowCenter": 1500, "WindowWidth": 2000},
    "two windows": {"WindowCenter": [1500, 100], "WindowWidth": [2000, 50]},
    "exact": {"WindowCenter": 1500, "WindowWidth": 2000, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "rescaled": {
        "WindowCenter": 500,
        "WindowWidth": 2000,
        "RescaleSlope": 0.5,
        "RescaleIntercept": -100,
    },
    "falling": {"WindowCenter": -1500, "WindowWidth": 2000, "RescaleSlope": -1},
    "table": {"VOILUTSequence": lut([min(v * v // 900, 4095) for v in range(4096)], 0, 12)},
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_window_or_table_of_the_file_is_applied_as_pydicom_does(name, photometric):
    made = make.dataset(DEEP, 12, PhotometricInterpretation=photometric)
    for keyword, value in SHOWN[name].items():
        setattr(made, keyword, value)
    if "RescaleSlope" in SHOWN[name]:
        made.RescaleIntercept = SHOWN[name].get("RescaleIntercept", 0)
    file = make.saved(made)
    assert radiographs.highest(file) == 0
    image = images.opened(file)
    grey = image.table.levels[image.decode(False)]
    values = apply_modality_lut(np.arange(4096), made)
    levels = np.asarray(apply_voi_lut(values if name != "table" else np.arange(4096), made), float)
    # pydicom's range is that of the values; ours is 0 to 255.
    ends = (0, 4095) if name == "table" else (values[0], values[-1])
    expected = (levels - ends[0]) / (ends[1] - ends[0]) * 255
    if photometric == "MONOCHROME1":
        expected = 255 - expected
    assert np.abs(grey - expected[DEEP]).max() <= 0.51
    pair = read(file)
    assert pair.defects == []
    assert pair.bits == 12
    assert pair.scale.startswith("table" if name == "table" else "window of the file: ")


def test_the_window_that_was_used_is_recorded():
    file = make.dicom(DEEP, 12, WindowCenter=1500, WindowWidth=2000)
    assert read(file).scale == "window of the file: 500 to 2500"


def test_a_modality_table_alone_is_the_scale():
    made = make.dataset(GREY)
    made.ModalityLUTSequence = lut([255 - value for value in range(256)], 0, 8)
    pair = read(make.saved(made))
    assert (pair.image.tolist(), pair.scale) == (png(255 - GREY), "table of the file")


def test_depth_full_and_window_leave_the_window_of_the_file_aside():
    file = make.dicom(DEEP, 12, WindowCenter=100, WindowWidth=10)
    full = read(file, depth="full")
    assert (full.image.tolist(), full.scale) == (png(GREY), "all bits: 0 to 4095")
    window = read(file, depth="window", window=(1, 99))
    low, high = (int(np.percentile(DEEP, p, method="inverted_cdf")) for p in (1, 99))
    assert window.scale == f"percentiles: {low} to {high}"
    assert window.image.min() == 0
    assert window.image.max() == 255


CODECS = {
    "1.2.840.10008.1.2.4.57": lambda p: imagecodecs.jpeg8_encode(p, lossless=True, predictor=4),
    "1.2.840.10008.1.2.4.70": lambda p: imagecodecs.jpeg8_encode(p, lossless=True),
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_encode,
    "1.2.840.10008.1.2.4.90": lambda p: imagecodecs.jpeg2k_encode(p, codecformat="j2k", level=0),
    "1.2.840.10008.1.2.5": make.run_lengths,
}


@pytest.mark.parametrize("syntax", CODECS)
@pytest.mark.parametrize(
    ("pixels", "bits"), [(GREY, 8), (DEEP, 12), (DEEP * 15, 16)], ids=["8", "12", "16"]
)
def test_lossless_compression_changes_nothing(syntax, pixels, bits):
    file = make.compressed(pixels, syntax, CODECS[syntax](pixels), bits=bits)
    assert np.array_equal(images.opened(file).decode(False), pixels)
    cut = make.compressed(pixels, syntax, CODECS[syntax](pixels)[:-40], bits=bits)
    assert read(cut).defects == ["unreadable image: its pixels cannot be decoded"]


def test_lossy_compression_of_8_and_12_bits():
    jpeg = make.jpeg(GREY)
    file = make.compressed(GREY, "1.2.840.10008.1.2.4.50", jpeg)
    assert read(file).image.tolist() == read(jpeg).image.tolist()
    frame = imagecodecs.jpeg8_encode(DEEP, level=98, bitspersample=12)
    deep = images.opened(make.compressed(DEEP, "1.2.840.10008.1.2.4.51", frame, bits=12))
    assert np.abs(deep.decode(False).astype(int) - DEEP).mean() < 20


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"])
def test_colours_of_scanners_are_those_that_pydicom_shows(name):
    path = pydicom.data.get_testdata_file(name, download=False)
    expected = pydicom.pixels.pixel_array(pydicom.dcmread(path), decoding_plugin="pillow")
    found = images.opened(Path(path).read_bytes()).decode(False)
    assert np.array_equal(found[..., ::-1], expected)


def changed(**changes: object) -> bytes:
    return make.dicom(GREY, **changes)


def of_syntax(uid: str) -> bytes:
    made = make.dataset(GREY)
    file = bytearray(make.saved(made))
    at = file.index(b"1.2.840.10008.1.2.1\0", 200)
    file[at : at + 20] = uid.encode().ljust(20, b"\0")
    return bytes(file)


REFUSED = {
    "no pixels": (
        changed(PixelData=None),
        "DICOM without pixels (Secondary Capture Image Storage)",
    ),
    "PDF": (
        changed(PixelData=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1"),
        "DICOM without pixels (Encapsulated PDF Storage), or the file is cut off",
    ),
    "100 frames": (changed(NumberOfFrames=100), "it has 100 frames, not one image"),
    "palette": (
        changed(PhotometricInterpretation="PALETTE COLOR"),
        "DICOM in PALETTE COLOR (1 per pixel) is not read: store it as grey",
    ),
    "patient as colour": (
        changed(PhotometricInterpretation="DOE JANE"),
        "DICOM in other colours (1 per pixel) is not read: store it as grey",
    ),
    "RGB of 16 bits": (
        make.dicom(np.dstack([DEEP] * 3)),
        "DICOM in colours of 16 bits is not read: store it as grey",
    ),
    "32 bits": (
        make.dicom(GREY.astype(np.uint32)),
        "DICOM with 32 of 32 bits is not read: expected 8 to 16",
    ),
    "high bit": (changed(HighBit=5), "DICOM whose highest bit is not the last one stored"),
    "bomb": (changed(Rows=65535, Columns=65535), "65535x65535 pixels are more than 67,108,864"),
    "fewer rows": (changed(Rows=70), "its pixels cannot be decoded"),
    "no rows": (changed(Rows=0), "the DICOM header has values that do not exist"),
    "no bits": (changed(BitsStored=None), "the DICOM file is damaged"),
    "no width": (changed(WindowCenter=9, WindowWidth=0), "its window has no width"),
    "function": (
        changed(WindowCenter=9, WindowWidth=9, VOILUTFunction="DOE"),
        "its window has a function that is not in the standard",
    ),
    "deflated": (
        of_syntax("1.2.840.10008.1.2.1.99"[:20]),
        "DICOM in the transfer syntax",
    ),
    "other size": (
        make.compressed(GREY, "1.2.840.10008.1.2.4.50", make.jpeg(GREY[:40])),
        "its compressed image has another size than the file states",
    ),
    "more bits": (
        make.compressed(DEEP, "1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode(DEEP), bits=8),
        "its pixels have more bits than the file states",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_named_in_one_line(name):
    file, reason = REFUSED[name]
    (defect,) = read(file).defects
    assert defect.startswith(f"unreadable image: {reason}")
    assert "DOE" not in defect


@pytest.mark.filterwarnings("ignore:End of file")
def test_a_file_cut_anywhere_is_a_defect():
    for file in (
        make.dicom(GREY, WindowCenter=9, WindowWidth=9),
        make.compressed(GREY, "1.2.840.10008.1.2.4.50", make.jpeg(GREY)),
    ):
        for length in range(0, len(file) - 16, 7):
            assert read(file[:length]).defects[0].startswith("unreadable image: ")


def test_nothing_of_a_patient_is_kept_or_said(capfd, recwarn):
    made = make.dataset(GREY, PatientBirthDate="not a date")
    made.file_meta.ImplementationVersionName = "X" * 40
    file = dicom.checked(make.saved(made))
    assert make.PATIENT not in str(file.dataset)
    assert "4711" not in str(file.dataset)
    recwarn.clear()
    read(make.saved(made).replace(b"IS\x02\x00", b"IS\x02\x01"))
    captured = capfd.readouterr()
    assert captured.err + captured.out == ""
    assert not recwarn
