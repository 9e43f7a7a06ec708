from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sensorium.engine import ranks


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two gloo ranks say."""
    file = tmp_path_factory.mktemp("gloo") / "meeting"
    script = Path(__file__).with_name("two_ranks.py")
    processes = [
        subprocess.Popen([sys.executable, script, str(rank), "2", file], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    return [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in processes]


def test_two_ranks_gather_with_gradient(two):
    for rank, said in enumerate(two):
        assert said["rank"] == [rank, 2]
        assert said["gathered"] == [[1.0] * 3] * 2 + [[2.0] * 3] * 2
        # Both ranks weighted row r by r times their number; a rank's own rows get the sum of both.
        assert said["gradient"] == [[3.0 * row] * 3 for row in (2 * rank, 2 * rank + 1)]
        assert said["sum"] == [2.0, 1.0]
        assert said["max"] == [1.0, 1.0]
        assert said["objects"] == [{"rank": 0}, {"rank": 1}]


def test_two_ranks_of_half_a_batch_equal_one_process(two):
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import two_ranks
    finally:
        sys.path.pop(0)
    loss, gradients = two_ranks.loss_and_gradients(*two_ranks.pairs())
    for said in two:
        np.testing.assert_allclose(said["loss"][0], loss, rtol=1e-12)
        for got, wanted in zip(said["loss"][1], gradients, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_without_a_process_group_there_is_one_rank():
    own = torch.ones(2, 3, requires_grad=True)
    assert ranks.num_ranks() == 1
    assert ranks.rank() == 0
    assert ranks.gather(own) is own
    assert ranks.all_sum(own).tolist() == own.tolist()
    assert not ranks.all_sum(own).requires_grad
    assert ranks.all_max(own).tolist() == own.tolist()
    assert ranks.all_objects("x") == ["x"]
