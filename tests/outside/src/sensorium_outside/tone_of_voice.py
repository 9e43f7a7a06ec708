"""Tone of voice: curate texts by length, train a bag of words on their labels, judge it on others."""

from __future__ import annotations

from pathlib import Path

from sensorium.core.stage import Stage
from sensorium.curate.curate import Curate
from sensorium.data.sources import Files, Pool
from sensorium.train.optim import AdamW
from sensorium.train.train import Train
from sensorium_outside.judge import AskTone
from sensorium_outside.nearest_mean import NearestMean
from sensorium_outside.steps import MinWords
from sensorium_outside.tone_config import TextAndLabel, ToneConfig

PAPER = {
    "title": "Tone of voice, from outside",
    "year": 2026,
    "room": "curate + train",
    "says": "A package that sensorium does not know brings a step, an objective, a task and a recipe.",
    "needs": {"text": "a sentence", "label": "its tone"},
}

SAMPLE = Path(__file__).parent / "sample.jsonl"


def mini(
    pool: Pool | None = None,
    labels: tuple[str, ...] = ("calm", "loud"),
    words: int = 2,
    updates: int = 40,
    seed: int = 0,
) -> Stage:
    """The sample of this package, or a pool of yours.

    Args:
        pool: rows with `text` and `label`.
        labels: the labels there are.
        words: shorter texts go.
        updates: length of training.
        seed: of weights and order.
    """
    texts = Curate(name="texts", pool=pool or Files(str(SAMPLE)), steps=(MinWords(words=words),))
    model = Train(
        name="tone",
        pool=texts,
        objective=ToneConfig(labels=labels),
        prepare=TextAndLabel(labels=labels),
        optim=AdamW(lr=0.05, warmup=2),
        batch=16,
        updates=updates,
        seed=seed,
    )
    return AskTone(name="score", model=model, task=NearestMean(train=texts, test=texts, labels=labels))
