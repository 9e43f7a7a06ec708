"""Finished stages as a page sees them: the record, the folder, and who consumed whom."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sensorium.core import files
from sensorium.core.errors import InputError
from sensorium.core.execute import Plan
from sensorium.core.fingerprint import class_name
from sensorium.core.store import DONE, Done
from sensorium.report.blocks import Graph, Node
from sensorium.report.text import duration


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One stage of a run.

    Args:
        label: its name for people.
        gives: the kind of its result.
        fingerprint: what its inputs are known by.
        folder: where its result lies.
        content: its done.json; empty when it is missing.
        inputs: fingerprints of what it consumed.
        made: whether this run made it; None when nobody knows.
    """

    label: str
    gives: str
    fingerprint: str
    folder: Path
    content: dict[str, Any] = field(repr=False)
    inputs: tuple[str, ...] = ()
    made: bool | None = None

    @property
    def stage(self) -> str:
        """The class's name without its module."""
        return str(self.content.get("stage", "")).rsplit(".", 1)[-1]

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures it returned."""
        return dict(self.content.get("metrics") or {})

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON object in its folder, or None where it is missing or no whole JSON object."""
        try:
            found = files.read_json(self.folder / name)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def collect(what: Plan | Sequence[str | Path]) -> list[Finished]:
    """The stages of a plan, or of folders that hold a done.json; inputs first, each once.

    Raises:
        InputError: a given folder holds no finished stage.
    """
    return _from_plan(what) if isinstance(what, Plan) else _from_folders([Path(path) for path in what])


def _from_plan(plan: Plan) -> list[Finished]:
    found: dict[str, Finished] = {}
    made = getattr(plan, "_fresh", None)
    for stage in plan.order:
        fingerprint = plan.fingerprints[stage]
        done = plan.store.done(stage, fingerprint)
        found.setdefault(
            fingerprint,
            Finished(
                label=stage.label(),
                gives=stage.gives,
                fingerprint=fingerprint,
                folder=plan.folder(stage),
                content=done.content if done else {"stage": class_name(type(stage)), "config": stage.describe()},
                inputs=tuple(plan.fingerprints[inner] for inner in stage.inputs()),
                made=fingerprint in made if made is not None else None,
            ),
        )
    return list(found.values())


def _from_folders(folders: Iterable[Path]) -> list[Finished]:
    found: dict[str, Finished] = {}
    for folder in folders:
        done = Done.read(folder)
        if done is None:
            raise InputError(f"{folder} holds no finished stage ({DONE} is missing or damaged).")
        content = done.content
        stage = str(content.get("stage", "")).rsplit(".", 1)[-1]
        found.setdefault(
            done.fingerprint,
            Finished(
                label=str(content.get("name") or stage),
                gives=str(content.get("gives", "")),
                fingerprint=done.fingerprint,
                folder=folder,
                content=content,
                inputs=tuple(dict(content.get("inputs") or {}).values()),
            ),
        )
    return [found[fingerprint] for fingerprint in _inputs_first(found)]


def _inputs_first(stages: dict[str, Finished]) -> list[str]:
    ordered: dict[str, None] = {}
    stack = [(fingerprint, False) for fingerprint in reversed(stages)]
    entered = set()
    while stack:
        fingerprint, leaving = stack.pop()
        if leaving:
            ordered.setdefault(fingerprint)
        elif fingerprint not in entered:
            entered.add(fingerprint)
            stack.append((fingerprint, True))
            stack.extend((inner, False) for inner in reversed(stages[fingerprint].inputs) if inner in stages)
    return list(ordered)


def name_arms(stages: Sequence[Finished], arms: Mapping[str, str] | None = None) -> list[Finished]:
    """Call what belongs to one arm alone by the arm's name, and put it behind what arms share, arm by arm.

    Args:
        stages: inputs first.
        arms: arm -> fingerprint of its last stage; without it the ends of the graph are arms, named by the
            pool it was trained on, if these names differ.
    """
    ends = dict(arms) if arms is not None else _arms_by_pool(stages)
    known = {stage.fingerprint: stage for stage in stages}
    owners: dict[str, set[str]] = {}
    for arm, end in ends.items():
        for fingerprint in _below(end, known):
            owners.setdefault(fingerprint, set()).add(arm)
    place = {arm: number for number, arm in enumerate(ends, 1)}
    found = []
    for stage in stages:
        own = owners.get(stage.fingerprint, set())
        arm = next(iter(own)) if len(own) == 1 and len(ends) > 1 else ""
        named = replace(stage, label=arm) if arm and stage.gives in ("model", "scores") else stage
        found.append((place.get(arm, 0), named))
    # What only one arm needs is needed by nothing shared, so inputs still come first.
    return [stage for _, stage in sorted(found, key=lambda item: item[0])]


def _below(end: str, known: Mapping[str, Finished]) -> set[str]:
    seen: set[str] = set()
    stack = [end]
    while stack:
        fingerprint = stack.pop()
        if fingerprint in known and fingerprint not in seen:
            seen.add(fingerprint)
            stack.extend(known[fingerprint].inputs)
    return seen


def _arms_by_pool(stages: Sequence[Finished]) -> dict[str, str]:
    used = {inner for stage in stages for inner in stage.inputs}
    known = {stage.fingerprint: stage for stage in stages}
    ends = [stage for stage in stages if stage.fingerprint not in used and stage.gives in ("model", "scores")]
    named = {_trained_on(end, known): end.fingerprint for end in ends}
    return named if len(named) == len(ends) else {}


def _trained_on(stage: Finished, known: Mapping[str, Finished]) -> str:
    """The label of the pool that a model, or the model that was scored, was trained on."""
    while stage.gives != "pool":
        inputs = [known[inner] for inner in stage.inputs if inner in known]
        following = [one for kind in ("model", "pool") for one in inputs if one.gives == kind]
        if not following:
            return stage.label
        stage = following[0]
    return stage.label


def free_name(label: str, taken: Container[str]) -> str:
    """The label, with a number where another stage has it already."""
    number, name = 2, label
    while name in taken:
        name, number = f"{label} ({number})", number + 1
    return name


def graph(stages: Sequence[Finished]) -> Graph:
    """The picture of a graph: columns by the longest way from a start, rows so that lines cross little."""
    place = {stage.fingerprint: number for number, stage in enumerate(stages)}
    edges = tuple(
        (place[inner], place[stage.fingerprint]) for stage in stages for inner in stage.inputs if inner in place
    )
    depth = [0] * len(stages)
    for above, below in sorted(edges, key=lambda edge: edge[1]):
        depth[below] = max(depth[below], depth[above] + 1)
    for number in range(len(stages)):
        # What needs nothing stands beside what needs it, so that no line runs behind another stage.
        if not any(b == number for _, b in edges) and (users := [b for a, b in edges if a == number]):
            depth[number] = min(depth[user] for user in users) - 1
    columns: dict[int, list[int]] = {}
    for number, column in enumerate(depth):
        columns.setdefault(column, []).append(number)
    tallest = max((len(column) for column in columns.values()), default=1)
    height = [0.0] * len(stages)
    for column in sorted(columns):
        members = sorted(columns[column], key=lambda number: (_mean_height(number, edges, height), number))
        step = tallest / len(members)
        for row, number in enumerate(members):
            height[number] = (row + 0.5) * step - 0.5
    nodes = tuple(
        Node(
            label=stage.label,
            what=stage.gives,
            note=duration(stage.content.get("seconds")) if "seconds" in stage.content else "",
            state=_state(stage),
            x=depth[number],
            y=height[number],
        )
        for number, stage in enumerate(stages)
    )
    return Graph(nodes=nodes, edges=edges)


def _mean_height(number: int, edges: Sequence[tuple[int, int]], height: Sequence[float]) -> float:
    above = [height[a] for a, b in edges if b == number]
    return sum(above) / len(above) if above else 0.0


def _state(stage: Finished) -> Literal["made", "kept", "missing"]:
    if "seconds" not in stage.content:
        return "missing"
    return "kept" if stage.made is False else "made"
