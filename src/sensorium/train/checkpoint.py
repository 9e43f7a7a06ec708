"""Checkpoints: everything a run needs to go on, in one safetensors file, whole or absent; no pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sensorium.core import files
from sensorium.core.errors import StageFailedError

FOLDER = "checkpoints"
_FORM = 1


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after some updates.

    Args:
        update: how many were made.
        tensors: weights, buffers and moments by name.
        state: counts, rejected rows and the like; JSON values.
    """

    update: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def save(folder: Path, checkpoint: Checkpoint, keep: int = 2) -> Path:
    """Write `update-NNNNNNNN.safetensors` under a temporary name, sync and rename it; keep the newest few.

    Tensors that share memory are stored once. A checksum over all bytes is stored with them.
    """
    stored, same = _without_doubles(checkpoint.tensors)
    content = {"form": _FORM, "update": checkpoint.update, "state": checkpoint.state, "same": same}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    path = folder / f"update-{checkpoint.update:08d}.safetensors"
    with files.atomic(path) as temporary:
        save_file(stored, temporary, metadata={"sensorium": f"{_checksum(text, stored):08x} {text}"})
    for old in _newest_first(folder)[keep:]:
        old.unlink()
    return path


def load(path: Path) -> Checkpoint:
    """Read one file.

    Raises:
        ValueError: it is cut short, changed, or not a checkpoint; the sentence says which.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            notes = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} is cut short or not a checkpoint") from error
    # One note, not two: safetensors writes several in any order, and equal states shall be equal files.
    checksum, _, text = notes.get("sensorium", "").partition(" ")
    if checksum != f"{_checksum(text, tensors):08x}":
        raise ValueError(f"{path.name} has changed since it was written")
    content = json.loads(text)
    if content["form"] != _FORM:
        raise ValueError(f"{path.name} is not a checkpoint of this version")
    tensors.update({name: tensors[first] for name, first in content["same"].items()})
    return Checkpoint(update=content["update"], tensors=tensors, state=content["state"])


def load_newest(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None when there is no checkpoint at all.

    Each damaged file is named through `say`.

    Raises:
        StageFailedError: there are checkpoints and all are damaged; a run never starts over unasked.
    """
    damaged = []
    for path in _newest_first(folder):
        try:
            found = load(path)
        except ValueError as error:
            damaged.append(str(error))
            continue
        for sentence in damaged:
            say(f"{folder}: {sentence}; going on from {path.name}.")
        return found
    if damaged:
        raise StageFailedError(
            f"no checkpoint in {folder} can be read ({'; '.join(damaged)}); delete that folder to start from update 0."
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("update-*.safetensors"), reverse=True)


def _without_doubles(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors on the CPU in memory of their own, and name -> first name for those that are the same."""
    first: dict[tuple[Any, ...], str] = {}
    stored, same, used = {}, {}, set()
    for name, tensor in tensors.items():
        memory = (tensor.device, tensor.untyped_storage().data_ptr())
        key = (*memory, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if tensor.numel() and key in first:
            same[name] = first[key]
            continue
        first[key] = name
        # A part of a bigger tensor is cloned: safetensors takes no partly shared memory.
        alone = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        own = tensor.detach().cpu()
        stored[name] = (own if alone and memory not in used else own.clone()).contiguous()
        used.add(memory)
    return stored, same


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        if tensor.numel():
            total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), total)
    return total
