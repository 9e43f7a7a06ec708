import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_balance import finished

from sensorium.core.errors import InputError, SettingError
from sensorium.curate import subset
from sensorium.curate.subset import RandomSubset, ShuffleText
from sensorium.data.chance import hash_ids, keyed


def table_of(number):
    return pa.table({"id": [f"r{row}" for row in range(number)], "text": [f"text {row}" for row in range(number)]})


def kept(step, *tables):
    state = finished(step, *tables)
    results = [step.apply(state, table) for table in tables]
    return {row["id"] for result in results for row in result.to_pylist() if row["dropped"] is None}


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60), st.integers(0, 5))
def test_exactly_size_rows_with_the_smallest_hashes(size, number, cut, seed):
    size = min(size, number)
    table = table_of(number)
    hashes = keyed(hash_ids(table["id"]), seed, "subset")
    smallest = {table["id"][int(row)].as_py() for row in np.argsort(hashes)[:size]}
    step = RandomSubset(size=size, seed=seed)
    assert kept(step, table) == smallest
    assert kept(step, table.slice(cut), table.slice(0, cut)) == smallest


@pytest.mark.parametrize("size", [1, 5, 9, 10])
def test_equal_hashes_are_told_apart_by_id(size, monkeypatch):
    monkeypatch.setattr(subset, "keyed", lambda hashes, *_: hashes % np.uint64(2))
    table = table_of(10)
    first, second = (
        kept(RandomSubset(size=size), table),
        kept(RandomSubset(size=size), table.slice(3), table.slice(0, 3)),
    )
    assert first == second
    assert len(first) == size


def test_sizes_that_cannot_be():
    with pytest.raises(InputError, match="only 4 rows are there; give at most 4"):
        finished(RandomSubset(size=5), table_of(4))
    for settings in ({}, {"size": 0}, {"size": 2.0}, {"size": 1, "seed": "x"}):
        with pytest.raises(SettingError):
            RandomSubset(**settings)
    with pytest.raises(SettingError, match="a stage that gives pool"):
        RandomSubset(like="balanced")


def test_captions_move_to_other_rows():
    table = table_of(50)
    result = ShuffleText(seed=1).gather(table)
    assert sorted(result["text"].to_pylist()) == sorted(table["text"].to_pylist())
    assert all(one != other for one, other in zip(result["text"].to_pylist(), table["text"].to_pylist(), strict=True))
    source = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    assert [source[one] for one in result["text_from"].to_pylist()] == result["text"].to_pylist()
    assert ShuffleText(seed=2).gather(table)["text"].to_pylist() != result["text"].to_pylist()


def test_the_shuffle_does_not_depend_on_the_order_of_rows():
    table = table_of(30)
    turned = table.take(pa.array(np.arange(30)[::-1]))
    one, other = ShuffleText().gather(table), ShuffleText().gather(turned)
    assert one.sort_by("id").equals(other.sort_by("id"))


@pytest.mark.parametrize("number", [0, 1])
def test_shuffling_hardly_anything(number):
    assert ShuffleText().gather(table_of(number))["text"].to_pylist() == table_of(number)["text"].to_pylist()
