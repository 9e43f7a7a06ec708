"""The card: what a model folder does; written, read back, and known for released models without one."""

from __future__ import annotations

import json

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.models.card import CARD, Card, read_card, write_card
from sensorium.models.folder import identity


def test_written_and_read_back(tmp_path):
    card = Card(
        does=("embed", "classify"),
        inputs=("image", "text"),
        name="mine",
        attribution=("OpenMoji, CC BY-SA 4.0",),
    )
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    assert json.loads((tmp_path / CARD).read_text("utf-8"))["does"] == ["embed", "classify"]


def test_a_card_is_no_part_of_the_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    before = identity(tmp_path)
    write_card(tmp_path, Card(does=("embed",), inputs=("text",)))
    assert identity(tmp_path) == before


def test_an_unknown_verb_has_the_nearest_one():
    with pytest.raises(SettingError, match=r"'classifi'.*did you mean 'classify'"):
        Card(does=("classifi",), inputs=("image",))
    with pytest.raises(SettingError, match="'picture'"):
        Card(does=("embed",), inputs=("picture",))
    with pytest.raises(SettingError, match="at least one"):
        Card(does=(), inputs=("image",))


@pytest.mark.parametrize(
    ("config", "does", "inputs"),
    [
        ({"architectures": ["CLIPModel"]}, ("embed", "classify"), ("image", "text")),
        ({"architectures": ["SensoriumTwoTower"]}, ("embed", "classify"), ("image", "text")),
    ],
)
def test_released_models_need_no_card(tmp_path, config, does, inputs):
    (tmp_path / "config.json").write_text(json.dumps(config))
    card = read_card(tmp_path)
    assert (card.does, card.inputs) == (does, inputs)


def test_a_sentence_encoder_embeds_texts(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    (tmp_path / "modules.json").write_text("[]")
    assert read_card(tmp_path).inputs == ("text",)


def test_an_unknown_network_without_a_card_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["Mystery"]}')
    with pytest.raises(InputError, match="what a Mystery does is not known"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not JSON"), ("[]", "holds a list"), ('{"name": "x"}', "lacks 'does'")]
)
def test_a_broken_card_is_one_sentence(tmp_path, text, words):
    (tmp_path / CARD).write_text(text)
    with pytest.raises(InputError, match=words):
        read_card(tmp_path)


def test_fields_of_a_newer_version_are_left_out():
    assert Card.from_json({"does": ["embed"], "inputs": ["text"], "later": 1}) == Card(
        does=("embed",), inputs=("text",)
    )
