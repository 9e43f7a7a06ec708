"""Views: sampling against a slow reference, independence of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from sensorium.data.chance import hash_ids
from sensorium.data.worlds import views as room
from sensorium.data.worlds.views import Warp, views

STILL = Warp(turn=0, small=1, large=1, shift=0, shear=0, gain=0, offset=0, noise=0)


def _drawings(count: int, size: int, opaque: bool = False) -> np.ndarray:
    chance = np.random.default_rng(0)
    alpha = (
        np.full((count, 2 * size, 2 * size, 1), 255)
        if opaque
        else chance.integers(0, 256, (count, 2 * size, 2 * size, 1))
    )
    colours = chance.integers(0, 256, (count, 2 * size, 2 * size, 3)) * alpha // 255
    return np.concatenate([colours, alpha], -1).astype(np.uint8)


def _bilinear(drawing: np.ndarray, x: float, y: float) -> np.ndarray:
    """One sample at (x, y) in shares of the side: slow, in float64, outside is transparent."""
    side = drawing.shape[0]
    column, row = x * side - 0.5, y * side - 0.5
    total = np.zeros(4)
    for i in (int(np.floor(row)), int(np.floor(row)) + 1):
        for j in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= i < side and 0 <= j < side:
                total += drawing[i, j] * max(0.0, 1 - abs(row - i)) * max(0.0, 1 - abs(column - j))
    return total / 255


def test_samples_equal_a_slow_reference():
    drawings = _drawings(3, 8)
    chance = np.random.default_rng(1)
    which = np.array([0, 2, 1])
    # Positions are rounded to sixteenths of a pixel: compare at such positions, some of them outside.
    x, y = (chance.integers(-40, 16 * 16 + 40, (3, 25)) / (16 * 16) for _ in "xy")
    found = room._sample(room._lanes(drawings), 16, which, x.astype(np.float32), y.astype(np.float32))
    for row in range(3):
        for point in range(25):
            expected = _bilinear(drawings[which[row]], x[row, point], y[row, point])
            np.testing.assert_allclose(found[row, :, point], expected, atol=1e-6)


def test_a_still_view_is_the_drawing_at_half_size():
    drawings = _drawings(2, 8, opaque=True)
    found = views(drawings, np.array([1, 0]), hash_ids(["a", "b"]), 0, STILL)
    halves = drawings[[1, 0], ..., :3].reshape(2, 8, 2, 8, 2, 3).mean((2, 4))
    assert np.abs(found - halves).max() <= 1


def test_background_shows_where_the_drawing_is_clear():
    clear = np.zeros((1, 16, 16, 4), np.uint8)
    found = views(clear, np.zeros(40, np.int64), hash_ids([str(k) for k in range(40)]), 0, STILL)
    assert found.reshape(40, -1, 3).mean(1).std(0).min() > 30  # different colours
    assert np.abs(np.diff(found.astype(int), axis=2)).max() < 64  # smooth


@pytest.mark.parametrize("size", [9, 16])
def test_views_do_not_depend_on_the_batch(size):
    drawings = _drawings(5, size)
    ids = [f"row {number}" for number in range(150)]
    which, hashes = np.arange(150) % 5, hash_ids(ids)
    whole = views(drawings, which, hashes, 7, Warp())
    assert whole.shape == (150, size, size, 3)
    np.testing.assert_array_equal(views(drawings, which[::-1], hashes[::-1], 7, Warp())[::-1], whole)
    for start, end in ((0, 1), (3, 70), (149, 150)):
        np.testing.assert_array_equal(views(drawings, which[start:end], hashes[start:end], 7, Warp()), whole[start:end])
    assert (views(drawings, which, hashes, 8, Warp()) != whole).mean() > 0.9


def test_long_runs_are_cut_without_a_seam():
    drawings = _drawings(2, 8)
    count = 32 * room._BATCH + 3
    hashes = hash_ids([str(number) for number in range(count)])
    whole = views(drawings, np.zeros(count, np.int64), hashes, 0, Warp())
    np.testing.assert_array_equal(views(drawings, np.zeros(5, np.int64), hashes[-5:], 0, Warp()), whole[-5:])


def test_noise_has_mean_zero_and_deviation_one():
    noise = room._noise(hash_ids([str(number) for number in range(200)]), 301)
    assert noise.shape == (200, 301)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.01)


def test_no_views():
    assert views(_drawings(1, 8), np.zeros(0, np.int64), hash_ids([]), 0, Warp()).shape == (0, 8, 8, 3)
