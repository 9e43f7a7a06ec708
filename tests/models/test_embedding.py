"""Pictures in, unit vectors out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sensorium.core.errors import InputError, SettingError
from sensorium.models.embedding import as_rgb, batches, is_embedded, unit_vectors


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "LA"])
def test_any_mode_becomes_rgb(mode):
    assert as_rgb(Image.new(mode, (4, 3))).mode == "RGB"


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3), (3, 4, 4)])
def test_arrays_of_pixels_become_rgb(shape):
    assert as_rgb(np.full(shape, 255, np.uint8)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("pixels", [np.zeros((3, 4, 3)), np.zeros((2, 3, 4, 3), np.uint8)])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(SettingError, match="uint8 pixels"):
        as_rgb(pixels)


def test_unit_vectors():
    found = unit_vectors(torch.tensor([[3.0, 4.0], [0.0, -2.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, -1]], atol=1e-7)
    assert found.dtype == np.float32


@pytest.mark.parametrize("row", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_a_vector_without_a_length_is_refused(row):
    with pytest.raises(InputError, match="zero or not finite"):
        unit_vectors(torch.tensor([[1.0, 0.0], row]))


def test_pieces_keep_the_order():
    assert list(batches(list(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batches([], 3)) == []


def test_what_counts_as_embedded():
    assert is_embedded(np.zeros((2, 3), np.float32))
    assert not is_embedded(np.zeros((2, 3), np.uint8))
    assert not is_embedded([np.zeros((2, 3, 3), np.uint8)])
    assert not is_embedded(np.zeros((2, 4, 4, 3), np.float32))
