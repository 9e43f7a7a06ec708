from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorium.core.errors import InputError
from sensorium.models.strict import load_strictly, save_weights


def test_weights_come_back_bit_for_bit(tmp_path):
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_weights(one, tmp_path / "w.safetensors")
    load_strictly(other, tmp_path / "w.safetensors")
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_nothing_is_changed_when_a_weight_does_not_fit(tmp_path):
    save_weights(nn.Linear(3, 2, bias=False), tmp_path / "w.safetensors")
    other = nn.Linear(3, 2)
    before = other.weight.clone()
    with pytest.raises(InputError, match="missing"):
        load_strictly(other, tmp_path / "w.safetensors")
    assert torch.equal(before, other.weight)
    with pytest.raises(InputError, match="whole safetensors"):
        load_strictly(other, tmp_path / "absent.safetensors")
