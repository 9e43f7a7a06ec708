from __future__ import annotations

import torch
from torch import nn

from sensorium.train.flops import update_flops
from sensorium.train.objective import Clock, Objective

CLOCK = Clock(0, 1, 0, 0.0)


class Net(Objective):
    def __init__(self, looks=False):
        super().__init__()
        self.layer, self.looks = nn.Linear(10, 3), looks
        self.register_buffer("mean", torch.ones(10))

    def forward(self, batch, clock):
        values = self.layer(batch["x"] - self.mean)
        if self.looks and values.sum().item() > 0:
            values = values + 1
        return {"square": (values**2).mean(), "watch/sum": values.detach().sum()}


def test_a_linear_layer_counts_forward_and_the_gradient_of_its_weights():
    net = Net()
    before = [tensor.clone() for tensor in net.state_dict().values()]
    assert update_flops(net, {"x": torch.ones(7, 10)}, CLOCK) == 2 * (2 * 7 * 10 * 3)
    assert all(torch.equal(old, new) for old, new in zip(before, net.state_dict().values(), strict=True))
    assert net.layer.weight.grad is None
    assert net.layer.weight.device.type == "cpu"


def test_a_path_that_depends_on_values_is_not_counted():
    assert update_flops(Net(looks=True), {"x": torch.ones(7, 10)}, CLOCK) is None
