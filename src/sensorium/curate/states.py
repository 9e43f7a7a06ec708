"""States of folds: named arrays and plain values, written whole, summed exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sensorium.core import files
from sensorium.core.errors import StageFailedError

State = Mapping[str, Any]
"""Names to numpy arrays, or to values that JSON holds (integers of any size, texts, lists of them)."""

_PLAIN = "__plain__"


def write_state(path: Path, state: State) -> None:
    """Write a state to one file; nothing in it is ever executed when it is read."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    try:
        rest = {name: value for name, value in state.items() if name not in arrays}
        plain = json.dumps(rest, sort_keys=True, default=_scalar)
    except TypeError as error:
        raise StageFailedError(f"a fold's state must hold numpy arrays and plain values: {error}.") from error
    wrong = next((name for name, value in arrays.items() if value.dtype.hasobject), None)
    if wrong is not None:
        raise StageFailedError(
            f"'{wrong}' in a fold's state is an array of Python objects; use numbers, or a list of texts."
        )
    arrays[_PLAIN] = np.frombuffer(plain.encode(), np.uint8)
    with files.atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote."""
    with np.load(path, allow_pickle=False) as content:
        state: dict[str, Any] = {name: content[name] for name in content.files if name != _PLAIN}
        state.update(json.loads(content[_PLAIN].tobytes()))
        return state


def add_up(states: Sequence[State]) -> dict[str, Any]:
    """Sum states name by name; a shorter array counts as filled up with zeros.

    Sums of integers are exact, so they do not depend on how rows were cut into shards, nor on the order.
    """
    total: dict[str, Any] = dict(states[0])
    for state in states[1:]:
        for name, value in state.items():
            total[name] = _sum(total[name], value) if name in total else value
    return total


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"it holds a {type(value).__name__}")


def _sum(one: Any, other: Any) -> Any:
    if not isinstance(one, np.ndarray) or one.shape == other.shape:
        return one + other
    long, short = (one, other) if len(one) >= len(other) else (other, one)
    filled = long.copy()
    filled[: len(short)] += short
    return filled
