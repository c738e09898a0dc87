"""The pixels of DICOM files, in the transfer syntaxes that a permissive decoder reads."""

import struct
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pulmoscan.data.dicom_library import pydicom
from pulmoscan.data.formats import Header

if TYPE_CHECKING:
    from pulmoscan.data.dicom import Dicom

# What decodes each transfer syntax; "" are uncompressed.
CODECS = {
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


def decoded(file: "Dicom") -> np.ndarray:
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
    return CODECS[str(dataset.file_meta.TransferSyntaxUID)]


def _uncompressed(dataset: Any) -> np.ndarray:
    pixels = pydicom().pixels.pixel_array(dataset, index=0, raw=True)
    return _as_rgb(pixels, dataset)


def _decompressed(dataset: Any, header: Header) -> np.ndarray:
    """Return pixels as stored, or RGB."""
    import imagecodecs

    frame = pydicom().encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
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
        return pydicom().pixels.processing.convert_color_space(pixels, colours, "RGB")
    return pixels
