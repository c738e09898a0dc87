"""PNG files, checked before a decoder sees them.

A decoder may return what it read of a truncated file, or allocate whatever a header asks for. The
checks here look at the container alone (PNG specification, third edition, W3C 2025, sections 5 and
11.2): signature, header, the checksum of every chunk, the end.
"""

import struct
import zlib

from pulmoscan.data import formats
from pulmoscan.data.formats import Header

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # a palette is decoded to its colours
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


# What decoders need besides the pixels. Of the other chunks some make libpng write warnings.
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


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
            is wrong, is larger than `formats.check_size` allows, or is an animation, which decoders
            show in different ways. Whether the pixels can be decoded is left to the decoder.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError(formats.what_else(data))
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


def _header(kind: bytes, content: bytes) -> Header:
    if kind != b"IHDR" or len(content) != 13:
        raise ValueError("the file does not begin with a PNG header")
    width, height, bits, colour = struct.unpack_from(">IIBB", content)
    if bits not in _DEPTHS.get(colour, ()) or not (width and height):
        raise ValueError("the PNG header has values that do not exist")
    channels = _CHANNELS[colour]
    formats.check_size(width, height, channels, bits)
    mode = _MODES[colour] + ("" if bits == 8 else str(bits))
    return Header("PNG", width, height, mode, bits)
