"""`sensorium models list` and `sensorium apply`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from sensorium.cli import options, output
from sensorium.cli.commands import Command

models = typer.Typer(help="Released models at hand.", no_args_is_help=True, rich_markup_mode=None)


@models.callback()
def _models() -> None:
    """Released models at hand."""


@models.command(name="list", cls=Command, short_help="List the models that packages carry.")
def list_models(
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Check the hashes of what is installed.")] = True,
    json: options.AsJson = False,
) -> None:
    """List the models that plain packages carry, and whether they are here; any Hub name works as well."""
    from sensorium.models.hub import models_list

    rows = models_list(verify)
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["name", "installed", "verified", "provenance", "licence", "carrier", "what"])


def apply(
    model: Annotated[str, typer.Argument(help="A model folder, a pocket name, or owner/name of the Hub.")],
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders, text files, or pools.")],
    out: Annotated[Path, typer.Option(metavar=options.FOLDER, help="The folder for the results.")] = Path("applied"),
    does: Annotated[str, typer.Option(metavar="WHAT", help="What to do, where a model does several things.")] = "",
    take: Annotated[str, typer.Option(metavar="image|text", help="image or text, where the inputs hold both.")] = "",
    classes: Annotated[
        str, typer.Option(metavar="NAMES", help="Names to choose from: dog,cat or a file with one a line.")
    ] = "",
    template: Annotated[str, typer.Option(metavar="TEXT", help="How a class name becomes a text.")] = "{}",
    columns: Annotated[str, typer.Option(metavar="OURS=YOURS", help="Names in your files, as in text=caption.")] = "",
    online: Annotated[bool, typer.Option("--online", help="Fetch a released model when it is not here.")] = False,
    threads: options.Threads = 0,
    devices: options.Devices = -1,
    precision: options.Precision = "32",
    json: options.AsJson = False,
) -> None:
    """Use a model on your own files: embeddings, or the best of the class names you give."""
    from sensorium.core.recipe import read_value
    from sensorium.models.apply import Wish
    from sensorium.models.apply import apply as apply_model
    from sensorium.models.hub import parse_model
    from sensorium.models.inputs import Take, read_classes

    wish = Wish(
        does=does or None,
        take=read_value(Take, take, "--take") if take else None,
        classes=read_classes(classes),
        template=template,
        columns=read_value(dict[str, str], columns, "--columns"),
    )
    machine = options.machine(1, threads, devices, precision, False)
    chosen = dataclasses.replace(parse_model(model), online=online)
    _use_threads(machine.threads)
    done = apply_model(chosen, inputs, out, wish, machine=machine, progress=options.progress(json))
    if json:
        output.emit_json(dataclasses.asdict(done))
        return
    output.say(f"{done.does}: {done.rows_out} of {done.rows_in} rows in {done.path / 'rows'}")
    for reason, count in done.reasons.items():
        output.say(f"rejected {count}: {reason}")


def _use_threads(count: int) -> None:
    """Let this process compute with so many threads."""
    from sensorium.core.errors import need

    need("torch", "train", "using a model")
    import torch

    torch.set_num_threads(count)
