"""Talk among the processes of one training run; without a process group there is one process.

The only file of this room that imports torch; nothing of the room imports it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def num_ranks() -> int:
    """How many processes take part."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if num_ranks() > 1 else 0


def gather(tensor: Tensor) -> Tensor:
    """The tensors of all ranks, one after the other along the first dimension, with gradient.

    The gradient of a rank's own rows is the *sum* of what all ranks send back. With losses that are means
    over a rank's rows, and gradients of weights averaged over ranks (as DDP does), W ranks with B rows each
    give the gradient of one process with W * B rows.

    Args:
        tensor: shape (B, ...), equal on all ranks.

    Returns:
        Shape (W * B, ...); the tensor itself when there is one rank.
    """
    return _Gather.apply(tensor) if num_ranks() > 1 else tensor  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        tensor = tensor.contiguous()
        pieces = [torch.empty_like(tensor) for _ in range(num_ranks())]
        dist.all_gather(pieces, tensor)
        ctx.num_rows = len(tensor)
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total[rank() * ctx.num_rows : (rank() + 1) * ctx.num_rows]


def all_sum(tensor: Tensor) -> Tensor:
    """The sum over ranks, without gradient."""
    total = tensor.detach().clone()
    if num_ranks() > 1:
        dist.all_reduce(total)
    return total


def all_max(tensor: Tensor) -> Tensor:
    """The largest value over ranks, entry by entry, without gradient."""
    largest = tensor.detach().clone()
    if num_ranks() > 1:
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest


def all_objects(value: Any) -> list[Any]:
    """Small values of all ranks, in rank order; they are pickled between processes of one run."""
    if num_ranks() == 1:
        return [value]
    found: list[Any] = [None] * num_ranks()
    dist.all_gather_object(found, value)
    return found
