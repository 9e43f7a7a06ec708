from __future__ import annotations

import threading

import numpy as np
import pytest
from training_pools import write_pairs

from sensorium.core.errors import StageFailedError
from sensorium.data.order import Shuffle
from sensorium.data.prepare import Augment, Pairs, Pixels
from sensorium.data.rows import Rows
from sensorium.data.sources import open_pool
from sensorium.data.words import HashedWords
from sensorium.train.loader import Loader, Loading

PREPARE = Pairs(pixels=Pixels(size=16), tokens=HashedWords(length=4), augment=Augment(shift=1, jitter=0.2))


def loader(pool, prepare=PREPARE, **settings):
    rows = Rows(open_pool(pool), prepare.columns)
    settings = {"batch": 6, "seed": 1, **settings}
    return Loader(rows, prepare, Shuffle().visits(rows, 1), Loading(**settings))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pool"), 20, broken={4: b"x", 11: b""})


def same(one, other):
    assert one.ids == other.ids
    assert one.broken == other.broken
    assert one.num_replaced == other.num_replaced
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("memory_bytes", [0, 5000, 1 << 30])
def test_batches_are_pure_in_their_number(pool, workers, memory_bytes):
    wanted = [loader(pool).load(update) for update in range(8)]
    made = list(loader(pool, workers=workers, memory_bytes=memory_bytes).run(3, 8))
    for one, other in zip(made, wanted[3:], strict=True):
        same(one, other)


def test_ranks_take_stretches_of_one_batch(pool):
    whole = loader(pool).load(5)
    parts = [loader(pool, rank=rank, num_ranks=3).load(5) for rank in range(3)]
    assert [name for part in parts for name in part.ids] == whole.ids
    pictures = np.concatenate([part.arrays["image"] for part in parts])
    np.testing.assert_array_equal(pictures, whole.arrays["image"])
    assert sum(part.num_replaced for part in parts) == whole.num_replaced


def test_a_broken_row_gives_its_place_to_the_same_place_of_the_next_batch(pool):
    made = loader(pool)
    rows = Rows(open_pool(pool), ["image", "text"])
    places = Shuffle().visits(rows, 1).places(0, 60)
    ids = np.array(rows.names(places.rows)).reshape(10, 6)
    for update in range(8):
        batch = made.load(update)
        broken = np.isin(ids[update], ["p0004", "p0011"])
        assert batch.num_replaced == broken.sum()
        for place, name in enumerate(batch.ids):
            assert name == (ids[update + 1, place] if broken[place] else ids[update, place])
        assert batch.broken.keys() == set(ids[update][broken])


class Counting(Pairs):
    """Counts the rows it decodes."""

    decoded = 0

    def decode(self, rows):
        type(self).decoded += len(rows)
        return super().decode(rows)


def test_rows_are_decoded_once_as_far_as_memory_reaches(pool):
    for memory_bytes, wanted in ((1 << 30, 20), (0, None)):
        Counting.decoded = 0
        made = loader(pool, Counting(pixels=Pixels(size=16)), memory_bytes=memory_bytes)
        for update in range(20):
            made.load(update)
        if wanted:
            assert Counting.decoded == wanted
        else:
            assert Counting.decoded > 80


def test_a_pool_without_a_good_row_stops(tmp_path):
    bad = write_pairs(tmp_path, 6, broken={row: b"x" for row in range(6)})
    with pytest.raises(StageFailedError, match="at one place of update 2 none of 100 rows"):
        loader(bad).load(2)


def test_threads_end_with_the_run_also_when_it_is_left_early(pool):
    batches = loader(pool, workers=3).run(0, 50)
    next(batches)
    assert any(thread.name.startswith("loader") for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name.startswith("loader") for thread in threading.enumerate())
