from __future__ import annotations

import pytest

from sensorium.core.errors import SettingError
from sensorium.data.prepare import Augment
from sensorium.data.sources import Files
from sensorium.models.config_two_tower import CLIP_B32, CLIP_TOKENS, MiniTowersConfig
from sensorium.pretrain.config_contrast import ContrastConfig, contrast


def test_rows_are_read_as_the_towers_need_them(tmp_path):
    (tmp_path / "a.parquet").touch()
    pool = Files(str(tmp_path / "a.parquet"))
    stage = contrast(pool, ContrastConfig(), augment=Augment(shift=2), batch=32, name="mini")
    assert stage.prepare.pixels == MiniTowersConfig().pixels
    assert stage.prepare.tokens == MiniTowersConfig().words
    assert stage.prepare.augment == Augment(shift=2)
    assert stage.batch == 32
    assert stage.label() == "mini"
    large = contrast(pool, ContrastConfig(towers=CLIP_B32))
    assert large.prepare.pixels.size == 224
    assert large.prepare.tokens == CLIP_TOKENS
    assert large.prepare.augment == Augment()


@pytest.mark.parametrize("bad", [{"max_scale": 0.0}, {"max_scale": -1.0}, {"max_scale": float("nan")}, {"chunk": 0}])
def test_settings_that_cannot_work_are_refused(bad):
    with pytest.raises(SettingError, match="max_scale is above 0 and chunk at least 1"):
        ContrastConfig(**bad)
