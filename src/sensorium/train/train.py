"""The stage that trains: a pool and an objective in, a model folder out. Free of torch until it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError, need
from sensorium.core.stage import Here, Stage, aside, stage, takes
from sensorium.data.order import Draw, Order, Shuffle
from sensorium.data.prepare import Prepare
from sensorium.data.rows import Rows
from sensorium.data.sources import open_pool
from sensorium.train.optim import AdamW
from sensorium.train.watch import Watch


class ObjectiveConfig(Protocol):
    """The settings of an objective, importable without torch."""

    @property
    def in_batch_negatives(self) -> bool:
        """Whether examples of a batch are compared with each other."""

    def build(self) -> Any:
        """The `train.objective.Objective`, with fresh weights from torch's generator."""


@dataclass(frozen=True)
class Init:
    """What a run starts from: the weights of a finished stage or of a released model of the same form.

    Args:
        model: a stage that gives a model, or a `HubModel`.
    """

    model: Any

    def __post_init__(self) -> None:
        known = self.model.gives == "model" if isinstance(self.model, Stage) else hasattr(self.model, "locate")
        if not known:
            raise SettingError(
                f"a run starts from a stage that gives a model, or from HubModel('NAME'), not from {self.model!r:.80}."
            )


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What a run keeps on the way; nothing here changes a result.

    Args:
        checkpoint_every: updates between two checkpoints.
        num_checkpoints: so many are kept; the one before the newest is used when the newest is damaged.
        memory_bytes: budget for rows in memory, and once more for decoded rows.
        tensorboard: also write the figures for TensorBoard.
        log_ids: write the ids of each batch into metrics.jsonl.
    """

    checkpoint_every: int = 200
    num_checkpoints: int = 2
    memory_bytes: int = 2 << 30
    tensorboard: bool = False
    log_ids: bool = False

    def __post_init__(self) -> None:
        if self.checkpoint_every < 1 or self.num_checkpoints < 1:
            raise SettingError(
                f"checkpoint_every and num_checkpoints are at least 1, "
                f"not {self.checkpoint_every} and {self.num_checkpoints}."
            )


@stage
class Train(Stage):
    """Train an objective on a pool and export what it finished.

    Every batch is a function of (ids, seed, update), the learning rate of (update, updates): a run that was
    killed goes on from its newest whole checkpoint and ends, on a CPU with as many threads, with the same
    bits. `updates` is part of the identity: a longer run is another run with its own folder and its own
    curve.

    An update whose loss or gradient is not finite changes nothing and is counted as skipped; ten in a row
    stop the run.

    The folder: the model (config.json, model.safetensors, card.json), metrics.jsonl, checkpoints/, and
    rejected/ with the rows that could not be read or decoded.

    Args:
        pool: a stage that gives a pool, files, or a mapping of several for `order=Mix(...)`.
        objective: settings of the method.
        prepare: how rows become arrays.
        optim: optimiser and schedule, for turns that bring none.
        order: which rows are seen when.
        batch: rows of one update, over all devices and accumulated pieces.
        updates: length of the run.
        seed: of weights, order and chance.
        accumulate: pieces a batch is cut into to save memory; the result is that of the whole batch. Refused
            for objectives that compare the examples of a batch.
        start: weights to start from.
        watch: validation on the way.
        keeping: checkpoints, memory, logs.
    """

    gives: ClassVar[str] = "model"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    pool: Any = takes("pool")
    objective: ObjectiveConfig
    prepare: Prepare
    optim: AdamW = AdamW()
    order: Order = Shuffle()
    batch: int = 256
    updates: int = 1000
    seed: int = 0
    accumulate: int = 1
    start: Init | None = None
    watch: Watch | None = None
    keeping: Keeping = aside(Keeping())

    def check(self) -> None:
        """Refuse settings that cannot work."""
        for name in ("batch", "updates", "accumulate"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} is at least 1, not {getattr(self, name)}.")
        if self.batch % self.accumulate:
            raise SettingError(f"batch {self.batch} cannot be cut into {self.accumulate} equal pieces.")
        if self.batch == 1 and self.objective.in_batch_negatives:
            raise SettingError("a batch of 1 has nothing to compare its example with; batch is at least 2 here.")
        if self.accumulate > 1 and self.objective.in_batch_negatives:
            raise SettingError(
                f"accumulate={self.accumulate} would compare each example with its own piece of the batch "
                "only, and this objective compares it with the whole; use more devices or a smaller batch."
            )
        if self.optim.warmup >= self.updates:
            raise SettingError(f"a warm-up of {self.optim.warmup} leaves nothing of {self.updates} updates.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Train; the figures are examples, updates, parameters, flops, loss, skipped, rejected, replaced."""
        need("torch", "train", "training")
        need("lightning_fabric", "train", "training")
        if hasattr(self.prepare, "ready"):
            self.prepare.ready()
        # Read when torch is loaded: threads that wait shall sleep. Spinning, two threads on a busy machine
        # took seven times as long as one; sleeping, they never took longer.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from sensorium.train.launch import Job, run

        pools = self.pool if isinstance(self.pool, Mapping) else {"": self.pool}
        job = Job(
            stage=self,
            parts={name: open_pool(pool, here) for name, pool in pools.items()},
            labels={name: _label(pool) for name, pool in pools.items()},
            start=self._start(here),
            out=here.out,
            machine=here.machine,
        )
        figures = run(job, here.progress)
        self._complete_card(here, job.labels)
        return figures

    def _start(self, here: Here) -> Any:
        if self.start is None:
            return None
        model = self.start.model
        return here.path(model) if isinstance(model, Stage) else model.locate().path

    def _complete_card(self, here: Here, labels: Mapping[str, str]) -> None:
        """Say in the model's card what made it, from which data, and whom those data ask to be named."""
        path = here.out / "card.json"
        if not path.exists():
            return
        pools = self.pool.values() if isinstance(self.pool, Mapping) else [self.pool]
        notes = [here.path(pool) / "pool.json" for pool in pools if isinstance(pool, Stage)]
        owed = [files.read_json(note).get("attribution") for note in notes if note.exists()]
        names = [line for found in owed if found for line in ([found] if isinstance(found, str) else found)]
        # A card travels with the model: the names of the data, not where they lie on this machine.
        data = [label.rsplit("/", 1)[-1] for label in labels.values()]
        card = {**files.read_json(path), "made_by": self.label(), "data": data}
        files.write_json(path, {**card, "attribution": list(dict.fromkeys(names))} if names else card)


def _label(pool: Any) -> str:
    return str(pool.label()) if hasattr(pool, "label") else str(pool)


def check_pool(stage: Train, rows: Rows, labels: Mapping[str, str]) -> None:
    """Stop before the first update when the pool cannot fill a batch.

    Raises:
        InputError: a part of the pool is empty; the stage that made it is named.
        SettingError: the batch is larger than the pool, or than what one epoch draws from it.
    """
    for name, part in rows.parts().items():
        if not len(part):
            raise InputError(f"{labels[name]} has 0 rows; there is nothing to train on.")
    label = " + ".join(labels.values())
    if len(rows) < stage.batch:
        raise SettingError(f"pool {label} has {len(rows):,} rows, batch is {stage.batch}; use a batch of at most that.")
    if isinstance(stage.order, Draw):
        expected = rows.numbers(stage.order.p).sum()
        if expected < stage.batch:
            raise SettingError(
                f"an epoch draws {expected:.1f} rows of pool {label} on average, batch is {stage.batch}."
            )
