"""The miniature two-tower model: it trains in seconds on one core, and is used like any released one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sensorium.core import files
from sensorium.core.errors import InputError, listing
from sensorium.data.prepare import Pixels
from sensorium.data.words import HashedWords
from sensorium.models.card import Card, write_card
from sensorium.models.config_two_tower import MiniTowersConfig
from sensorium.models.embedding import as_rgb, batches, is_embedded, unit_vectors
from sensorium.models.folder import CONFIG, WEIGHTS, read_config
from sensorium.models.strict import load_strictly, save_weights

if TYPE_CHECKING:
    from sensorium.models.matcher import Picture

ARCHITECTURE = "SensoriumTwoTower"
_FORM = 1


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x), the approximation of CLIP's released weights."""

    def forward(self, values: Tensor) -> Tensor:
        """Same shape."""
        return values * torch.sigmoid(1.702 * values)


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "quick_gelu": QuickGelu, "relu": nn.ReLU}


def normalised(values: Tensor) -> Tensor:
    """Rows of length 1, in 32 bits or more whatever the autocast type."""
    return F.normalize(values.to(torch.promote_types(values.dtype, torch.float32)), dim=-1)


class TwoTower(nn.Module):
    """A miniature that puts pictures and texts into one space; see `models.matcher.Matcher` for its use.

    Pictures: 3x3 convolutions with stride 2, then two linear layers. Texts: the mean of the vectors of
        hashed words,
    then two linear layers. No layer looks at more than one example, so embeddings do not depend on the batch.

    Args:
        config: its settings.
    """

    def __init__(self, config: MiniTowersConfig) -> None:
        super().__init__()
        self.config = config
        act = _ACTIVATIONS[config.activation]
        layers: list[nn.Module] = []
        for before, after in zip((3, *config.channels), config.channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), act()]
        flat = config.channels[-1] * (config.pixels.size // 2 ** len(config.channels)) ** 2
        head = [
            nn.Flatten(),
            nn.Linear(flat, config.hidden[0]),
            act(),
            nn.Linear(config.hidden[0], config.dim),
        ]
        self.image = nn.Sequential(*layers, *head)
        self.words = nn.EmbeddingBag(config.words.buckets, config.bag, mode="mean", padding_idx=0)
        self.text = nn.Sequential(
            nn.Linear(config.bag, config.hidden[1]), act(), nn.Linear(config.hidden[1], config.dim)
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.scale)))
        self._autocast: Callable[[], Any] | None = None

    # --- for
    # training

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Unit vectors (B, D) of levels (B, S, S, 3) uint8."""
        levels = (pixels.to(self.logit_scale.dtype) / 255 - self.config.mean) / self.config.spread
        return normalised(self.image(levels.permute(0, 3, 1, 2)))

    def encode_texts(self, words: Tensor) -> Tensor:
        """Unit vectors (B, D) of word buckets (B, L), 0 where there is no word."""
        return normalised(self.text(self.words(words)))

    # --- for use

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.logit_scale.device

    def embed_images(self, images: Sequence[Picture], batch: int = 64) -> np.ndarray:
        """Unit vectors of pictures, (N, D) float32.

        Args:
            images: PIL images or uint8 arrays (H, W, 3).
            batch: how many are computed at once; no part of the result.
        """
        pieces = batches(images, batch)
        return self._embed(
            (np.stack([self.config.pixels(as_rgb(image)) for image in piece]) for piece in pieces),
            self.encode_images,
        )

    def embed_texts(self, texts: Sequence[str], batch: int = 256) -> np.ndarray:
        """Unit vectors of texts, (N, D) float32; words beyond the first `words.length` have no part."""
        return self._embed((self.config.words(piece) for piece in batches(texts, batch)), self.encode_texts)

    def score(self, images: Sequence[Picture] | np.ndarray, texts: Sequence[str] | np.ndarray) -> np.ndarray:
        """Logits of all pairs, (N, C) float32; either side may already be embedded, (N, D)."""
        first = np.asarray(images) if is_embedded(images) else self.embed_images(images)
        second = np.asarray(texts) if is_embedded(texts) else self.embed_texts(texts)
        return (first @ second.T * float(self.logit_scale.detach().exp())).astype(np.float32)

    def _embed(self, pieces: Any, encode: Callable[[Tensor], Tensor]) -> np.ndarray:
        found = [np.zeros((0, self.config.dim), np.float32)]
        training = self.training
        self.eval()
        for piece in pieces:
            with torch.inference_mode(), self._context():
                found.append(unit_vectors(encode(torch.from_numpy(piece).to(self.device))))
        self.train(training)
        return np.concatenate(found)

    def _context(self) -> Any:
        return self._autocast() if self._autocast else torch.autocast(self.device.type, enabled=False)

    # --- folders

    def save(self, folder: Path, card: Card | None = None) -> None:
        """Write config.json (every setting), model.safetensors and card.json."""
        files.write_json(
            folder / CONFIG,
            {
                "architectures": [ARCHITECTURE],
                "model_type": "sensorium_two_tower",
                "form": _FORM,
                **dataclasses.asdict(self.config),
            },
        )
        save_weights(self, folder / WEIGHTS)
        write_card(
            folder,
            card or Card(does=("embed", "classify"), inputs=("image", "text"), name="miniature two-tower"),
        )

    def load_weights(self, folder: Path) -> None:
        """Take the weights of a folder with the same settings.

        Raises:
            InputError: the settings differ, or the weights do not fit.
        """
        other = read_settings(folder)
        if other != self.config:
            names = [spec.name for spec in dataclasses.fields(other)]
            differ = [name for name in names if getattr(other, name) != getattr(self.config, name)]
            raise InputError(f"{folder} holds a model with another {listing(differ)}; start from one of the same form.")
        load_strictly(self, folder / WEIGHTS)

    @classmethod
    def from_folder(cls, folder: Path, *, devices: int = -1, precision: str = "32") -> TwoTower:
        """The model in a folder, ready for use.

        Raises:
            InputError: a setting is missing or unknown, or the weights do not fit; they are listed.
        """
        from sensorium.models.device import choose_device, precision_context

        model = cls(read_settings(folder))
        load_strictly(model, folder / WEIGHTS)
        model = model.to(choose_device(devices)).eval().requires_grad_(False)
        model._autocast = precision_context(model.device, precision)
        return model


def read_settings(folder: Path) -> MiniTowersConfig:
    """The settings in a folder's config.json; each must be there, and no other.

    Raises:
        InputError: one is missing or unknown, or it is not this kind of model.
    """
    content = dict(read_config(folder))
    named, form = content.pop("architectures", None), content.pop("form", None)
    if named != [ARCHITECTURE] or form != _FORM:
        raise InputError(f"{folder / CONFIG} is not a {ARCHITECTURE} of form {_FORM}, but {named} of form {form}.")
    content.pop("model_type", None)
    names = {spec.name for spec in dataclasses.fields(MiniTowersConfig)}
    wrong = {"lacks": names - content.keys(), "has unknown": content.keys() - names}
    for fault, which in wrong.items():
        if which:
            raise InputError(f"{folder / CONFIG} {fault} settings: {listing(sorted(which))}.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    try:
        values["pixels"], values["words"] = Pixels(**values["pixels"]), HashedWords(**values["words"])
    except TypeError as error:
        raise InputError(f"{folder / CONFIG} has pixels or words of another form: {error}.") from error
    usual = MiniTowersConfig()
    for key, value in values.items():
        kind = type(getattr(usual, key))
        if not isinstance(value, int | float if kind is float else kind):
            raise InputError(f"{folder / CONFIG}: {key} is {value!r:.80}, not such as {getattr(usual, key)!r:.80}.")
    return MiniTowersConfig(**values)
