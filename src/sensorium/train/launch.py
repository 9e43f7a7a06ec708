"""From a stage's settings to running loops: devices, precision, threads, and one process per device."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from sensorium.core import errors
from sensorium.core.errors import SettingError, StageFailedError
from sensorium.core.stage import Machine, Progress
from sensorium.data.shards import Shard
from sensorium.engine.progress import LineProgress, QuietProgress
from sensorium.models.device import choose_device

if TYPE_CHECKING:
    from sensorium.train.train import Train

# Numbers of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_PRECISION = {"32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run, as it is sent to the process of each rank.

    Args:
        stage: the settings.
        parts: the shards of each named part of the pool.
        labels: what to call each part in a sentence.
        start: folder of the model to start from.
        out: the stage's folder.
        machine: devices, precision, threads and workers.
    """

    stage: Train
    parts: Mapping[str, list[Shard]]
    labels: Mapping[str, str]
    start: Path | None
    out: Path
    machine: Machine


def run(job: Job, progress: Progress) -> dict[str, float]:
    """Train, export, and return the figures.

    With one device everything happens in this process. With several, one process each is spawned; gradients
    are averaged over them (DDP), and the first writes.
    """
    fabric = _fabric(job.machine)
    pieces = fabric.world_size * job.stage.accumulate
    if job.stage.batch % pieces:
        raise SettingError(
            f"batch {job.stage.batch} cannot be split evenly over {fabric.world_size} devices "
            f"and {job.stage.accumulate} accumulated pieces."
        )
    if fabric.world_size == 1:
        return run_rank(fabric, job, progress)
    others = set(active_children())
    try:
        # As bytes: Fabric would walk through the settings to look for networks.
        content = cloudpickle.dumps(job)
        with _script_left_alone():
            return dict(fabric.launch(run_rank, content))
    except ProcessRaisedException as error:
        raise _translated(error) from error
    except ProcessExitedException as error:
        raise StageFailedError(
            f"{job.stage.label()}: a process of the run ended ({error}); "
            "run it again to go on from its last checkpoint."
        ) from error
    finally:
        # A notebook's interrupt reaches this process alone, which would wait for the others until they are done.
        for child in set(active_children()) - others:
            child.terminate()


@contextmanager
def _script_left_alone() -> Iterator[None]:
    """Spawned processes do not run the user's script again: what they need of it travels inside the job.

    So scripts need no `if __name__ == "__main__"`, as with a `LocalRunner`.
    """
    main = sys.modules["__main__"]
    # The two places where multiprocessing looks for a script (its get_preparation_data).
    hidden = {name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__}
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


def _translated(error: ProcessRaisedException) -> Exception:
    """The error of a rank as this process would have raised it."""
    name, _, sentence = str(error).strip().splitlines()[-1].partition(": ")
    kind = getattr(errors, name.rpartition(".")[2], StageFailedError)
    return kind(sentence or name)


def _fabric(machine: Machine) -> Fabric:
    if machine.precision not in _PRECISION:
        raise SettingError(
            f"training runs in precision {' or '.join(_PRECISION)}, not {machine.precision}: "
            "half precision needs loss scaling, which bf16 does not."
        )
    cuda = torch.cuda.is_available() and machine.devices != 0
    if machine.devices == 1:
        choose_device(1)  # refuses where there is none, as evaluation would after the training
    # Without an accelerator a count above 1 is a number of processes on the processor, for trying things out.
    count = torch.cuda.device_count() if cuda and machine.devices < 0 else max(1, machine.devices)
    # Spawned, never forked: torch is loaded here.
    strategy = DDPStrategy(start_method="spawn") if count > 1 else "auto"
    return Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=count,
        strategy=strategy,
        precision=_PRECISION[machine.precision],
    )


def run_rank(fabric: Fabric, job: Job | bytes, progress: Progress | None = None) -> dict[str, float]:
    """One rank's part of a run; a spawned process has no progress of the caller's and prints lines."""
    from sensorium.train.loop import Loop

    spawned = isinstance(job, bytes)
    if isinstance(job, bytes):
        job = cloudpickle.loads(job)
    if progress is None:
        progress = LineProgress() if fabric.is_global_zero else QuietProgress()
    _keep_freed_memory()
    # The caller's threads and random numbers are left as they were.
    with _threads(job.machine.threads), torch.random.fork_rng(devices=[]):
        figures = Loop(fabric, job, progress).run()
    if spawned:
        # Gloo's threads abort a process that ends while they still run.
        torch.distributed.destroy_process_group()
    return figures


def _keep_freed_memory() -> None:
    """Let glibc keep what an update frees for the next one, up to 512 MiB, instead of giving it back.

    Otherwise a small model spends a quarter of its time on fresh pages (3.3 million of them in 600 updates
    of the miniature, 0.1 million so). Results do not change; other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for parameter, value in ((_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 512 << 20), (_TOP_PAD, 64 << 20)):
        library.mallopt(parameter, value)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
