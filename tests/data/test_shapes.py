import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.data.shapes import MAX_FIELDS, Shape, Shapes, parse


def shape_of(*values):
    shape = Shape()
    for value in values:
        shape.add(value)
    return shape


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], pa.string()),
        ([None, 1], pa.int64()),
        ([1, 2.5, None], pa.float64()),
        ([True, False], pa.bool_()),
        (["a", None], pa.string()),
        ([True, 1], pa.string()),
        ([1, "a"], pa.string()),
        ([2**60, 0.5], pa.string()),
        ([2**53, 0.5], pa.float64()),
        ([2**64], pa.string()),
        ([[], []], pa.list_(pa.field("element", pa.string()))),
        ([[], [1]], pa.list_(pa.field("element", pa.int64()))),
        ([None, {"a": 1}, {"b": "x"}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        ([[1], {"a": 1}], pa.string()),
        ([{}], pa.string()),
        ([{}, {"a": None}], pa.struct([("a", pa.string())])),
    ],
)
def test_types_are_those_of_all_values(values, kind):
    assert shape_of(*values).type() == kind
    back = shape_of(*reversed(values)).type()
    if pa.types.is_struct(kind):  # fields stand in the order of their first appearance
        assert {(item.name, item.type) for item in back} == {(item.name, item.type) for item in kind}
    else:
        assert back == kind


def test_mixed_values_become_text_without_loss():
    shape = shape_of(1, "a", {"x": [True]}, None)
    assert [shape.convert(value) for value in (1, "a", {"x": [True]}, None)] == [
        "1",
        "a",
        '{"x": [true]}',
        None,
    ]
    assert shape_of(2**70).convert(2**70) == str(2**70)


def test_objects_with_data_in_their_keys_are_kept_as_text():
    shape = shape_of(*({f"user{number}": number} for number in range(MAX_FIELDS + 1)))
    assert shape.type() == pa.string()
    assert json.loads(shape.convert({"user7": 7})) == {"user7": 7}
    one, other = shape_of({f"a{n}": 1 for n in range(600)}), shape_of({f"b{n}": 1 for n in range(600)})
    one.merge(other)
    assert one.type() == pa.string()


def test_rows_that_look_alike_still_change_types():
    shapes = Shapes()
    for row in (
        {"n": 1, "d": {"x": None}, "l": []},
        {"n": 2**70, "d": {"x": "a"}, "l": [1.5]},
        {"n": 1, "d": {}, "l": [2]},
    ):
        shapes.add(row)
    kinds = {item.name: item.type for item in shapes.schema()}
    assert kinds["n"] == pa.string()
    assert kinds["d"] == pa.struct([("x", pa.string())])
    assert kinds["l"] == pa.list_(pa.field("element", pa.float64()))


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
_rows = st.lists(st.dictionaries(st.sampled_from("xyz"), _values, max_size=3), max_size=8)


@given(_rows, st.integers(0, 8))
def test_one_or_several_files_give_the_same_types_and_every_value_fits(rows, cut):
    whole, first, second = Shapes(), Shapes(), Shapes()
    for row in rows:
        whole.add(row)
    for position, row in enumerate(rows):
        (first if position < cut else second).add(row)
    merged = Shapes().merge([first, second])
    assert merged.schema().equals(whole.schema())
    for name in whole.of:
        column = merged.column(name, rows)
        assert len(column) == len(rows)
        for row, value in zip(rows, column.to_pylist(), strict=True):
            assert (value is None) <= (row.get(name) is None or whole.of[name].type() != pa.string())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "invalid JSON"),
        (b"nonsense", "invalid JSON"),
        (b'{"a": 1} {"b": 2}', "invalid JSON"),
        (b'{"a": "\xe9"}', "invalid UTF-8"),
        (b'{"a": "\\ud800"}', "invalid UTF-8"),
        (b'{"a": "\\uDC00 x"}', "invalid UTF-8"),
        (b'{"a": {"\\ud83c": [1]}}', "invalid UTF-8"),
        (b'{"a": [["\\ud83c"]]}', "invalid UTF-8"),
        (b"[" * 200_000, "invalid JSON: nested too deeply"),
        (b"1" * 5000, "invalid JSON"),
        (b'{"a": "\x01"}', "invalid JSON"),
    ],
)
def test_parse_gives_a_reason_and_never_raises(line, reason):
    assert parse(line)[1].startswith(reason)


def test_parse_reads_what_is_fine():
    assert parse(b' {"a": "\\ud83c\\udf78 \\u0000"}\r') == ({"a": "🍸 \0"}, None)
    assert parse('{"a": "é\u2028"}'.encode()) == ({"a": "é\u2028"}, None)
    assert parse(b'{"id": "x", "a": "\xe9"}')[0]["id"] == "x"
