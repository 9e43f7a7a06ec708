"""What a method of training is: terms of a loss, who is optimised how, and what is kept at the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from sensorium.train.optim import AdamW

ALL: Collection[str] | None = None
"""Every term that is not watched only."""

WATCHED = "watch/"
"""Terms whose names begin so are logged and not summed."""


class Clock(NamedTuple):
    """Where a run stands.

    Args:
        update: updates made before this one.
        num_updates: length of the run.
        examples: examples seen before this update.
        fraction: update / num_updates.
    """

    update: int
    num_updates: int
    examples: int
    fraction: float


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters that share their settings.

    Args:
        parameters: the tensors.
        lr: factor on the learning rate.
        decay: factor on the weight decay.
        clip: largest norm of this group's gradients by itself; None leaves it to the turn's optimiser.
    """

    parameters: Sequence[nn.Parameter]
    lr: float = 1.0
    decay: float = 1.0
    clip: float | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One optimiser's part of an update. Turns are taken in order, each with its own forward pass.

    Args:
        name: for logs and checkpoints.
        groups: the parameters that move in this turn; all others stand still.
        optimizer: its settings; None means those of the run.
        terms: names of the terms it sums; ALL by default.
    """

    name: str = "all"
    groups: Sequence[Group]
    optimizer: AdamW | None = None
    terms: Collection[str] | None = ALL


class Objective(nn.Module):
    """The module that is trained: networks and the loss. A method is one subclass.

    All its state lies in parameters and buffers, and all its chance in torch's generator, which the loop
    seeds before each update from (seed, update, rank): both make a restart exact.
    """

    parallel: ClassVar[Literal["sharded", "replicated", "single"]] = "replicated"
    in_batch_negatives: ClassVar[bool] = False
    """Whether examples of a batch are compared with each other, so that a batch must not be cut."""

    def forward(self, batch: Mapping[str, Tensor], clock: Clock) -> Mapping[str, Tensor]:
        """Weighted terms of the loss, scalars by name; each is a mean over `units(batch)` things."""
        raise NotImplementedError

    def turns(self) -> Sequence[Turn]:
        """Who is optimised how; by default everything at once, matrices with weight decay."""
        return (Turn(groups=decayed(self)),)

    def units(self, batch: Mapping[str, Tensor]) -> Tensor | int:
        """How many things (examples; tokens; masked patches) the terms of this batch are means over.

        With accumulation and over several ranks, terms are weighted by it, so that each thing weighs the same
        however the batch is cut.
        """
        return len(next(iter(batch.values())))

    def after_update(self, clock: Clock) -> None:
        """Moving averages, centres, limits; called after each update with the clock of that update."""

    def finished(self) -> Mapping[str, nn.Module]:
        """What is exported: modules with `save(folder)`; "" is the run's folder, others lie in it."""
        raise NotImplementedError


def decayed(module: nn.Module) -> tuple[Group, Group]:
    """Trainable parameters in two groups: with weight decay (matrices) and without (biases, gains)."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return (
        Group(parameters=[parameter for parameter in trainable if parameter.ndim >= 2]),
        Group(parameters=[parameter for parameter in trainable if parameter.ndim < 2], decay=0.0),
    )
