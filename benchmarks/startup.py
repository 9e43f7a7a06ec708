"""How long a command takes before it does anything, against an empty Python and against comparable tools.

A data tool that needs ten seconds for its help text is closed again. Each command runs in a process of its
own; rounds are interleaved and the median is compared, so that other work on the machine disturbs all alike.
Tools that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

OURS = {
    "list": ["-m", "sensorium", "list"],
    "help": ["-m", "sensorium", "--help"],
    "curate --help": ["-m", "sensorium", "curate", "--help"],
    "show metaclip": ["-m", "sensorium", "show", "metaclip"],
    "data list": ["-m", "sensorium", "data", "list"],
    "doctor": ["-m", "sensorium", "doctor"],
}
EMPTY = ["-c", "pass"]
# What a script of each tool imports before it can say what it does.
PEERS = {
    "datatrove": "import datatrove.executor, datatrove.pipeline.filters",
    "datasets": "import datasets",
    "nemo_curator": "import nemo_curator.pipeline",
    "open_clip": "import open_clip",
    "transformers": "from transformers import CLIPModel",
}


def seconds(arguments: list[str]) -> float:
    """Wall time of one Python process."""
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=quiet,
        timeout=300,
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    commands = {"python -c pass": EMPTY, **{f"sensorium {name}": words for name, words in OURS.items()}}
    for name, statement in PEERS.items():
        if importlib.util.find_spec(name):
            commands[f"{name}: {statement}"] = ["-c", statement]
    for words in commands.values():
        seconds(words)  # fills the disk's cache and writes bytecode
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, words in commands.items():
            times[name].append(seconds(words))
    median = {name: statistics.median(found) for name, found in times.items()}
    empty = median["python -c pass"]
    for name, value in median.items():
        print(f"{value:7.3f} s  {value / empty:6.1f} x  {name}")
    ratios = {f"{name} / python -c pass": round(value / empty, 2) for name, value in median.items()}
    figures = {f"{name} (s)": round(value, 4) for name, value in median.items()}
    print(json.dumps({"name": "startup", "ratios": ratios, "figures": figures}))


if __name__ == "__main__":
    main()
