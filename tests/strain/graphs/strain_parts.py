"""Small stages that do their work on JSON files: corpora, models that are a hash of what they saw, scores."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sensorium.core import files
from sensorium.core.stage import Here, Stage, aside, stage, takes


def number(*what: Any) -> float:
    """A number in [0, 1) that stands for whatever was learned from this."""
    text = json.dumps(what, sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def weights(folder: Path) -> float:
    return float(files.read_json(folder / "model.json")["weights"])


def rows(folder: Path) -> list[float]:
    return [float(row) for path in sorted((folder / "rows").glob("*.json")) for row in files.read_json(path)]


@dataclass(frozen=True)
class Init:
    """What a training run starts from: a config around a stage, as in the design."""

    model: Stage
    take: str = "all"


@dataclass(frozen=True)
class Frozen:
    """A teacher."""

    model: Stage
    weight: float = 1.0


@stage
class Corpus(Stage):
    """Rows about one topic."""

    gives: ClassVar[str] = "pool"
    topic: str = "all"
    num_rows: int = 8
    seed: int = 0

    def run(self, here: Here) -> Mapping[str, float]:
        found = [number(self.topic, row, self.seed) for row in range(self.num_rows)]
        files.write_json(here.out / "rows" / "0.json", found)
        return {"rows": len(found)}


@stage
class Train(Stage):
    """Weights that depend on start, teacher, rows, updates and seed, and on nothing else."""

    gives: ClassVar[str] = "model"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    pools: tuple[Stage, ...] = takes("pool")
    start: Init | None = takes("model", default=None)
    teacher: Frozen | None = takes("model", default=None)
    updates: int = 10
    seed: int = 0

    def run(self, here: Here) -> Mapping[str, float]:
        seen = [row for pool in self.pools for row in rows(here.path(pool))]
        before = weights(here.path(self.start.model)) if self.start else 0.0
        taught = weights(here.path(self.teacher.model)) if self.teacher else 0.0
        found = number(seen, before, taught, self.updates, self.seed)
        files.write_json(here.out / "model.json", {"weights": found})
        return {"updates": self.updates, "examples": len(seen)}


@dataclass(frozen=True)
class Work:
    """Slow enough to be killed in the middle; each item leaves a shard of rows."""

    out: Path
    key: tuple[Any, ...]
    seconds: float

    def build(self):
        def handle(item: int) -> int:
            time.sleep(self.seconds)
            files.write_json(self.out / "rows" / f"{item:03d}.json", [number(*self.key, item), number(item, *self.key)])
            return 2

        return handle


@stage
class Judge(Stage):
    """A score of one model on one pool."""

    gives: ClassVar[str] = "scores"
    model: Stage = takes("model")
    pool: Stage = takes("pool")

    def run(self, here: Here) -> Mapping[str, float]:
        top1 = number(weights(here.path(self.model)), rows(here.path(self.pool)))
        files.write_json(here.out / "scores.json", {"top1": top1})
        return {"top1": top1}


@stage
class Table(Stage):
    """Scores side by side, by the name they have here."""

    gives: ClassVar[str] = "scores"
    scores: Mapping[str, Stage] = takes("scores")

    def run(self, here: Here) -> Mapping[str, float]:
        found = {name: files.read_json(here.path(score) / "scores.json") for name, score in self.scores.items()}
        files.write_json(here.out / "scores.json", found)
        return {"top1": sum(score["top1"] for score in found.values()) / len(found)}


@stage
class Worked(Stage):
    """A stage whose work is cut into items; how long one takes is no part of it."""

    gives: ClassVar[str] = "pool"
    num_items: int = 6
    seconds: float = aside(0.0)

    def work(self, here: Here, *key: Any) -> Mapping[str, float]:
        found = here.items(Work(here.out, key, self.seconds), {f"shard {item}": item for item in range(self.num_items)})
        return {"rows": sum(found.values())}
