"""Uncompressed pictures read back as they were."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from sensorium.data.bitmap import IMAGE, bmp, image_column


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 3), (1, 1), (2, 7)])
def test_bmp_reads_back(height, width):
    pictures = np.random.default_rng(0).integers(0, 256, (3, height, width, 3)).astype(np.uint8)
    found = bmp(pictures)
    assert len(found) == 3
    for value, picture in zip(found, pictures, strict=True):
        image = Image.open(io.BytesIO(value.as_py()))
        assert image.format == "BMP"
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture)


def test_no_pictures():
    assert len(bmp(np.zeros((0, 4, 4, 3), np.uint8))) == 0


def test_an_image_column_has_bytes_and_no_path():
    column = image_column(pa.array([b"a", b"b"], pa.binary()))
    assert column.type == IMAGE
    assert column.to_pylist() == [{"bytes": b"a", "path": None}, {"bytes": b"b", "path": None}]
