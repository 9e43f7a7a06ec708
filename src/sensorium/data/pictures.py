"""Pictures to RGB with Pillow: sizes are checked before anything is unpacked, and metadata is never fatal."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from sensorium.data.blobs import BrokenMediaError, media_bytes

# Not opened: formats that run other programs, describe drawings, or lack magic bytes (EPS, WMF, TGA, ...).
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_ORIENTATION = 0x0112  # tag of Exif 2.3, section 4.6.4
# Hints of Pillow on odd metadata, once per file, would drown what the user is to read.
warnings.filterwarnings("ignore", module=r"PIL\.")
# What Pillow's readers raise on bytes that are not what they say.
_BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
    OverflowError, ZeroDivisionError, RuntimeError, AssertionError, struct.error, zlib.error, Warning,
)  # fmt: skip


def decode_image(
    value: Any, *, folder: str | os.PathLike[str] | None = None, max_pixels: int = 64_000_000
) -> Image.Image:
    """A picture as RGB, 8 bits, turned as its Exif orientation says.

    Of several frames the first; transparency over white; 16-bit grey divided by 257; CMYK and palettes
    converted.

    Args:
        value: see `blobs.media_bytes`.
        folder: where relative paths start.
        max_pixels: most pixels (width x height); more are refused from the header alone.

    Raises:
        BrokenMediaError: "empty", "not an image", "too large", "truncated", "broken image", or a reason of
            the file.
    """
    content = media_bytes(value, folder=folder)
    image = _opened(content)
    with image:
        if image.width * image.height > max_pixels:
            raise BrokenMediaError("too large")
        turn = _turn(image)
        try:
            image.load()
            plain = _rgb(image)
        except BrokenMediaError:
            raise
        except MemoryError as error:
            raise BrokenMediaError("too large") from error
        except _BROKEN as error:
            cut = "truncated" in str(error) or isinstance(error, EOFError)
            raise BrokenMediaError("truncated" if cut else "broken image") from error
    for step in turn:
        plain = plain.transpose(step)
    return plain


def _opened(content: bytes) -> Image.Image:
    Image.init()  # lists what this Pillow can read; a build may lack AVIF
    try:
        return Image.open(io.BytesIO(content), formats=[name for name in _FORMATS if name in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BrokenMediaError("too large") from error
    except UnidentifiedImageError as error:
        raise BrokenMediaError("not an image") from error
    except _BROKEN as error:
        raise BrokenMediaError("broken image") from error


def _turn(image: Image.Image) -> tuple[Image.Transpose, ...]:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1), ())
    except _BROKEN:
        return ()


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
            raise BrokenMediaError("grey values beyond 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise BrokenMediaError("grey values in floating point")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, seen).convert("RGB")
    return image.convert("RGB")
