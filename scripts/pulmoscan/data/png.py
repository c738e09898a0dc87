"""PNG files, checked before a decoder sees them.

A decoder may return what it read of a truncated file, or allocate whatever a header asks for. The
checks here look at the container alone (PNG specification, third edition, W3C 2025, sections 5 and
11.2): signature, header, the checksum of every chunk, the end.
"""

import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 64 * 2**20  # a radiograph at the resolution of its detector has about 16 million
MOST_BYTES = 4 * MOST_PIXELS  # decoded: four channels of 8 bits

# How files begin that are often named .png, by the position of their mark.
_OTHERS = {
    "JPEG": (0, b"\xff\xd8\xff"),
    "GIF": (0, b"GIF8"),
    "BMP": (0, b"BM"),
    "TIFF": (0, b"II*\0"),
    "TIFF (big-endian)": (0, b"MM\0*"),
    "WebP": (8, b"WEBP"),
    "HEIC or AVIF": (4, b"ftyp"),
    "JPEG 2000": (4, b"jP  "),
    "DICOM": (128, b"DICM"),
    "a zip": (0, b"PK\x03\x04"),
    "PDF": (0, b"%PDF"),
    "a web page": (0, b"<"),
    "a pointer of Git LFS": (0, b"version https://git-lfs"),
}
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # a palette is decoded to its colours
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


# What decoders need besides the pixels. Of the other chunks some make libpng write warnings.
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


@dataclass(frozen=True)
class Header:
    """What a PNG says about itself.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        mode: ``L`` (grey), ``RGB``, ``P`` (palette), ``LA``, ``RGBA``, followed by the bits per
            channel unless they are 8: ``L16``.
        depth: Bits per channel.
    """

    width: int
    height: int
    mode: str
    depth: int


def depth(start: bytes) -> int:
    """Return the bits per channel that the first 25 bytes of a PNG state, 0 for another file."""
    return start[24] if len(start) > 24 and start.startswith(SIGNATURE) else 0


def checked(data: bytes) -> tuple[Header, bytes]:
    """Return the header of a complete and undamaged PNG file, and the file for a decoder.

    Chunks that are not about the pixels, such as a colour profile, are left out for the decoder.

    Args:
        data: the content of the file.

    Raises:
        ValueError: with the reason. The file is not a PNG, is cut off, has a chunk whose checksum
            is wrong, announces more than ``MOST_PIXELS`` pixels or ``MOST_BYTES`` decoded bytes, or
            is an animation, which decoders show in different ways. Whether the pixels can be
            decoded is left to the decoder.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError(_what_else(data))
    header, kept, extra = None, [SIGNATURE], False
    view = memoryview(data)
    position = len(SIGNATURE)
    while True:
        if position + 12 > len(data):
            raise ValueError("the file is cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ValueError("the file is cut off, or a length in it is wrong")
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            raise ValueError("a checksum in the file is wrong")
        if header is None:
            header = _header(kind, data[position + 8 : end - 4])
        if kind in _ANIMATION:
            raise ValueError("it is an animation, not one image")
        if kind in _NEEDED:
            kept.append(view[position:end])
        else:
            extra = True
        if kind == b"IEND":
            return header, b"".join(kept) if extra else data
        position = end


def _what_else(data: bytes) -> str:
    """Return what a file is that is not a PNG."""
    if not data:
        return "the file is empty"
    found = (what for what, (place, mark) in _OTHERS.items() if data.startswith(mark, place))
    what = next(found, None)
    return f"not a PNG file but {what}" if what else "not a PNG file"


def _header(kind: bytes, content: bytes) -> Header:
    if kind != b"IHDR" or len(content) != 13:
        raise ValueError("the file does not begin with a PNG header")
    width, height, bits, colour = struct.unpack_from(">IIBB", content)
    if bits not in _DEPTHS.get(colour, ()) or not (width and height):
        raise ValueError("the PNG header has values that do not exist")
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width}x{height} pixels are more than {MOST_PIXELS:,}")
    decoded = width * height * _CHANNELS[colour] * ((bits + 7) // 8)
    if decoded > MOST_BYTES:
        raise ValueError(f"{decoded:,} decoded bytes are more than {MOST_BYTES:,}")
    return Header(width, height, _MODES[colour] + ("" if bits == 8 else str(bits)), bits)
