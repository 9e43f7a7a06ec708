import itertools
import pickle
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.pool_makers import parquet, read

from sensorium.data import ids as module
from sensorium.data.ids import number_occurrences, repeated_ids
from sensorium.data.sources import Files

_rows = st.lists(
    st.fixed_dictionaries({"text": st.sampled_from(["a", "b", ""]), "n": st.integers(0, 1) | st.none()}),
    min_size=1,
    max_size=25,
)


def write(folder, rows, cuts):
    bounds = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        schema = pa.schema([("text", pa.string()), ("n", pa.int64())])
        parquet(
            folder / f"{number:03d}.parquet",
            pa.Table.from_pylist(rows[start:stop], schema=schema),
            row_group_size=4,
        )
    return Files(folder)


@settings(max_examples=40, deadline=None)
@given(_rows, st.lists(st.integers(0, 100), max_size=7), st.sampled_from([1, 3, 65536]))
def test_content_ids_do_not_depend_on_shards(tmp_path_factory, rows, cuts, size):
    one, _ = read(write(tmp_path_factory.mktemp("one"), rows, []))
    several, _ = read(write(tmp_path_factory.mktemp("several"), rows, cuts), rows=size)
    assert several == one
    assert list(several) == list(one)
    counts = Counter((row["text"], row["n"]) for row in rows)
    assert Counter((row["text"], row["n"]) for row in one.values()) == counts


@pytest.mark.parametrize("num_shards", [1, 3, 7])
def test_in_any_order_of_shards_the_set_of_ids_and_rows_is_the_same(tmp_path, num_shards):
    rows = [{"text": f"t{n % 5}", "n": n % 2} for n in range(40)]
    expected, _ = read(write(tmp_path / "one", rows, []))
    shards = write(tmp_path / "cut", rows, [n * 40 // num_shards for n in range(num_shards)]).shards()
    backwards = number_occurrences(shards[::-1])
    found, _ = read(backwards)
    assert {(name, row["text"], row["n"]) for name, row in found.items()} == {
        (name, row["text"], row["n"]) for name, row in expected.items()
    }
    again, _ = read(pickle.loads(pickle.dumps(backwards)))
    assert again == found


def test_spilling_to_files_changes_nothing(tmp_path, monkeypatch):
    rows = [{"text": f"t{n % 50}", "n": n % 3} for n in range(1000)]
    pool = write(tmp_path, rows, [100, 300, 700])
    expected = read(pool)
    monkeypatch.setattr(module, "IN_MEMORY", 64)
    assert read(pool) == expected


def given_pool(tmp_path, shards):
    for number, names in enumerate(shards):
        parquet(tmp_path / f"{number}.parquet", [{"id": name, "text": "x"} for name in names])
    return Files(tmp_path).shards()


def test_repeated_ids_are_found_over_all_shards(tmp_path, monkeypatch):
    shards = given_pool(tmp_path, [["a", "b", "a"], ["c", "d"], ["b", "e", "b"]])
    expected = [("a", "0", "0"), ("b", "0", "2")]
    assert repeated_ids(shards) == expected
    assert repeated_ids(shards, limit=1) == expected[:1]
    monkeypatch.setattr(module, "IN_MEMORY", 2)
    assert repeated_ids(shards) == expected
    assert repeated_ids(shards[1:2]) == []
    assert repeated_ids([]) == []


def test_many_repeats_are_cut_at_the_limit(tmp_path):
    shards = given_pool(tmp_path, [[str(n) for n in range(3000)]] * 2)
    found = repeated_ids(shards, limit=10)
    assert len(found) == 10
    assert all(first == "0" and other == "1" for _, first, other in found)


@given(st.lists(st.lists(st.integers(0, 12).map(str), max_size=8), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_repeats_equal_a_slow_count(tmp_path_factory, shards):
    if not any(shards):
        return
    found = repeated_ids(given_pool(tmp_path_factory.mktemp("ids"), [names or ["x"] for names in shards]))
    counts = Counter(name for names in shards for name in (names or ["x"]))
    assert {name for name, _, _ in found} == {name for name, count in counts.items() if count > 1}


def test_rows_with_broken_content_are_not_numbered(tmp_path):
    text = pa.array([b"same", b"\xe9", b"same"], pa.binary()).view(pa.string())
    parquet(tmp_path / "a.parquet", pa.table({"text": text, "n": [1, 1, 1]}))
    rows, rejected = read(tmp_path)
    first, second = rows
    assert second == f"{first}.1"
    assert rejected == [("a:1", "invalid UTF-8: in column 'text'")]


def test_ids_do_not_depend_on_the_columns_asked_for(tmp_path):
    text = pa.array([b"\xe9", b"fine", b"fine"], pa.binary()).view(pa.string())
    parquet(tmp_path / "a.parquet", pa.table({"url": ["u", "u", "u"], "text": text}))
    pool = Files(tmp_path, ids="content", key=("url",))
    every, rejected = read(pool, ["url"])
    some, _ = read(pool, ["text"])
    assert len(every) == 3
    assert not rejected
    assert set(some) == set(list(every)[1:])
