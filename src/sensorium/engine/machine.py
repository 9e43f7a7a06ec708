"""The machine as the command line describes it; only precision is part of a result's identity."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from sensorium.core.errors import SettingError, unknown

PRECISIONS = ("32", "bf16", "16")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How much of this machine a run may use.

    Args:
        devices: accelerators: -1 all that are found, 0 none (CPU), n exactly n.
        precision: "32", "bf16" or "16": weights stay in 32 bits, "bf16" and "16" are the autocast types.
        workers: processes for work on shards.
        threads: threads of one computing process.
        compile: whether networks are compiled before training.
    """

    devices: int = -1
    precision: Literal["32", "bf16", "16"] = "32"
    workers: int = 1
    threads: int = 1
    compile: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", str(self.precision), PRECISIONS)
        if self.workers < 1 or self.threads < 1:
            raise SettingError(f"workers and threads are at least 1, not {self.workers} and {self.threads}.")
        if self.devices < -1:
            raise SettingError(f"devices is -1 (all), 0 (CPU) or a count, not {self.devices}.")


def num_cores() -> int:
    """Cores this process may use: affinity and the share of a container are respected."""
    from loky import cpu_count

    return int(cpu_count())


def this_machine(
    *,
    workers: int | None = None,
    threads: int | None = None,
    devices: int = -1,
    precision: Literal["32", "bf16", "16"] = "32",
    compile: bool = False,
) -> Machine:
    """A Machine with all cores where nothing else is said."""
    cores = num_cores()
    return Machine(
        devices=devices,
        precision=precision,
        workers=workers or cores,
        threads=threads or cores,
        compile=compile,
    )


def describe() -> dict[str, str | int]:
    """What a reader of a published number wants to know about the machine."""
    import platform

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": num_cores(),
        "memory_gib": round(memory / 2**30),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or "unknown"
