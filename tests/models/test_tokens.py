from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sensorium.core.errors import InputError
from sensorium.data.words import Bytes
from sensorium.models.config_two_tower import CLIP_TOKENS, HubTokens
from sensorium.models.hub import HubModel
from sensorium.models.tokens import as_released, save_tokenizer

BYTES = Bytes(vocabulary=300, length=12)
RELEASED = as_released(BYTES)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=15), min_size=1, max_size=4))
def test_bytes_are_the_same_integers_in_transformers(texts):
    found = RELEASED(texts, padding="max_length", truncation=True, max_length=12, return_tensors="np")
    np.testing.assert_array_equal(found["input_ids"], BYTES(texts))


def test_a_saved_tokenizer_is_read_back_by_name(tmp_path, monkeypatch):
    save_tokenizer(BYTES, tmp_path / "first")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "first")
    assert tokenizer("é")["input_ids"] == [298, 195, 169, 299]
    tokens = HubTokens(model=HubModel(str(tmp_path / "first")), length=12)
    np.testing.assert_array_equal(tokens(["a cat", "é"]), BYTES(["a cat", "é"]))
    save_tokenizer(tokens, tmp_path / "second")
    assert AutoTokenizer.from_pretrained(tmp_path / "second")("é")["input_ids"] == [298, 195, 169, 299]


def test_a_tokenizer_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="is not on this machine"):
        CLIP_TOKENS(["a cat"])
