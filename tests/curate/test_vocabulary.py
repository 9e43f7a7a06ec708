import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.core.errors import InputError, SettingError
from sensorium.curate.vocabulary import Vocabulary, one_array


def entries_of(vocabulary):
    return vocabulary.entries.to_pylist()


def test_entries_are_sorted_by_bytes_and_unique():
    vocabulary = Vocabulary.build([("mine", ["b", "ä", "a", "Z", "b", "犬"])])
    assert entries_of(vocabulary) == ["Z", "a", "b", "ä", "犬"]
    assert vocabulary.facts == {"given": 6, "empty": 0, "merged": 1}
    assert [vocabulary[entry] for entry in np.argsort(vocabulary.rank)] == ["b", "ä", "a", "Z", "犬"]


def test_blanks_at_the_ends_go_and_what_is_empty_is_counted():
    vocabulary = Vocabulary.build([("mine", [" dog\t", "", "  ", "dog", "hot  dog", "\u00a0"])])
    assert entries_of(vocabulary) == ["dog", "hot  dog", "\u00a0"]
    assert vocabulary.facts == {"given": 6, "empty": 2, "merged": 1}


def test_first_part_keeps_a_shared_entry():
    vocabulary = Vocabulary.build([("one", ["a", "b"]), ("two", ["b", "c"])])
    about = vocabulary.about()
    assert [vocabulary.origins[number] for number in vocabulary.origin] == ["one", "one", "two"]
    assert about["parts"] == [{"name": "one", "entries": 2}, {"name": "two", "entries": 1}]


@pytest.mark.parametrize("entries", [[], [""], [" ", "\n"]])
def test_a_list_without_entries_is_refused(entries):
    with pytest.raises(InputError, match=r"my list holds no entry"):
        Vocabulary.build([("x", entries)], "my list")


def test_what_is_no_text_is_refused():
    with pytest.raises(SettingError, match="7, which is not text"):
        Vocabulary.build([("x", ["a", 7])])
    with pytest.raises(InputError, match="not valid Unicode"):
        Vocabulary.build([("x", ["a", "\ud800"])])


@given(st.lists(st.text(max_size=8), max_size=30), st.randoms())
def test_order_of_the_list_has_no_influence_on_ids_and_hash(entries, random):
    if not any(entry.strip(" \t\n\v\f\r") for entry in entries):
        return
    shuffled = list(entries)
    random.shuffle(shuffled)
    one, other = Vocabulary.build([("x", entries)]), Vocabulary.build([("y", shuffled)])
    assert entries_of(one) == entries_of(other)
    assert one.sha256 == other.sha256


def test_the_hash_sees_where_entries_end():
    assert Vocabulary.build([("x", ["ab", "c"])]).sha256 != Vocabulary.build([("x", ["a", "bc"])]).sha256


def test_save_and_open(tmp_path):
    vocabulary = Vocabulary.build([("one", ["b\nc", 'q"', "a"]), ("two", ["犬"])])
    vocabulary.save(tmp_path)
    first = (tmp_path / "entries.parquet").read_bytes()
    opened = Vocabulary.open(tmp_path)
    assert entries_of(opened) == entries_of(vocabulary)
    assert opened.about() == vocabulary.about()
    assert (opened.rank == vocabulary.rank).all()
    assert opened.best_first().to_pylist() == ["b\nc", 'q"', "a", "犬"]
    vocabulary.save(tmp_path)
    assert (tmp_path / "entries.parquet").read_bytes() == first


def test_changed_entries_are_noticed(tmp_path):
    Vocabulary.build([("x", ["a", "b"])]).save(tmp_path)
    about = (tmp_path / "vocabulary.json").read_text()
    Vocabulary.build([("x", ["a", "c"])]).save(tmp_path)
    (tmp_path / "vocabulary.json").write_text(about)
    with pytest.raises(InputError, match="content hash"):
        Vocabulary.open(tmp_path)


def test_ids_by_text():
    assert Vocabulary.build([("x", ["b", "a"])]).ids(["b", "z", "a"]) == [1, None, 0]


def test_one_array():
    chunked = pa.chunked_array([["a"], ["b"]])
    assert one_array(chunked).to_pylist() == ["a", "b"]
    assert one_array(pa.chunked_array([], pa.string())).to_pylist() == []
    assert one_array(chunked.chunk(0)).to_pylist() == ["a"]


def test_a_document_is_no_list_of_entries():
    with pytest.raises(InputError, match=r"^my\.txt holds an entry of 10,001 bytes that begins with 'xxxx"):
        Vocabulary.build([("a", ["dog", "x" * 10_001])], "my.txt")
    assert len(Vocabulary.build([("a", ["dog", "x" * 10_000])])) == 2
