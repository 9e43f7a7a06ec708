"""Where one process computes, and in which precision; without transformers, so that small models load quickly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from sensorium.core.errors import SettingError, unknown

_AUTOCAST = {"bf16": torch.bfloat16, "16": torch.float16}


def choose_device(devices: int = -1) -> torch.device:
    """The device of one computing process: the first accelerator unless `devices` is 0 or there is none.

    Several devices without an accelerator are processes on the processor, as in training.
    """
    if devices == 0 or not torch.accelerator.is_available():
        if devices == 1:
            raise SettingError("1 device was asked for, and this machine has no accelerator; use --devices 0.")
        return torch.device("cpu")
    return torch.device(torch.accelerator.current_accelerator().type)


def precision_context(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[Any]]:
    """Contexts to compute in: "32", or autocast to "bf16" or "16"; weights stay in 32 bits."""
    if precision not in ("32", *_AUTOCAST):
        raise unknown("precision", precision, ["32", *_AUTOCAST])
    dtype = _AUTOCAST.get(precision)
    return lambda: torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)
