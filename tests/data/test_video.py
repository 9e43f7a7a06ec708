import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import MissingExtraError
from sensorium.data import video
from sensorium.data.blobs import BrokenMediaError
from sensorium.data.media import decode_audio, decode_video

av = pytest.importorskip("av")


def clip(num_frames=10, fps=10, sound=True, form="mp4", times=None):
    """Frame k is grey of value 20 k; the sound is a tone of 440 Hz."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        audio = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts = (times or range(num_frames))[number]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            length = num_frames * 16000 // fps
            samples = (0.3 * np.sin(2 * np.pi * 440 * np.arange(length) / 16000)).astype(np.float32)
            part = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            part.rate = 16000
            container.mux(audio.encode(part))
            container.mux(audio.encode())
    return out.getvalue()


CLIP = clip()


def greys(found):
    return [round(float(frame.mean()) / 20) for frame in found.frames]


def reason(content, **options):
    with pytest.raises(BrokenMediaError) as caught:
        decode_video(content, **options)
    return caught.value.reason


def test_frames_at_any_rate():
    content = clip()
    found = decode_video(content)
    assert found.frames.shape == (10, 16, 32, 3)
    assert found.frames.dtype == np.uint8
    assert found.fps == 10
    assert greys(found) == list(range(10))
    assert greys(decode_video(content, fps=5)) == [0, 2, 4, 6, 8, 9] or greys(decode_video(content, fps=5)) == [
        0,
        2,
        4,
        6,
        8,
    ]
    assert greys(decode_video(content, fps=20))[:6] == [0, 0, 1, 1, 2, 2]
    assert decode_video(content, size=(8, 12)).frames.shape == (10, 8, 12, 3)


def test_the_sound_track():
    found = decode_video(clip(), rate=8000)
    assert found.rate == 8000
    assert found.sound.dtype == np.float32
    assert abs(len(found.sound) - 8000) < 1500
    spectrum = np.abs(np.fft.rfft(found.sound[:8000]))
    assert abs(np.argmax(spectrum) * 8000 / len(found.sound[:8000]) - 440) < 5
    silent = decode_video(clip(sound=False))
    assert silent.sound is None
    assert silent.rate == 0
    samples, rate = decode_audio(clip(), rate=16000)
    assert rate == 16000
    assert abs(len(samples) - 16000) < 3000


def test_broken_clips_have_reasons():
    content = clip()
    assert reason(b"") == "empty"
    assert reason(b"<html>404</html>") == "not a video"
    assert reason(b"#EXTM3U\nfile:///etc/passwd\n") == "not a video"
    assert reason(content[: len(content) // 2]) in ("truncated", "broken video", "no frames")
    assert reason(content, max_seconds=0.5) == "too long"
    with pytest.raises(BrokenMediaError, match="not a sound"):
        decode_audio(clip(sound=False))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), max_size=40), st.floats(0.1, 1))
def test_damaged_bytes_give_frames_or_a_reason(changes, keep):
    content = bytearray(CLIP)
    for place, value in changes:
        content[place % len(content)] = value
    try:
        frames = decode_video(bytes(content[: int(len(content) * keep)]), fps=5, size=(8, 8)).frames
    except BrokenMediaError as error:
        frames, reasons = None, error.reason
    else:
        reasons = "none"
    assert len(reasons) < 40
    assert frames is None or frames.shape[1:] == (8, 8, 3)


def test_frames_are_bounded(monkeypatch):
    monkeypatch.setattr(video, "MAX_VALUES", 16 * 32 * 3 * 4)
    assert reason(clip()) == "too large"


def test_without_pyav_the_extra_is_named(monkeypatch):
    from sensorium.core import errors

    content = clip()
    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"sensorium\[train\]"):
        decode_video(content)
