"""DICOM files, checked before a decoder sees them, and how they say that they are shown.

Of the dataset only what is about the pixels is kept, so nothing about a patient can reach a table.
For the same reason no message quotes a value that is free text, nor the errors of pydicom.
"""

import functools
import io
import logging
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pulmoscan.data import formats, jpeg
from pulmoscan.data.depth import Table
from pulmoscan.data.formats import Header

# What decodes each transfer syntax; "" are uncompressed.
_CODECS = {
    "1.2.840.10008.1.2": "",  # implicit, little endian
    "1.2.840.10008.1.2.1": "",  # explicit, little endian
    "1.2.840.10008.1.2.2": "",  # explicit, big endian
    "1.2.840.10008.1.2.5": "packbits",
    "1.2.840.10008.1.2.4.50": "jpeg8",  # baseline
    "1.2.840.10008.1.2.4.51": "jpeg8",  # extended, up to 12 bits
    "1.2.840.10008.1.2.4.57": "jpeg8",  # lossless
    "1.2.840.10008.1.2.4.70": "jpeg8",  # lossless, first order: what most archives compress with
    "1.2.840.10008.1.2.4.80": "jpegls",
    "1.2.840.10008.1.2.4.81": "jpegls",  # with losses
    "1.2.840.10008.1.2.4.90": "jpeg2k",  # lossless
    "1.2.840.10008.1.2.4.91": "jpeg2k",
}
_LOSSY_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_PADDING = 8  # bytes at the end of a frame, its end mark among them
_KEPT = (
    "SOPClassUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ModalityLUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTSequence",
    "VOILUTFunction",
    "WindowCenter",
    "WindowWidth",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
)
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_OTHERS = ("PALETTE COLOR", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "ARGB", "CMYK", "HSV")
_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT")


@dataclass(frozen=True)
class Dicom:
    """A checked DICOM file.

    Attributes:
        header: Its image.
        inverted: Whether the lowest value is white.
        table: How the file says that values are shown; None where it does not say.
        dataset: What is kept of it.
        signed: Whether a pixel can be negative.
    """

    header: Header
    inverted: bool
    table: Table | None
    dataset: Any
    signed: bool


def checked(data: bytes) -> Dicom:
    """Return a DICOM file of one image.

    Args:
        data: the content of the file, which begins like a DICOM file.

    Raises:
        ValueError: with the reason. The file is damaged as far as its dataset shows, has no image
            or several, is compressed in a way that is not read, holds anything but grey levels of
            up to 16 bits or colours of 8, or is larger than `formats.check_size` allows.
    """
    syntax = _transfer_syntax(data)
    if syntax not in _CODECS:
        raise ValueError(
            f"DICOM in the transfer syntax {_name(syntax)} is not read: store it uncompressed"
        )
    try:
        return _checked(data)
    except _UnreadError:
        raise
    except Exception:  # pydicom raises whatever its parts do, with values in its messages
        raise _UnreadError("the DICOM file is damaged") from None


class _UnreadError(ValueError):
    """Why a file is not read, in words of this module."""


def _checked(data: bytes) -> Dicom:
    dataset = _dataset(data)
    header = _header(dataset)
    _check_stream(dataset, header)
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    inverted, table = False, None
    if header.mode.startswith("L"):
        lowest = -(1 << (header.depth - 1)) if signed else 0
        values = np.arange(lowest, lowest + (1 << header.depth), dtype=np.int32)
        inverted, table = _shown(dataset, values)
    return Dicom(header, inverted, table, dataset, signed)


def decoded(file: Dicom) -> np.ndarray:
    """Return the pixels, h x w uint8 or uint16, the lowest possible value 0; or h x w x 3 (BGR).

    Raises ``ValueError`` where they cannot be decoded.
    """
    header, dataset = file.header, file.dataset
    try:
        pixels = _uncompressed(dataset) if _codec(dataset) == "" else _decompressed(dataset, header)
    except Exception:  # decoders raise whatever their parts do
        raise ValueError("its pixels cannot be decoded") from None
    if pixels.shape != (header.height, header.width) + (3,) * header.mode.startswith("RGB"):
        raise ValueError("its pixels cannot be decoded")
    if pixels.ndim == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if header.depth == 1:
        return np.where(pixels, np.uint8(255), np.uint8(0))
    if pixels.dtype.kind == "u" and _codec(dataset) and pixels.max() >> header.depth:
        raise ValueError("its pixels have more bits than the file states")
    # Bits above those stored belong to overlays, or repeat the sign.
    kept = np.uint16 if header.depth > 8 else np.uint8
    pixels = pixels.astype(kept) & kept((1 << header.depth) - 1)
    return pixels ^ kept(1 << (header.depth - 1)) if file.signed else pixels


def _codec(dataset: Any) -> str:
    return _CODECS[str(dataset.file_meta.TransferSyntaxUID)]


def _uncompressed(dataset: Any) -> np.ndarray:
    pixels = _pydicom().pixels.pixel_array(dataset, index=0, raw=True)
    return _as_rgb(pixels, dataset)


def _decompressed(dataset: Any, header: Header) -> np.ndarray:
    """Return pixels as stored, or RGB."""
    import imagecodecs

    frame = _pydicom().encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    codec = _codec(dataset)
    # Decoders of JPEG and JPEG 2000 fill up what a stream without its end mark lacks.
    if codec != "packbits" and b"\xff\xd9" not in frame[-_PADDING:]:
        raise ValueError("the frame is cut off")
    if codec == "jpeg8" and dataset.file_meta.TransferSyntaxUID in _LOSSY_JPEG:
        if not header.mode.startswith("RGB"):
            return imagecodecs.jpeg8_decode(frame)
        # Streams of scanners often lack the mark of their colours.
        colours = "RGB" if dataset.PhotometricInterpretation == "RGB" else "YCBCR"
        return imagecodecs.jpeg8_decode(frame, colorspace=colours, outcolorspace="RGB")
    if codec == "packbits":
        return _as_rgb(_of_runs(frame, header, dataset.BitsAllocated // 8), dataset)
    return _as_rgb(getattr(imagecodecs, f"{codec}_decode")(frame), dataset)


def _of_runs(frame: bytes, header: Header, size: int) -> np.ndarray:
    """Return pixels of ``size`` bytes per channel from run lengths (DICOM PS3.5, annex G).

    Each byte of each channel, the highest first, is a segment of its own.
    """
    import imagecodecs

    channels = 3 if header.mode.startswith("RGB") else 1
    count, *starts = struct.unpack_from("<16I", frame)
    if count != channels * size:
        raise ValueError("another number of segments")
    pixels = header.width * header.height
    segments = []
    for start, end in zip(starts[:count], [*starts[1:count], len(frame)], strict=True):
        # One byte is added to segments of odd length, which decoders may take for a run.
        segment = np.zeros(pixels + 128, np.uint8)
        found = imagecodecs.packbits_decode(frame[start:end], out=segment)
        if len(found) < pixels:
            raise ValueError("the frame is cut off")
        segments.append(segment[:pixels].reshape(header.height, header.width))
    planes = [
        sum(byte.astype(np.uint16) << 8 * place for place, byte in enumerate(part[::-1]))
        if size > 1
        else part[0]
        for part in (segments[at : at + size] for at in range(0, count, size))
    ]
    return planes[0] if channels == 1 else np.dstack(planes)


def _as_rgb(pixels: np.ndarray, dataset: Any) -> np.ndarray:
    colours = str(dataset.PhotometricInterpretation).strip()
    if colours in ("YBR_FULL", "YBR_FULL_422"):
        return _pydicom().pixels.processing.convert_color_space(pixels, colours, "RGB")
    return pixels


@functools.cache
def _pydicom() -> Any:
    """Return pydicom, which takes half a second, made to keep its warnings to itself.

    They quote values of the dataset.
    """
    import pydicom
    import pydicom.encaps
    import pydicom.pixels

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom


def _transfer_syntax(data: bytes) -> str:
    """Return the transfer syntax that the file meta information states (DICOM PS3.10, section 7).

    It must be known before pydicom reads the file, since a deflated one is unpacked as a whole.
    """
    position = formats.START
    try:
        while data[position : position + 2] == b"\x02\x00":
            element, kind = struct.unpack_from("<H2s", data, position + 2)
            if kind in _LONG:
                (length,) = struct.unpack_from("<I", data, position + 8)
                position += 12
            else:
                (length,) = struct.unpack_from("<H", data, position + 6)
                position += 8
            if element == 0x0010:
                return data[position : position + length].decode("ascii").strip("\0 ")
            position += length
    except (struct.error, UnicodeDecodeError):
        pass
    raise ValueError("the DICOM file does not state its transfer syntax")


def _name(uid: str) -> str:
    """Return the name that the standard gives a UID."""
    name = _pydicom().uid.UID(uid).name
    return "unknown" if name == uid else name


def _dataset(data: bytes) -> Any:
    dataset = _pydicom().dcmread(io.BytesIO(data), specific_tags=[*_KEPT])
    frames = int(dataset.get("NumberOfFrames") or 1)
    uid = str(dataset.get("SOPClassUID", ""))
    if frames != 1:
        raise _UnreadError(f"it has {frames:,} frames, not one image")
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise _UnreadError("DICOM of floating-point numbers is not read")
    if "PixelData" not in dataset or not dataset.PixelData:
        raise _UnreadError(f"DICOM without pixels ({_name(uid)}), or the file is cut off")
    return dataset


def _header(dataset: Any) -> Header:
    width, height = int(dataset.Columns), int(dataset.Rows)
    samples = int(dataset.get("SamplesPerPixel", 1))
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    photometric = str(dataset.PhotometricInterpretation).strip()
    if not (width and height):
        raise _UnreadError("the DICOM header has values that do not exist")
    grey, colour = photometric in _GREY, photometric in _COLOUR
    if not (grey and samples == 1) and not (colour and samples == 3):
        named = photometric if photometric in (*_GREY, *_COLOUR, *_OTHERS) else "other colours"
        raise _UnreadError(f"DICOM in {named} ({samples} per pixel) is not read: store it as grey")
    if not 1 <= stored <= allocated or allocated not in (1, 8, 16) or 1 < stored < 8:
        raise _UnreadError(f"DICOM with {stored} of {allocated} bits is not read: expected 8 to 16")
    if colour and stored != 8:
        raise _UnreadError(f"DICOM in colours of {stored} bits is not read: store it as grey")
    if int(dataset.get("HighBit", stored - 1)) != stored - 1:
        raise _UnreadError("DICOM whose highest bit is not the last one stored is not read")
    try:
        formats.check_size(width, height, samples, allocated)
    except ValueError as error:
        raise _UnreadError(str(error)) from None
    mode = ("L" if grey else "RGB") + ("" if stored == 8 else str(stored))
    return Header("DICOM", width, height, mode, stored)


def _check_stream(dataset: Any, header: Header) -> None:
    """Raise ``ValueError`` where the compressed image has another size than the file states."""
    start = bytes(dataset.PixelData[: 1 << 16])
    at = start.find(b"\xff\x4f\xff\x51")  # start and size of a JPEG 2000 stream
    if dataset.file_meta.TransferSyntaxUID.startswith("1.2.840.10008.1.2.4.9"):
        size = at >= 0 and struct.unpack_from(">II", start, at + 8)
    elif dataset.file_meta.TransferSyntaxUID.startswith("1.2.840.10008.1.2.4."):
        size = jpeg.frame_size(start[max(start.find(b"\xff\xd8\xff"), 0) :])
    else:
        return
    if not size:
        raise _UnreadError("its pixels cannot be decoded")
    if size != (header.width, header.height):
        raise _UnreadError("its compressed image has another size than the file states")


def _shown(dataset: Any, values: np.ndarray) -> tuple[bool, Table | None]:
    """Return whether the lowest of the stored values is white, and the table of those in the file.

    The table is that of the VOI LUT or of the first window, or of a modality LUT without either
    (DICOM PS3.3, sections C.11.1 and C.11.2).
    """
    white = dataset.PhotometricInterpretation.strip() == "MONOCHROME1"
    processing = _pydicom().pixels.processing
    falling = float(dataset.get("RescaleSlope", None) or 1) < 0
    levels, text = None, ""
    values = processing.apply_modality_lut(values, dataset)
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        levels = processing.apply_voi(np.rint(values).astype(np.int32), dataset)
        levels, text = levels / ((1 << int(item.LUTDescriptor[2])) - 1), "table of the file"
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        centre, width = (_first(dataset[name].value) for name in ("WindowCenter", "WindowWidth"))
        levels = _windowed(values, centre, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
        low, high = centre - width / 2, centre + width / 2
        text = f"window of the file: {low:g} to {high:g}"
    elif dataset.get("ModalityLUTSequence"):
        bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
        levels, text = values / ((1 << bits) - 1), "table of the file"
    if levels is None:
        return white != falling, None
    levels = np.clip(np.rint(np.asarray(levels) * 255), 0, 255).astype(np.uint8)
    return white != falling, Table(255 - levels if white else levels, text)


def _first(value: Any) -> float:
    """Return a number, or the first of several."""
    return float(value if isinstance(value, str | float | int) else value[0])


def _windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """Return which shares of white, 0..1, a window makes of values."""
    if not width > 0 or not np.isfinite([centre, width]).all():
        raise _UnreadError("its window has no width")
    functions: dict[str, Callable[[], np.ndarray]] = {
        # A window of one value is a threshold.
        "LINEAR": lambda: (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5,
        "LINEAR_EXACT": lambda: (values - centre) / width + 0.5,
        "SIGMOID": lambda: 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50))),
    }
    if function.strip() not in functions:
        raise _UnreadError("its window has a function that is not in the standard")
    return np.clip(functions[function.strip()](), 0, 1)
