"""Optimisers as settings, and the learning rate as a pure function of the update. Free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sensorium.core.errors import SettingError, unknown

SCHEDULES = ("cosine", "linear", "constant")


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """AdamW (Loshchilov and Hutter 2019) with one fused kernel, warm-up and decay of the learning rate.

    The rate at update u of N is `lr * factor(u, N)`: it rises linearly over the warm-up and falls to `final
    * lr` at the last update. N is the length of the whole run and part of the run's identity, so no restart
    can move the curve.

    Args:
        lr: the largest rate.
        warmup: updates over which the rate rises.
        schedule: how it falls: half a cosine, a line, or not at all.
        final: the rate at the end, as a fraction of `lr`.
        weight_decay: decoupled decay; matrices only, unless an objective's groups say otherwise.
        betas: decay rates of the two moments.
        eps: added to the root of the second moment.
        clip: largest Euclidean norm of all gradients of a turn; None leaves them.
    """

    lr: float = 1e-3
    warmup: int = 0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", str(self.schedule), SCHEDULES)
        if self.lr <= 0 or self.eps <= 0 or self.weight_decay < 0 or self.warmup < 0:
            raise SettingError(
                "lr and eps are above 0, weight_decay and warmup are 0 or more; "
                f"given {self.lr}, {self.eps}, {self.weight_decay} and {self.warmup}."
            )
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas) or not 0 <= self.final <= 1:
            raise SettingError(f"the two betas lie in [0, 1) and final in [0, 1]; given {self.betas} and {self.final}.")
        if self.clip is not None and self.clip <= 0:
            raise SettingError(f"clip is above 0 or None, not {self.clip}.")

    def factor(self, update: int, num_updates: int) -> float:
        """The rate at an update (from 0) as a fraction of `lr`."""
        if update < self.warmup:
            return (update + 1) / self.warmup
        done = (update - self.warmup) / max(1, num_updates - self.warmup)
        if self.schedule == "constant":
            return 1.0
        fallen = 1 - done if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.final + (1 - self.final) * fallen
