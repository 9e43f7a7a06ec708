from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import InputError, SettingError
from sensorium.data.chance import hash_ids
from sensorium.data.order import Draw, Mix, Places, Shuffle


class Pool:
    """Facts of a made-up pool."""

    def __init__(self, ids, parts=None, **columns):
        self._ids, self._columns = list(ids), columns
        self._parts = parts or {"": range(len(self._ids))}

    @property
    def num_rows(self):
        return len(self._ids)

    def hashes(self):
        return hash_ids(self._ids)

    def numbers(self, column):
        return np.asarray(self._columns[column], float)

    def parts(self):
        return self._parts

    def ids(self, places: Places):
        return [self._ids[row] for row in places.rows]


def names(count, prefix="r"):
    return [f"{prefix}{number}" for number in range(count)]


orders = st.sampled_from([Shuffle(), Shuffle(window=16), Shuffle(window=50), Draw("keep")])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), orders, st.integers(0, 5), st.integers(0, 400), st.integers(0, 90))
def test_a_stretch_is_the_same_however_it_is_asked_for(num_rows, order, seed, start, length):
    pool = Pool(names(num_rows), keep=np.linspace(1, 0.2, num_rows))
    visits = order.visits(pool, seed)
    whole = order.visits(pool, seed).places(0, start + length)
    piece = visits.places(start, start + length)
    np.testing.assert_array_equal(piece.rows, whole.rows[start:])
    np.testing.assert_array_equal(piece.epochs, whole.epochs[start:])
    one_by_one = [visits.places(place, place + 1).rows[0] for place in range(start, start + min(length, 5))]
    assert one_by_one == piece.rows[:5].tolist()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 200), st.sampled_from([None, 16, 33, 64]), st.integers(0, 3))
def test_every_row_occurs_once_in_each_epoch(num_rows, window, seed):
    visits = Shuffle(window=window).visits(Pool(names(num_rows)), seed)
    places = visits.places(0, 3 * num_rows)
    for epoch in range(3):
        rows = places.rows[epoch * num_rows : (epoch + 1) * num_rows]
        assert sorted(rows) == list(range(num_rows))
        assert set(places.epochs[epoch * num_rows : (epoch + 1) * num_rows]) == {epoch}


def test_epochs_and_seeds_differ():
    pool = Pool(names(100))
    places = Shuffle().visits(pool, 0).places(0, 200)
    assert places.rows[:100].tolist() != places.rows[100:].tolist()
    assert Shuffle().visits(pool, 1).places(0, 100).rows.tolist() != places.rows[:100].tolist()


@pytest.mark.parametrize("order", [Shuffle(), Draw("keep")])
def test_the_stored_order_has_no_influence_on_the_ids(order):
    ids, keep = np.array(names(60)), np.linspace(0, 1, 60)
    mixed = np.random.default_rng(0).permutation(60)
    one, other = Pool(ids, keep=keep), Pool(ids[mixed], keep=keep[mixed])
    assert one.ids(order.visits(one, 3).places(0, 150)) == other.ids(order.visits(other, 3).places(0, 150))


def test_a_window_keeps_reading_local_and_still_mixes():
    places = Shuffle(window=160).visits(Pool(names(10_000)), 0).places(0, 160)
    assert len(np.unique(places.rows // 10)) == 16, "a window is 16 runs of 10 neighbours"
    assert np.mean(np.diff(places.rows) == 1) < 0.1


def test_a_window_as_large_as_the_pool_is_a_whole_shuffle():
    pool = Pool(names(50))
    whole = Shuffle().visits(pool, 0).places(0, 50).rows
    assert Shuffle(window=50).visits(pool, 0).places(0, 50).rows.tolist() == whole.tolist()


def test_draw_takes_each_row_with_its_probability():
    keep = np.repeat([0.1, 0.5, 1.0, 0.0], 250)
    visits = Draw("keep").visits(Pool(names(1000), keep=keep), 0)
    places = visits.places(0, 400 * 200)
    whole = places.rows[places.epochs < places.epochs[-1]]
    num_epochs = int(places.epochs[-1])
    rate = np.bincount(whole, minlength=1000).reshape(4, 250).mean(axis=1) / num_epochs
    np.testing.assert_allclose(rate, [0.1, 0.5, 1.0, 0.0], atol=0.02)
    for epoch in range(3):
        drawn = Counter(places.rows[places.epochs == epoch].tolist())
        assert max(drawn.values()) == 1


def test_draw_refuses_what_is_no_probability():
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(InputError, match=r"lies in \[0, 1\]"):
            Draw("keep").visits(Pool(names(3), keep=[1, bad, 1]), 0)
    with pytest.raises(InputError, match="less than one row"):
        Draw("keep").visits(Pool(names(3), keep=[0, 0.1, 0.1]), 0)


def mixed_pool():
    return Pool(names(95) + names(30, "s"), parts={"new": range(95), "seen": range(95, 125)})


def test_mix_keeps_its_shares_and_goes_through_each_part():
    pool = mixed_pool()
    visits = Mix({"new": 0.95, "seen": 0.05}).visits(pool, 0)
    places = visits.places(0, 2000)
    for block in (slice(0, 1000), slice(1000, 2000)):
        assert np.sum(places.rows[block] < 95) == 950
    new, seen = places.rows[places.rows < 95], places.rows[places.rows >= 95]
    assert sorted(new[:95]) == list(range(95))
    assert sorted(seen[:30]) == list(range(95, 125))
    piece = visits.places(990, 1020)
    np.testing.assert_array_equal(piece.rows, places.rows[990:1020])
    np.testing.assert_array_equal(piece.epochs, places.epochs[990:1020])
    assert len(visits.places(5, 5).rows) == 0


def test_mix_rounds_shares_to_whole_places():
    parts = {name: range(number, number + 1) for number, name in enumerate("abc")}
    places = Mix(dict.fromkeys("abc", 1 / 3)).visits(Pool(names(3), parts=parts), 0).places(0, 1000)
    assert sorted(Counter(places.rows.tolist()).values()) == [333, 333, 334]


def test_mix_refuses_shares_and_names():
    with pytest.raises(SettingError, match="add up to 1"):
        Mix({"new": 0.5, "seen": 0.4})
    with pytest.raises(SettingError, match="add up to 1"):
        Mix({"new": 1.2, "seen": -0.2})
    with pytest.raises(SettingError, match="did you mean 'seen'"):
        Mix({"new": 0.5, "sen": 0.5}).visits(mixed_pool(), 0)


def test_bad_settings():
    with pytest.raises(SettingError, match="at least 16"):
        Shuffle(window=3)
    with pytest.raises(InputError, match="no rows"):
        Shuffle().visits(Pool([]), 0)
