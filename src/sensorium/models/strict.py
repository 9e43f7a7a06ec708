"""Our own networks from safetensors, without transformers: every tensor has its place or the load stops."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sensorium.core import files
from sensorium.core.errors import InputError, listing


def load_strictly(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network.

    Raises:
        InputError: the file is cut short, or weights are missing, left over, of another shape, or not
            finite; they are listed, and nothing is left at its random start.
    """
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a whole safetensors file.") from error
    wanted = network.state_dict()
    faults = {
        "missing (they would be random)": wanted.keys() - state.keys(),
        "left over (the settings do not ask for them)": state.keys() - wanted.keys(),
        "of another shape": _misshapen(wanted, state),
        "not finite": {name for name, value in state.items() if not bool(value.isfinite().all())},
    }
    found = [f"{len(names)} {fault}: {listing(sorted(names), 8)}" for fault, names in faults.items() if names]
    if found:
        raise InputError(f"the weights of {path} do not fit its config.json: {'; '.join(found)}.")
    network.load_state_dict(state, strict=True)


def _misshapen(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> set[str]:
    return {name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape}


def save_weights(network: nn.Module, path: Path) -> None:
    """Write all parameters and persistent buffers, whole or not at all."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with files.atomic(path) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
