"""No test of this folder sees the user's caches, or the network."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)  # these models are tiny: waking more threads costs more than they save


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("SENSORIUM_CACHE", str(home / "sensorium"))
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
