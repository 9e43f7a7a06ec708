import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import MissingExtraError
from sensorium.data import sound
from sensorium.data.blobs import BrokenMediaError
from sensorium.data.sound import decode_audio, resample


def tone(seconds=0.5, rate=16000, hertz=440.0):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def packed(samples, rate=16000, subtype="PCM_16", form="WAV"):
    out = io.BytesIO()
    soundfile.write(out, samples, rate, subtype=subtype, format=form)
    return out.getvalue()


def riff(body, size, total=None, extra=b""):
    head = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    total = 36 + len(body) if total is None else total
    return b"RIFF" + struct.pack("<I", total) + b"WAVE" + head + b"data" + struct.pack("<I", size) + body + extra


def reason(content, **options):
    with pytest.raises(BrokenMediaError) as caught:
        decode_audio(content, **options)
    return caught.value.reason


def test_lengths_in_headers_do_not_count():
    body = (tone() * 32767).astype("<i2").tobytes()
    right = decode_audio(riff(body, len(body)))[0]
    assert right.shape == (8000,)
    assert right.dtype == np.float32
    for content in (
        riff(body, 0xFFFFFFFF, 0xFFFFFFFF),
        riff(body, 0x7FFFFFFF),
        riff(body, 0, 36),
        riff(body, 2 * len(body), 36 + 2 * len(body)),
        riff(body + b"\x01", len(body) + 1),
        riff(body, 0xFFFFFFFF, 0),
        riff(body, len(body), extra=b"LIST" + struct.pack("<I", 4) + b"INFO"),
    ):
        samples, rate = decode_audio(content)
        assert rate == 16000
        assert (samples == right).all()
    assert (decode_audio(riff(body, len(body) // 2))[0] == right[:4000]).all()
    assert reason(riff(b"", 0)) == "empty"
    assert reason(riff(b"", 0, extra=b"LIST" + struct.pack("<I", 4) + b"INFO")) == "empty"
    assert reason(riff(b"", 0xFFFFFFFF)) == "empty"


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_rate_and_channels_give_the_same_tone(rate, channels):
    content = packed(np.repeat(tone(1.0, rate)[:, None], channels, 1), rate)
    samples, found = decode_audio(content, rate=16000)
    assert found == 16000
    assert samples.ndim == 1
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16000) <= 16
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert abs(np.argmax(spectrum) * 16000 / len(samples) - 440) <= 2
    assert 0.3 * 10 ** (-1 / 20) < np.abs(samples[1000:-1000]).max() < 0.3 * 10 ** (1 / 20)


def test_stereo_is_the_mean_of_the_channels():
    left = tone()
    samples, _ = decode_audio(packed(np.stack([left, -left], 1), subtype="FLOAT"))
    assert np.abs(samples).max() < 1e-6
    assert decode_audio(packed(np.stack([left, 0 * left], 1), subtype="FLOAT"))[0] == pytest.approx(left / 2)


def test_nothing_is_carried_from_one_sound_to_the_next():
    first, second = packed(tone(0.3, 8000), 8000), packed(tone(0.3, 44100), 44100)
    alone = decode_audio(second, rate=16000)[0]
    decode_audio(first, rate=16000)
    assert (decode_audio(second, rate=16000)[0] == alone).all()


def with_value(value):
    samples = tone()
    samples[4000] = value
    return packed(samples, subtype="FLOAT")


def test_samples_that_are_no_sound():
    assert reason(with_value(np.nan)) == "NaN samples"
    assert reason(with_value(np.inf)) == "infinite samples"
    assert reason(with_value(1e29)) == "absurd samples"
    assert reason(with_value(-1e29)) == "absurd samples"
    assert reason(packed(tone()[:0], subtype="FLOAT")) == "empty"
    for good in (tone() * 0, tone()[100:101], tone() * 0 + 1):
        assert (decode_audio(packed(good, subtype="FLOAT"))[0] == good).all()
    assert decode_audio(packed(tone(), subtype="PCM_24"))[0] == pytest.approx(decode_audio(packed(tone()))[0], abs=1e-4)


def test_bytes_that_are_no_sound():
    assert reason(b"") == "empty"
    assert reason(b"<html>404</html>") == "not a sound"
    assert reason(b"RIFF\0\0\0\0WAVE") in ("not a sound", "broken sound")
    flac = packed(np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), form="FLAC")
    assert reason(flac[: len(flac) // 2]) in ("truncated", "broken sound")
    assert len(decode_audio(flac)[0]) == 40_000


def test_a_flac_that_states_hours_is_not_believed():
    content = bytearray(packed(tone(), form="FLAC"))
    assert content[:4] == b"fLaC"
    # STREAMINFO: 36 bits of total samples at byte 8 + 13 of the file
    content[21] |= 0x0F
    content[22:26] = b"\xff\xff\xff\xff"
    assert reason(bytes(content)) in ("truncated", "broken sound")
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    assert len(decode_audio(bytes(content))[0]) == 8000


def test_long_sounds_and_absurd_rates_are_refused():
    assert reason(packed(tone(2.0)), max_seconds=1.5) == "too long"
    body = (tone() * 32767).astype("<i2").tobytes()
    content = bytearray(riff(body, len(body)))
    content[24:28] = struct.pack("<I", 5)
    assert reason(bytes(content)) == "absurd rate"


def test_other_containers(tmp_path):
    samples = tone(1.0, 44100)
    for form, subtype in (
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
    ):
        (tmp_path / "x").write_bytes(packed(samples, 44100, subtype, form))
        found, rate = decode_audio("x", folder=tmp_path)
        assert rate == 44100
        assert abs(len(found) - len(samples)) < 3000
        assert 0.25 < np.abs(found[5000:-5000]).max() < 0.35


def test_without_soxr_the_extra_is_named(monkeypatch):
    from sensorium.core import errors

    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"sensorium\[train\]"):
        resample(tone(), 16000, 8000)
    assert decode_audio(packed(tone()), rate=16000)[1] == 16000


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["WAV", "FLAC", "OGG", "AIFF"]), st.data())
def test_damaged_bytes_give_samples_or_a_reason(form, data):
    content = bytearray(packed(tone(0.05), subtype="VORBIS" if form == "OGG" else "PCM_16", form=form))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        samples, _ = decode_audio(content)
        assert 0 < len(samples) < 100_000
        assert np.isfinite(samples).all()
    except BrokenMediaError as error:
        reason_length = len(error.reason)
    else:
        reason_length = 0
    assert reason_length < 40


def test_the_module_names_its_limits():
    assert sound.MAX_VALUE == 1e4
