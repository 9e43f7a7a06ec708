"""SUPERB: tasks x encoders over one pass of features per encoder and corpus, made item by item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from strain_parts import Corpus, Table, Train, Worked, number, rows, weights

from sensorium.core import files
from sensorium.core.stage import Here, Stage, stage, takes

PAPER = {"title": "SUPERB", "year": 2021, "room": "evaluate"}


@stage
class Features(Worked):
    """Features of one corpus by one frozen encoder, for all tasks on that corpus."""

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


CORPORA = {"keywords": "commands", "intents": "commands", "speakers": "voices", "emotions": "voices"}


def mini(
    encoders: tuple[str, ...] = ("hubert", "wavlm"),
    tasks: tuple[str, ...] = ("keywords", "speakers", "emotions"),
    num_items: int = 6,
    seconds: float = 0.0,
    seed: int = 0,
) -> Stage:
    """One feature stage per encoder and corpus, one probe per encoder and task, one board."""
    names = {task: CORPORA.get(task, "others") for task in tasks}
    corpora = {name: Corpus(name=name, topic=name, num_rows=12) for name in names.values()}
    speech = Corpus(name="speech", topic="speech")
    scores = {}
    for position, encoder in enumerate(encoders):
        model = Train(name=encoder, pools=(speech,), seed=seed + position)
        work = {"num_items": num_items, "seconds": seconds}
        features = {
            name: Features(name=f"features-{encoder}-{name}", encoder=model, sounds=sounds, **work)
            for name, sounds in corpora.items()
        }
        for task, name in names.items():
            scores[f"{encoder}-{task}"] = Probe(
                name=f"{encoder}-{task}", features=features[name], task=task, seconds=seconds
            )
    return Table(name="board", scores=scores)
