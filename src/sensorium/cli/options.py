"""Options several commands share, and the reading of a recipe's own options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from sensorium.core.errors import SettingError, unknown

if TYPE_CHECKING:
    from sensorium.core.stage import Progress
    from sensorium.engine.machine import Machine

Out = Annotated[Path, typer.Option(help="The store: a folder shared by all runs.")]
Workers = Annotated[int, typer.Option(help="Processes for work on shards; 0 means all cores.")]
Threads = Annotated[int, typer.Option(help="Threads of one computing process; 0 means all cores.")]
Devices = Annotated[int, typer.Option(help="Accelerators: -1 all found, 0 none, n exactly n.")]
Precision = Annotated[str, typer.Option(help="32, bf16 or 16; part of a result's identity.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile networks before training.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run every stage again, also finished ones.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def machine(workers: int, threads: int, devices: int, precision: str, compile: bool) -> Machine:
    """The Machine of the options."""
    from sensorium.engine.machine import PRECISIONS, this_machine

    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    chosen = cast(Literal["32", "bf16", "16"], precision)
    return this_machine(
        workers=workers or None, threads=threads or None, devices=devices, precision=chosen, compile=compile
    )


def progress(json: bool) -> Progress:
    """Bars or lines on standard error; nothing with --json."""
    from sensorium.engine.progress import QuietProgress, for_terminal

    return QuietProgress() if json else for_terminal()


def pairs(words: list[str]) -> dict[str, str]:
    """`--pool X --t=30` as a mapping; a stray word, a missing value or an option given twice is refused."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise SettingError(f"'{word}' is neither an option nor the value of one; options look like --t 20000.")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                raise SettingError(f"--{name} needs a value, like --{name} VALUE.")
            value = rest.pop(0)
        if name in found:
            raise SettingError(f"--{name} is given twice: '{found[name]}' and '{value}'; say it once.")
        found[name] = value
    return found
