"""Chance per row: the published definition, value by value, and what must not change it."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.data.chance import hash_ids, keyed, mix, uniform

FULL = 2**64 - 1
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=12)


def slow_mix(value):
    value = (value + 0x9E3779B97F4A7C15) & FULL
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & FULL
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & FULL
    return value ^ (value >> 31)


def slow_hash(text):
    content, found = text.encode(), 0
    for start in range(0, len(content), 8):
        found = slow_mix(found ^ int.from_bytes(content[start : start + 8], "little"))
    return slow_mix(found ^ len(content))


def slow_uniform(text, seed, purpose, epoch):
    salt = slow_mix(seed & FULL) ^ slow_mix(~epoch & FULL)
    return (slow_mix(slow_mix(slow_hash(text) ^ slow_hash(purpose)) ^ salt) >> 11) / 2**53


@given(TEXTS, st.integers(-5, 2**63), st.integers(0, 1000))
@settings(deadline=None)
def test_equals_the_definition(texts, seed, epoch):
    hashes = hash_ids(texts)
    assert hashes.tolist() == [slow_hash(text) for text in texts]
    assert uniform(hashes, seed, "keep", epoch).tolist() == [slow_uniform(text, seed, "keep", epoch) for text in texts]


@given(TEXTS.filter(bool), st.data())
@settings(deadline=None)
def test_slices_chunks_and_types_of_arrays_do_not_matter(texts, data):
    start = data.draw(st.integers(0, len(texts)))
    expected = hash_ids(texts)[start:].tolist()
    assert hash_ids(pa.array(texts, pa.string()).slice(start)).tolist() == expected
    assert hash_ids(pa.array(texts, pa.large_string()).slice(start)).tolist() == expected
    assert hash_ids(pa.chunked_array([texts[start:], []], pa.string())).tolist() == expected


def test_pinned_values():
    # These stand behind every published subset; a change here is a change of results.
    assert [f"{value:016x}" for value in hash_ids(["", "a", "web-0-000000000"]).tolist()] == [
        f"{slow_hash(text):016x}" for text in ("", "a", "web-0-000000000")
    ]
    assert int(mix(np.array([0], np.uint64))[0]) == 0xE220A8397B1DCDAF  # first output of splitmix64 from state 0


def test_coins_are_even_and_independent_of_each_other():
    hashes = hash_ids([f"row-{number}" for number in range(200_000)])
    first, second = uniform(hashes, 0, "keep"), uniform(hashes, 0, "keep", epoch=1)
    assert abs(first.mean() - 0.5) < 0.003
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01
    assert abs(np.corrcoef(first, uniform(hashes, 1, "keep"))[0, 1]) < 0.01
    assert abs(np.corrcoef(first, uniform(hashes, 0, "other"))[0, 1]) < 0.01
    assert len(np.unique(keyed(hashes, 0, "order"))) == len(hashes)


def test_null_ids_are_refused():
    with pytest.raises(ValueError, match="null"):
        hash_ids(pa.array(["a", None]))
