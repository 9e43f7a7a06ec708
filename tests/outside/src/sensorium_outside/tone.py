"""The objective and its network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sensorium.data.words import HashedWords
from sensorium.models.card import Card
from sensorium.train.objective import Clock, Objective
from sensorium_outside.tone_config import ToneConfig


class Tone(nn.Module):
    """Texts to vectors, and vectors to labels."""

    def __init__(self, config: ToneConfig) -> None:
        super().__init__()
        self.config = config
        self.bag = nn.EmbeddingBag(config.words.buckets, config.dim, mode="mean", padding_idx=0)
        self.head = nn.Linear(config.dim, len(config.labels))

    def forward(self, words: Tensor) -> Tensor:
        """Logits (N, labels) of integers (N, length)."""
        logits: Tensor = self.head(self.bag(words.long()))
        return logits

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (N, D)."""
        with torch.no_grad():
            return self.bag(torch.from_numpy(self.config.words(texts)).long()).numpy()

    def save(self, folder: Path) -> None:
        """A model folder: config.json, model.safetensors, card.json."""
        folder.mkdir(parents=True, exist_ok=True)
        words = {"buckets": self.config.words.buckets, "length": self.config.words.length}
        config = {"architectures": ["Tone"], "labels": self.config.labels, "dim": self.config.dim, "words": words}
        (folder / "config.json").write_text(json.dumps(config, sort_keys=True))
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / "model.safetensors")
        card = Card(does=("embed", "classify"), inputs=("text",), name="tone of voice")
        (folder / "card.json").write_text(json.dumps(card.as_json(), sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> Tone:
        """The inverse of `save`."""
        config = json.loads((folder / "config.json").read_text())
        words = HashedWords(**config["words"])
        tone = cls(ToneConfig(labels=tuple(config["labels"]), dim=config["dim"], words=words))
        tone.load_state_dict(load_file(folder / "model.safetensors"))
        return tone.eval()


class ToneObjective(Objective):
    """Cross-entropy on the label."""

    def __init__(self, config: ToneConfig) -> None:
        super().__init__()
        self.tone = Tone(config)

    def forward(self, batch: Mapping[str, Tensor], clock: Clock) -> Mapping[str, Tensor]:
        """The loss, and how many it guesses right to watch."""
        logits = self.tone(batch["words"])
        right = (logits.argmax(1) == batch["label"]).float().mean()
        return {"label": nn.functional.cross_entropy(logits, batch["label"]), "watch/right": right.detach()}

    def finished(self) -> Mapping[str, nn.Module]:
        """The network."""
        return {"": self.tone}
