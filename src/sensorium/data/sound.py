"""Sounds to mono samples with soundfile: what is in the file counts, not what its header says of it."""

from __future__ import annotations

import io
import os
import struct
from typing import Any

import numpy as np
import soundfile

from sensorium.core.errors import need
from sensorium.data.blobs import BrokenMediaError, media_bytes

try:
    import soxr
except ImportError:  # of the extra [train]; asked for when a rate differs
    soxr = None

MAX_SECONDS = 3600.0
MAX_VALUE = 1e4
"""Samples beyond this are sound at no scale in use (full scale is 1); such clips are refused, not clipped."""

_RATES = range(1000, 768_001)
_BLOCK_VALUES = 1 << 20
_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF)


def decode_audio(
    value: Any,
    *,
    folder: str | os.PathLike[str] | None = None,
    rate: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> tuple[np.ndarray, int]:
    """A sound as mono samples, shape (T,) float32 with full scale 1, and its rate in Hz.

    Channels are averaged, then resampled with a filter made for this sound alone. A WAV header that states 0,
    the largest number, or more bytes than there are is read to the end of the file; one that states less is
    believed, since other chunks may follow; half a frame at the end is left out.

    Args:
        value: see `blobs.media_bytes`.
        folder: where relative paths start.
        rate: the rate wanted, in Hz; None keeps the file's.
        max_seconds: longer sounds are refused.

    Raises:
        BrokenMediaError: "empty", "not a sound", "truncated", "too long", "NaN samples", "infinite samples",
            "absurd samples", "absurd rate", or a reason of the file.
        MissingExtraError: resampling needs soxr, other containers (m4a, mp4) need PyAV.
    """
    content = media_bytes(value, folder=folder)
    if content[4:8] == b"ftyp" or content[:4] == b"\x1aE\xdf\xa3":
        from sensorium.data.video import read_sound  # PyAV, of the extra [train]

        samples, found = read_sound(content, max_seconds=max_seconds)
    else:
        samples, found = _read(content, max_seconds)
    _check(samples)
    if rate is None or rate == found:
        return samples, found
    return resample(samples, found, rate), rate


def resample(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Mono samples at another rate, shape (about T * to / rate,) float32; no state is kept between calls."""
    need("soxr", "train", f"resampling sound from {rate} to {to} Hz")
    return np.asarray(soxr.resample(np.ascontiguousarray(samples), rate, to), np.float32)


def _read(content: bytes, max_seconds: float) -> tuple[np.ndarray, int]:
    content = _honest_wav(content)
    try:
        with _Stream(_Content(content)) as file:
            rate, stated = file.samplerate, file.frames
            if rate not in _RATES:
                raise BrokenMediaError("absurd rate")
            samples = _mono(file, int(max_seconds * rate))
            if file.format == "FLAC" and 0 < len(samples) < stated < 2**62:
                raise BrokenMediaError("truncated")
    except soundfile.LibsndfileError as error:
        raise BrokenMediaError(_reason(content, error)) from error
    return samples, rate


class _Content(io.BytesIO):
    """Bytes that a broken header may seek before their beginning without noise on the terminal."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}[whence]
        return super().seek(max(0, start + offset))


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A sound that is read on to its end; to seek in it would believe the number of frames in its header."""

    def seekable(self) -> bool:
        return False


def _mono(file: soundfile.SoundFile, limit: int) -> np.ndarray:
    """The mean of the channels; read in blocks, for the number of frames in a header may be anything."""
    blocks: list[np.ndarray] = []
    count = 0
    frames = max(1, _BLOCK_VALUES // max(1, file.channels))
    while True:
        block = file.read(frames, dtype="float32", always_2d=True)
        if len(block) == 0:
            return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            blocks.append(block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))
        count += len(block)
        if count > limit:
            raise BrokenMediaError("too long")


def _reason(content: bytes, error: soundfile.LibsndfileError) -> str:
    known = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3", b".snd", b"RF64", b"\xff\xfb", b"\xff\xf3")
    if not content.startswith(known) or "Format not recognised" in str(error):
        return "not a sound"
    return "broken sound"


def _check(samples: np.ndarray) -> None:
    if len(samples) == 0:
        raise BrokenMediaError("empty")
    if np.isnan(samples).any():
        raise BrokenMediaError("NaN samples")
    if np.isinf(samples).any():
        raise BrokenMediaError("infinite samples")
    if np.abs(samples).max() > MAX_VALUE:
        raise BrokenMediaError("absurd samples")


def _honest_wav(content: bytes) -> bytes:
    """A WAV whose header states what is there; anything else unchanged (RIFF WAVE, Microsoft 1991)."""
    if content[:4] not in (b"RIFF", b"RIFX") or content[8:12] != b"WAVE":
        return content
    order = "<" if content[:4] == b"RIFF" else ">"
    place, align = 12, 1
    while place + 8 <= len(content):
        kind, size = content[place : place + 4], struct.unpack_from(f"{order}I", content, place + 4)[0]
        if kind == b"fmt " and place + 22 <= len(content):
            align = max(1, struct.unpack_from(f"{order}H", content, place + 20)[0])
        if kind == b"data":
            there = len(content) - place - 8
            honest = (
                there if (size in _UNKNOWN_SIZES and not _is_chunk(content, place + 8, order)) or size > there else size
            )
            honest -= honest % align
            if honest == size:
                return content
            body = content[place + 8 : place + 8 + honest]
            head = content[: place + 4] + struct.pack(f"{order}I", honest)
            return head[:4] + struct.pack(f"{order}I", len(head) + honest - 8) + head[8:] + body
        place += 8 + size + size % 2
    return content


def _is_chunk(content: bytes, place: int, order: str) -> bool:
    """Whether chunks, and no samples, fill the rest of the file (or nothing does)."""
    while place + 8 <= len(content):
        kind, size = content[place : place + 4], struct.unpack_from(f"{order}I", content, place + 4)[0]
        if not all(32 <= letter < 127 for letter in kind):
            return False
        place += 8 + size + size % 2
    return place in (len(content), len(content) + 1)
