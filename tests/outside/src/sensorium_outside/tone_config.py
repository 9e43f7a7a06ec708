"""Settings of the objective and how rows become its batches. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorium.data.prepare import Arrays, Chance, Decoded
from sensorium.data.words import HashedWords

if TYPE_CHECKING:
    from sensorium_outside.tone import ToneObjective

WORDS = HashedWords(buckets=512, length=12)


@dataclass(frozen=True, kw_only=True)
class ToneConfig:
    """A bag of hashed words that guesses a label, and whose bag is an embedding of the text."""

    labels: tuple[str, ...]
    words: HashedWords = WORDS
    dim: int = 8

    @property
    def in_batch_negatives(self) -> bool:
        """Each row is judged by itself."""
        return False

    def build(self) -> ToneObjective:
        """The objective with fresh weights."""
        from sensorium_outside.tone import ToneObjective

        return ToneObjective(self)


@dataclass(frozen=True, kw_only=True)
class TextAndLabel:
    """Rows to {"words", "label"}; in training each word is left out with a small probability."""

    labels: tuple[str, ...]
    words: HashedWords = WORDS
    drop: float = 0.1

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads."""
        return ("text", "label")

    def decode(self, rows: pa.Table) -> Decoded:
        """Integers of fixed width; a label that is not known makes a row broken."""
        known = {label: number for number, label in enumerate(self.labels)}
        given = rows["label"].to_pylist()
        broken: Mapping[int, str] = {
            row: f"unknown label {label}" for row, label in enumerate(given) if label not in known
        }
        labels = np.array([known.get(label, 0) for label in given], np.int64)
        return Decoded({"words": self.words(rows["text"].to_pylist()), "label": labels}, broken)

    def __call__(self, decoded: Arrays, chance: Chance) -> Arrays:
        """The batch; which words go is decided by the row's id."""
        words = decoded["words"]
        kept = chance.uniforms("drop a word", words.shape[1]) >= self.drop
        return {"words": np.where(kept, words, 0), "label": decoded["label"]}
