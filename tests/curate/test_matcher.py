import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import InputError
from sensorium.curate import matcher as matching
from sensorium.curate.matcher import Matcher
from sensorium.curate.vocabulary import Vocabulary

SEMANTICS = ["published-v1", "published-v2", "strict"]
# Few characters of every kind that matters, so that matches, near misses and odd blanks are frequent.
ALPHABET = "aab bc  ,.!`('\t\n\r\u00a0\u3000猫犬かナー한é\u0301e\u0085ไ𠀀（—\x00\x1c\u1112\u1161"
texts = st.text(st.sampled_from(ALPHABET), max_size=20)
words = st.text(st.sampled_from(ALPHABET), min_size=1, max_size=6)


def vocabulary_of(entries):
    return Vocabulary.build([("test", entries)])


def found(entries, text, semantics="published-v1"):
    vocabulary = vocabulary_of(entries)
    matches = Matcher(vocabulary, semantics).match(pa.array([text], pa.string()))[0].as_py()
    return {vocabulary[entry] for entry in matches}


@pytest.mark.parametrize("semantics", SEMANTICS)
@settings(max_examples=150, deadline=None)
@given(entries=st.lists(words, min_size=1, max_size=25), pool=st.lists(texts, min_size=1, max_size=12))
def test_equals_the_scan(semantics, entries, pool):
    if not any(entry.strip(" \t\n\v\f\r") for entry in entries):
        return
    vocabulary = vocabulary_of(entries)
    given_texts = [*pool, entries[0], None, *entries]
    result = Matcher(vocabulary, semantics).match(pa.array(given_texts, pa.string()))
    known = vocabulary.entries.to_pylist()
    assert result.to_pylist() == [reference.matches(text, known, semantics) for text in given_texts]


@settings(max_examples=60, deadline=None)
@given(entries=st.lists(words, min_size=1, max_size=20), pool=st.lists(texts, min_size=1, max_size=8))
def test_equal_hashes_never_make_a_match(entries, pool):
    if not any(entry.strip(" \t\n\v\f\r") for entry in entries):
        return
    vocabulary = vocabulary_of(entries)
    honest = matching.hash_ids
    matching.hash_ids = lambda words: honest(words) % np.uint64(3)
    try:
        result = Matcher(vocabulary, "published-v2").match(pa.array(pool, pa.string()))
    finally:
        matching.hash_ids = honest
    known = vocabulary.entries.to_pylist()
    assert result.to_pylist() == [reference.matches(text, known, "published-v2") for text in pool]


def test_boundaries_of_version_1():
    entries = ["dog", "hot dog", "hot", "dog show", "a", "big hot dog"]
    expected = {
        "dog": {"dog"},
        "hot dog": {"dog", "hot", "hot dog"},
        "a big hot dog show": set(entries),
        "dogs": set(),
        "the dog.": {"dog"},
        "(dog)": set(),
        "hot, dog": {"hot", "dog"},
        "hot  dog": {"hot", "dog"},
        "hot\tdog": {"hot", "dog", "hot dog"},
        "hot\u00a0dog": set(),
        "": set(),
        None: set(),
    }
    assert {text: found(entries, text) for text in expected} == expected


def test_case_and_folding_stay_as_they_are():
    entries = ["hello", "world", "istanbul", "THIS", "straße", "file"]
    pool = ["LİKE hello THIS", "İSTANBUL world", "straße hello", "ﬁle hello", "Hello WORLD", "he\u0301llo"]
    expected = [{"hello", "THIS"}, {"world"}, {"straße", "hello"}, {"hello"}, set(), set()]
    assert [found(entries, text) for text in pool] == expected
    spans = Matcher(vocabulary_of(entries)).spans(pool[0])
    assert [(pool[0][span.begin : span.end], span.begin, span.end) for span in spans] == [
        ("hello", 5, 10),
        ("THIS", 11, 15),
    ]


def test_open_edges_of_version_2():
    assert found(["犬", "猫"], "黒い犬と猫", "published-v2") == {"犬", "猫"}
    assert found(["犬"], "黒い犬", "published-v1") == set()
    assert found(["dog"], "(dog) dog's", "published-v2") == set()
    assert found(["dog's"], "the dog's bone", "published-v2") == {"dog's"}
    assert found(["かな"], "ひらかなです", "published-v2") == set()
    assert found(["かな"], "ひらかなです", "strict") == {"かな"}


def test_entries_with_marks_are_dead_unless_strict():
    for semantics in ("published-v1", "published-v2"):
        assert found(["St. Louis", "U.S."], "in St. Louis, U.S. city", semantics) == set()
    assert found(["St. Louis", "U.S."], "in St. Louis, U.S. city", "strict") == {"St. Louis", "U.S."}
    assert found(["caf\u00e9"], "the cafe\u0301", "strict") == {"caf\u00e9"}
    assert found(["caf\u00e9"], "the cafe\u0301", "published-v2") == set()


def test_entries_that_are_equal_when_normalised_are_both_found():
    assert found(["é", "e\u0301"], "e\u0301", "strict") == {"é", "e\u0301"}


def test_spans_index_the_text_as_given():
    matcher = Matcher(vocabulary_of(["caf\u00e9", "dog", "hot dog"]), "strict")
    text = " \u3000A cafe\u0301 hot dog"
    assert [text[span.begin : span.end] for span in matcher.spans(text)] == ["cafe\u0301", "hot dog", "dog"]
    assert Matcher(vocabulary_of(["dog"])).spans("") == []


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_kind_of_text_array(kind):
    plain = pa.array(["x dog", "dog", None, "cat dog", ""], pa.string())
    matcher = Matcher(vocabulary_of(["dog", "cat"]))
    expected = [[1], [1], [], [0, 1], []]
    array = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind)
    assert matcher.match(array).to_pylist() == expected
    assert matcher.match(array.slice(2, 2)).to_pylist() == expected[2:4]
    assert matcher.match(pa.chunked_array([array.slice(0, 1), array.slice(1)])).to_pylist() == expected
    assert matcher.match(array.slice(0, 0)).to_pylist() == []
    assert matcher.match(plain).type == pa.list_(pa.int32())


def test_bytes_under_a_null_are_not_read():
    hidden = pa.StringArray.from_buffers(
        2, pa.py_buffer(np.array([0, 3, 6], np.int32)), pa.py_buffer(b"dogcat"), pa.py_buffer(b"\x02")
    )
    assert hidden.to_pylist() == [None, "cat"]
    assert Matcher(vocabulary_of(["dog", "cat"])).match(hidden).to_pylist() == [[], [0]]


def test_all_nulls_and_other_types():
    matcher = Matcher(vocabulary_of(["dog"]))
    assert matcher.match(pa.nulls(2)).to_pylist() == [[], []]
    with pytest.raises(InputError, match="int64, not strings"):
        matcher.match(pa.array([1, 2]))


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_blocks_have_no_influence(semantics, monkeypatch):
    entries = ["a", "b a", "犬", "a, b"]
    pool = pa.array(["a b a", "犬a", None, "x" * 50, "a, b"] * 40)
    matcher = Matcher(vocabulary_of(entries), semantics)
    whole = matcher.match(pool)
    for size in (1, 7, 100):
        monkeypatch.setattr(matching, "BLOCK_BYTES", size)
        assert matcher.match(pool).equals(whole)


def test_texts_of_a_megabyte():
    started = time.perf_counter()
    pool = ["x" * 1_000_000, "dog " * 250_000, "cat" + " " * 1_000_000 + "dog", "hot dog" * 140_000]
    matches = Matcher(vocabulary_of(["dog", "cat", "hot dog"])).match(pa.array(pool)).to_pylist()
    assert matches == [[], [1], [0, 1], [1]]
    assert time.perf_counter() - started < 10


def test_very_long_entries():
    chain = " ".join(["very"] * 300 + ["long"])
    assert found([chain, "very long"], f"a {chain} entry") == {chain, "very long"}
    assert found([chain], chain.removeprefix("very ")) == set()


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_equals_the_scan_on_real_texts(semantics, real_data):
    synsets = pq.read_table(real_data / "wordnet" / "synsets.parquet", columns=["lemmas"])["lemmas"]
    lemmas = [lemmas[0] for lemmas in synsets.slice(0, 117_000).to_pylist()[::200]]
    captions = pq.read_table(real_data / "multi30k" / "data.parquet")
    pool = [text for name in ("en", "de", "fr", "cs") for text in captions[name].slice(0, 25).to_pylist()]
    pool += pq.read_table(real_data / "tatoeba" / "data.parquet")["text"].to_pylist()[::300]
    tokens = sorted({token for text in pool for token in text.split()[:4]} | {text[:2] for text in pool})
    vocabulary = vocabulary_of([*lemmas, *tokens, "a man", "in a", "man in a", "ein Mann"])
    known = vocabulary.entries.to_pylist()
    result = Matcher(vocabulary, semantics).match(pa.array(pool)).to_pylist()
    assert result == [reference.matches(text, known, semantics) for text in pool]
    assert sum(map(len, result)) > 100
