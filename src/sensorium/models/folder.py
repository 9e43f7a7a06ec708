"""Model folders as files: which of them shape results, what they hash to, and which are refused. No torch."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sensorium.core import files
from sensorium.core.errors import InputError, listing

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"

_SHAPING = frozenset({".json", ".safetensors", ".txt", ".model", ".jinja", ".npz", ".npy", ".gguf", ".bin", ".onnx"})
# Records and descriptions: nothing in them may change a number, and they differ between copies of one model.
_RECORDS = frozenset(
    {
        "card.json",
        "done.json",
        "begun.json",
        "data_config.json",
        "trainer_state.json",
        "LICENSE.txt",
        "requirements.txt",
    }
)
_UNUSED = ("onnx/", "openvino/", "coreml/", "flax/", "tf/", "checkpoint", "rejected/", "rows/", "tensorboard/")
_PICKLES = ("pytorch_model", "training_args", "optimizer", "scheduler", "rng_state")
_SETTLED_NS = 2_000_000_000  # a file changed this recently may change again within one tick of its clock


def cache_folder() -> Path:
    """Where converted weights and stamps are kept: $SENSORIUM_CACHE, or ~/.cache/sensorium."""
    given = os.environ.get("SENSORIUM_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "sensorium"


def sha256(path: Path) -> str:
    """The sha256 of a file's whole content, remembered as long as the file is untouched.

    The stamp is size, modification time, change time, device and inode. The modification time can be set back
    (`touch -r`), the change time cannot. A file that changed in the last two seconds is never remembered.
    """
    path = Path(path).resolve()
    before = _stamp(path)
    note = cache_folder() / "stamps" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
    known = _read_note(note)
    if known.get("stamp") == before:
        return str(known["sha256"])
    digest, looked_at = files.sha256_file(path), time.time_ns()
    settled = looked_at - max(before[1], before[2]) > _SETTLED_NS and _stamp(path) == before
    if settled:
        _write_note(note, {"stamp": before, "sha256": digest})
    return digest


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino]


def _read_note(note: Path) -> dict[str, Any]:
    try:
        content = files.read_json(note)
        return content if isinstance(content, dict) and isinstance(content.get("sha256"), str) else {}
    except (OSError, ValueError):
        return {}


def _write_note(note: Path, content: Mapping[str, Any]) -> None:
    try:
        files.write_json(note, content)
    except (OSError, ValueError):
        # A cache that cannot be written costs time, never a result.
        return


def shaping_files(folder: Path) -> dict[str, Path]:
    """The files of a model folder that can change a result, by name relative to it, sorted.

    Everything readable as settings, weights or vocabulary counts, except records (card.json, done.json),
    other formats of the same weights, pickles (never read) and hidden files.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(piece.startswith(".") for piece in PurePosixPath(name).parts)
        record = path.name in _RECORDS or name.startswith(_UNUSED) or path.name.startswith(_PICKLES)
        if path.suffix in _SHAPING and not hidden and not record and path.is_file():
            found[name] = path
    return found


def identity(path: Path) -> str:
    """The sha256 of what a model is: over names and whole contents of its shaping files, or of a single file.

    Equal for a copy under any other name; different after any change of weights, configuration (activation,
    mean, crop), tokenizer or processor. Modification times and records do not enter.
    """
    if path.is_file():
        return sha256(path)
    content = {name: sha256(file) for name, file in shaping_files(path).items()}
    if not content:
        raise InputError(f"{path} holds no model; a model folder has {CONFIG} and {WEIGHTS}.")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a model folder (config.json)."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{folder} has no {CONFIG}; a model folder has {CONFIG} and {WEIGHTS}.")
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not the settings of a model.")
    return content


def missing_weights(folder: Path) -> str:
    """Why a folder's weights cannot be read, as the end of a sentence; empty when they can."""
    if (folder / WEIGHTS).is_file():
        return ""
    if (folder / INDEX).is_file():
        names = set(_shards(folder))
        absent = sorted(name for name in names if not (folder / name).is_file())
        return f"lacks the weight files {listing(absent, 3)}" if absent else ""
    pickles = sorted(path.name for path in folder.glob("*.bin")) + sorted(path.name for path in folder.glob("*.pt*"))
    if pickles:
        return f"has its weights only as a pickle ({pickles[0]})"
    return f"has no {WEIGHTS}"


def check_readable(folder: Path) -> None:
    """Refuse a folder that cannot be loaded safely and completely, before anything heavy is imported.

    Only safetensors are read from folders: a pickle can run code when it is opened. An adapter alone names
    its base model by a path or a Hub name that would be fetched behind the user's back.
    """
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder} holds an adapter, not a whole model; merge it into its base model and save that.")
    reason = missing_weights(folder)
    if "pickle" in reason:
        raise InputError(
            f"{folder} {reason}, which can run code when opened and is not read; convert it once where you "
            "trust it: model.save_pretrained(folder) writes model.safetensors."
        )
    if reason:
        raise InputError(f"{folder} {reason}.")


def _shards(folder: Path) -> list[str]:
    """The weight files named by an index; names that lead out of the folder are refused."""
    try:
        names = list(dict(files.read_json(folder / INDEX)["weight_map"]).values())
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / INDEX} is not an index of weight files.") from error
    for name in names:
        if (
            not isinstance(name, str)
            or PurePosixPath(name).name != name
            or "\\" in name
            or not name.endswith(".safetensors")
        ):
            raise InputError(f"{folder / INDEX} names {name!r:.80}, which is not a safetensors file inside the folder.")
    return names
