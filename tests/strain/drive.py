"""Runs a recipe file in a process of its own: drive.py FILE STORE JOBS WORKERS [option=value ...]."""

from __future__ import annotations

import sys
from pathlib import Path

from sensorium.core import fingerprint

# Whoever edits the package while this test runs must not start its stages over.
fingerprint.package_hash = lambda: "today"  # type: ignore[assignment]

from sensorium.api import carry_out  # noqa: E402
from sensorium.core.execute import Plan  # noqa: E402
from sensorium.core.recipe import find  # noqa: E402
from sensorium.core.store import Store  # noqa: E402
from sensorium.engine.machine import Machine  # noqa: E402
from sensorium.engine.progress import LineProgress  # noqa: E402

if __name__ == "__main__":
    file, store, jobs, workers, *options = sys.argv[1:]
    recipe, name = find(file)
    variant = recipe.variant(name)
    last = variant.build(**variant.read_options(dict(option.split("=", 1) for option in options)))
    plan = Plan((last,), Store(Path(store)), Machine(devices=0, workers=int(workers)))
    carry_out(plan, LineProgress(), int(jobs))
