"""The one training loop. What a method does differently lies in its objective."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning_fabric import Fabric
from torch import Tensor

from sensorium.core import files
from sensorium.core.errors import SettingError, StageFailedError, listing, need
from sensorium.core.stage import Progress, Task
from sensorium.data import rejected as rejects
from sensorium.data.chance import mix
from sensorium.data.rows import Rows
from sensorium.engine import ranks
from sensorium.train import checkpoint as checkpoints
from sensorium.train.checkpoint import Checkpoint
from sensorium.train.figures import Figures, looked_at
from sensorium.train.flops import update_flops
from sensorium.train.launch import Job
from sensorium.train.loader import Batch, Loader, Loading
from sensorium.train.objective import Clock, Objective
from sensorium.train.record import METRICS, Record, read
from sensorium.train.train import check_pool
from sensorium.train.turns import RunningTurn
from sensorium.train.watch import Watching

MAX_SKIPPED = 10
"""So many skipped updates in a row stop a run."""

_EVERY = 10  # updates between two looks at the figures; each look waits for the device
_LAST = 50  # updates over which the loss in the result is averaged


def seed_torch(seed: int, update: int, rank: int) -> None:
    """Set torch's generator for one update from three numbers, so that a restart needs no state of it."""
    words = np.array([seed & (2**64 - 1), update, rank], np.uint64)
    number = int(mix(mix(mix(words[:1]) ^ words[1:2]) ^ words[2:])[0] >> np.uint64(1))
    # torch.manual_seed would look for every kind of device, at the cost of a millisecond.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(number)


class Loop:
    """One rank's run of a job."""

    def __init__(self, fabric: Fabric, job: Job, progress: Progress) -> None:
        self.fabric, self.job, self.stage, self.progress = fabric, job, job.stage, progress
        self.rows = self._open_rows()
        check_pool(self.stage, self.rows, job.labels)
        seed_torch(self.stage.seed, 0, 0)
        self.objective: Objective = self.stage.objective.build().train()
        if job.start:
            self.objective.finished()[""].load_weights(job.start)
        if self.objective.parallel != "replicated" and fabric.world_size > 1:
            raise SettingError(f"a {self.objective.parallel} objective runs on one device, not {fabric.world_size}.")
        self.module = fabric.setup_module(torch.compile(self.objective) if job.machine.compile else self.objective)
        self.turns = self._turns()
        if len(self.turns) > 1 and fabric.world_size > 1:
            raise SettingError(
                f"an objective with {len(self.turns)} turns runs on one device, not {fabric.world_size}."
            )
        self.watching = Watching(self.stage.watch) if self.stage.watch else None
        self.state: dict[str, Any] = {"skipped": 0, "in_row": 0, "replaced": 0, "rejected": {}, "flops": None}
        self.best: dict[str, Tensor] = {}
        self.waiting: list[Figures] = []
        self.update, self.saved = 0, -1

    def run(self) -> dict[str, float]:
        """Go on from the newest checkpoint, make all updates, export, return the figures."""
        self._resume()
        record = Record(self.job.out, self.update, tensorboard=self._tensorboard(), writes=self.fabric.is_global_zero)
        stop = self.update if self._is_over() else self.stage.updates
        title = self.stage.label()
        with (
            record,
            closing(self._loader().run(self.update, stop)) as batches,
            self.progress.task(title, self.stage.updates, "updates") as bar,
        ):
            bar.advance(self.update)
            for batch in batches:
                self._one_update(batch)
                self._watch()
                if self.update % _EVERY == 0:
                    self._look(record, bar)
                if self.update % self.stage.keeping.checkpoint_every == 0:
                    self._save(record, bar)
                if self._is_over():
                    break
            self._save(record, bar)
        return self._finish()

    # --- setting up

    def _open_rows(self) -> Rows:
        def opened() -> Rows:
            return Rows(
                self.job.parts,
                (*self.stage.prepare.columns, *self.stage.order.columns),
                memory_bytes=self.stage.keeping.memory_bytes,
                scratch=self.job.out / "rows",
            )

        # Rank 0 reads first: where the pool is written to a file, the others find it there.
        rows = opened() if self.fabric.is_global_zero else None
        self.fabric.barrier()
        if rows and rows.mapped:
            size = self.stage.keeping.memory_bytes / 2**30
            self.progress.say(
                f"{self.stage.label()}: the pool is larger than {size:.3g} GiB; its rows are read from a file in "
                f"{self.job.out / 'rows'} until the run ends."
            )
        return opened() if rows is None else rows

    def _turns(self) -> list[RunningTurn]:
        names = {parameter: name for name, parameter in self.objective.named_parameters()}
        turns = [RunningTurn(turn, self.stage.optim, names, self.stage.updates) for turn in self.objective.turns()]
        if len({turn.name for turn in turns}) < len(turns):
            raise SettingError(f"turns have names of their own; given {listing(turn.name for turn in turns)}.")
        return turns

    def _loader(self) -> Loader:
        loading = Loading(
            batch=self.stage.batch,
            seed=self.stage.seed,
            rank=self.fabric.global_rank,
            num_ranks=self.fabric.world_size,
            workers=self.job.machine.workers,
            memory_bytes=self.stage.keeping.memory_bytes,
        )
        visits = self.stage.order.visits(self.rows, self.stage.seed)
        return Loader(self.rows, self.stage.prepare, visits, loading)

    def _tensorboard(self) -> Any:
        if not (self.stage.keeping.tensorboard and self.fabric.is_global_zero):
            return None
        need("tensorboard", "train", "writing figures for TensorBoard")
        from sensorium.train.scalars import Scalars

        return Scalars(self.job.out / "tensorboard", self.update)

    def _resume(self) -> None:
        found = checkpoints.load_newest(self.job.out / checkpoints.FOLDER, self.progress.say)
        if found is None:
            return
        self.objective.load_state_dict(_under("weights/", found.tensors), strict=True)
        for turn in self.turns:
            turn.load(found.tensors)
        self.best = _under("best/", found.tensors)
        self.state, self.update, self.saved = dict(found.state["loop"]), found.update, found.update
        self.state["replaced"] = dict(enumerate(self.state["replaced"])).get(self.fabric.global_rank, 0)
        if self.watching:
            self.watching.state = dict(found.state["watch"])
        self.progress.say(f"{self.stage.label()}: going on from update {self.update:,} of {self.stage.updates:,}.")

    # --- one
    # update

    def _one_update(self, batch: Batch) -> None:
        seen = self.update * self.stage.batch
        clock = Clock(self.update, self.stage.updates, seen, self.update / self.stage.updates)
        inputs = {
            name: torch.from_numpy(np.ascontiguousarray(array)).to(self.fabric.device, non_blocking=True)
            for name, array in batch.arrays.items()
        }
        if self.state["flops"] is None:
            # Ranks cannot talk about shapes without values.
            counted = update_flops(self.objective, inputs, clock) if self.fabric.world_size == 1 else None
            self.state["flops"] = counted or 0
        seed_torch(self.stage.seed, self.update + 1, self.fabric.global_rank)
        figures = Figures(self.update + 1, seen + self.stage.batch, batch.ids)
        for turn in self.turns:
            self._one_turn(turn, inputs, clock, figures)
        self.objective.after_update(clock)
        self.update += 1
        self.state["replaced"] += batch.num_replaced
        self.state["rejected"].update(batch.broken)
        if self.stage.keeping.log_ids:
            figures.known["ids"] = batch.ids
        self.waiting.append(figures)

    def _one_turn(self, turn: RunningTurn, inputs: Mapping[str, Tensor], clock: Clock, figures: Figures) -> None:
        self._give_turn(turn)
        pieces = _split(inputs, self.stage.accumulate)
        loss = torch.zeros((), device=self.fabric.device)
        for number, (piece, weight) in enumerate(zip(pieces, self._weights(pieces), strict=True), 1):
            with self._no_sync(number < len(pieces)):
                terms = self.module(piece, clock)
                total = turn.total(terms) if weight is None else turn.total(terms) * weight
                self.fabric.backward(total)
            loss = loss + total.detach()
            figures.add(terms, weight)
        norm, skipped = turn.step(clock.update, loss)
        suffix = "" if len(self.turns) == 1 else f"/{turn.name}"
        figures.add({f"loss{suffix}": loss, f"gradient{suffix}": norm})
        figures.add_skipped(skipped)
        figures.known[f"lr{suffix}"] = turn.lr(clock.update)

    def _give_turn(self, turn: RunningTurn) -> None:
        """Forget old gradients; with several turns, let only this turn's parameters have new ones."""
        if len(self.turns) > 1:
            mine = {id(parameter) for parameter in turn.parameters}
            for other in self.turns:
                for parameter in other.parameters:
                    parameter.requires_grad_(id(parameter) in mine)
        for parameter in turn.parameters:
            parameter.grad = None

    def _weights(self, pieces: list[dict[str, Tensor]]) -> list[Tensor | None]:
        """What each piece's mean counts for among all pieces of all ranks, times the number of ranks.

        Gradients are averaged over ranks afterwards, which takes that factor off again.
        """
        world = self.fabric.world_size
        if len(pieces) == 1 and world == 1:
            return [None]
        counts = [torch.as_tensor(self.objective.units(piece), device=self.fabric.device) for piece in pieces]
        units = torch.stack(counts).double()
        return list((units * world / ranks.all_sum(units.sum())).float())

    def _no_sync(self, wait: bool) -> AbstractContextManager[Any]:
        """Ranks exchange gradients with the last piece of a batch only."""
        return self.fabric.no_backward_sync(self.module) if wait and self.fabric.world_size > 1 else nullcontext()

    # --- figures, validation,
    # checkpoints, end

    def _watch(self) -> None:
        if not self.watching or not self.watching.due(self.update, self.stage.updates):
            return
        self.objective.eval()
        with torch.no_grad():
            value, is_best = self.watching.measure(self.objective.finished(), self.update)
        self.objective.train()
        self.waiting[-1].known["watched"] = value
        if is_best and self.watching.watch.keep == "best":
            state = self.objective.state_dict()
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def _is_over(self) -> bool:
        return bool(self.watching and self.watching.over)

    def _look(self, record: Record, bar: Task) -> None:
        """Fetch the figures, write their lines, stop a run that stands still."""
        lines, self.waiting = looked_at(self.waiting), []
        for line in lines:
            record.add(line)
            skipped = line.get("skipped", False)
            self.state["skipped"] += skipped
            self.state["in_row"] = self.state["in_row"] + 1 if skipped else 0
            if self.state["in_row"] == MAX_SKIPPED:
                record.sync()
                raise StageFailedError(
                    f"{self.stage.label()}: the loss or its gradient was not finite in {MAX_SKIPPED} "
                    f"updates in a row, up to update {line['update']}; "
                    f"its batch had the rows {listing(line['ids'], 8)} "
                    "(all ids: metrics.jsonl). The last checkpoint is kept."
                )
        if lines:
            last = {name: value for name, value in lines[-1].items() if name.startswith("loss")}
            bar.advance(len(lines), **last)

    def _save(self, record: Record, bar: Task) -> None:
        if self.saved == self.update:
            return
        self.saved = self.update
        self._look(record, bar)
        record.sync()
        for broken in ranks.all_objects(self.state["rejected"]):
            self.state["rejected"].update(broken)
        replaced = ranks.all_objects(self.state["replaced"])
        if not self.fabric.is_global_zero:
            return
        tensors = {f"weights/{name}": tensor for name, tensor in self.objective.state_dict().items()}
        for turn in self.turns:
            tensors.update(turn.state())
        tensors.update({f"best/{name}": tensor for name, tensor in self.best.items()})
        loop = {**self.state, "replaced": replaced}
        state = {"loop": loop, "watch": self.watching.state if self.watching else None}
        found = Checkpoint(update=self.update, tensors=tensors, state=state)
        checkpoints.save(self.job.out / checkpoints.FOLDER, found, self.stage.keeping.num_checkpoints)

    def _finish(self) -> dict[str, float]:
        if self.state["skipped"] == self.update:
            raise StageFailedError(
                f"{self.stage.label()}: the loss or its gradient was not finite in any of the {self.update} "
                f"updates, so nothing was learned (the ids of each batch: {METRICS})."
            )
        replaced = sum(ranks.all_objects(self.state["replaced"]))
        if self.best:
            self.objective.load_state_dict(self.best, strict=True)
        num_rejected = len(self.rows.rejected) + len(self.state["rejected"])
        if self.fabric.is_global_zero:
            self._export()
        self.fabric.barrier()
        figures = {
            "rows": len(self.rows),
            "updates": self.update,
            "examples": self.update * self.stage.batch,
            "parameters": sum(p.numel() for p in self.objective.parameters() if p.requires_grad),
            "skipped": self.state["skipped"],
            "rejected": num_rejected,
            "replaced": replaced,
            **_last_losses(self.job.out),
        }
        if self.state["flops"]:
            figures["flops"] = self.state["flops"] * self.update
        if self.watching and self.watching.state["best"] is not None:
            figures["best"], figures["best_update"] = (
                self.watching.state["best"],
                self.watching.state["update"],
            )
        return figures

    def _export(self) -> None:
        self.objective.eval()
        for name, module in self.objective.finished().items():
            module.save(self.job.out / name)
        broken = rejects.table("", sorted(self.state["rejected"].items()))
        table = pa.concat_tables([self.rows.rejected, broken])
        if len(table):
            with files.atomic(self.job.out / "rejected" / "rows.parquet") as temporary:
                pq.write_table(table, temporary)
        files.remove(self.job.out / "rows")


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _split(inputs: Mapping[str, Tensor], pieces: int) -> list[dict[str, Tensor]]:
    """Equal stretches of a batch, in order."""
    if pieces == 1:
        return [dict(inputs)]
    cut = {name: tensor.chunk(pieces) for name, tensor in inputs.items()}
    return [{name: parts[number] for name, parts in cut.items()} for number in range(pieces)]


def _last_losses(folder: Path) -> dict[str, float]:
    """The mean of each loss over the last updates that were not skipped."""
    lines = [line for line in read(folder) if not line.get("skipped")][-_LAST:]
    names = [name for name in (lines[-1] if lines else {}) if name == "loss" or name.startswith("loss/")]
    return {name: sum(line[name] for line in lines) / len(lines) for name in names}
