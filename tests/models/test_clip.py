"""The CLIP family: embeddings equal the network's own; settings travel along; batches change nothing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models import tiny_models

from sensorium.core.errors import InputError, SettingError
from sensorium.models.clip import NETWORKS, ClipMatcher
from sensorium.models.folder import identity
from sensorium.models.matcher import Matcher

TEXTS = ["a photo of the red circle", "dog", "", "the cat runs a the cat runs the dog"]


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "model"
    network = tiny_models.clip_folder(folder, request.param)
    return request.param, ClipMatcher.from_folder(folder, devices=0), network


def own_pixels(picture, matcher):
    """Resize the short side to 16 with bicubic, crop the centre, scale and normalise: the slow way."""
    image = Image.fromarray(picture)
    scale = 16 / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 16) // 2, (image.height - 16) // 2
    pixels = np.asarray(image.crop((left, top, left + 16, top + 16)), np.float64) / 255
    mean, std = np.array(matcher.image_processor.image_mean), np.array(matcher.image_processor.image_std)
    return torch.tensor(((pixels - mean) / std).transpose(2, 0, 1)[None], dtype=torch.float32)


def test_images_equal_the_network_one_by_one(family):
    _, matcher, network = family
    pictures = tiny_models.pictures(3)
    found = matcher.embed_images(pictures)
    for row, picture in zip(found, pictures, strict=True):
        with torch.no_grad():
            wanted = network.get_image_features(own_pixels(picture, matcher)).pooler_output[0].numpy()
        np.testing.assert_allclose(row, wanted / np.linalg.norm(wanted), atol=2e-5)


def test_texts_equal_the_network_one_by_one(family):
    name, matcher, network = family
    found = matcher.embed_texts(TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        tokens = [tiny_models.VOCABULARY[word] for word in ["<s>", *text.split(), "</s>"]]
        if name == "SiglipModel":
            tokens += [0] * (tiny_models.CONTEXT - len(tokens))
        mask = torch.tensor([[int(token != 0) for token in tokens]])
        with torch.no_grad():
            wanted = network.get_text_features(torch.tensor([tokens]), mask).pooler_output[0].numpy()
        np.testing.assert_allclose(row, wanted / np.linalg.norm(wanted), atol=2e-5)


def test_scores_equal_the_networks_logits(family):
    _, matcher, network = family
    pictures = tiny_models.pictures(4)
    inputs = {**matcher._pixels(pictures), **matcher._tokens(TEXTS)}
    with torch.no_grad():
        wanted = network(**inputs).logits_per_image.numpy()
    np.testing.assert_allclose(matcher.score(pictures, TEXTS), wanted, atol=1e-4)
    halves = matcher.score(matcher.embed_images(pictures), matcher.embed_texts(TEXTS))
    np.testing.assert_allclose(halves, wanted, atol=1e-4)


def test_batches_and_order_change_nothing(family):
    _, matcher, _ = family
    pictures = tiny_models.pictures(5)
    for embed, items in ((matcher.embed_images, pictures), (matcher.embed_texts, TEXTS)):
        whole = embed(items)
        assert whole.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(embed(items, batch=1), whole, atol=1e-5)
        np.testing.assert_allclose(embed(items[::-1], batch=3)[::-1], whole, atol=1e-5)
        assert embed([]).shape == (0, whole.shape[1])


def test_it_is_a_matcher(family):
    assert isinstance(family[1], Matcher)


def test_a_copy_under_another_name_gives_the_same_embeddings(tmp_path):
    tiny_models.clip_folder(tmp_path / "quick")
    shutil.copytree(tmp_path / "quick", tmp_path / "named-after-another-activation-gelu")
    first, second = (
        ClipMatcher.from_folder(tmp_path / name, devices=0) for name in ("quick", "named-after-another-activation-gelu")
    )
    pictures = tiny_models.pictures()
    np.testing.assert_allclose(second.embed_images(pictures), first.embed_images(pictures), atol=1e-6)
    assert identity(tmp_path / "quick") == identity(tmp_path / "named-after-another-activation-gelu")


def test_another_activation_gives_other_embeddings_and_another_identity(tmp_path):
    folder = tmp_path / "model"
    tiny_models.clip_folder(folder, activation="quick_gelu")
    before, name = ClipMatcher.from_folder(folder, devices=0), identity(folder)
    text = (folder / "config.json").read_text("utf-8")
    (folder / "config.json").write_text(text.replace('"quick_gelu"', '"gelu"'), encoding="utf-8")
    after = ClipMatcher.from_folder(folder, devices=0)
    assert identity(folder) != name
    assert np.abs(after.embed_images(tiny_models.pictures()) - before.embed_images(tiny_models.pictures())).max() > 1e-4
    assert np.abs(after.embed_texts(TEXTS) - before.embed_texts(TEXTS)).max() > 1e-4


def test_another_mean_gives_other_embeddings_and_another_identity(tmp_path):
    folder = tmp_path / "model"
    tiny_models.clip_folder(folder)
    before, name = (
        ClipMatcher.from_folder(folder, devices=0).embed_images(tiny_models.pictures()),
        identity(folder),
    )
    tiny_models.edit(folder / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    assert identity(folder) != name
    assert np.abs(ClipMatcher.from_folder(folder, devices=0).embed_images(tiny_models.pictures()) - before).max() > 1e-4


def test_long_texts_are_cut_and_say_so(tmp_path):
    tiny_models.clip_folder(tmp_path)
    matcher = ClipMatcher.from_folder(tmp_path, devices=0)
    long = " ".join(["dog"] * 50)
    np.testing.assert_array_equal(
        matcher.is_cut(["dog", long, " ".join(["dog"] * 10), " ".join(["dog"] * 11)]), [0, 1, 0, 1]
    )
    assert matcher.embed_texts([long]).shape == (1, 8)
    assert matcher.is_cut([]).shape == (0,)


def test_without_an_image_processor_nothing_is_guessed(tmp_path):
    tiny_models.clip_folder(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"no readable image processor \(preprocessor_config\.json\)"):
        ClipMatcher.from_folder(tmp_path, devices=0)


def test_another_network_is_refused(tmp_path):
    tiny_models.write(tmp_path / "config.json", {"architectures": ["GPT2Model"]})
    with pytest.raises(InputError, match="a GPT2Model, not one of CLIPModel"):
        ClipMatcher.from_folder(tmp_path)


def test_bad_arguments_are_one_sentence(tmp_path):
    tiny_models.clip_folder(tmp_path)
    matcher = ClipMatcher.from_folder(tmp_path, devices=0)
    with pytest.raises(SettingError, match="at least 1 item"):
        matcher.embed_texts(["dog"], batch=0)
    with pytest.raises(SettingError, match="a list of one"):
        matcher.embed_texts("dog")


def test_half_precision_is_close_and_still_normalised(tmp_path):
    tiny_models.clip_folder(tmp_path)
    pictures = tiny_models.pictures()
    exact = ClipMatcher.from_folder(tmp_path, devices=0).embed_images(pictures)
    rough = ClipMatcher.from_folder(tmp_path, devices=0, precision="bf16").embed_images(pictures)
    assert rough.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rough, axis=1), 1, atol=1e-5)
    assert (rough * exact).sum(1).min() > 0.9
