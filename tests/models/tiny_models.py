"""Small models with random weights, written as the folders that released models come in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    MetaClip2Config,
    MetaClip2Model,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
)

from sensorium.models.weights import quiet

WORDS = ["a", "photo", "of", "the", "red", "green", "blue", "circle", "square", "dog", "cat", "runs"]
VOCABULARY = {word: number for number, word in enumerate(["<pad>", "<unk>", "<s>", *WORDS, "</s>"])}
FAMILIES = {
    "CLIPModel": (CLIPConfig, CLIPModel),
    "MetaClip2Model": (MetaClip2Config, MetaClip2Model),
    "SiglipModel": (SiglipConfig, SiglipModel),
}
CONTEXT = 12


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(mark, VOCABULARY[mark]) for mark in ("<s>", "</s>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=CONTEXT,
    )


def clip_folder(folder: Path, family: str = "CLIPModel", activation: str = "quick_gelu", seed: int = 0):
    """A two-tower model of a family in `folder`; returns the network that was saved."""
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_act": activation,
    }
    text = {
        **sizes,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
        "bos_token_id": VOCABULARY["<s>"],
        "eos_token_id": VOCABULARY["</s>"],
    }
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    config, network = FAMILIES[family]
    torch.manual_seed(seed)
    extra = {} if family == "SiglipModel" else {"projection_dim": 8}
    with quiet():
        made = network(config(text_config=text, vision_config=vision, **extra)).eval()
        # Larger weights than at the start of training, so that activations and settings show in the result.
        with torch.no_grad():
            for name, value in made.named_parameters():
                if "logit" not in name and value.ndim > 1:
                    value.normal_(std=0.5)
        made.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    return made


def sentence_folder(folder: Path, pooling: str = "mean_tokens", pooler: bool = True):
    """A sentence encoder in the form of sentence-transformers; returns the network that was saved."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=CONTEXT,
        initializer_range=0.5,
    )
    with quiet():
        made = BertModel(config, add_pooling_layer=pooler).eval()
        made.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    parts = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [{"idx": k, "name": str(k), "path": path, "type": f"x.{kind}"} for k, (kind, path) in enumerate(parts)]
    modes = {
        f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")
    }
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, **modes})
    write(folder / "sentence_bert_config.json", {"max_seq_length": CONTEXT, "do_lower_case": False})
    return made


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit(path: Path, **changes: object) -> None:
    """Change settings in a JSON file."""
    write(path, {**json.loads(path.read_text("utf-8")), **changes})


def pictures(count: int = 5) -> list[np.ndarray]:
    """Pictures of several sizes."""
    return [np.random.default_rng(k).integers(0, 256, (20 + 3 * k, 24, 3), dtype=np.uint8) for k in range(count)]
