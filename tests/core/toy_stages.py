"""Stages that write small JSON files, and the shortest way to run them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from sensorium.core import files
from sensorium.core.execute import Plan, execute
from sensorium.core.stage import Stage, aside, stage, takes
from sensorium.core.store import Store
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress


@dataclass(frozen=True)
class Text:
    """A source whose content is its text."""

    text: str

    def identity(self) -> Any:
        return self.text


@stage
class Number(Stage):
    gives: ClassVar[str] = "number"
    value: int = 1
    note: str = aside("")

    def run(self, here):
        files.write_json(here.out / "value.json", self.value)
        return {"value": self.value}


@stage
class Sum(Stage):
    gives: ClassVar[str] = "number"
    of: tuple[Stage, ...] = takes("number")
    weights: Mapping[str, float] = field(default_factory=dict)

    def run(self, here):
        total = sum(json.loads((here.path(inner) / "value.json").read_text()) for inner in self.of)
        files.write_json(here.out / "value.json", total)
        return {"value": total}


@stage
class Anything(Stage):
    """A stage with one field of any value."""

    gives: ClassVar[str] = "number"
    value: Any = None

    def run(self, here):
        return {}


@stage
class Precise(Stage):
    gives: ClassVar[str] = "model"
    uses: ClassVar[tuple[str, ...]] = ("precision",)

    def run(self, here):
        return {}


@dataclass(frozen=True)
class Square:
    """Squares an item, leaves a file and a line in a log; an item in `fail` raises."""

    out: Path
    fail: tuple[int, ...] = ()
    seconds: float = 0.0

    def build(self):
        def handle(item: int) -> dict[str, int]:
            with (self.out / "log.txt").open("a") as log:
                log.write(f"{item}\n")
            time.sleep(self.seconds)
            if item in self.fail:
                raise RuntimeError(f"item {item} cannot be squared")
            files.write_json(self.out / "squares" / f"{item}.json", item * item)
            return {"square": item * item}

        return handle


@dataclass(frozen=True)
class Patient:
    """The first item ends when the marker of the last one is there."""

    marker: Path

    def build(self):
        def handle(item: str) -> bool:
            end = time.monotonic() + 20
            while item == "first" and not self.marker.exists():
                if time.monotonic() > end:
                    raise RuntimeError("a finished item had no marker while an earlier one was under way")
                time.sleep(0.01)
            return True

        return handle


@stage
class Waits(Stage):
    gives: ClassVar[str] = "numbers"

    def run(self, here):
        worker = Patient(here.out / "items" / "last.json")
        return {"items": len(here.items(worker, {name: name for name in ("first", "middle", "last")}))}


@stage
class Squares(Stage):
    gives: ClassVar[str] = "numbers"
    count: int = 5
    fail: tuple[int, ...] = aside(())
    seconds: float = aside(0.0)

    def run(self, here):
        worker = Square(here.out, self.fail, self.seconds)
        results = here.items(worker, {f"item {number}": number for number in range(self.count)})
        files.write_json(here.out / "all.json", results)
        return {"items": len(results)}


def plan_of(*last: Stage, store: Store, reuse: str = "any", workers: int = 1) -> Plan:
    return Plan(last, store, Machine(devices=0, workers=workers), reuse)


def run(*last: Stage, store: Store, reuse: str = "any", workers: int = 1) -> tuple[Plan, QuietProgress]:
    """Execute in this process; what was said is in the progress."""
    plan = plan_of(*last, store=store, reuse=reuse, workers=workers)
    progress = QuietProgress()
    execute(plan, runner=LocalRunner(workers), progress=progress)
    return plan, progress


def value(plan: Plan, of: Stage) -> Any:
    return files.read_json(plan.folder(of) / "value.json")
