"""DICOM files, checked before a decoder sees them, and how they say that they are shown.

Of the dataset only what is about the pixels is kept, so nothing about a patient can reach a table.
For the same reason no message quotes a value that is free text, nor the errors of pydicom.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from pulmoscan.data import dicom_levels, dicom_pixels, formats, jpeg
from pulmoscan.data.depth import Table
from pulmoscan.data.dicom_library import UnreadError, pydicom
from pulmoscan.data.formats import Header

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
    if syntax not in dicom_pixels.CODECS:
        raise ValueError(
            f"DICOM in the transfer syntax {_name(syntax)} is not read: store it uncompressed"
        )
    try:
        return _checked(data)
    except UnreadError:
        raise
    except Exception:  # pydicom raises whatever its parts do, with values in its messages
        raise UnreadError("the DICOM file is damaged") from None


def _checked(data: bytes) -> Dicom:
    dataset = _dataset(data)
    header = _header(dataset)
    _check_stream(dataset, header)
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    inverted, table = False, None
    if header.mode.startswith("L"):
        lowest = -(1 << (header.depth - 1)) if signed else 0
        values = np.arange(lowest, lowest + (1 << header.depth), dtype=np.int32)
        inverted, table = dicom_levels.shown(dataset, values)
    return Dicom(header, inverted, table, dataset, signed)


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
    name = pydicom().uid.UID(uid).name
    return "unknown" if name == uid else name


def _dataset(data: bytes) -> Any:
    dataset = pydicom().dcmread(io.BytesIO(data), specific_tags=[*_KEPT])
    frames = int(dataset.get("NumberOfFrames") or 1)
    uid = str(dataset.get("SOPClassUID", ""))
    if frames != 1:
        raise UnreadError(f"it has {frames:,} frames, not one image")
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise UnreadError("DICOM of floating-point numbers is not read")
    if "PixelData" not in dataset or not dataset.PixelData:
        raise UnreadError(f"DICOM without pixels ({_name(uid)}), or the file is cut off")
    return dataset


def _header(dataset: Any) -> Header:
    width, height = int(dataset.Columns), int(dataset.Rows)
    samples = int(dataset.get("SamplesPerPixel", 1))
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    photometric = str(dataset.PhotometricInterpretation).strip()
    if not (width and height):
        raise UnreadError("the DICOM header has values that do not exist")
    grey, colour = photometric in _GREY, photometric in _COLOUR
    if not (grey and samples == 1) and not (colour and samples == 3):
        named = photometric if photometric in (*_GREY, *_COLOUR, *_OTHERS) else "other colours"
        raise UnreadError(f"DICOM in {named} ({samples} per pixel) is not read: store it as grey")
    if not 1 <= stored <= allocated or allocated not in (1, 8, 16) or 1 < stored < 8:
        raise UnreadError(f"DICOM with {stored} of {allocated} bits is not read: expected 8 to 16")
    if colour and stored != 8:
        raise UnreadError(f"DICOM in colours of {stored} bits is not read: store it as grey")
    if int(dataset.get("HighBit", stored - 1)) != stored - 1:
        raise UnreadError("DICOM whose highest bit is not the last one stored is not read")
    try:
        formats.check_size(width, height, samples, allocated)
    except ValueError as error:
        raise UnreadError(str(error)) from None
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
        raise UnreadError("its pixels cannot be decoded")
    if size != (header.width, header.height):
        raise UnreadError("its compressed image has another size than the file states")
