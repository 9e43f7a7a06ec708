"""sensorium: raw pools into models you can trust, with the number that proves it.

    import sensorium as sm
    sm.run("metaclip", pool=sm.open("my/*.parquet"), t=20_000)

Names are loaded when they are first used, so importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "load", "open", "run", "show"]

if TYPE_CHECKING:
    from sensorium.api import Result, load, open, run, show


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("sensorium.api"), name)
    raise AttributeError(f"module 'sensorium' has no attribute '{name}'; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
