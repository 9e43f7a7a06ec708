"""Curation as a stage: steps over a pool, with every row accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError, listing
from sensorium.core.stage import Here, Stage, stage, takes
from sensorium.curate.account import Account, called
from sensorium.curate.passes import (
    GATHER_ROWS,
    Apply,
    GatherTables,
    Item,
    Join,
    Measure,
    Op,
    Scatter,
    Write,
    merge_files,
)
from sensorium.curate.states import State, add_up, read_state, write_state
from sensorium.curate.steps import bind, describe, expand, kind_of
from sensorium.data.locations import Location
from sensorium.data.shards import Shard, need_columns
from sensorium.data.sources import Pool, open_pool

WORK, POOL = "work", "pool.json"


@stage
class Curate(Stage):
    """Run steps over a pool and write the rows that stay; gives "pool".

    The folder then holds `rows/`, `dropped/` (id, reason, small columns), `rejected/` (id, shard, reason),
    `pool.json` (columns and counts; rows in = out + dropped + rejected), `statistics.json` (for the page),
    `card.json` (what another person needs to get the same rows), `timings.json`, and small files that steps
    publish.

    Args:
        pool: a stage that gives "pool", or `Files`.
        steps: in order; see `curate.steps`. None at all copies the pool in sensorium's form.
        needs: columns that whoever uses the result will read; a pool without one is refused before any work.
    """

    gives: ClassVar[str] = "pool"

    pool: Pool = takes("pool")
    steps: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what is no step, before anything runs."""
        if not isinstance(self.steps, tuple):
            raise SettingError(f"Curate.steps must be a tuple, not {type(self.steps).__name__}; write steps=(..., ).")
        for step in expand(self.steps):
            kind_of(step)

    def run(self, here: Here) -> Mapping[str, float]:
        """Do the passes; a killed run goes on where it stopped."""
        # pool.json is written last, so with it nothing is left to do but to tidy up.
        if not (here.out / POOL).exists():
            work = _Work(self, here)
            work.run_steps()
            work.write()
        files.remove(here.out / WORK)
        pool = files.read_json(here.out / POOL)
        return {name: pool[name] for name in ("rows_in", "rows_out", "dropped", "rejected")}


@dataclass
class _Work:
    """The driver of one curation: which pass comes next, and what is known so far."""

    stage: Curate
    here: Here
    items: dict[str, Item] = field(init=False)
    steps: list[Any] = field(init=False)
    side: Path | None = field(default=None, init=False)
    ops: list[Op] = field(default_factory=list, init=False)
    states: dict[int, State] = field(default_factory=dict, init=False)
    alive: int | None = field(default=None, init=False)
    timings: list[dict[str, Any]] = field(default_factory=list, init=False)
    beside: set[str] = field(default_factory=set, init=False)
    stamps: dict[Location, Any] = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.stamps = _stamps(self.stage.pool)
        shards = open_pool(self.stage.pool, self.here)
        if not shards:
            raise InputError(f"{called(self.stage.pool)} has no shard.")
        self.notes = shards[0].layout.notes
        for note in self.notes:
            self.here.progress.say(f"{self.stage.label()}: {note}")
        self.items = {shard.name: Item(number, shard) for number, shard in enumerate(shards)}
        self.steps = [bind(step, self.here) for step in expand(self.stage.steps)]
        self.schema: pa.Schema = shards[0].schema()
        self._check_columns(shards)

    def _check_columns(self, shards: Sequence[Shard]) -> None:
        made: set[str] = {"id"}
        need_columns(shards, self.stage.needs)
        for step in self.steps:
            need_columns(shards, [name for name in step.columns if name not in made])
            made |= set(step.adds)

    # --- the passes before the last ------------------------------------------------------------

    def run_steps(self) -> None:
        """Go through the steps; each Fold and Gather closes a pass."""
        for number, step in enumerate(self.steps):
            kind = kind_of(step)
            if kind == "fold":
                self._fold(number, step)
            elif kind == "gather":
                self._gather(number, step)
            else:
                self.ops.append(Apply(number, step))

    def _fold(self, number: int, step: Any) -> None:
        state = self._measure(number, step, f"measure-{number}")
        again = getattr(step, "then", None)
        turn = 0
        while again is not None and (more := again(state)) is not None:
            turn += 1
            state = self._measure(number, more, f"measure-{number}-{turn}")
        path = self._folder(f"state-{number}.npz")
        write_state(path, state)
        self.states[number] = state
        self.ops.append(Apply(number, step, path))

    def _measure(self, number: int, fold: Any, name: str) -> State:
        self._look(name, fold, number)
        paths = [self._folder(name) / "states" / f"{item.file}.npz" for item in self.items.values()]
        finished: State = fold.finish(merge_files(fold, paths))
        return finished

    def _look(self, name: str, fold: Any = None, number: int = -1) -> None:
        """A pass that applies what is pending, writes the side files where they change, and measures."""
        writes = bool(self.ops) or self.side is None
        columns = self._columns([*self.ops, fold] if fold is not None else self.ops)
        worker = Measure(tuple(self.ops), columns, self.side, self._folder(name), fold, number, writes)
        results = self._pass(worker, name)
        self.alive = self._left(results)
        if writes:
            self.beside |= {column for op in self.ops for column in op.step.adds}
            self.side, self.ops = self._folder(name) / "side", []

    def _gather(self, number: int, step: Any) -> None:
        if self.ops or self.alive is None:
            self._look(f"look-{number}")
        assert self.alive is not None, "rows have been counted"
        num_tables = max(1, -(-self.alive // GATHER_ROWS))
        scatter, gather = self._folder(f"scatter-{number}"), self._folder(f"gather-{number}")
        self._pass(Scatter((), self._columns([step]), self.side, scatter, step, num_tables), f"scatter-{number}")
        paths = tuple(scatter / "scattered" / f"{item.file}.parquet" for item in self.items.values())
        tables = {f"{table:05d}": table for table in range(num_tables)}
        title = f"{self.stage.label()}: {describe(step)}"
        results = self.here.items(
            GatherTables(step, paths, gather), tables, group=f"{WORK}/gather-{number}/done", title=title
        )
        self.timings.append(
            {"pass": f"gather-{number}", "seconds": {number: sum(r["seconds"] for r in results.values())}}
        )
        self.ops.append(Join(number, step, gather / "gathered", num_tables))

    def _pass(self, worker: Any, name: str) -> dict[str, Any]:
        title = f"{self.stage.label()}: {', '.join(self._working_on(worker)) or 'reading'}"
        results = self.here.items(worker, self.items, group=f"{WORK}/{name}/done", title=title)
        seconds: dict[str, float] = {}
        for result in results.values():
            for number, value in result["seconds"].items():
                seconds[number] = seconds.get(number, 0.0) + value
        rows = sum(result["rows"] for result in results.values())
        self.timings.append({"pass": name, "rows": rows, "seconds": seconds})
        return results

    def _working_on(self, worker: Any) -> list[str]:
        closing = worker.gather if isinstance(worker, Scatter) else None
        if isinstance(worker, Measure) and worker.fold is not None:
            closing = self.steps[worker.number]
        return [describe(step) for step in (*(op.step for op in worker.ops), closing) if step is not None]

    def _columns(self, users: Sequence[Any]) -> tuple[str, ...]:
        """Columns of the pool that a pass must read.

        The first pass reads every column of text, so that it rejects the same rows as the last one: a row
        that the pool cannot give must not be counted.
        """
        steps = [user.step if isinstance(user, Apply) else user for user in users if not isinstance(user, Join)]
        wanted = [name for step in steps for name in step.columns]
        if self.side is None:
            wanted += [item.name for item in self.schema if _light(item.type)]
        in_pool = set(self.schema.names) - self.beside - {"id"}
        return tuple(dict.fromkeys(name for name in wanted if name in in_pool))

    def _folder(self, name: str) -> Path:
        return self.here.out / WORK / name

    # --- the last pass -------------------------------------------------------------------------

    def write(self) -> None:
        """Write whole rows, then what the page and other people need, `pool.json` last."""
        out = self.here.out
        tallies = tuple(
            (number, step) for number, step in enumerate(self.steps) if callable(getattr(step, "tally", None))
        )
        worker = Write(tuple(self.ops), None, self.side, out, tallies, self._folder("tallies"))
        results = self._pass(worker, "write")
        try:
            self._left(results)
            self._refuse_changed()
        except InputError:
            for name in ("rows", "dropped", "rejected"):
                files.remove(out / name)
            raise
        self._remove_empty(results)
        sums = {number: add_up([read_state(path) for path in self._tally_files(number)]) for number, _ in tallies}
        account = Account(self.stage, self.steps, list(results.values()), self.states, sums, self.notes)
        files.write_json(out / "statistics.json", account.statistics(out))
        files.write_json(out / "card.json", account.card(self.here))
        files.write_json(out / "timings.json", account.timings(self.timings))
        files.write_json(out / POOL, account.pool(self.here))

    def _refuse_changed(self) -> None:
        """Stop where files changed while they were read: their rows would stand under the old fingerprint."""
        changed = [file.name for file, stamp in self.stamps.items() if file.stamp() != stamp]
        if changed:
            raise InputError(
                f"{self.stage.label()}: {listing(changed, 3)} of {called(self.stage.pool)} changed while being read; "
                "run again when no one writes there."
            )

    def _tally_files(self, number: int) -> list[Path]:
        return [self._folder("tallies") / f"tally-{number}" / f"{item.file}.npz" for item in self.items.values()]

    def _remove_empty(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        """No file without rows stays, but one, if no row is left at all: it holds the names and types."""
        empty = [name for name, result in results.items() if result["alive"] == 0]
        for name in empty[1:] if len(empty) == len(results) else empty:
            files.remove(self.here.out / "rows" / f"{self.items[name].file}.parquet")

    def _left(self, results: Mapping[str, Mapping[str, Any]]) -> int:
        """The number of rows that are left.

        Raises:
            InputError: there was no row, or none is left; the sentence names the pool, or the step and what
                it saw.
        """
        found = list(results.values())
        rows, alive, refused = (sum(result[name] for result in found) for name in ("rows", "alive", "refused"))
        pool = called(self.stage.pool)
        why = next((result["why"] for result in found if result["why"]), "")
        if rows == 0 and refused:
            raise InputError(f"{self.stage.label()}: all {refused} rows of {pool} were rejected, the first {why}.")
        if rows == 0 and any(getattr(step, "needs_rows", False) for step in self.steps):
            raise InputError(f"{self.stage.label()}: {pool} has no rows.")
        if rows and not alive:
            others = f", and {refused} rows were rejected, the first {why}" if refused else ""
            raise InputError(f"{self.stage.label()}: {self._who_took_the_last(found)}{others}.")
        return int(alive)

    def _who_took_the_last(self, found: Sequence[Mapping[str, Any]]) -> str:
        for number, step in enumerate(self.steps):
            counts = [result["left"][str(number)] for result in found if str(number) in result["left"]]
            if counts and sum(counts) == 0:
                first: Mapping[str, Any] = next(
                    (result["first"][str(number)] for result in found if str(number) in result["first"]), {}
                )
                if callable(getattr(step, "nothing_left", None)):
                    return str(step.nothing_left(first))
                return f"the step {describe(step)} dropped every row it was given; the first was {dict(first)}"
        return "no row is left"


def _stamps(pool: Pool) -> dict[Location, Any]:
    """The files of a pool with what shows a change; a finished stage does not change."""
    return {} if isinstance(pool, Stage) else {file: file.stamp() for file in pool.locations()}


def _light(kind: pa.DataType) -> bool:
    """Whether values hold text, which can be invalid, and no media."""
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    if any(pa.types.is_binary(one) for one in (kind, *inner)):
        return False
    return bool(pa.types.is_string(kind)) or any(_light(one) for one in inner)
