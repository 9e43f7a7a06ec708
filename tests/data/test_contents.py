import hashlib

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sensorium.data.contents import Earlier, Occurrences, first_halves, row_digests


def digests(table):
    return [bytes(row) for row in row_digests(table)]


def test_order_of_columns_widths_and_absent_columns_do_not_count():
    one = pa.table({"a": pa.array([1, 2], pa.int8()), "t": ["x", None], "s": [{"p": 1, "q": None}, None]})
    other = pa.table(
        {
            "s": pa.array([{"p": 1}, None], pa.struct([("p", pa.int64())])),
            "t": pa.chunked_array([pa.array(["x"]), pa.array([None], pa.string())]),
            "a": pa.array([1, 2], pa.int64()),
            "n": pa.nulls(2),
        }
    )
    assert digests(one) == digests(other)


def test_what_differs_has_another_hash():
    values = [
        "",
        None,
        b"",
        1,
        "1",
        1.0,
        True,
        ["x"],
        ["x", None],
        [["x"]],
        float("nan"),
        [{"k": 1}],
        [{"k": 2}],
    ]
    tables = [pa.table({"a": pa.array([value], pa.string() if value is None else None)}) for value in values]
    tables += [pa.table(columns) for columns in ({"b": [""]}, {"a": ["x"], "b": ["yz"]}, {"a": ["xy"], "b": ["z"]})]
    found = [digests(table)[0] for table in tables]
    assert len(set(found)) == len(found)


def by_hand(*leaves):
    written = b"".join(b"\0%s\0%s%d:%s" % (name, kind, len(value), value) for name, kind, value in sorted(leaves))
    return hashlib.blake2b(written, digest_size=16).hexdigest()


def test_known_values_stay_because_published_ids_depend_on_them():
    table = pa.table({"text": ["a cat", "Straße 猫"], "n": [1, None]})
    found = [row.hex() for row in digests(table)]
    assert found == ["326200f74d07cc62ae19da1109492c58", "1425616fa7a7ed72852592b1d4a57b4b"]
    assert found == [
        by_hand((b"text", b"s", b"a cat"), (b"n", b"v", b"1")),
        by_hand((b"text", b"s", "Straße 猫".encode())),
    ]


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(0, 20))
def test_occurrences_count_on_over_pieces(values, cut):
    table = pa.table({"v": pa.array(values, pa.int64())})
    whole = Occurrences(None).ids(row_digests(table))
    counting = Occurrences(None)
    assert counting.ids(row_digests(table.slice(0, cut))) + counting.ids(row_digests(table.slice(cut))) == whole
    assert len(set(whole)) == len(values)
    for row, value in enumerate(values):
        number = values[:row].count(value)
        assert whole[row].partition(".")[2] == (str(number) if number else "")


def test_occurrences_begin_behind_earlier_shards():
    found = row_digests(pa.table({"v": [7, 8, 7]}))
    half = first_halves(found)
    numbering = Occurrences(Earlier(np.array([half[0]], np.uint64), np.array([2])))
    ids = numbering.ids(found)
    assert [name.partition(".")[2] for name in ids] == ["2", "", "3"]
    assert Occurrences(Earlier(np.zeros(0, np.uint64), np.zeros(0, np.int64))).ids(found)[0].isalnum()


def test_a_table_without_rows_or_columns():
    assert row_digests(pa.table({"a": pa.array([], pa.string())})).shape == (0, 16)
    assert row_digests(pa.table({"a": [1, 2]}).select([])).shape == (2, 16)


def test_dates_beyond_the_calendar_have_ids():
    far = pa.array([2**30, 0, None], pa.int32()).view(pa.date32())
    moments = pa.array([10**15, 0, None], pa.int64()).view(pa.timestamp("s", "UTC"))
    digests = row_digests(pa.table({"day": far, "at": moments}))
    assert len(np.unique(digests, axis=0)) == 3
