"""Clips to frames and sound with PyAV; the only file that imports it (extra [train])."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorium.core.errors import need
from sensorium.data.blobs import BrokenMediaError, media_bytes

try:
    import av
except ImportError:
    av = None

MAX_VALUES = 1 << 30
"""Most bytes of decoded frames: 1 GiB."""

# Demuxers by magic bytes: playlists and other formats that name further files are never opened.
_DEMUXERS = (
    (4, b"ftyp", "mp4"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"\0\0\1\xba", "mpeg"),
    (0, b"OggS", "ogg"),
)


@dataclass(frozen=True)
class Video:
    """A decoded clip.

    Attributes:
        frames: shape (T, H, W, 3) uint8, RGB.
        fps: frames per second of `frames`.
        sound: mono samples, shape (S,) float32; None for a clip without sound.
        rate: of the sound, in Hz; 0 without sound.
    """

    frames: np.ndarray
    fps: float
    sound: np.ndarray | None
    rate: int


def decode_video(
    value: Any,
    *,
    folder: str | os.PathLike[str] | None = None,
    fps: float | None = None,
    rate: int | None = None,
    size: tuple[int, int] | None = None,
    max_seconds: float = 600.0,
) -> Video:
    """Frames at a given rate, with the sound.

    Frame k shows time k / fps after the first frame: the last picture shown by then. The files' own times
    count, so variable frame rates are right.

    Args:
        value: see `blobs.media_bytes`.
        folder: where relative paths start.
        fps: frames per second; None keeps the clip's mean rate.
        rate: of the sound, in Hz; None keeps the file's.
        size: (height, width) to scale to; None keeps the clip's.
        max_seconds: longer clips are refused.

    Raises:
        BrokenMediaError: "empty", "not a video", "no frames", "too long", "too large", "broken video".
        MissingExtraError: PyAV is not installed.
    """
    from sensorium.data.sound import resample

    content = media_bytes(value, folder=folder)
    with _opened(content) as container:
        if not container.streams.video:
            raise BrokenMediaError("not a video")
        stream = container.streams.video[0]
        # A stream whose codec is unknown lacks these attributes.
        usable = getattr(stream, "height", 0) and getattr(stream, "width", 0)
        wanted = fps or float(stream.average_rate or stream.guessed_rate or 0)
        if not usable or not 0 < wanted <= 1000:
            raise BrokenMediaError("broken video")
        frames = _frames(container, stream, wanted, size, max_seconds)
        has_sound = bool(container.streams.audio)
    sound, found = read_sound(content, max_seconds=max_seconds) if has_sound else (None, 0)
    if sound is not None and len(sound) == 0:
        sound, found = None, 0
    if sound is not None and rate is not None and rate != found:
        sound, found = resample(sound, found, rate), rate
    return Video(frames, wanted, sound, found)


def read_sound(content: bytes, *, max_seconds: float) -> tuple[np.ndarray, int]:
    """The first sound track as mono samples, shape (S,) float32, and its rate in Hz."""
    blocks: list[np.ndarray] = []
    with _opened(content) as container:
        if not container.streams.audio:
            raise BrokenMediaError("not a sound")
        stream = container.streams.audio[0]
        rate, count = int(getattr(stream, "rate", 0) or 0), 0
        if not 1000 <= rate <= 768_000:
            raise BrokenMediaError("absurd rate")
        resampler = av.AudioResampler(format="fltp", rate=rate)
        try:
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    blocks.append(part.to_ndarray().mean(axis=0, dtype=np.float32))
                    count += len(blocks[-1])
                if count > max_seconds * rate:
                    raise BrokenMediaError("too long")
        except (av.error.FFmpegError, ValueError) as error:
            raise BrokenMediaError("broken sound") from error
    return (np.concatenate(blocks) if blocks else np.zeros(0, np.float32)), rate


def _opened(content: bytes) -> Any:
    need("av", "train", "reading video")
    kind = next((name for place, magic, name in _DEMUXERS if content[place : place + len(magic)] == magic), None)
    if kind is None:
        raise BrokenMediaError("not a video")
    try:
        return av.open(io.BytesIO(content), format=kind, metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        raise BrokenMediaError(
            "truncated" if "moov" in str(error) or "End of file" in str(error) else "broken video"
        ) from error


def _frames(container: Any, stream: Any, fps: float, size: tuple[int, int] | None, max_seconds: float) -> np.ndarray:
    height, width = size or (stream.height, stream.width)
    if stream.height * stream.width > 64_000_000 or height * width <= 0:
        raise BrokenMediaError("too large")
    found: list[np.ndarray] = []
    shown: np.ndarray | None = None
    try:
        for seconds, frame in _timed(container, stream):
            if seconds > max_seconds:
                raise BrokenMediaError("too long")
            while shown is not None and len(found) / fps < seconds - 1e-6:
                found.append(shown)
                if len(found) * height * width * 3 > MAX_VALUES:
                    raise BrokenMediaError("too large")
            shown = frame.to_ndarray(format="rgb24", width=width, height=height)
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, BrokenMediaError):
            raise
        raise BrokenMediaError("broken video") from error
    if shown is None:
        raise BrokenMediaError("no frames")
    return np.stack([*found, shown])


def _timed(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """(seconds after the first frame, frame); one without a time follows the last by the mean distance."""
    first: float | None = None
    last, step = 0.0, 1 / float(stream.average_rate or 25)
    for frame in container.decode(stream):
        time = frame.time
        if first is None:
            first = time if time is not None else 0.0
            last = -step
        last = max(last, time - first) if time is not None else last + step
        yield last, frame
