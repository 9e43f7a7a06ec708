from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sensorium.core.errors import SettingError
from sensorium.data.prepare import Pixels
from sensorium.data.words import Bytes
from sensorium.models.config_two_tower import (
    CLIP_B16,
    CLIP_B32,
    CLIP_H14,
    CLIP_L14,
    ClipConfig,
    MiniTowersConfig,
    Transformer,
)


@pytest.mark.parametrize(
    ("config", "published"),
    [(CLIP_B32, 151.3e6), (CLIP_B16, 149.6e6), (CLIP_L14, 427.6e6), (CLIP_H14, 986.1e6)],
    ids=["B/32", "B/16", "L/14", "H/14"],
)
def test_published_sizes(config, published):
    with torch.device("meta"):
        towers = config.build()
    count = sum(parameter.numel() for parameter in towers.parameters())
    assert abs(count / published - 1) < 0.005
    assert towers.network.config.vision_config.hidden_act == "quick_gelu"
    assert towers.network.config.text_config.hidden_act == "quick_gelu"


def test_settings_need_no_torch():
    code = (
        "import sys; import sensorium.models.config_two_tower, sensorium.pretrain.config_contrast; "
        "print([name for name in ('torch', 'transformers', 'lightning_fabric') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_settings_that_cannot_work():
    with pytest.raises(SettingError, match="divisible by 8, not 20"):
        MiniTowersConfig(pixels=Pixels(size=20))
    with pytest.raises(SettingError, match="did you mean 'quick_gelu'"):
        ClipConfig(activation="quickgelu")
    with pytest.raises(SettingError, match="whole number of patches"):
        ClipConfig(size=225)
    with pytest.raises(SettingError, match="gives 77 integers, the network takes 40"):
        ClipConfig(context=40, tokens=Bytes())


@pytest.mark.parametrize("bad", [{"dim": 0}, {"channels": ()}, {"channels": (4, 0)}, {"hidden": (4,)}, {"bag": 0}])
def test_miniature_layers_have_a_width(bad):
    with pytest.raises(SettingError, match="widths of layers are at least 1"):
        MiniTowersConfig(**bad)


@pytest.mark.parametrize("bad", [{"spread": 0.0}, {"scale": -1.0}, {"scale": float("nan")}])
def test_what_is_divided_by_is_above_zero(bad):
    with pytest.raises(SettingError, match="spread and scale are above 0"):
        MiniTowersConfig(**bad)


def test_towers_of_clip_can_be_built():
    for bad in ({"width": 10, "heads": 3}, {"layers": 0}, {"heads": 0}):
        with pytest.raises(SettingError, match="a width that its heads divide"):
            Transformer(**({"width": 8, "layers": 1, "heads": 2} | bad))
    with pytest.raises(SettingError, match="at least 1, not 224, 0, 512"):
        ClipConfig(patch=0)
