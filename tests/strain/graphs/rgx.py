"""RGX: rounds in which a question writer and a reader make data together, and both are trained on it."""

from __future__ import annotations

from collections.abc import Mapping

from strain_parts import Corpus, Init, Judge, Train, Worked, rows, weights

from sensorium.core.stage import Here, Stage, stage, takes

PAPER = {
    "title": "Cooperative Self-training of Machine Reading Comprehension",
    "year": 2021,
    "room": "synthesize",
}


@stage
class Make(Worked):
    """Questions by one model, kept where the other answers them neither too well nor too badly."""

    texts: Stage = takes("pool")
    writer: Stage = takes("model")
    reader: Stage = takes("model")
    keep: float = 0.5
    seed: int = 0

    def run(self, here: Here) -> Mapping[str, float]:
        both = weights(here.path(self.writer)), weights(here.path(self.reader))
        return self.work(here, rows(here.path(self.texts)), both, self.keep, self.seed)


def mini(rounds: int = 2, keep: float = 0.5, num_items: int = 6, seconds: float = 0.0, seed: int = 0) -> Stage:
    """The rounds are a loop over stages; how many there are is known before anything runs."""
    squad, texts = Corpus(name="squad"), Corpus(name="texts", topic="texts")
    writer: Stage = Train(name="writer-0", pools=(squad,), seed=seed)
    reader: Stage = Train(name="reader-0", pools=(squad,), seed=seed + 1)
    for turn in range(1, rounds + 1):
        made = Make(
            name=f"made-{turn}", texts=texts, writer=writer, reader=reader, keep=keep, seed=seed + turn,
            num_items=num_items, seconds=seconds,
        )  # fmt: skip
        writer, reader = (
            Train(name=f"{who}-{turn}", pools=(made,), start=Init(model), seed=seed + turn)
            for who, model in (("writer", writer), ("reader", reader))
        )
    return Judge(name="score", model=reader, pool=Corpus(name="test", topic="test"))
