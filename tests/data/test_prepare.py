from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensorium.core.errors import InputError, SettingError
from sensorium.data.chance import hash_ids
from sensorium.data.prepare import Augment, Chance, Columns, Pairs, Pixels
from sensorium.data.rows import FOLDER
from sensorium.data.words import HashedWords


def chance(count=8, epoch=0, seed=0):
    return Chance(hash_ids([f"r{number}" for number in range(count)]), np.full(count, epoch), seed)


def pictures(count=8, size=16):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def test_chance_is_of_the_row_not_of_the_batch():
    whole = chance(8)
    mixed = np.array([5, 2, 7])
    part = Chance(whole.hashes[mixed], whole.epochs[mixed], 0)
    np.testing.assert_array_equal(part.uniforms("x", 3), whole.uniforms("x", 3)[mixed])
    both = Chance(np.tile(whole.hashes, 2), np.repeat([0, 1], 8), 0)
    np.testing.assert_array_equal(both.uniform("x")[:8], whole.uniform("x"))
    np.testing.assert_array_equal(both.uniform("x")[8:], chance(8, epoch=1).uniform("x"))


def test_chance_is_spread_evenly_and_without_ties_between_numbers():
    values = chance(5000).uniforms("x", 4)
    assert values.min() >= 0
    assert values.max() < 1
    np.testing.assert_allclose(values.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(values.T), np.eye(4), atol=0.06)
    assert not np.allclose(values, chance(5000, epoch=1).uniforms("x", 4))
    assert not np.allclose(values, chance(5000, seed=1).uniforms("x", 4))
    assert not np.allclose(values, chance(5000).uniforms("y", 4))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(0, 3))
def test_any_picture_becomes_the_square(width, height, size, margin):
    square = Pixels(size=size)(Image.new("RGB", (width, height), (9, 8, 7)), margin)
    assert square.shape == (size + 2 * margin, size + 2 * margin, 3)
    assert (square == (9, 8, 7)).all()


def test_a_picture_of_the_right_size_is_untouched_and_the_middle_is_cut():
    picture = pictures(1)[0]
    np.testing.assert_array_equal(Pixels(size=16)(picture), picture)
    wide = np.concatenate([np.zeros((16, 4, 3), np.uint8), picture, np.zeros((16, 4, 3), np.uint8)], axis=1)
    np.testing.assert_array_equal(Pixels(size=16)(Image.fromarray(wide)), picture)
    assert Pixels(size=4)(Image.new("L", (8, 8), 77)).tolist() == [[[77] * 3] * 4] * 4


@pytest.mark.parametrize("augment", [Augment(shift=2), Augment(flip=0.5), Augment(jitter=0.3)])
def test_augmentation_changes_by_row_and_epoch_only(augment):
    stack = pictures()
    once = augment(stack, chance())
    np.testing.assert_array_equal(once, augment(stack, chance()))
    rows = np.array([6, 1])
    whole = chance()
    part = Chance(whole.hashes[rows], whole.epochs[rows], 0)
    np.testing.assert_array_equal(augment(stack[rows], part), once[rows])
    assert (augment(stack, chance(epoch=1)) != once).any()
    assert once.shape == stack.shape
    assert once.dtype == np.uint8


def test_shift_moves_by_whole_pixels_and_repeats_the_border():
    stack = pictures(50)
    moved = Augment(shift=1)(stack, chance(50))
    padded = np.pad(stack, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    places = set()
    for row in range(50):
        found = [
            (top, left)
            for top in range(3)
            for left in range(3)
            if (padded[row, top : top + 16, left : left + 16] == moved[row]).all()
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) == 9


def test_shift_with_a_margin_cuts_into_it():
    augment = Augment(shift=3, pad=False)
    assert augment.margin == 3
    assert augment(pictures(4, 16), chance(4)).shape == (4, 10, 10, 3)


def test_flip_mirrors_some():
    stack = pictures(200)
    flipped = Augment(flip=0.25)(stack, chance(200))
    mirrored = (flipped == stack[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 30 < mirrored.sum() < 70
    np.testing.assert_array_equal(flipped[~mirrored], stack[~mirrored])


def test_jitter_equals_the_formula():
    stack = pictures(6)
    change = 0.4 * (2 * chance(6).uniforms("jitter", 4) - 1)
    wanted = np.empty(stack.shape)
    for row in range(6):
        for colour in range(3):
            contrast = 1 + change[row, 0]
            levels = 127.5 + contrast * (stack[row, :, :, colour] - 127.5) + 64 * change[row, 1 + colour]
            wanted[row, :, :, colour] = np.clip(np.floor(levels + 0.5), 0, 255)
    got = Augment(jitter=0.4)(stack, chance(6))
    assert np.abs(got - wanted).max() <= 1, "32 bits may round a tie the other way"
    assert np.mean(got != wanted) < 1e-3


def table(images, texts, folder=""):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table(
        {
            "id": [f"r{row}" for row in range(len(texts))],
            "image": pa.array(images, kind),
            "text": pa.array(texts, pa.string()),
            FOLDER: [folder] * len(texts),
        }
    )


def test_pairs_decode_and_name_what_is_broken(tmp_path):
    pixels = pictures(1)[0]
    Image.fromarray(pixels).save(tmp_path / "there.png")
    good = {"bytes": png(pixels), "path": None}
    images = [
        good,
        {"bytes": good["bytes"][:60], "path": None},
        None,
        good,
        {"bytes": None, "path": "there.png"},
    ]
    rows = table(images, ["a cat", "a dog", "x", None, ""], str(tmp_path))
    prepare = Pairs(pixels=Pixels(size=16), tokens=HashedWords(length=4))
    assert prepare.columns == ("image", "text")
    decoded = prepare.decode(rows)
    assert set(decoded.broken) == {1, 2, 3}
    assert decoded.broken[3] == "no text"
    for row in (0, 4):
        np.testing.assert_array_equal(decoded.arrays["image"][row], pixels)
    np.testing.assert_array_equal(decoded.arrays["text"][[0, 4]], HashedWords(length=4)(["a cat", ""]))
    batch = prepare(decoded.arrays, chance(5))
    assert batch["image"].shape == (5, 16, 16, 3)
    assert batch["text"].dtype == np.int32


def test_pairs_keep_a_margin_for_shifts():
    prepare = Pairs(pixels=Pixels(size=8), augment=Augment(shift=2, pad=False))
    decoded = prepare.decode(table([{"bytes": png(pictures(1)[0]), "path": None}], ["a"]))
    assert decoded.arrays["image"].shape == (1, 12, 12, 3)
    assert prepare(decoded.arrays, chance(1))["image"].shape == (1, 8, 8, 3)


def test_columns_are_numbers_as_they_are():
    rows = pa.table({"x": [[1.0, 2.0], None, [3.0, np.nan], [5.0, 6.0]], "y": [1, 2, 3, 4]})
    decoded = Columns(("x", "y")).decode(rows)
    assert decoded.broken.keys() == {1, 2}
    np.testing.assert_array_equal(decoded.arrays["x"][[0, 3]], [[1, 2], [5, 6]])
    assert decoded.arrays["y"].tolist() == [1, 2, 3, 4]
    fixed = pa.table({"x": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))})
    assert Columns(("x",)).decode(fixed).arrays["x"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InputError, match="lists of 1 to 2"):
        Columns(("x",)).decode(pa.table({"x": [[1.0], [1.0, 2.0]]}))


def test_bad_settings():
    with pytest.raises(SettingError, match="at least 1 pixel"):
        Pixels(size=0)
    for bad in ({"shift": -1}, {"flip": 1.5}, {"jitter": 2.0}):
        with pytest.raises(SettingError, match="shift is 0 or more"):
            Augment(**bad)
