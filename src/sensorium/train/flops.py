"""How much arithmetic one update takes, counted on shapes alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sensorium.train.objective import Clock, Objective


def update_flops(objective: Objective, batch: Mapping[str, Tensor], clock: Clock) -> int | None:
    """Floating-point operations of a forward and a backward pass over a batch; None if uncountable.

    Matrix products, convolutions and attention count (2 per multiplication and addition), by torch's counter
    on a copy without memory (the meta device): nothing is computed, and the run is not touched. Sums,
    activations, look-ups and the optimiser do not count. An objective whose path depends on values cannot be
    followed this way.
    """
    try:
        # Deep copies of weights would double the memory for a moment; the memo gives each its shape instead.
        memo = {id(tensor): _shape(tensor) for tensor in (*objective.parameters(), *objective.buffers())}
        shadow = copy.deepcopy(objective, memo)
        inputs = {name: value.to("meta") for name, value in batch.items()}
        with FlopCounterMode(display=False) as counter:
            terms = shadow(inputs, clock)
            torch.stack([value for value in terms.values() if value.requires_grad]).sum().backward()
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    return int(counter.get_total_flops())


def _shape(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty
