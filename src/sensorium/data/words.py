"""Texts as integers without a trained vocabulary: hashed words, or bytes. The same on every machine."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sensorium.core.errors import SettingError
from sensorium.data.chance import hash_ids

# Scripts written without blanks between words: Thai, Lao, Burmese, Khmer, kana, Han (with its extensions).
_NO_SPACE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Marks that belong to the letter before them but are no letters for `re`: accents, points, Indic vowel signs.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff\u0f18-\u0fbc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_RUNS = re.compile(f"([{_NO_SPACE}]+)|((?:(?![{_NO_SPACE}])(?:[^\\W_]|[{_MARKS}]))+)")


class Tokenizer(Protocol):
    """Texts to integers of one fixed width."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Shape (N, length) int32; equal texts give equal rows, whatever else is in the list."""


@dataclass(frozen=True, kw_only=True)
class HashedWords:
    """Words as hash buckets: lower-cased runs of letters and digits, or character n-grams.

    Where a script has no blanks between words: runs of Han, kana, Thai, Lao, Khmer and Burmese letters are
    cut into all n-grams of 1 to `ngram` characters. The bucket is 1 + hash mod (buckets - 1), with the hash
    of `data.chance`; 0 fills up. Two words may share a bucket.

    Args:
        buckets: number of integers, the filling 0 included.
        length: words kept from the start of a text; the rest is cut.
        ngram: longest character n-gram.
    """

    buckets: int = 16_384
    length: int = 32
    ngram: int = 3

    def __post_init__(self) -> None:
        if self.buckets < 2 or self.length < 1 or self.ngram < 1:
            raise SettingError(
                f"hashed words need 2 buckets, length 1 and n-grams of 1 at least, "
                f"not {self.buckets}, {self.length} and {self.ngram}."
            )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Buckets, (N, length) int32, 0 behind the last word of a text."""
        words = [self.words(text)[: self.length] for text in texts]
        buckets = np.zeros((len(words), self.length), np.int32)
        flat = [word for found in words for word in found]
        if flat:
            counts = np.array([len(found) for found in words])
            filled = np.arange(self.length) < counts[:, None]
            buckets[filled] = (hash_ids(flat) % np.uint64(self.buckets - 1)).astype(np.int32) + 1
        return buckets

    def words(self, text: str) -> list[str]:
        """The words of one text in their order; n-grams of a run by position, then length."""
        folded = unicodedata.normalize("NFKC", text).lower()
        found: list[str] = []
        for dense, word in _RUNS.findall(folded):
            if dense:
                found += [
                    dense[start : start + size]
                    for start in range(len(dense))
                    for size in range(1, min(self.ngram, len(dense) - start) + 1)
                ]
            else:
                found.append(word)
        return found


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """UTF-8 bytes between a begin and an end mark: a tokenizer for any text where no trained one is at hand.

    The marks are the two last integers, as in the vocabulary of CLIP (49,406 and 49,407), so that a network
    built for that vocabulary takes them; behind the end only end marks follow.

    Args:
        vocabulary: number of integers the network knows.
        length: integers per text, marks included; longer texts are cut, and the end mark stays.
    """

    vocabulary: int = 49_408
    length: int = 77

    def __post_init__(self) -> None:
        if self.vocabulary < 258 or self.length < 3:
            raise SettingError(
                f"bytes need a vocabulary of 258 and length 3 at least, not {self.vocabulary}, {self.length}."
            )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Bytes and marks, (N, length) int32."""
        tokens = np.full((len(texts), self.length), self.vocabulary - 1, np.int32)
        tokens[:, 0] = self.vocabulary - 2
        for row, text in enumerate(texts):
            content = np.frombuffer(text.encode("utf-8", "replace")[: self.length - 2], np.uint8)
            tokens[row, 1 : 1 + len(content)] = content
        return tokens
