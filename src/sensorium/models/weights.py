"""Weights into networks: every tensor has its place or the load stops; pickles are read without code."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoImageProcessor, AutoTokenizer, PreTrainedModel

from sensorium.core import files
from sensorium.core.errors import InputError, listing
from sensorium.models.folder import WEIGHTS, cache_folder, check_readable, sha256

_VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def open_network(cls: type[PreTrainedModel], folder: Path, **settings: Any) -> PreTrainedModel:
    """A transformers network from a model folder, in evaluation mode and 32 bits.

    Settings come from config.json alone. No code of the folder is run, nothing is fetched, only safetensors
    are read, and the attention kernel is PyTorch's own (a config may name one that would be fetched and run).

    Raises:
        InputError: weights are missing, left over, of another shape, or not finite; they are listed.
    """
    check_readable(folder)
    arguments: dict[str, Any] = {"attn_implementation": "sdpa", **settings}
    with quiet():
        try:
            network, report = cls.from_pretrained(
                folder,
                output_loading_info=True,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                **arguments,
            )
        except (OSError, RuntimeError, SafetensorError, ValueError) as error:
            raise InputError(f"{folder} could not be loaded as {cls.__name__}: {_first_line(error)}") from error
    _refuse_gaps(folder, report)
    _refuse_nonfinite(folder, network)
    return network.eval().requires_grad_(False)


def _refuse_gaps(folder: Path, report: Mapping[str, Any]) -> None:
    kinds = {
        "missing_keys": "missing (they would be random)",
        "unexpected_keys": "left over (the settings do not ask for them)",
        "mismatched_keys": "of another shape",
        "error_msgs": "errors",
    }
    found = []
    for key, words in kinds.items():
        names = sorted(str(name[0] if isinstance(name, tuple) else name) for name in report.get(key) or ())
        if names:
            found.append(f"{len(names)} {words}: {listing(names, 8)}")
    if found:
        raise InputError(f"the weights of {folder} do not fit its config.json: {'; '.join(found)}.")


def _refuse_nonfinite(folder: Path, network: PreTrainedModel) -> None:
    bad = [
        name
        for name, value in network.state_dict().items()
        if value.is_floating_point() and not bool(value.isfinite().all())
    ]
    if bad:
        raise InputError(f"{folder} has weights that are not finite numbers: {listing(bad, 4)}.")


def from_pickle(path: Path, sha: str, name: str) -> Path:
    """The tensors of a pinned pickle as safetensors in the cache; it is opened once, and without code.

    The bytes that were hashed are the bytes that are opened, so that no other file can be put in between.

    Args:
        path: the pickle.
        sha: the sha256 it must have.
        name: what the model is called, for the cache folder.

    Raises:
        InputError: another sha256, or a pickle that asks for more than tensors.
    """
    folder = cache_folder() / "converted" / f"{files.safe_name(name)}-{sha[:16]}"
    done = folder / "converted.json"
    if done.is_file() and (folder / WEIGHTS).is_file():
        record = files.read_json(done)
        if record.get("from") == sha and record.get("sha256") == sha256(folder / WEIGHTS):
            return folder / WEIGHTS
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha:
        raise InputError(f"{path} has sha256 {found[:12]}..., not the pinned {sha[:12]}...; it is not opened.")
    tensors = read_pickle(content, str(path))
    with files.atomic(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt", "from_sha256": sha})
    files.write_json(done, {"from": sha, "sha256": sha256(folder / WEIGHTS)})
    return folder / WEIGHTS


def read_pickle(content: bytes, where: str) -> dict[str, Tensor]:
    """The named tensors in a torch pickle, opened with `weights_only=True`.

    A state dict may be the whole content or stand under "state_dict" or "model_state".
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{where} holds more than tensors, or is not a whole file; it was not opened.") from error
    for key in ("state_dict", "model_state"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(f"{where} holds no table of named tensors.")
    # Each tensor gets its own memory: safetensors refuses two names over one storage.
    return {str(key): value.detach().clone().contiguous() for key, value in loaded.items()}


def read_tokenizer(folder: Path, **settings: Any) -> Any:
    """The tokenizer of a model folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    return read_parts("tokenizer", folder, AutoTokenizer, **settings)


def read_image_processor(folder: Path) -> Any:
    """The image processor of a model folder, with resizing by Pillow everywhere.

    Resizing differs between backends, and with it every embedding: what is installed must not choose one.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    return read_parts("image processor (preprocessor_config.json)", folder, AutoImageProcessor, backend="pil")


def read_parts(what: str, folder: Path, cls: Any, **settings: Any) -> Any:
    """A part of a model folder, read by a class of transformers; nothing is fetched, none of its code is run.

    Raises:
        InputError: it is not there, or cannot be read.
    """
    # Without a vocabulary transformers builds a tokenizer to which all words are unknown, and says nothing.
    if cls is AutoTokenizer and not any((folder / name).is_file() for name in _VOCABULARIES):
        raise InputError(f"{folder} has no {what} ({listing(_VOCABULARIES)}).")
    with quiet():
        try:
            return cls.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **settings)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise InputError(f"{folder} has no readable {what}: {_first_line(error)}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars and load reports of transformers; what matters is raised as an error."""
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:300].rstrip(".") + "."
