"""The card of a model folder (card.json): what the model does, and with what. Free of torch.

A card is a record for people and for `sensorium apply`. Nothing in it may change a number, so it is no
part of a model's identity: settings that shape results stand in config.json.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError, unknown
from sensorium.models.folder import read_config

CARD = "card.json"
VERBS = (
    "embed",
    "classify",
    "transcribe",
    "tag",
    "answer",
    "retrieve",
    "segment",
    "generate",
    "edit",
    "depth",
)
INPUTS = ("image", "text", "audio", "video")

# What released models do that bring no card: the architecture in config.json -> verbs and inputs.
_KNOWN = {
    "CLIPModel": (("embed", "classify"), ("image", "text")),
    "MetaClip2Model": (("embed", "classify"), ("image", "text")),
    "SiglipModel": (("embed", "classify"), ("image", "text")),
    "SensoriumTwoTower": (("embed", "classify"), ("image", "text")),
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model folder does.

    Args:
        does: verbs, the usual one first.
        inputs: kinds of input.
        name: for people.
        about: one or two sentences: what it is, what it was made from, what it is not good for.
        made_by: the stage or recipe that made it, with its fingerprint.
        data: what it was trained on, by name.
        licence: of the weights.
        attribution: what the licences of the training data ask to be said wherever results are shown.
        languages: BCP 47 tags, where they matter.
    """

    does: tuple[str, ...]
    inputs: tuple[str, ...]
    name: str = ""
    about: str = ""
    made_by: str = ""
    data: tuple[str, ...] = ()
    licence: str = ""
    attribution: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, allowed in (("does", VERBS), ("inputs", INPUTS)):
            given = getattr(self, field)
            if not isinstance(given, tuple) or not given:
                raise SettingError(f"a card's '{field}' is a tuple with at least one of: {', '.join(allowed)}.")
            for word in given:
                if word not in allowed:
                    raise unknown(f"word in a card's '{field}'", str(word), allowed)

    def as_json(self) -> dict[str, Any]:
        """A plain mapping without the empty fields."""
        content = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in content.items() if value}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Card:
        """The inverse of `as_json`; fields of a newer version are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        absent = [key for key in ("does", "inputs") if key not in values]
        if absent:
            raise InputError(f"a card lacks '{absent[0]}'; it says what the model does and with what.")
        return cls(**{key: value for key, value in values.items() if key in known})


def write_card(folder: Path, card: Card) -> None:
    """Write card.json into a model folder."""
    files.write_json(folder / CARD, card.as_json())


def read_card(folder: Path) -> Card:
    """The card of a model folder; for a released model without one, what its architecture does.

    Raises:
        InputError: there is neither a card nor a known architecture, or the card is broken.
    """
    path = folder / CARD
    if path.is_file():
        try:
            content = files.read_json(path)
        except ValueError as error:
            raise InputError(f"{path} is not JSON: {error}.") from error
        if not isinstance(content, dict):
            raise InputError(f"{path} is not a card: it holds a {type(content).__name__}.")
        return Card.from_json(content)
    named = read_config(folder).get("architectures") or [""]
    if named[0] in _KNOWN:
        does, inputs = _KNOWN[named[0]]
        return Card(does=does, inputs=inputs, name=folder.name)
    if (folder / "modules.json").is_file():
        return Card(does=("embed",), inputs=("text",), name=folder.name)
    raise InputError(f"{folder} has no {CARD}, and what a {named[0] or 'network without a name'} does is not known.")
