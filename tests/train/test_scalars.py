from __future__ import annotations

import pytest
from training_pools import Finished, tiny, write_pairs

from sensorium.train.train import Keeping

pytest.importorskip("tensorboard")


def test_tensorboard_gets_each_figure_of_each_update(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stage = tiny(write_pairs(tmp_path / "pool", 12), updates=6, keeping=Keeping(tensorboard=True))
    done = Finished(stage, tmp_path / "runs")
    events = EventAccumulator(str(done.folder / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 7))
    assert events.Scalars("loss")[-1].value == pytest.approx(done.lines[-1]["loss"], rel=1e-5)
    assert set(events.Tags()["scalars"]) == {"loss", "contrast", "gradient", "lr", "watch/scale"}
