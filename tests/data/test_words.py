from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import SettingError
from sensorium.data.words import Bytes, HashedWords


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A photo of a Hot-dog!", ["a", "photo", "of", "a", "hot", "dog"]),
        ("naïve ÉTÉ", ["naïve", "été"]),
        ("ｆｕｌｌ　ｗｉｄｔｈ", ["full", "width"]),
        ("name_of-it.jpg 12.5", ["name", "of", "it", "jpg", "12", "5"]),
        ("東京", ["東", "東京", "京"]),
        ("iPhone東", ["iphone", "東"]),
        ("हिन्दी عربى", ["हिन्दी", "عربى"]),
        ("한국어", ["한국어"]),
        ("", []),
        ("🙂 !!!", []),
    ],
)
def test_words_of_many_scripts(text, words):
    assert HashedWords().words(text) == words


def test_n_grams_of_a_run_without_blanks():
    found = HashedWords(ngram=2).words("ラーメン")
    assert found == ["ラ", "ラー", "ー", "ーメ", "メ", "メン", "ン"]


def test_buckets_are_filled_up_cut_and_in_range():
    buckets = HashedWords(buckets=100, length=3)(["a b", "", "a b c d e", "b a"])
    assert buckets.shape == (4, 3)
    assert buckets.dtype == np.int32
    assert (buckets[0] > 0).tolist() == [True, True, False]
    assert buckets[1].tolist() == [0, 0, 0]
    assert buckets[0, :2].tolist() == buckets[3, 1::-1].tolist() == buckets[2, :2].tolist()
    assert buckets.max() < 100
    assert HashedWords()([]).shape == (0, 32)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_text_is_the_same_in_any_company(texts):
    words = HashedWords(buckets=50, length=5)
    together = words(texts)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(together[row], words([text])[0])


def test_buckets_do_not_depend_on_the_hash_seed_of_python():
    code = "from sensorium.data.words import HashedWords; print(HashedWords()(['a cat', '猫'])[:, :2].tolist())"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(printed) == 1
    assert str(HashedWords()(["a cat", "猫"])[:, :2].tolist()) + "\n" in printed


def test_bytes_stand_between_marks():
    tokens = Bytes(vocabulary=300, length=6)(["ab", "", "é", "abcdefgh"])
    assert tokens.tolist() == [
        [298, 97, 98, 299, 299, 299],
        [298, 299, 299, 299, 299, 299],
        [298, 195, 169, 299, 299, 299],
        [298, 97, 98, 99, 100, 299],
    ]


def test_bad_settings():
    with pytest.raises(SettingError, match="2 buckets"):
        HashedWords(buckets=1)
    with pytest.raises(SettingError, match="258"):
        Bytes(vocabulary=256)
