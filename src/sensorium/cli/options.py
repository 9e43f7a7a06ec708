"""Options several commands share, and the reading of a recipe's own options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from sensorium.core.errors import SettingError, unknown

if TYPE_CHECKING:
    from sensorium.core.stage import Progress, Stage
    from sensorium.engine.machine import Machine

NUMBER, FOLDER, TEXT = "NUMBER", "FOLDER", "TEXT"

Out = Annotated[Path, typer.Option(metavar=FOLDER, help="The store: a folder shared by all runs.")]
Workers = Annotated[int, typer.Option(metavar=NUMBER, help="Processes for work on shards; 0 means all cores.")]
Threads = Annotated[int, typer.Option(metavar=NUMBER, help="Threads of one computing process; 0 means all cores.")]
Devices = Annotated[int, typer.Option(metavar=NUMBER, help="Accelerators: -1 all found, 0 none, n exactly n.")]
Precision = Annotated[
    str, typer.Option(metavar="32|bf16|16", help="The type of computing; part of a result's identity.")
]
Compile = Annotated[bool, typer.Option("--compile", help="Compile networks before training.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run every stage again, also finished ones.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def machine(workers: int, threads: int, devices: int, precision: str, compile: bool) -> Machine:
    """The Machine of the options; 0 workers or threads means all cores."""
    from sensorium.engine.machine import PRECISIONS, this_machine

    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    for option, count in (("--workers", workers), ("--threads", threads)):
        if count < 0:
            raise SettingError(f"{option} is {count}; it is a count, or 0 for all cores.")
    if devices < -1:
        raise SettingError(f"--devices is {devices}; it is -1 (all found), 0 (none) or a count.")
    chosen = cast(Literal["32", "bf16", "16"], precision)
    return this_machine(
        workers=workers or None, threads=threads or None, devices=devices, precision=chosen, compile=compile
    )


def refuse_unused(name: str, last: Stage, *, threads: int, devices: int, precision: str, compile: bool) -> None:
    """Refuse what is said about computing where no stage computes with tensors (`Stage.uses` says which do).

    Raises:
        SettingError: such an option was given; `--devices 0` holds for every graph and is taken.
    """
    from sensorium.core.fingerprint import order

    stages = order(last)
    computing = [stage for stage in stages if stage.uses]
    given = {"--threads": threads > 0, "--devices": devices > 0, "--precision": precision != "32"}
    wrong = [option for option, said in given.items() if said and not computing]
    if compile and not any(stage.gives == "model" for stage in computing):
        wrong.append("--compile")
    if wrong:
        what = "trains a network" if computing else "computes with tensors"
        raise SettingError(f"{wrong[0]} has no effect: no stage of {name} {what}; leave it out.")


def progress(json: bool) -> Progress:
    """Bars or lines on standard error; nothing with --json."""
    from sensorium.engine.progress import QuietProgress, for_terminal

    return QuietProgress() if json else for_terminal()


def own(context: typer.Context) -> list[str]:
    """The options of the command itself, without dashes."""
    names = [name for parameter in context.command.params for name in parameter.opts]
    return [name[2:] for name in names if name.startswith("--")]


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
