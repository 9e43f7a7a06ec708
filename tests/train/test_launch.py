from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file
from training_pools import Finished, tiny, write_pairs

from sensorium.core.errors import SettingError
from sensorium.engine.machine import Machine


def test_half_precision_is_refused(tmp_path):
    stage = tiny(write_pairs(tmp_path / "pool", 8))
    with pytest.raises(SettingError, match="precision 32 or bf16, not 16"):
        Finished(stage, tmp_path / "runs", Machine(devices=0, precision="16"))


def test_bf16_learns_about_the_same(tmp_path):
    pool = write_pairs(tmp_path / "pool", 24)
    stage = tiny(pool, batch=8)
    full = Finished(stage, tmp_path / "full")
    mixed = Finished(stage, tmp_path / "mixed", Machine(devices=0, precision="bf16"))
    assert mixed.folder.name != full.folder.name
    assert mixed.metrics["loss"] == pytest.approx(full.metrics["loss"], rel=0.03)


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    stage = tiny(write_pairs(tmp_path / "pool", 24, broken={5: b"x"}), batch=8, updates=12)
    one = Finished(stage, tmp_path / "one")
    two = Finished(stage, tmp_path / "two", Machine(devices=2))
    for first, second in zip(one.lines, two.lines, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-5)
        assert second["gradient"] == pytest.approx(first["gradient"], rel=1e-4)
    weights = [load_file(done.folder / "model.safetensors") for done in (one, two)]
    for name in weights[0]:
        np.testing.assert_allclose(weights[1][name], weights[0][name], atol=1e-4)
    for name in ("examples", "rejected", "replaced", "parameters"):
        assert two.metrics[name] == one.metrics[name], name


def test_a_batch_that_devices_cannot_share(tmp_path):
    stage = tiny(write_pairs(tmp_path / "pool", 24), batch=5)
    with pytest.raises(Exception, match="batch 5 cannot be split evenly over 2 devices"):
        Finished(stage, tmp_path / "runs", Machine(devices=2))
