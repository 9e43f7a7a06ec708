"""Decoding media, late and in the worker. What cannot be decoded raises a short reason.

image = decode_image(row["image"])                       # PIL, RGB
samples, rate = decode_audio(row["audio"], rate=16_000)  # (T,) float32
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sensorium.data.blobs import BrokenMediaError, embed, media_bytes
from sensorium.data.pictures import decode_image
from sensorium.data.sound import decode_audio, resample

if TYPE_CHECKING:
    from sensorium.data.video import Video

__all__ = [
    "BrokenMediaError",
    "decode_audio",
    "decode_image",
    "decode_video",
    "embed",
    "media_bytes",
    "resample",
]


def decode_video(value: Any, **options: Any) -> Video:
    """Frames and sound of a clip; see `video.decode_video`, which needs the extra [train]."""
    from sensorium.data.video import decode_video as decode

    return decode(value, **options)
