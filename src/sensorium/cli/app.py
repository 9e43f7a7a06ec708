"""The commands. Each imports what it needs when it is called, so that `list` and help stay quick and free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sensorium.cli import output
from sensorium.cli.claim import claim
from sensorium.cli.curate import curate
from sensorium.cli.data import data
from sensorium.cli.models import apply, models
from sensorium.cli.new import new
from sensorium.cli.run import run, show

app = typer.Typer(
    help="Raw pools of text, speech, sound, images and video into models you can trust, with the number that proves it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
_FREE = {"allow_extra_args": True, "ignore_unknown_options": True}

app.command(context_settings=_FREE)(run)
app.command(context_settings=_FREE)(show)
app.command(context_settings=_FREE)(claim)
app.command()(curate)
app.command()(apply)
app.command(name="new")(new)
app.add_typer(data, name="data")
app.add_typer(models, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        import sensorium

        output.say(f"sensorium {sensorium.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options before the command; `--debug` anywhere shows tracebacks."""


@app.command(name="list")
def list_recipes(
    planned: Annotated[bool, typer.Option("--planned", help="Also the systems that are not built yet.")] = False,
    json: AsJson = False,
) -> None:
    """List the recipes: one published system each."""
    from sensorium.core.recipe import recipes

    rows = []
    for recipe in recipes():
        paper = recipe.paper()
        rows.append(
            {
                "recipe": recipe.name,
                "year": paper.get("year"),
                "room": paper.get("room"),
                "variants": " ".join(recipe.variants()),
                "title": paper.get("title"),
            }
        )
    if planned:
        rows += _planned({row["recipe"] for row in rows})
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["recipe", "year", "room", "variants", "title"])


def _planned(known: set[str]) -> list[dict[str, object]]:
    from sensorium.recipes import _planned as table

    return [
        {"recipe": name, "year": year, "room": room, "variants": "(planned)", "title": title}
        for name, year, room, title in table.PLANNED
        if name not in known
    ]


@app.command()
def doctor(
    out: Annotated[Path, typer.Option(help="The store to look at.")] = Path("runs"), json: AsJson = False
) -> None:
    """Say what this installation and this machine can do, and what is missing."""
    from sensorium.cli.doctor import findings

    rows = findings(out)
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["what", "state", "note"])
