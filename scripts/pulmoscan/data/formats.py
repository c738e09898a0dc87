"""The formats of image files that are read, told apart by their first bytes.

A suffix says which files of a folder are images; what a file is, its content says: a JPEG named
``.png`` is read as the JPEG that it is.
"""

from dataclasses import dataclass

# Files with other suffixes are not looked for in folders. One without any, as archives of hospitals
# write DICOM, is read where a table or a command names it.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".dcm", ".dicom")
NAMED = "PNG, JPEG, TIFF or DICOM"
START = 132  # bytes that tell the formats apart
MOST_PIXELS = 64 * 2**20  # a radiograph at the resolution of its detector has about 16 million
MOST_BYTES = 4 * MOST_PIXELS  # decoded: four channels of 8 bits

_READ = {
    "DICOM": ((128, b"DICM"),),
    "PNG": ((0, b"\x89PNG\r\n\x1a\n"),),
    "JPEG": ((0, b"\xff\xd8\xff"),),
    "TIFF": ((0, b"II*\0"), (0, b"MM\0*")),
}
# How other files begin that are often named like images, by the position of their mark.
_OTHERS = {
    "GIF": (0, b"GIF8"),
    "BMP": (0, b"BM"),
    "BigTIFF": (0, b"II+\0"),
    "BigTIFF (big-endian)": (0, b"MM\0+"),
    "WebP": (8, b"WEBP"),
    "HEIC or AVIF": (4, b"ftyp"),
    "JPEG 2000": (4, b"jP  "),
    "JPEG XL": (4, b"JXL "),
    "a zip": (0, b"PK\x03\x04"),
    "PDF": (0, b"%PDF"),
    "NumPy": (0, b"\x93NUMPY"),
    "a web page": (0, b"<"),
    "a pointer of Git LFS": (0, b"version https://git-lfs"),
}


@dataclass(frozen=True)
class Header:
    """What an image file says about itself.

    Attributes:
        format: ``PNG``, ``JPEG``, ``TIFF`` or ``DICOM``.
        width: Width in pixels, of the image as it is shown.
        height: Height in pixels, of the same.
        mode: ``L`` (grey), ``RGB``, ``P`` (palette), ``LA``, ``RGBA``, followed by the bits per
            channel unless they are 8: ``L16``.
        depth: Bits per channel.
    """

    format: str
    width: int
    height: int
    mode: str
    depth: int


def of(start: bytes) -> str | None:
    """Return the format of a file, given its first ``START`` bytes; None if it is not read."""
    for name, marks in _READ.items():
        if any(start.startswith(mark, place) for place, mark in marks):
            return name
    return None


def what_else(start: bytes) -> str:
    """Return, for a message, what a file is that is in none of the formats."""
    if not start:
        return "the file is empty"
    found = (what for what, (place, mark) in _OTHERS.items() if start.startswith(mark, place))
    what = next(found, None)
    return f"not a {NAMED} file" + (f" but {what}" if what else "")


def check_size(width: int, height: int, channels: int, bits: int) -> None:
    """Raise ``ValueError`` for an image that no radiograph is as large as, before it is decoded.

    That is more than ``MOST_PIXELS`` pixels or ``MOST_BYTES`` decoded bytes.
    """
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width}x{height} pixels are more than {MOST_PIXELS:,}")
    decoded = width * height * channels * ((bits + 7) // 8)
    if decoded > MOST_BYTES:
        raise ValueError(f"{decoded:,} decoded bytes are more than {MOST_BYTES:,}")
