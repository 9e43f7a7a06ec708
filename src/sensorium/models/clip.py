"""Released two-tower models of the CLIP family, from model folders in Hugging Face form, as a Matcher.

CLIP (Radford et al. 2021) and Meta CLIP 2 (2025) score a pair by exp(logit_scale) * cos; SigLIP (Zhai et al.
2023) adds a learned bias and was trained on texts padded to full length, so its texts are padded to it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    CLIPModel,
    MetaClip2Model,
    PreTrainedModel,
    SiglipModel,
)

from sensorium.core.errors import InputError
from sensorium.models.device import choose_device, precision_context
from sensorium.models.embedding import as_rgb, batches, is_embedded, lengths, unit_vectors
from sensorium.models.folder import read_config
from sensorium.models.weights import open_network, read_image_processor, read_tokenizer

if TYPE_CHECKING:
    from sensorium.models.matcher import Picture

NETWORKS: dict[str, type[PreTrainedModel]] = {
    "CLIPModel": CLIPModel,
    "MetaClip2Model": MetaClip2Model,
    "SiglipModel": SiglipModel,
}


class ClipMatcher:
    """A CLIP-family model that embeds pictures and texts; see `models.matcher.Matcher` for the interface.

    Args:
        network: the network with its weights.
        image_processor: resizes, crops and normalises; its settings come from the model folder.
        tokenizer: of the model folder.
        devices: 0 for the CPU; otherwise the first accelerator is used where there is one.
        precision: "32", or the autocast types "bf16" and "16".
    """

    def __init__(
        self,
        network: PreTrainedModel,
        image_processor: Any,
        tokenizer: Any,
        *,
        devices: int = -1,
        precision: str = "32",
    ) -> None:
        self.device = choose_device(devices)
        self.network = network.to(self.device)
        self.image_processor = image_processor
        self.tokenizer = tokenizer
        self.context_length = int(network.config.text_config.max_position_embeddings)
        self._full_length = isinstance(network, SiglipModel)
        self._precision = precision_context(self.device, precision)

    @classmethod
    def from_folder(cls, folder: Path, *, devices: int = -1, precision: str = "32") -> ClipMatcher:
        """The model in a folder with config.json, safetensors, preprocessor_config.json and a tokenizer.

        Raises:
            InputError: a part is missing, or the weights do not fit the settings.
        """
        name = (read_config(folder).get("architectures") or [""])[0]
        if name not in NETWORKS:
            raise InputError(f"{folder} holds a {name or 'network without a name'}, not one of {', '.join(NETWORKS)}.")
        network = open_network(NETWORKS[name], folder)
        image_processor, tokenizer = read_image_processor(folder), read_tokenizer(folder)
        return cls(network, image_processor, tokenizer, devices=devices, precision=precision)

    @property
    def logit_scale(self) -> float:
        """What the cosine is multiplied with."""
        return float(self.network.logit_scale.detach().exp())

    @property
    def logit_bias(self) -> float:
        """What is added to the scaled cosine; 0 except for SigLIP."""
        bias = getattr(self.network, "logit_bias", None)
        return 0.0 if bias is None else float(bias.detach())

    def embed_images(self, images: Sequence[Picture], batch: int = 64) -> np.ndarray:
        """Unit vectors of pictures, shape (N, D) float32.

        Args:
            images: PIL images or uint8 arrays of shape (H, W, 3).
            batch: how many are computed at once; no part of the result.
        """
        return self._embed(batches(images, batch), self._pixels, self.network.get_image_features)

    def embed_texts(self, texts: Sequence[str], batch: int = 256) -> np.ndarray:
        """Unit vectors of texts, shape (N, D) float32; texts over the context are cut (see `is_cut`)."""
        return self._embed(batches(texts, batch), self._tokens, self.network.get_text_features)

    def is_cut(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than the model's context and lose their end, shape (N,) bool."""
        return lengths(self.tokenizer, texts) > self.context_length

    def score(self, images: Sequence[Picture] | np.ndarray, texts: Sequence[str] | np.ndarray) -> np.ndarray:
        """Logits of all pairs, shape (N, C) float32; either side may already be embedded, shape (N, D)."""
        first = images if is_embedded(images) else self.embed_images(images)
        second = texts if is_embedded(texts) else self.embed_texts(texts)
        return (np.asarray(first) @ np.asarray(second).T * self.logit_scale + self.logit_bias).astype(np.float32)

    def _pixels(self, images: Sequence[Picture]) -> dict[str, torch.Tensor]:
        return dict(self.image_processor(images=[as_rgb(image) for image in images], return_tensors="pt"))

    def _tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        padding = "max_length" if self._full_length else True
        found = self.tokenizer(
            list(texts), padding=padding, truncation=True, max_length=self.context_length, return_tensors="pt"
        )
        return {key: found[key] for key in ("input_ids", "attention_mask") if key in found}

    def _embed(self, batches: Iterator[Sequence[Any]], prepare: Any, features: Any) -> np.ndarray:
        found = []
        for piece in batches:
            inputs = {key: value.to(self.device) for key, value in prepare(piece).items()}
            with torch.inference_mode(), self._precision():
                output = features(**inputs)
            pooled = output if isinstance(output, torch.Tensor) else output.pooler_output
            found.append(unit_vectors(pooled))
        if not found:
            return np.zeros((0, self._width()), np.float32)
        return np.concatenate(found)

    def _width(self) -> int:
        config = self.network.config
        return int(getattr(config, "projection_dim", 0) or config.text_config.hidden_size)
