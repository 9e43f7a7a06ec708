"""A turn while it runs: its optimiser, learning rate and clipping, and updates skipped without waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sensorium.core.errors import SettingError
from sensorium.train.objective import WATCHED, Turn
from sensorium.train.optim import AdamW


class RunningTurn:
    """One turn of a run.

    Args:
        turn: what the objective declared.
        default: the optimiser's settings when the turn brings none.
        names: the name of each parameter in the objective, for checkpoints.
        num_updates: length of the run.
    """

    def __init__(self, turn: Turn, default: AdamW, names: Mapping[nn.Parameter, str], num_updates: int) -> None:
        self.turn, self.name = turn, turn.name
        self.settings = turn.optimizer or default
        self._names, self._num_updates = names, num_updates
        self.groups = [group for group in turn.groups if group.parameters]
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        if not self.parameters:
            raise SettingError(f"turn '{turn.name}' of the objective has no parameters to train.")
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise SettingError(f"turn '{turn.name}' of the objective names a parameter twice.")
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": list(group.parameters),
                    "lr": self.settings.lr * group.lr,
                    "weight_decay": self.settings.weight_decay * group.decay,
                }
                for group in self.groups
            ],
            betas=self.settings.betas,
            eps=self.settings.eps,
            fused=True,
        )

    def lr(self, update: int) -> float:
        """The learning rate of an update, before the groups' factors."""
        return self.settings.lr * self.settings.factor(update, self._num_updates)

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The sum of the terms of this turn."""
        wanted = self.turn.terms
        summed = [
            value
            for name, value in terms.items()
            if not name.startswith(WATCHED) and (wanted is None or name in wanted)
        ]
        if not summed:
            raise SettingError(f"turn '{self.name}' sums {wanted}, but the objective gave {', '.join(terms)}.")
        return summed[0] if len(summed) == 1 else torch.stack(summed).sum()

    def step(self, update: int, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Clip and move, or stand still when the loss or a gradient is not finite.

        The decision stays on the device: the fused kernel reads it, so the processor does not wait for the
        loss.

        Returns:
            The norm of all gradients before clipping, and 1 if the step was skipped, else 0; scalars.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        skipped = 1 - (norm.isfinite() & loss.detach().isfinite()).to(torch.float32)
        self._clip(norm)
        lr = self.lr(update)
        for settings, group in zip(self.optimizer.param_groups, self.groups, strict=True):
            settings["lr"] = lr * group.lr
        self.optimizer.found_inf = skipped
        self.optimizer.step()
        return norm, skipped

    def _clip(self, norm: Tensor) -> None:
        rest = []
        for group in self.groups:
            if group.clip is not None:
                own = [parameter for parameter in group.parameters if parameter.grad is not None]
                torch.nn.utils.clip_grad_norm_(own, group.clip)
            else:
                rest += group.parameters
        if self.settings.clip is not None and rest:
            if len(rest) == len(self.parameters):
                torch.nn.utils.clip_grads_with_norm_(rest, self.settings.clip, norm)
            else:
                torch.nn.utils.clip_grad_norm_(rest, self.settings.clip)

    def state(self) -> dict[str, Tensor]:
        """The moments by `moments/TURN/PARAMETER/KIND`."""
        found = {}
        for parameter in self.parameters:
            for kind, value in self.optimizer.state.get(parameter, {}).items():
                found[f"moments/{self.name}/{self._names[parameter]}/{kind}"] = value
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the moments back from a checkpoint's tensors."""
        state: dict[int, dict[str, Any]] = {}
        for number, parameter in enumerate(self.parameters):
            prefix = f"moments/{self.name}/{self._names[parameter]}/"
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            if own:
                state[number] = own
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
