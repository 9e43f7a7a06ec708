from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from sensorium.core import files
from sensorium.core.errors import InputError
from sensorium.data.prepare import Pixels
from sensorium.data.words import HashedWords
from sensorium.models.card import read_card
from sensorium.models.config_two_tower import MiniTowersConfig
from sensorium.models.hub import load
from sensorium.models.matcher import Matcher
from sensorium.models.two_tower import QuickGelu, TwoTower

SMALL = MiniTowersConfig(
    pixels=Pixels(size=16),
    words=HashedWords(buckets=200, length=6),
    channels=(4, 8),
    hidden=(12, 10),
    bag=8,
    dim=6,
)


def pictures(count=7, size=16):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return TwoTower(SMALL)


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_embeddings_equal_the_layers_written_out(model):
    pixels = torch.from_numpy(pictures())
    values = ((pixels.double() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    net = model.double().image
    for layer in (net[0], net[2]):
        values = F.gelu(F.conv2d(values, layer.weight, layer.bias, stride=2, padding=1))
    values = net[7](F.gelu(net[5](values.flatten(1))))
    wanted = values / values.norm(dim=1, keepdim=True)
    torch.testing.assert_close(model.encode_images(pixels), wanted)


def test_texts_are_means_of_word_vectors(model):
    words = torch.tensor(SMALL.words(["cat dog cat", ""]))
    table = model.words.weight
    bag = torch.stack([(2 * table[words[0, 0]] + table[words[0, 1]]) / 3, torch.zeros(8)])
    hidden = F.gelu(bag @ model.text[0].weight.T + model.text[0].bias)
    wanted = F.normalize(hidden @ model.text[2].weight.T + model.text[2].bias, dim=1)
    torch.testing.assert_close(model.encode_texts(words), wanted)


def test_gradients_reach_every_parameter(model):
    images = model.encode_images(torch.from_numpy(pictures()))
    texts = model.encode_texts(torch.tensor(SMALL.words([f"word{number} a" for number in range(7)])))
    (model.logit_scale.exp() * (images * texts[:, [1, 0, 2, 3, 4, 5]]).sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_embeddings_do_not_depend_on_the_batch(model, batch):
    texts = ["a cat", "", "two dogs", "東京"]
    model.eval()
    np.testing.assert_allclose(model.embed_texts(texts, batch), model.embed_texts(texts), atol=1e-5)
    images = [Image.fromarray(picture) for picture in pictures()]
    np.testing.assert_allclose(model.embed_images(images, batch), model.embed_images(pictures()), atol=1e-5)


def test_score_is_the_scaled_cosine(model):
    assert isinstance(model, Matcher)
    images, texts = list(pictures(3)), ["a", "b"]
    first, second = model.embed_images(images), model.embed_texts(texts)
    score = model.score(images, texts)
    assert score.shape == (3, 2)
    assert score.dtype == np.float32
    np.testing.assert_allclose(score, first @ second.T / 0.07, rtol=1e-4)
    np.testing.assert_allclose(model.score(first, second), score, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-5)
    assert model.embed_images([]).shape == (0, 6)


def test_use_leaves_the_mode_of_training(model):
    model.train().embed_texts(["a"])
    assert model.training


def test_a_folder_gives_the_same_model_under_any_name(model, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    wanted = model.embed_images(pictures())
    for place in (folder, tmp_path / "copy"):
        loaded = load(place, devices=0)
        assert isinstance(loaded, TwoTower)
        assert loaded.config == SMALL
        np.testing.assert_allclose(loaded.embed_images(pictures()), wanted, atol=1e-6)
    assert read_card(folder).does == ("embed", "classify")
    assert files.read_json(folder / "config.json")["activation"] == "gelu"


def test_an_edited_activation_is_another_model(model, folder):
    from sensorium.models.folder import identity

    before = identity(folder)
    edited = {**files.read_json(folder / "config.json"), "activation": "quick_gelu"}
    files.write_json(folder / "config.json", edited)
    assert identity(folder) != before
    difference = TwoTower.from_folder(folder).embed_images(pictures()) - model.embed_images(pictures())
    assert np.abs(difference).max() > 1e-5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("text.0.bias"), r"1 missing \(they would be random\): text.0.bias"),
        (lambda state: state.update(other=torch.zeros(1)), "1 left over .*: other"),
        (lambda state: state.update({"text.0.bias": torch.zeros(3)}), "1 of another shape: text.0.bias"),
        (lambda state: state["text.0.bias"].fill_(float("nan")), "1 not finite: text.0.bias"),
    ],
)
def test_weights_that_do_not_fit_are_listed(folder, change, sentence):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(InputError, match=sentence):
        TwoTower.from_folder(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda config: config.pop("mean"), "lacks settings: mean"),
        (lambda config: config.update(meen=1), "has unknown settings: meen"),
        (lambda config: config.update(form=9), "form 9"),
        (lambda config: config.update(architectures=["CLIPModel"]), "CLIPModel"),
        (lambda config: config.update(activation="gelo"), "did you mean 'gelu'"),
        (lambda config: config.update(mean=[0.1, 0.2, 0.3]), "mean is .*, not such as 0.5"),
        (lambda config: config.update(dim="6"), "dim is '6', not such as 64"),
        (lambda config: config.update(words="x"), "pixels or words of another form"),
    ],
)
def test_settings_that_do_not_fit_are_named(folder, change, sentence):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=sentence):
        TwoTower.from_folder(folder)


def test_a_cut_weight_file_is_refused(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        TwoTower.from_folder(folder)


def test_weights_start_a_run_of_the_same_form_only(model, folder):
    other = TwoTower(SMALL)
    other.load_weights(folder)
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    with pytest.raises(InputError, match="another dim"):
        TwoTower(MiniTowersConfig(**{**SMALL.__dict__, "dim": 7})).load_weights(folder)


def test_quick_gelu_is_the_published_formula():
    values = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(QuickGelu()(values), values / (1 + torch.exp(-1.702 * values)))
