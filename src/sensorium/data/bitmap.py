"""Pictures as uncompressed files: lossless, cheap to write and to read, known to every browser."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""The type of an image column."""


def bmp(pictures: np.ndarray) -> pa.Array:
    """Pictures (N, H, W, 3) uint8 as 24-bit BMP files, an Arrow binary array; lossless, no loop.

    BMP (BITMAPINFOHEADER): rows from the bottom up, blue first, each row padded to four bytes.
    """
    count, height, width, _ = pictures.shape
    stride = (3 * width + 3) // 4 * 4
    header = bytearray(54)
    header[0:2] = b"BM"
    for place, value in (
        (2, 54 + stride * height),
        (10, 54),
        (14, 40),
        (18, width),
        (22, height),
        (34, stride * height),
    ):
        header[place : place + 4] = value.to_bytes(4, "little")
    header[26:30] = (1).to_bytes(2, "little") + (24).to_bytes(2, "little")
    length = 54 + stride * height
    content = np.zeros((count, length), np.uint8)
    content[:, :54] = np.frombuffer(bytes(header), np.uint8)
    body = content[:, 54:].reshape(count, height, stride)
    body[:, :, : 3 * width].reshape(count, height, width, 3)[:] = pictures[:, ::-1, :, ::-1]
    offsets = np.arange(count + 1, dtype=np.int64) * length
    large = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )
    return large.cast(pa.binary())


def image_column(content: pa.Array) -> pa.Array:
    """An image column of files given as an Arrow binary array."""
    return pa.StructArray.from_arrays([content, pa.nulls(len(content), pa.string())], fields=list(IMAGE))
