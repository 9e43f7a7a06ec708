from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from training_pools import Finished, tiny, write_pairs

from sensorium.core.errors import SettingError, StageFailedError
from sensorium.engine.machine import Machine
from sensorium.train import launch


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


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_one_device_that_is_not_there_is_refused_before_training(tmp_path):
    stage = tiny(write_pairs(tmp_path / "pool", 24))
    with pytest.raises(SettingError, match="no accelerator; use --devices 0"):
        Finished(stage, tmp_path / "runs", Machine(devices=1))


def test_a_process_that_dies_is_told_in_one_sentence(tmp_path, monkeypatch):
    def dies(*_):
        raise launch.ProcessExitedException("process 1 terminated with signal SIGKILL", 1, 5, -9, "SIGKILL")

    monkeypatch.setattr(launch.Fabric, "launch", dies)
    before = dict(vars(sys.modules["__main__"]))
    stage = tiny(write_pairs(tmp_path / "pool", 24))
    with pytest.raises(StageFailedError, match=r"signal SIGKILL.*run it again to go on"):
        Finished(stage, tmp_path / "runs", Machine(devices=2))
    assert dict(vars(sys.modules["__main__"])) == before


def test_an_interrupt_ends_the_other_processes(tmp_path, monkeypatch):
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))

    def interrupted(*_):
        child.start()
        raise KeyboardInterrupt

    monkeypatch.setattr(launch.Fabric, "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Finished(tiny(write_pairs(tmp_path / "pool", 24)), tmp_path / "runs", Machine(devices=2))
    child.join(60)
    assert child.exitcode == -signal.SIGTERM


SCRIPT = """
print("the script runs", flush=True)
from pathlib import Path
from sensorium.engine.machine import Machine
from training_pools import Finished, tiny, write_pairs
pool = write_pairs(Path("pool"), 24)
print(Finished(tiny(pool, updates=4), Path("runs"), Machine(devices=2)).metrics["updates"])
"""


@pytest.mark.slow
def test_ranks_do_not_run_the_script_again(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("the script runs") == 1
