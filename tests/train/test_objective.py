from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorium.train.objective import Clock, Objective, decayed


class Plain(Objective):
    def __init__(self):
        super().__init__()
        self.layer, self.gain = nn.Linear(3, 2), nn.Parameter(torch.ones(()))
        self.still = nn.Parameter(torch.ones(2, 2), requires_grad=False)


def test_matrices_decay_and_the_rest_does_not():
    objective = Plain()
    with_decay, without = decayed(objective)
    assert [id(p) for p in with_decay.parameters] == [id(objective.layer.weight)]
    assert {id(p) for p in without.parameters} == {id(objective.layer.bias), id(objective.gain)}
    assert (with_decay.decay, without.decay) == (1.0, 0.0)


def test_what_an_objective_does_by_default():
    objective = Plain()
    (turn,) = objective.turns()
    assert turn.name == "all"
    assert turn.terms is None
    assert objective.units({"x": torch.zeros(7, 2)}) == 7
    assert objective.after_update(Clock(0, 1, 0, 0.0)) is None
    assert objective.parallel == "replicated"
    assert not objective.in_batch_negatives
    for unfinished in (objective.finished, lambda: objective({}, Clock(0, 1, 0, 0.0))):
        with pytest.raises(NotImplementedError):
            unfinished()
