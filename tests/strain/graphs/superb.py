"""SUPERB: tasks x encoders over one pass of features per encoder, made item by item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from strain_parts import Corpus, Table, Train, Worked, number, rows, weights

from sensorium.core import files
from sensorium.core.stage import Here, Stage, stage, takes

PAPER = {"title": "SUPERB", "year": 2021, "room": "evaluate"}


@stage
class Features(Worked):
    """Features of all tasks' sounds by one frozen encoder."""

    gives: ClassVar[str] = "features"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    encoder: Stage = takes("model")
    sounds: Stage = takes("pool")

    def run(self, here: Here) -> Mapping[str, float]:
        return self.work(here, weights(here.path(self.encoder)), rows(here.path(self.sounds)))


@stage
class Probe(Worked):
    """A head on frozen features for one task; each learning rate is an item."""

    gives: ClassVar[str] = "scores"
    features: Stage = takes("features")
    task: str = ""

    def run(self, here: Here) -> Mapping[str, float]:
        self.work(here, rows(here.path(self.features)), self.task)
        top1 = number(rows(here.out))
        files.write_json(here.out / "scores.json", {"top1": top1})
        return {"top1": top1}


def mini(
    encoders: tuple[str, ...] = ("hubert", "wavlm"),
    tasks: tuple[str, ...] = ("keywords", "speakers", "emotions"),
    num_items: int = 6,
    seconds: float = 0.0,
    seed: int = 0,
) -> Stage:
    """One feature stage per encoder, one probe per encoder and task, one board."""
    sounds = Corpus(name="sounds", topic="sounds", num_rows=12)
    speech = Corpus(name="speech", topic="speech")
    scores = {}
    for position, encoder in enumerate(encoders):
        model = Train(name=encoder, pools=(speech,), seed=seed + position)
        features = Features(
            name=f"features-{encoder}", encoder=model, sounds=sounds, num_items=num_items, seconds=seconds
        )
        for task in tasks:
            scores[f"{encoder}-{task}"] = Probe(
                name=f"{encoder}-{task}", features=features, task=task, seconds=seconds
            )
    return Table(name="board", scores=scores)
