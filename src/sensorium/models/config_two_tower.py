"""Settings of two-tower models: a miniature, and CLIP as published. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sensorium.core.errors import SettingError, unknown
from sensorium.data.prepare import Pixels
from sensorium.data.words import Bytes, HashedWords, Tokenizer
from sensorium.models.folder import sha256

if TYPE_CHECKING:
    from sensorium.models.clip_towers import ClipTowers
    from sensorium.models.two_tower import TwoTower

ACTIVATIONS = ("gelu", "quick_gelu", "relu")

# Radford et al. 2021, per channel, of levels scaled to [0, 1].
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SPREAD = (0.26862954, 0.26130258, 0.27577711)


def _check_activation(name: str) -> None:
    if name not in ACTIVATIONS:
        raise unknown("activation", str(name), ACTIVATIONS)


@dataclass(frozen=True, kw_only=True)
class MiniTowersConfig:
    """A model that trains in seconds: strided convolutions for pictures, a bag of hashed words for texts.

    Args:
        pixels: how pictures are read; their size is divisible by 2 to the number of convolutions.
        words: how texts are read.
        channels: of the convolutions (3x3, stride 2).
        hidden: widths of the hidden layers over the pictures and over the words.
        bag: width of a word's vector.
        dim: width D of the common space.
        activation: after every layer but the last.
        mean, spread: taken off levels scaled to [0, 1], all channels alike.
        scale: factor on the cosines at the start (CLIP's 1 / 0.07).
    """

    pixels: Pixels = Pixels(size=32)  # noqa: RUF009  (frozen)
    words: HashedWords = HashedWords()  # noqa: RUF009  (frozen)
    channels: tuple[int, ...] = (16, 32, 64)
    hidden: tuple[int, int] = (256, 128)
    bag: int = 64
    dim: int = 64
    activation: Literal["gelu", "quick_gelu", "relu"] = "gelu"
    mean: float = 0.5
    spread: float = 0.25
    scale: float = 1 / 0.07

    def __post_init__(self) -> None:
        _check_activation(self.activation)
        widths = (*self.channels, *self.hidden, self.bag, self.dim)
        if not self.channels or len(self.hidden) != 2 or min(widths) < 1:
            raise SettingError(
                f"widths of layers are at least 1, with one or more channels and two hidden; given channels "
                f"{self.channels}, hidden {self.hidden}, bag {self.bag}, dim {self.dim}."
            )
        if not (self.spread > 0 and self.scale > 0):
            raise SettingError(f"spread and scale are above 0, not {self.spread} and {self.scale}.")
        if self.pixels.size % 2 ** len(self.channels):
            raise SettingError(
                f"{len(self.channels)} strided convolutions need a size divisible by "
                f"{2 ** len(self.channels)}, not {self.pixels.size}."
            )

    @property
    def tokens(self) -> Tokenizer:
        """How texts become integers."""
        return self.words

    def build(self) -> TwoTower:
        """The network with fresh weights."""
        from sensorium.models.two_tower import TwoTower

        return TwoTower(self)


@dataclass(frozen=True, kw_only=True)
class HubTokens:
    """The tokenizer of a released model or of a folder, through transformers.

    Nothing is fetched: a name is looked for in the Hugging Face cache. It is known by name and revision
    there, and by the content of its files in a folder.

    Args:
        name: a folder, or `owner/model`.
        revision: a commit, branch or tag.
        length: integers per text; longer texts are cut, shorter ones filled up.
    """

    name: str
    revision: str | None = None
    length: int = 77

    def identity(self) -> dict[str, Any]:
        """What shapes the integers."""
        folder = Path(self.name)
        if not folder.is_dir():
            return {"name": self.name, "revision": self.revision, "length": self.length}
        found = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name in _TOKENIZER_FILES}
        return {"files": found, "length": self.length}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Integers, (N, length) int32."""
        from sensorium.models.tokens import open_tokenizer

        if not len(texts):
            return np.zeros((0, self.length), np.int32)
        found = open_tokenizer(self.name, self.revision)(
            list(texts), padding="max_length", truncation=True, max_length=self.length, return_tensors="np"
        )
        return np.asarray(found["input_ids"], np.int32)


_TOKENIZER_FILES = frozenset(
    {"tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json"}
)

CLIP_TOKENS = HubTokens(name="openai/clip-vit-base-patch32")
"""CLIP's byte-pair encoding (Radford et al. 2021): 49,408 entries, 77 integers a text."""


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Width, layers and heads of one tower; the inner layers are four times as wide."""

    width: int
    layers: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or self.width % self.heads:
            raise SettingError(
                f"a tower has at least 1 layer and a width that its heads divide; given width {self.width}, "
                f"{self.layers} layers, {self.heads} heads."
            )


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """CLIP (Radford et al. 2021) as trained by MetaCLIP (Xu et al. 2023), built from transformers' CLIPModel.

    Args:
        size, patch: pixels of the square picture and of its patches.
        vision, text: the towers.
        dim: width D of the common space.
        vocabulary, context: integers the text tower knows, and takes.
        activation: MetaCLIP keeps CLIP's quick GELU; another one gives other embeddings from the same
            weights.
        tokens: how texts are read.
    """

    size: int = 224
    patch: int = 32
    vision: Transformer = Transformer(width=768, layers=12, heads=12)
    text: Transformer = Transformer(width=512, layers=12, heads=8)
    dim: int = 512
    vocabulary: int = 49_408
    context: int = 77
    activation: Literal["gelu", "quick_gelu", "relu"] = "quick_gelu"
    tokens: HubTokens | Bytes = field(default=CLIP_TOKENS)

    def __post_init__(self) -> None:
        _check_activation(self.activation)
        if min(self.size, self.patch, self.dim, self.vocabulary) < 1:
            given = f"{self.size}, {self.patch}, {self.dim} and {self.vocabulary}"
            raise SettingError(f"size, patch, dim and vocabulary are at least 1, not {given}.")
        if self.size % self.patch:
            raise SettingError(f"a picture of {self.size} pixels has no whole number of patches of {self.patch}.")
        if self.tokens.length > self.context:
            raise SettingError(f"the tokenizer gives {self.tokens.length} integers, the network takes {self.context}.")

    @property
    def pixels(self) -> Pixels:
        """How pictures are read."""
        return Pixels(size=self.size)

    def build(self) -> ClipTowers:
        """The network with fresh weights."""
        from sensorium.models.clip_towers import ClipTowers

        return ClipTowers(self)


# Radford et al. 2021, tables 19 and 20; H/14 as in OpenCLIP's published configuration, which MetaCLIP uses.
CLIP_B32 = ClipConfig()
CLIP_B16 = ClipConfig(patch=16)
CLIP_L14 = ClipConfig(
    patch=14,
    vision=Transformer(width=1024, layers=24, heads=16),
    text=Transformer(width=768, layers=12, heads=12),
    dim=768,
)
CLIP_H14 = ClipConfig(
    patch=14,
    vision=Transformer(width=1280, layers=32, heads=16),
    text=Transformer(width=1024, layers=24, heads=16),
    dim=1024,
)
