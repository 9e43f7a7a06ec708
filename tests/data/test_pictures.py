import io
import resource
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.pool_makers import image

from sensorium.data.blobs import BrokenMediaError
from sensorium.data.pictures import decode_image


def packed(picture, form="PNG", **options):
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def pixels(content, **options):
    picture = decode_image(content, **options)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def reason(content, **options):
    with pytest.raises(BrokenMediaError) as caught:
        decode_image(content, **options)
    return caught.value.reason


def bomb(side=20_000):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_plain_pictures_keep_their_values():
    rgb = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {}), ("PPM", {})):
        assert (pixels(packed(Image.fromarray(rgb), form, **options)) == rgb).all()
    grey = rgb[..., 0]
    assert (pixels(packed(Image.fromarray(grey))) == grey[..., None]).all()
    assert set(np.unique(pixels(packed(Image.fromarray(grey > 100))))) == {0, 255}
    assert pixels(image(size=(1, 1))).shape == (1, 1, 3)


def test_cmyk_is_converted():
    found = pixels(packed(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=100))
    assert found[0, 0, 0] > 200
    assert found[0, 0, 1] < 60


def test_transparency_lies_over_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0], rgba[0, :, 3] = 200, (0, 128, 255)
    assert pixels(packed(Image.fromarray(rgba)))[0].tolist() == [
        [255, 255, 255],
        [227, 127, 127],
        [200, 0, 0],
    ]
    la = Image.fromarray(np.array([[[10, 0], [10, 255]]], np.uint8), "LA")
    assert pixels(packed(la))[0].tolist() == [[255] * 3, [10] * 3]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.putdata([0, 1])
    assert pixels(packed(palette, transparency=0))[0].tolist() == [[255] * 3, [9] * 3]


def test_of_several_frames_the_first():
    frames = [Image.new("P", (4, 4), n) for n in (1, 2)]
    for frame in frames:
        frame.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0])
    content = packed(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(content)[0, 0].tolist() == [250, 0, 0]
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    assert pixels(packed(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))[0, 0].tolist() == [
        250,
        0,
        0,
    ]


def test_sixteen_bits_are_scaled_to_eight():
    values = np.array([[0, 128, 129, 257, 32768, 65472, 65535]], np.uint16)
    for form in ("PNG", "TIFF"):
        assert pixels(packed(Image.fromarray(values), form))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]
    assert reason(packed(Image.fromarray(np.array([[70_000]], np.int32)), "TIFF")) == "grey values beyond 16 bits"
    assert reason(packed(Image.fromarray(np.array([[0.5]], np.float32)), "TIFF")) == "grey values in floating point"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_exif(orientation):
    from PIL import ImageOps

    picture = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = packed(picture, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert (pixels(content) == np.asarray(expected)).all()


@pytest.mark.filterwarnings("ignore")
def test_broken_exif_is_not_fatal():
    content = packed(Image.new("RGB", (4, 4), (9, 9, 9)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert pixels(content).shape == (4, 4, 3)


def test_reasons_for_broken_pictures():
    whole = packed(Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)), "JPEG")
    assert reason(whole[: int(len(whole) * 0.6)]) == "truncated"
    assert reason(b"") == "empty"
    assert reason(b"<!DOCTYPE html><html>404 Not Found</html>") == "not an image"
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not an image"
    assert reason(image(size=(10, 10)), max_pixels=99) == "too large"
    assert pixels(image(size=(10, 10)), max_pixels=100).shape == (10, 10, 3)


_BOMB = """
import resource, sys
from sensorium.data.pictures import decode_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_image(sys.argv[1])
except ValueError as error:
    print(error, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, sep=";")
"""


def test_a_bomb_costs_nothing(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb())
    begun = time.process_time()
    assert reason(tmp_path / "bomb.png") == "too large"
    assert time.process_time() - begun < 1
    said = subprocess.run(
        [sys.executable, "-c", _BOMB, str(tmp_path / "bomb.png")], capture_output=True, text=True, check=True
    )
    why, grown = said.stdout.split(";")
    assert why == "too large"
    assert int(grown) < 100
    assert resource.getpagesize() > 0


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_damaged_bytes_give_a_picture_or_a_reason(form, data):
    content = bytearray(image(1, (16, 16), form))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        assert decode_image(content, max_pixels=1_000_000).mode == "RGB"
    except BrokenMediaError as error:
        reason_length = len(error.reason)
    else:
        reason_length = 0
    assert reason_length < 40


def test_what_a_reader_of_pillow_raises_rejects_the_picture(monkeypatch):
    def fail(self):
        raise RuntimeError("Failed to decode image: Missing or empty image item")  # as its AVIF reader does

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(BrokenMediaError, match="broken image"):
        decode_image(image())
