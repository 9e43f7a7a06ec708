"""Sentence encoders: the pooling their folder asks for, no influence of padding, batch or order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models import tiny_models

from sensorium.core.errors import InputError, SettingError
from sensorium.models import carriers, hub
from sensorium.models.matcher import Matcher, TextEmbedder
from sensorium.models.pocket import CARRIERS
from sensorium.models.sentence import SentenceEncoder, pool

TEXTS = ["the red circle", "dog", "", "a photo of the cat runs"]


@pytest.fixture
def folder(tmp_path):
    tiny_models.sentence_folder(tmp_path)
    return tmp_path


@pytest.mark.parametrize("mode", ["mean_tokens", "cls_token", "max_tokens"])
def test_equal_to_the_network_one_by_one(tmp_path, mode):
    network = tiny_models.sentence_folder(tmp_path, mode)
    found = SentenceEncoder.from_folder(tmp_path, devices=0).embed_texts(TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        tokens = [tiny_models.VOCABULARY[word] for word in ["<s>", *text.split(), "</s>"]]
        with torch.no_grad():
            hidden = network(torch.tensor([tokens])).last_hidden_state[0].numpy()
        wanted = {"mean_tokens": hidden.mean(0), "cls_token": hidden[0], "max_tokens": hidden.max(0)}[mode]
        np.testing.assert_allclose(row, wanted / np.linalg.norm(wanted), atol=1e-5)


def test_batches_and_order_change_nothing(folder):
    encoder = SentenceEncoder.from_folder(folder, devices=0)
    whole = encoder.embed_texts(TEXTS)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS, batch=1), whole, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS[::-1], batch=3)[::-1], whole, atol=1e-5)
    assert encoder.embed_texts([]).shape == (0, 16)


def test_it_embeds_texts_only(folder):
    encoder = SentenceEncoder.from_folder(folder, devices=0)
    assert isinstance(encoder, TextEmbedder)
    assert not isinstance(encoder, Matcher)


def test_padding_never_enters_a_pooling():
    hidden = torch.tensor([[[1.0, 5.0], [3.0, -7.0], [1e9, 1e9]]])
    mask = torch.tensor([[True, True, False]])
    assert pool(hidden, mask, "mean").tolist() == [[2.0, -1.0]]
    assert pool(hidden, mask, "max").tolist() == [[3.0, 5.0]]
    assert pool(hidden, mask, "cls").tolist() == [[1.0, 5.0]]


@pytest.mark.parametrize("pooler", [True, False])
def test_with_and_without_a_pooler_nothing_is_random(tmp_path, pooler):
    tiny_models.sentence_folder(tmp_path, pooler=pooler)
    first, second = (SentenceEncoder.from_folder(tmp_path, devices=0).embed_texts(TEXTS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_long_texts_are_cut_and_say_so(folder):
    encoder = SentenceEncoder.from_folder(folder, devices=0)
    long = " ".join(["dog"] * 40)
    assert encoder.is_cut(["dog", long]).tolist() == [False, True]
    assert encoder.embed_texts([long]).shape == (1, 16)


def test_the_length_comes_from_the_folder(folder):
    tiny_models.edit(folder / "sentence_bert_config.json", max_seq_length=5)
    assert SentenceEncoder.from_folder(folder, devices=0).context_length == 5
    (folder / "sentence_bert_config.json").unlink()
    assert SentenceEncoder.from_folder(folder, devices=0).context_length == tiny_models.CONTEXT


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", [{"type": "x.Transformer", "path": ""}], "does not say how tokens are pooled"),
        ("modules.json", [{"type": "x.Dense", "path": "2_Dense"}], "has a module Dense"),
        ("modules.json", [{"type": "x.Pooling", "path": "../elsewhere"}], "leads out of the folder"),
        ("1_Pooling/config.json", {"pooling_mode_lasttoken": True}, "pools by pooling_mode_lasttoken"),
        ("1_Pooling/config.json", {}, "pools by none"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "query"},
            "puts a prompt before every text",
        ),
        ("config.json", {"model_type": "t5"}, "is a t5"),
    ],
)
def test_what_is_not_supported_is_refused_and_not_guessed(folder, name, content, words):
    tiny_models.write(folder / name, content)
    with pytest.raises(InputError, match=words):
        SentenceEncoder.from_folder(folder, devices=0)


def test_bad_arguments_are_one_sentence(folder):
    encoder = SentenceEncoder.from_folder(folder, devices=0)
    with pytest.raises(SettingError, match="a list of one"):
        encoder.embed_texts("dog")
    with pytest.raises(SettingError, match="at least 1 item"):
        encoder.embed_texts(["dog"], batch=0)


def test_a_released_encoder_orders_meanings():
    if carriers.find(CARRIERS["minilm"]) is None:
        pytest.skip(f"{CARRIERS['minilm'].requirement()} is not installed (requirements/pocket.txt)")
    encoder = hub.load("minilm", devices=0)
    pairs = [
        ("A man is playing a guitar.", "Someone plays the guitar.", "A woman is slicing onions."),
        ("The stock market fell sharply.", "Share prices dropped a lot.", "The cat sleeps on the sofa."),
        ("How do I reset my password?", "I forgot my password, what now?", "Where is the nearest bakery?"),
        (
            "Heavy rain flooded the streets.",
            "Streets are under water after a storm.",
            "He bought a new bicycle.",
        ),
    ]
    for text, near, far in pairs:
        vectors = encoder.embed_texts([text, near, far])
        assert vectors[0] @ vectors[1] > 0.5 > 0.3 > vectors[0] @ vectors[2]
