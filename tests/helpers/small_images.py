"""Small images in all formats, in the many ways in which programs write them."""

import io
import struct
from collections.abc import Mapping

import cv2
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

TYPES = {"B": 1, "H": 3, "I": 4}
PATIENT = "DOE^JANE"  # to be found nowhere


def jpeg(pixels: np.ndarray, orientation: int = 0, order: str = "<", **options: int) -> bytes:
    """A JPEG file, with an EXIF orientation unless it is 0; options are those of OpenCV."""
    flags = [n for k, v in options.items() for n in (getattr(cv2, f"IMWRITE_JPEG_{k}"), v)]
    file = cv2.imencode(".jpg", pixels, flags)[1].tobytes()
    if not orientation:
        return file
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + mark + entry
    return file[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + file[2:]


def tiff(
    pixels: np.ndarray, order: str = "<", pages: int = 1, tags: Mapping[int, int] | None = None
) -> bytes:
    """An uncompressed TIFF file of one strip, whose tags may be changed."""
    height, width, *channels = pixels.shape
    samples = channels[0] if channels else 1
    bits = pixels.dtype.itemsize * 8
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    known = {256: width, 257: height, 258: [bits] * samples, 259: 1}
    known |= {262: 2 if samples > 2 else 1, 273: 8, 277: samples, 278: height, 279: len(content)}
    if pixels.dtype.kind == "f":
        known[339] = [3] * samples
    known |= tags or {}
    file = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(content))
    file += content
    for page in range(pages):
        after = len(file) + 2 + 12 * len(known) + 4
        entries, extra = b"", b""
        for tag, values in sorted(known.items()):
            values = values if isinstance(values, list) else [values]
            kind = "I" if tag in (256, 257, 273, 278, 279) else "H"
            packed = struct.pack(f"{order}{len(values)}{kind}", *values)
            if len(packed) > 4:
                extra, packed = extra + packed, struct.pack(f"{order}I", after + len(extra))
            entries += struct.pack(f"{order}HHI", tag, TYPES[kind], len(values))
            entries += packed.ljust(4, b"\0")
        following = after + len(extra) if page < pages - 1 else 0
        file += struct.pack(f"{order}H", len(known)) + entries
        file += struct.pack(f"{order}I", following) + extra
    return file


def dataset(pixels: np.ndarray, bits: int = 0, **changes: object) -> pydicom.Dataset:
    """A dataset of the pixels; ``changes`` by keyword, None to leave one out."""
    made = pydicom.Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    made.PatientName, made.PatientID = PATIENT, "MRN-4711"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    made.BitsAllocated = pixels.dtype.itemsize * 8
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    content = pixels.tobytes()
    made.PixelData = content + b"\0" * (len(content) % 2)
    made["PixelData"].VR = "OB" if made.BitsAllocated == 8 else "OW"
    for name, value in changes.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)
    return made


def saved(made: pydicom.Dataset) -> bytes:
    """The file of a dataset."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom(pixels: np.ndarray, bits: int = 0, **changes: object) -> bytes:
    """A DICOM file, see `dataset`."""
    return saved(dataset(pixels, bits, **changes))


def compressed(pixels: np.ndarray, syntax: str, frame: bytes, **changes: object) -> bytes:
    """A DICOM file of a compressed frame."""
    made = dataset(pixels, **changes)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([frame])
    made["PixelData"].is_undefined_length = True
    return saved(made)


def run_lengths(pixels: np.ndarray) -> bytes:
    """A frame of grey pixels as DICOM's run lengths, the highest byte first."""
    stored = pixels.view(np.uint8).reshape(*pixels.shape, pixels.itemsize)
    channels = reversed(range(pixels.itemsize))
    planes = [imagecodecs.packbits_encode(stored[..., byte].tobytes()) for byte in channels]
    planes = [plane + b"\0" * (len(plane) % 2) for plane in planes]
    starts = [64 + sum(map(len, planes[:place])) for place in range(len(planes))]
    header = struct.pack("<16I", len(planes), *starts, *[0] * (15 - len(planes)))
    return header + b"".join(planes)
