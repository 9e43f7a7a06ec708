"""Sentence encoders: model folders in the form of sentence-transformers (modules.json), as a TextEmbedder.

A transformer, a pooling over its last layer and unit length (Reimers and Gurevych 2019). The pooling, the
longest input and lower-casing come from the folder's own files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoModel, PreTrainedModel

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError, listing
from sensorium.models.device import choose_device, precision_context
from sensorium.models.embedding import lengths, unit_vectors
from sensorium.models.folder import WEIGHTS, check_readable, read_config
from sensorium.models.weights import open_network, read_tokenizer

NETWORKS = ("albert", "bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
POOLINGS = ("mean", "cls", "max")
# What the folder says -> what it is called here; every other mode switched on stops the load.
_MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


class SentenceEncoder:
    """A sentence encoder; see `models.matcher.TextEmbedder` for the interface.

    Args:
        network: a transformer whose last layer is pooled.
        tokenizer: of the model folder.
        pooling: "mean" over real tokens, "cls" (the first token) or "max".
        max_length: tokens, special ones included; longer texts are cut.
        devices: 0 for the CPU; otherwise the first accelerator is used where there is one.
        precision: "32", or the autocast types "bf16" and "16".
    """

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: Any,
        *,
        pooling: str = "mean",
        max_length: int = 512,
        devices: int = -1,
        precision: str = "32",
    ) -> None:
        self.device = choose_device(devices)
        self.network = network.to(self.device)
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.context_length = max_length
        self._precision = precision_context(self.device, precision)

    @classmethod
    def from_folder(cls, folder: Path, *, devices: int = -1, precision: str = "32") -> SentenceEncoder:
        """The encoder in a folder with config.json, modules.json, safetensors and a tokenizer.

        Raises:
            InputError: a part is missing or not supported, or the weights do not fit the settings.
        """
        check_readable(folder)
        config, settings = read_config(folder), _read(folder, "sentence_bert_config.json")
        if _read(folder, "config_sentence_transformers.json").get("default_prompt_name"):
            raise InputError(f"{folder} puts a prompt before every text, which is not supported for sentence encoders.")
        pooling = _pooling(folder)
        if config.get("model_type") not in NETWORKS:
            raise InputError(f"{folder} is a {config.get('model_type')}; sentence encoders may be {listing(NETWORKS)}.")
        network = open_network(AutoModel, folder, **_extras(folder, str(config["model_type"])))
        lower = {"do_lower_case": True} if settings.get("do_lower_case") else {}
        tokenizer = read_tokenizer(folder, **lower)
        longest = int(
            settings.get("max_seq_length") or min(tokenizer.model_max_length, config["max_position_embeddings"])
        )
        return cls(network, tokenizer, pooling=pooling, max_length=longest, devices=devices, precision=precision)

    def embed_texts(self, texts: Sequence[str], batch: int = 64) -> np.ndarray:
        """Unit vectors of texts, shape (N, D) float32; texts over the longest input are cut (see `is_cut`).

        Texts of like length share a batch, which saves most of the padding; the result has the given order.
        """
        if isinstance(texts, str):
            raise SettingError("texts are given as a list; for one text, give a list of one.")
        if batch < 1:
            raise SettingError(f"a batch has at least 1 item, not {batch}.")
        found = np.zeros((len(texts), int(self.network.config.hidden_size)), np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            found[rows] = self._embed([texts[row] for row in rows])
        return found

    def is_cut(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than the longest input and lose their end, shape (N,) bool."""
        return lengths(self.tokenizer, texts) > self.context_length

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        inputs = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.context_length, return_tensors="pt"
        ).to(self.device)
        with torch.inference_mode(), self._precision():
            hidden = self.network(**inputs).last_hidden_state.float()
        return unit_vectors(pool(hidden, inputs["attention_mask"].bool(), self.pooling))


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector per text.

    Args:
        hidden: shape (B, T, D).
        mask: True for real tokens, shape (B, T); each row has at least one.
        pooling: "mean", "cls" or "max".

    Returns:
        Shape (B, D).
    """
    if pooling == "cls":
        return hidden[:, 0]
    real = mask.unsqueeze(-1)
    if pooling == "mean":
        return (hidden * real).sum(1) / real.sum(1)
    return hidden.masked_fill(~real, float("-inf")).amax(1)


def _extras(folder: Path, model_type: str) -> dict[str, Any]:
    """Build the unused pooler exactly when the weights have one: nothing is left over, nothing random."""
    if model_type in ("distilbert", "electra") or not (folder / WEIGHTS).is_file():
        return {}
    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        return {"add_pooling_layer": any("pooler." in name for name in weights.keys())}  # noqa: SIM118 (no mapping)


def _pooling(folder: Path) -> str:
    """The pooling that modules.json and its pooling module ask for."""
    modules = _read(folder, "modules.json", [])
    found = ""
    for module in modules:
        kind, place = str(module.get("type", "")).rsplit(".", 1)[-1], str(module.get("path", ""))
        if kind == "Pooling":
            found = _mode(folder, place)
        elif kind not in ("Transformer", "Normalize"):
            raise InputError(f"{folder} has a module {kind}; only a transformer, a pooling and unit length are read.")
    if not found:
        raise InputError(f"{folder} does not say how tokens are pooled (modules.json with a Pooling module).")
    return found


def _mode(folder: Path, place: str) -> str:
    if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts or "\\" in place:
        raise InputError(f"{folder / 'modules.json'} names the path {place!r:.80}, which leads out of the folder.")
    settings = _read(folder, f"{place}/config.json" if place else "config.json")
    if str(settings.get("pooling_mode")) in POOLINGS:
        return str(settings["pooling_mode"])
    on = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value is True]
    if len(on) != 1 or on[0] not in _MODES:
        raise InputError(f"{folder} pools by {listing(on)}; supported are {listing(POOLINGS)}, one at a time.")
    return _MODES[on[0]]


def _read(folder: Path, name: str, missing: Any = None) -> Any:
    path = folder / name
    try:
        return files.read_json(path) if path.is_file() else ({} if missing is None else missing)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
