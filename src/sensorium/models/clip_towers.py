"""CLIP for training: transformers' CLIPModel behind the two calls an objective needs."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from sensorium.core import files
from sensorium.core.errors import InputError
from sensorium.models.card import Card, write_card
from sensorium.models.config_two_tower import CLIP_MEAN, CLIP_SPREAD, ClipConfig, Transformer
from sensorium.models.tokens import save_tokenizer
from sensorium.models.two_tower import normalised
from sensorium.models.weights import open_network


class ClipTowers(nn.Module):
    """A CLIP with fresh weights.

    A saved folder is a plain Hugging Face model: `models.clip.ClipMatcher` and transformers itself read it.

    Args:
        config: its settings.
    """

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.network = CLIPModel._from_config(_released_form(config), attn_implementation="sdpa")
        self.register_buffer("mean", torch.tensor(CLIP_MEAN) * 255, persistent=False)
        self.register_buffer("spread", torch.tensor(CLIP_SPREAD) * 255, persistent=False)

    @property
    def logit_scale(self) -> nn.Parameter:
        """The logarithm of the factor on the cosines."""
        return self.network.logit_scale

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Unit vectors (B, D) of levels (B, S, S, 3) uint8."""
        levels = ((pixels.to(self.mean.dtype) - self.mean) / self.spread).permute(0, 3, 1, 2)
        return normalised(self.network.get_image_features(pixel_values=levels.contiguous()).pooler_output)

    def encode_texts(self, tokens: Tensor) -> Tensor:
        """Unit vectors (B, D) of tokens (B, L); attention is causal: what is behind the end has no part."""
        return normalised(self.network.get_text_features(input_ids=tokens.long()).pooler_output)

    def save(self, folder: Path, card: Card | None = None) -> None:
        """Write config.json, model.safetensors, the processor, the tokenizer and card.json."""
        with files.atomic(folder / "saving") as temporary:
            # One shard: the folder's readers know a single file or an index, and a CLIP fits in one.
            self.network.save_pretrained(temporary, max_shard_size="100GB")
            _image_processor(self.config).save_pretrained(temporary)
            save_tokenizer(self.config.tokens, temporary)
            for path in sorted(temporary.iterdir(), key=lambda path: path.name == "config.json"):
                path.replace(folder / path.name)
        files.remove(folder / "saving")
        write_card(folder, card or Card(does=("embed", "classify"), inputs=("image", "text"), name="CLIP"))

    def load_weights(self, folder: Path) -> None:
        """Take the weights of a folder with a network of the same form.

        Raises:
            InputError: its settings differ, or weights are missing or left over.
        """
        other = open_network(CLIPModel, folder)
        here, there = self.network.config.to_dict(), other.config.to_dict()
        for part in ("vision_config", "text_config"):
            for name in (
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "hidden_act",
                "patch_size",
            ):
                if here[part].get(name) != there[part].get(name):
                    given, wanted = there[part].get(name), here[part].get(name)
                    raise InputError(f"{folder} has {name} {given} in its {part}, and this run {wanted}.")
        self.network.load_state_dict(other.state_dict(), strict=True)


def _released_form(config: ClipConfig) -> CLIPConfig:
    """The settings as transformers writes them."""

    def tower(shape: Transformer) -> dict[str, object]:
        return {
            "hidden_size": shape.width,
            "intermediate_size": 4 * shape.width,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "hidden_act": config.activation,
            "projection_dim": config.dim,
        }

    marks = {"bos_token_id": config.vocabulary - 2, "eos_token_id": config.vocabulary - 1}
    text = {"vocab_size": config.vocabulary, "max_position_embeddings": config.context, **marks}
    return CLIPConfig(
        text_config={**tower(config.text), **text, "pad_token_id": config.vocabulary - 1},
        vision_config={**tower(config.vision), "image_size": config.size, "patch_size": config.patch},
        projection_dim=config.dim,
        logit_scale_init_value=math.log(1 / 0.07),
    )


def _image_processor(config: ClipConfig) -> CLIPImageProcessor:
    """The steps of `Pixels` and `encode_images` for readers in transformers."""
    return CLIPImageProcessor(
        size={"shortest_edge": config.size},
        crop_size={"height": config.size, "width": config.size},
        image_mean=list(CLIP_MEAN),
        image_std=list(CLIP_SPREAD),
    )
