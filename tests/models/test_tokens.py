from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sensorium.core.errors import InputError
from sensorium.data.words import Bytes
from sensorium.models.config_two_tower import CLIP_TOKENS, HubTokens
from sensorium.models.tokens import as_released, save_tokenizer

BYTES = Bytes(vocabulary=300, length=12)
RELEASED = as_released(BYTES)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=15), min_size=1, max_size=4))
def test_bytes_are_the_same_integers_in_transformers(texts):
    found = RELEASED(texts, padding="max_length", truncation=True, max_length=12, return_tensors="np")
    np.testing.assert_array_equal(found["input_ids"], BYTES(texts))


def test_a_saved_tokenizer_is_read_back_by_name(tmp_path):
    save_tokenizer(BYTES, tmp_path / "first")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "first")
    assert tokenizer("é")["input_ids"] == [298, 195, 169, 299]
    tokens = HubTokens(name=str(tmp_path / "first"), length=12)
    np.testing.assert_array_equal(tokens(["a cat", "é"]), BYTES(["a cat", "é"]))
    save_tokenizer(tokens, tmp_path / "second")
    assert AutoTokenizer.from_pretrained(tmp_path / "second")("é")["input_ids"] == [298, 195, 169, 299]


def test_a_tokenizer_that_is_not_there_is_one_sentence():
    with pytest.raises(InputError, match="hf download openai/clip-vit-base-patch32"):
        CLIP_TOKENS(["a cat"])


def test_a_name_is_known_without_its_files_and_a_folder_by_content(tmp_path):
    assert CLIP_TOKENS.identity()["name"] == "openai/clip-vit-base-patch32"
    for place in ("first", "second"):
        save_tokenizer(BYTES, tmp_path / place)
    first, second = (HubTokens(name=str(tmp_path / place)).identity() for place in ("first", "second"))
    assert first == second
    (tmp_path / "second" / "tokenizer_config.json").write_text("{}")
    assert HubTokens(name=str(tmp_path / "second")).identity() != first
