import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.core.errors import InputError
from sensorium.data.schema import check_types, is_media, no_column, plain_type, unify


def unified(*schemas):
    return unify("pool", [(f"{number}.x", pa.schema(schema)) for number, schema in enumerate(schemas)])


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.uint16(), pa.uint64()),
        (pa.uint8(), pa.int8(), pa.int64()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.null(), pa.bool_(), pa.bool_()),
        (pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.large_binary(), pa.binary(), pa.binary()),
        (pa.list_(pa.null()), pa.large_list(pa.string()), pa.list_(pa.field("element", pa.string()))),
        (pa.list_(pa.float32(), 3), pa.list_(pa.float32()), pa.list_(pa.field("element", pa.float32()))),
        (
            pa.struct([("a", pa.int8())]),
            pa.struct([("b", pa.string())]),
            pa.struct([("a", pa.int8()), ("b", pa.string())]),
        ),
        (pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us")),
    ],
)
def test_types_that_meet(one, other, both):
    schema, notes = unified([("c", one)], [("c", other)])
    assert schema.field("c").type == both
    assert notes == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.string(), pa.int64()),
        (pa.uint64(), pa.int8()),
        (pa.list_(pa.string()), pa.string()),
        (pa.binary(), pa.string()),
    ],
)
def test_types_that_do_not_meet_name_both_files(one, other):
    with pytest.raises(InputError, match=r"column 'c' of pool pool is .* in 0\.x but .* in 2\.x"):
        unified([("c", one)], [("d", other)], [("c", other)])


def test_absent_columns_are_told():
    schema, notes = unified([("a", pa.string())], [("b", pa.string())])
    assert schema.names == ["a", "b"]
    assert len(notes) == 2
    assert "'a' is absent in 1.x" in notes[0]


_kinds = st.sampled_from([pa.null(), pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.uint8()])


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), _kinds, max_size=3), min_size=1, max_size=4),
    st.randoms(),
)
def test_the_order_of_files_does_not_matter(schemas, random):
    schema, _ = unified(*(list(one.items()) for one in schemas))
    random.shuffle(schemas)
    other, _ = unified(*(list(one.items()) for one in schemas))
    assert {item.name: item.type for item in schema} == {item.name: item.type for item in other}


def test_a_missing_column_shows_how_to_map_one():
    assert str(no_column("X", "text", ["caption", "image"])) == (
        "pool X has no column 'text'; it has: caption, image. Map it with columns text=caption."
    )
    assert "image=img" in str(no_column("X", "image", ["img"]))
    assert "text=texts" in str(no_column("X", "text", ["texts", "z"]))
    assert "image=THEIR_NAME" in str(no_column("X", "image", ["matches"]))
    assert str(no_column("X", "text", [])) == "pool X has no column 'text', nor any other."


def test_types_that_names_promise():
    schema = pa.schema(
        [("text", pa.int64()), ("image", pa.list_(pa.uint8())), ("audio", pa.string()), ("lang", pa.string())]
    )
    check_types("X", schema, ["audio", "lang"])
    with pytest.raises(InputError, match="'text' of pool X is int64; it must be text"):
        check_types("X", schema, ["text"])
    with pytest.raises(InputError, match="'image' of pool X is list"):
        check_types("X", schema, ["image"])


def test_media_types():
    assert is_media(pa.struct([("path", pa.string())]))
    assert is_media(pa.struct([("bytes", pa.binary()), ("path", pa.string()), ("more", pa.int8())]))
    assert is_media(pa.binary())
    assert is_media(pa.string())
    assert not is_media(pa.struct([("array", pa.list_(pa.float32()))]))
    assert not is_media(pa.struct([("bytes", pa.list_(pa.uint8()))]))


def test_plain_types_go_deep():
    kind = pa.struct([("a", pa.list_(pa.dictionary(pa.int8(), pa.large_string()))), ("b", pa.null())])
    assert plain_type(kind) == pa.struct([("a", pa.list_(pa.field("element", pa.string()))), ("b", pa.string())])
