"""Running a graph: what is finished is kept, what is missing runs, and each result says how it came about."""

from __future__ import annotations

import concurrent.futures
import importlib.metadata
import json
import math
import os
import platform
import resource
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from sensorium.core import files
from sensorium.core.errors import BusyError, StageFailedError, listing
from sensorium.core.fingerprint import Fingerprints, class_name, package_hash
from sensorium.core.stage import Buildable, Machine, Progress, Runner, Source, Stage, sources_of
from sensorium.core.store import BEGUN, DONE, Done, Store, locked

Reuse = Literal["any", "same-source", "none"]
"""Which finished stages are kept: all (a difference in source is said), those of this source, or none."""

_LIBRARIES = ("numpy", "pyarrow", "torch", "transformers", "lightning-fabric", "pillow")


@dataclass(frozen=True)
class Workplace:
    """What a running stage is given (the protocol `Here`)."""

    stage: Stage
    out: Path
    runner: Runner
    machine: Machine
    progress: Progress
    plan: Plan

    def path(self, stage: Stage) -> Path:
        """The finished folder of an input."""
        # Also a stage further below is refused: it may be gone once the stages between are finished.
        if not any(stage is inner for inner in self.stage.inputs()):
            raise KeyError(f"{stage!r} is not an input of {self.stage!r}; name it in one of its fields.")
        return self.plan.folder(stage)

    def items(
        self, worker: Buildable, items: Mapping[str, Any], *, group: str = "items", title: str = ""
    ) -> dict[str, Any]:
        """Handle named items, each with its own completion marker; see the protocol."""
        folder = self.out / group
        marker = {name: folder / f"{files.safe_name(name)}.json" for name in items}
        results = {name: files.read_json(path)["result"] for name, path in marker.items() if path.exists()}
        waiting = [name for name in items if name not in results]
        with self.progress.task(title or f"{self.stage.label()}: {group}", len(items)) as task:
            task.advance(len(results))
            marked = _MarkedWorker(worker, getattr(worker, "frees_lock", False))
            found = self.runner.map(marked, [(name, marker[name], items[name]) for name in waiting])
            for name, result in zip(waiting, found, strict=True):
                results[name] = result
                task.advance(1)
        return {name: results[name] for name in items}


@dataclass(frozen=True)
class _MarkedWorker:
    """Handles an item and writes its marker in the same process: results wait their turn, markers do not."""

    worker: Buildable
    frees_lock: bool

    def build(self) -> Callable[[tuple[str, Path, Any]], Any]:
        handle = self.worker.build()

        def run(given: tuple[str, Path, Any]) -> Any:
            name, marker, item = given
            result = handle(item)
            try:
                text = json.dumps(result, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise StageFailedError(f"item {name} gave {result!r:.80}, which is no JSON value.") from error
            # As JSON gives it back, so that a resumed run sees the very same values.
            read_back = json.loads(text)
            files.write_json(marker, {"item": name, "result": read_back})
            return read_back

        return run


@dataclass
class Plan:
    """A graph with its fingerprints and folders; made without running anything."""

    last: tuple[Stage, ...]
    store: Store
    machine: Machine
    reuse: Reuse = "any"
    fingerprints: Fingerprints = field(init=False)
    source: str = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprints = Fingerprints(*self.last, machine=self.machine)
        self.source = package_hash()
        self._fresh: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        # The fingerprints go first: they hold the stages in an order that pickles without deep recursion.
        return {"fingerprints": self.fingerprints, **self.__dict__}

    @property
    def order(self) -> list[Stage]:
        """All stages, inputs before users."""
        return self.fingerprints.order

    def folder(self, stage: Stage) -> Path:
        """Where a stage's result lies or will lie."""
        return self.store.folder(stage, self.fingerprints[stage])

    def done(self, stage: Stage) -> Done | None:
        """The record of a stage that counts as finished under this plan's rule of reuse."""
        found = self.store.done(stage, self.fingerprints[stage])
        if not found or self.fingerprints[stage] in self._fresh:
            return found
        if self.reuse == "none" or (self.reuse == "same-source" and self.is_older(stage, found)):
            return None
        return found

    def is_older(self, stage: Stage, found: Done) -> bool:
        """Whether a result, or something it was made from, was made by another version of the source."""
        return found.lineage != self.fingerprints.lineage(stage)

    def waiting(self) -> list[Stage]:
        """The stages that must run, inputs first; below a finished stage nothing is needed."""
        needed: dict[str, bool] = {}
        stack = list(self.last)
        while stack:
            stage = stack.pop()
            digest = self.fingerprints[stage]
            if digest not in needed:
                needed[digest] = self.done(stage) is None
                stack.extend(stage.inputs() if needed[digest] else ())
        # Of equal stages the first in `order` runs: its inputs stand before it.
        first: dict[str, Stage] = {}
        for stage in self.order:
            first.setdefault(self.fingerprints[stage], stage)
        return [stage for digest, stage in first.items() if needed.get(digest)]

    def made_now(self, fingerprint: str) -> None:
        """Remember that this run made the stage, so that `reuse="none"` runs it once."""
        self._fresh.add(fingerprint)


@dataclass(frozen=True)
class StageWorker:
    """Runs whole stages of a plan in another process; stages are named by their position in the plan's order.

    Where `progress` keeps its sentences (`QuietProgress`), they are returned, for the first process to say.
    """

    plan: Plan
    runner: Runner
    progress: Progress

    def build(self) -> Callable[[int], list[str]]:
        """The function that runs one stage and returns what it said."""
        kept: list[str] = getattr(self.progress, "sentences", [])

        def run(position: int) -> list[str]:
            kept.clear()
            _run_one(self.plan.order[position], self.plan, self.runner, self.progress)
            return list(kept)

        return run


def execute(
    plan: Plan, *, runner: Runner, progress: Progress, inside: StageWorker | None = None, jobs: int = 1
) -> list[Done]:
    """Run what is missing and return the records of the last stages, in their order.

    Args:
        plan: the graph, its store and the rule of reuse.
        runner: where the items of a stage are handled, and, with several jobs, whole stages.
        progress: where progress is shown.
        inside: with several jobs, what runs a stage in its process (its runner and progress).
        jobs: independent stages at once.
    """
    waiting = plan.waiting()
    for stage in waiting:
        # Before hours of work on its inputs, and before anything is written beside somebody's files.
        _begun(plan.folder(stage), plan.fingerprints[stage])
    plan.store.open()
    _say_reuse(plan, waiting, progress)
    if jobs > 1 and inside is not None and len(waiting) > 1:
        _run_side_by_side(plan, waiting, runner, progress, inside, jobs)
    else:
        for stage in waiting:
            _run_one(stage, plan, runner, progress)
    finished = [plan.done(stage) for stage in plan.last]
    assert all(finished), "a stage that ran has no record"
    return [record for record in finished if record]


def _run_side_by_side(
    plan: Plan, waiting: list[Stage], runner: Runner, progress: Progress, inside: StageWorker, jobs: int
) -> None:
    """Give every stage whose inputs are finished to a free process."""
    print_of = plan.fingerprints
    position = {id(stage): number for number, stage in enumerate(plan.order)}
    stages = {print_of[stage]: stage for stage in waiting}
    needs = {digest: {print_of[inner] for inner in stages[digest].inputs()} & stages.keys() for digest in stages}
    users = defaultdict(list)
    for digest, inputs in needs.items():
        for inner in inputs:
            users[inner].append(digest)
    ready = deque(digest for digest, inputs in needs.items() if not inputs)
    running: dict[concurrent.futures.Future[list[str]], str] = {}
    with runner.workers(inside, jobs) as pool, progress.task("stages", len(stages), "stages") as task:
        while ready or running:
            while ready and len(running) < jobs:
                digest = ready.popleft()
                running[pool.submit(position[id(stages[digest])])] = digest
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                digest = running.pop(future)
                for sentence in future.result():
                    progress.say(sentence)
                plan.made_now(digest)
                task.advance(1, last=stages[digest].label())
                for user in users[digest]:
                    needs[user].discard(digest)
                    if not needs[user]:
                        ready.append(user)


def _say_reuse(plan: Plan, waiting: list[Stage], progress: Progress) -> None:
    running = {id(stage) for stage in waiting}
    old = [
        stage.label()
        for stage in plan.order
        if id(stage) not in running and (found := plan.done(stage)) and plan.is_older(stage, found)
    ]
    if old:
        kept = listing(dict.fromkeys(old))
        progress.say(f"kept {kept} from an earlier version of the source; --fresh runs them again.")


def _run_one(stage: Stage, plan: Plan, runner: Runner, progress: Progress) -> None:
    folder = plan.folder(stage)
    with locked(folder):
        if plan.done(stage):  # another run on this store finished it since this one looked
            return
        lineage = _lineage(stage, plan)
        _begin(stage, folder, {"fingerprint": plan.fingerprints[stage], "lineage": lineage}, progress)
        here = Workplace(stage=stage, out=folder, runner=runner, machine=plan.machine, progress=progress, plan=plan)
        started, cpu = time.perf_counter(), _cpu_seconds()
        metrics = stage.run(here)
        if not isinstance(metrics, Mapping):
            raise StageFailedError(f"{stage!r} returned no figures; run() must return a mapping.")
        seconds = {"seconds": time.perf_counter() - started, "cpu_seconds": _cpu_seconds() - cpu}
        files.write_json(folder / DONE, _record(stage, plan, metrics, lineage, seconds))
    plan.made_now(plan.fingerprints[stage])


def _lineage(stage: Stage, plan: Plan) -> str:
    """The source of a stage that runs now on inputs that may have been kept from an earlier version."""
    made = [plan.store.done(inner, plan.fingerprints[inner]) for inner in stage.inputs()]
    return plan.fingerprints.lineage(stage, [done.lineage if done else "" for done in made])


def _begin(stage: Stage, folder: Path, mine: Mapping[str, str], progress: Progress) -> None:
    """Start over when the source changed, tidy what a killed run left, mark the folder as this run's.

    A kill between any two of these lines leaves a folder that the next run takes up or empties again.
    """
    begun = _begun(folder, mine["fingerprint"])
    finished = (folder / DONE).exists()
    if begun and (begun != mine or finished):
        if begun["lineage"] and not finished:
            progress.say(f"{stage.label()}: the source changed since this run began; starting it over.")
        _empty(folder, mine)
    files.remove_debris(folder)
    files.write_json(folder / BEGUN, mine)


def _begun(folder: Path, fingerprint: str) -> dict[str, str] | None:
    """What an earlier run of this stage left there; a folder with anything else is refused."""
    if not folder.is_dir():
        return None
    begun: dict[str, str] | None = files.read_json(folder / BEGUN) if (folder / BEGUN).exists() else None
    half = BEGUN + files.TEMPORARY
    foreign = [path.name for path in folder.iterdir() if not path.name.startswith((".", half))]
    if begun is None and foreign:
        raise BusyError(f"{folder} holds other files ({foreign[0]}, ...); choose an empty or new folder.")
    if begun and begun["fingerprint"] != fingerprint:
        raise BusyError(
            f"{folder} holds another run ({begun['fingerprint'][:12]}, this one is {fingerprint[:12]}); "
            "choose another folder, or delete this one."
        )
    return begun


def _empty(folder: Path, mine: Mapping[str, str]) -> None:
    # First nobody may take up what is half deleted, then no record may stand over missing files.
    files.write_json(folder / BEGUN, {**mine, "lineage": ""})
    files.remove(folder / DONE)
    for path in folder.iterdir():
        # Hidden are the lock, and what a chosen folder keeps of its inputs.
        if path.name != BEGUN and not path.name.startswith("."):
            files.remove(path)


def _record(
    stage: Stage, plan: Plan, metrics: Mapping[str, float], lineage: str, seconds: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "stage": class_name(type(stage)),
        "name": stage.name,
        "gives": stage.gives,
        "version": stage.version,
        "fingerprint": plan.fingerprints[stage],
        "inputs": {label: plan.fingerprints[inner] for label, inner in labelled(stage.inputs()).items()},
        "config": stage.describe(),
        "metrics": {key: _number(stage, key, value) for key, value in metrics.items()},
        **{name: round(value, 3) for name, value in seconds.items()},
        "peak_memory_bytes": _peak_memory_bytes(),
        "machine": {key: getattr(plan.machine, key) for key in ("precision", "workers", "threads")},
        "versions": versions(),
        "source": package_hash(),
        "lineage": lineage,
    }


def labelled(stages: Iterable[Stage]) -> dict[str, Stage]:
    """Stages by label; a label that occurs again is numbered: `expert`, `expert-2`."""
    found: dict[str, Stage] = {}
    count: dict[str, int] = {}
    for stage in stages:
        label = stage.label()
        while label in found:
            count[stage.label()] = count.get(stage.label(), 1) + 1
            label = f"{stage.label()}-{count[stage.label()]}"
        found[label] = stage
    return found


def _cpu_seconds() -> float:
    """Processor time of this process and of the workers it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _peak_memory_bytes() -> int:
    """The most memory this process ever held; macOS counts in bytes, Linux in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _number(stage: Stage, key: str, value: Any) -> float:
    try:
        number = int(value) if isinstance(value, int) else float(value)
    except (TypeError, ValueError) as error:
        raise StageFailedError(f"{stage.label()} gave {key} = {value!r:.80}, which is not a number.") from error
    if not math.isfinite(number):
        raise StageFailedError(f"{stage.label()} gave {key} = {value}, which is not a finite number.")
    return number


def versions() -> dict[str, str]:
    """Versions of Python, of ours, and of the libraries that shape results, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in ("sensorium", *_LIBRARIES):
        if version := _version(name):
            found[name] = version
    return found


@lru_cache
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def sources(plan: Plan) -> list[Source]:
    """The sources (files, catalogue entries) in the fields of a graph's stages; each once."""
    found: dict[int, Source] = {}
    for stage in plan.order:
        for source in sources_of(stage):
            found.setdefault(id(source), source)
    return list(found.values())
