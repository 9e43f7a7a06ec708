"""What is asked of a model, as a protocol: a task is used frozen by `evaluate` and trainable by `adapt`.

A task sees arrays that a model gave, never the model. So one pass of features serves many tasks, and a task
runs without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np

from sensorium.core.score import Score
from sensorium.core.stage import Here
from sensorium.data.shards import Piece

Need = Literal["image", "text", "audio", "video"]
"""A kind of embedding that a model must give."""

H = TypeVar("H")
P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class TaskCard:
    """What a task is, for result files and boards.

    A published task is never edited: a change raises `version`.

    Args:
        name: unique, such as "zero-shot/emoji".
        version: of the rules and the data together.
        says: one sentence: what the model has to do.
        columns: columns the pool must have.
        main: the score that a board sorts by.
        chance: what guessing gives on the main score, where that is known.
        source: where the task comes from (paper, data set, address).
    """

    name: str
    version: int = 1
    says: str = ""
    columns: tuple[str, ...] = ()
    main: str = "top1"
    chance: float | None = None
    source: str = ""


class Task(Protocol[H, P]):
    """One task. `H` is the head that `fit` gives, `P` what `predict` gives."""

    @property
    def card(self) -> TaskCard:
        """What it is."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The kinds of embeddings a model must give."""

    def items(self, split: str, here: Here | None = None) -> Iterator[Piece]:
        """The rows of a split, in stored order, media not decoded.

        Args:
            split: such as "train", "dev", "test".
            here: where the finished folders of input stages are; None when the task's data are files.

        Raises:
            SettingError: the task has no such split.
        """

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> H | None:
        """The head for embeddings (N, D) and labels (N,); None when the task has nothing to fit."""

    def predict(self, head: H, inputs: np.ndarray) -> P:
        """Predictions for embeddings (N, D)."""

    def score(self, predictions: P, labels: np.ndarray) -> Mapping[str, Score]:
        """The scores, by the names of `metrics.names`."""
