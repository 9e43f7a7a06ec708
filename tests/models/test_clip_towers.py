from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel

from sensorium.core.errors import InputError
from sensorium.data.words import Bytes
from sensorium.models.clip_towers import ClipTowers
from sensorium.models.config_two_tower import CLIP_B32, ClipConfig, Transformer
from sensorium.models.hub import load

TINY = ClipConfig(
    size=32,
    patch=8,
    vision=Transformer(width=16, layers=2, heads=2),
    text=Transformer(width=12, layers=2, heads=2),
    dim=8,
    vocabulary=300,
    context=20,
    tokens=Bytes(vocabulary=300, length=20),
)


@pytest.fixture
def towers():
    torch.manual_seed(0)
    return ClipTowers(TINY)


def pictures(count=5, size=32):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def test_published_form_cut_to_two_layers_runs_forward_and_backward():
    cut = {**CLIP_B32.__dict__, "vision": Transformer(width=768, layers=2, heads=12), "tokens": Bytes()}
    cut["text"] = Transformer(width=512, layers=2, heads=8)
    towers = ClipTowers(ClipConfig(**cut))
    images = towers.encode_images(torch.from_numpy(pictures(2, 224)))
    texts = towers.encode_texts(torch.from_numpy(Bytes()(["a cat", "two dogs"])))
    assert images.shape == texts.shape == (2, 512)
    (towers.logit_scale.exp() * (images @ texts.T)[0, 1]).backward()
    for name, parameter in towers.named_parameters():
        assert parameter.grad is not None, name
        # A key's bias adds the same to every logit of a query, which the softmax takes off again.
        assert parameter.grad.abs().sum() > 0 or name.endswith("k_proj.bias"), name


def test_a_saved_folder_is_read_as_a_released_model(towers, tmp_path):
    towers.save(tmp_path / "model")
    matcher = load(tmp_path / "model", devices=0)
    texts = ["a cat", "zwei Hunde", "猫", "a text that is longer than the context"]
    images = [Image.fromarray(picture) for picture in pictures(3, 40)]
    with torch.no_grad():
        ours = towers.eval().encode_texts(torch.from_numpy(TINY.tokens(texts))).numpy()
        squares = torch.from_numpy(np.stack([TINY.pixels(image) for image in images]))
        seen = towers.encode_images(squares).numpy()
    np.testing.assert_allclose(matcher.embed_texts(texts), ours, atol=1e-5)
    np.testing.assert_allclose(matcher.embed_images(images), seen, atol=1e-5)
    assert matcher.logit_scale == pytest.approx(1 / 0.07, rel=1e-4)
    assert not (tmp_path / "model" / "saving").exists()
    assert CLIPModel.from_pretrained(tmp_path / "model").config.text_config.hidden_act == "quick_gelu"


def test_weights_start_a_run_of_the_same_form_only(towers, tmp_path):
    towers.save(tmp_path / "model")
    torch.manual_seed(1)
    other = ClipTowers(TINY)
    other.load_weights(tmp_path / "model")
    for name, value in other.state_dict().items():
        assert torch.equal(value, towers.state_dict()[name]), name
    with pytest.raises(InputError, match="hidden_act quick_gelu in its vision_config, and this run gelu"):
        ClipTowers(ClipConfig(**{**TINY.__dict__, "activation": "gelu"})).load_weights(tmp_path / "model")
