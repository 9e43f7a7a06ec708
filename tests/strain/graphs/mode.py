"""MoDE: experts trained independently from one shared start on their own topics, a router, an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from strain_parts import Corpus, Init, Judge, Train, Worked, number, rows, weights

from sensorium.core import files
from sensorium.core.stage import Here, Stage, stage, takes

PAPER = {"title": "MoDE: CLIP Data Experts via Clustering", "year": 2024, "room": "curate + pretrain"}


@stage
class Part(Worked):
    """The rows of one topic, with a share of all others."""

    pool: Stage = takes("pool")
    topic: str = ""
    others: float = 0.02

    def run(self, here: Here) -> Mapping[str, float]:
        return self.work(here, rows(here.path(self.pool)), self.topic, self.others)


@stage
class Router(Stage):
    """Which expert a text asks; it sees the parts, not the models."""

    gives: ClassVar[str] = "router"
    parts: Mapping[str, Stage] = takes("pool")

    def run(self, here: Here) -> Mapping[str, float]:
        files.write_json(
            here.out / "router.json",
            {name: number(rows(here.path(part))) for name, part in self.parts.items()},
        )
        return {"experts": len(self.parts)}


@stage
class Ensemble(Stage):
    """Experts and a router as one model."""

    gives: ClassVar[str] = "model"
    experts: Mapping[str, Stage] = takes("model")
    router: Stage = takes("router")
    temperature: float = 8.0

    def run(self, here: Here) -> Mapping[str, float]:
        share = files.read_json(here.path(self.router) / "router.json")
        mixed = {name: share[name] * weights(here.path(expert)) for name, expert in self.experts.items()}
        files.write_json(here.out / "model.json", {"weights": number(mixed, self.temperature)})
        return {"experts": len(mixed)}


def mini(
    topics: tuple[str, ...] = ("animals", "plants", "tools"),
    others: float = 0.02,
    temperature: float = 8.0,
    start_updates: int = 27,
    seconds: float = 0.0,
    seed: int = 0,
) -> Stage:
    """One graph for any number of experts; a topic more is an expert more."""
    pool = Corpus(name="pool", num_rows=16)
    start = Train(name="start", pools=(pool,), updates=start_updates, seed=seed)
    parts = {
        topic: Part(name=f"part-{topic}", pool=pool, topic=topic, others=others, seconds=seconds) for topic in topics
    }
    experts = {
        topic: Train(name=f"expert-{topic}", pools=(part,), start=Init(start), updates=5, seed=seed)
        for topic, part in parts.items()
    }
    router = Router(name="router", parts=parts)
    ensemble = Ensemble(name="ensemble", experts=experts, router=router, temperature=temperature)
    return Judge(name="score", model=ensemble, pool=Corpus(name="test", topic="test"))


def single(topics: tuple[str, ...] = (), seed: int = 0) -> Stage:
    """The control: the shared start trained on, on everything."""
    pool = Corpus(name="pool", num_rows=16)
    start = Train(name="start", pools=(pool,), updates=27, seed=seed)
    model = Train(name="single", pools=(pool,), start=Init(start), updates=5, seed=seed)
    return Judge(name="single-score", model=model, pool=Corpus(name="test", topic="test"))
