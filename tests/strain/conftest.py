"""Graphs of real systems, loaded by path as a user's recipes are, and what of them ran."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensorium.api import carry_out
from sensorium.core.execute import Plan
from sensorium.core.recipe import find
from sensorium.core.stage import Stage
from sensorium.core.store import BEGUN, DONE, LOCK, Store
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress

HERE = Path(__file__).parent


class Strain:
    """Builds and runs the graphs in one store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def build(self, name: str, variant: str = "mini", **arguments: Any) -> Stage:
        return find(f"{HERE / 'graphs' / name}.py:{variant}")[0].variant(variant).build(**arguments)

    def plan(self, *last: Stage, root: Path | None = None, **machine: Any) -> Plan:
        return Plan(last, Store(root or self.root), Machine(devices=0, **machine))

    def run(self, *last: Stage, jobs: int = 1, **given: Any) -> list[str]:
        """The names of the stages that ran, in the plan's order."""
        plan = self.plan(*last, **given)
        before = self.times(plan)
        carry_out(plan, QuietProgress(), jobs)
        after = self.times(plan)
        return [stage.label() for stage in plan.order if before[stage] != after[stage]]

    @staticmethod
    def times(plan: Plan) -> dict[Stage, int]:
        return {
            stage: path.stat().st_mtime_ns if (path := plan.folder(stage) / DONE).exists() else 0
            for stage in plan.order
        }

    @staticmethod
    def contents(root: Path) -> dict[str, bytes]:
        """All results of a store; records of time and process are left out."""
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name not in (DONE, BEGUN, LOCK)
        }

    def start(self, name: str, root: Path, jobs: int = 1, workers: int = 1, **options: Any) -> subprocess.Popen[str]:
        """The same in a process of its own, which can be killed."""
        words = [str(HERE / "graphs" / f"{name}.py"), str(root), str(jobs), str(workers)]
        words += [f"{key}={value}" for key, value in options.items()]
        return subprocess.Popen([sys.executable, str(HERE / "drive.py"), *words], stderr=subprocess.PIPE, text=True)

    def kill_within(self, process: subprocess.Popen[str], root: Path, kind: str, num_items: int) -> set[Path]:
        """SIGKILL once a stage of the class has so many finished items; gives the markers there are then."""
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end:
            if any(len(list(folder.glob("items/*.json"))) >= num_items for folder in root.glob(f"{kind}/*")):
                break
            time.sleep(0.005)
        assert process.poll() is None, process.stderr.read()
        process.kill()
        process.communicate()
        time.sleep(0.4)  # workers of a killed parent leave by themselves
        return {path for path in root.rglob("items/*.json") if ".tmp-" not in path.name}


@pytest.fixture
def strain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strain]:
    # Nobody pulls a plug here, and thousands of small files would wait for the disk.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    path, before = list(sys.path), set(sys.modules)
    yield Strain(tmp_path / "runs")
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith("sensorium_file_"):
            del sys.modules[name]
