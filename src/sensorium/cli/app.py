"""The commands. Each imports what it needs when it is called, so that `list` and help stay quick and free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sensorium.cli import options, output
from sensorium.cli.claim import claim
from sensorium.cli.commands import ClaimCommand, Command, RecipeCommand
from sensorium.cli.curate import curate
from sensorium.cli.data import data
from sensorium.cli.models import apply, models
from sensorium.cli.new import new
from sensorium.cli.run import run, show

app = typer.Typer(
    help="Raw pools of text, speech, sound, images and video into models you can trust, "
    "with the number that proves it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
# A recipe's own options are not known before the recipe is.
_FREE = {"allow_extra_args": True, "ignore_unknown_options": True}

app.command(cls=RecipeCommand, context_settings=_FREE, short_help="Run a recipe.")(run)
app.command(cls=RecipeCommand, context_settings=_FREE, short_help="Print a recipe's card, options and stages.")(show)
app.command(cls=ClaimCommand, context_settings=_FREE, short_help="Run a recipe's claim, or replay its verdict.")(claim)
app.command(cls=Command, short_help="Match a pool's texts against entries and balance.")(curate)
app.command(cls=Command, short_help="Use a model on your own files.")(apply)
app.command(cls=Command, name="new", short_help="Write a recipe file that runs.")(new)
app.add_typer(data, name="data")
app.add_typer(models, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        import sensorium

        output.say(f"sensorium {sensorium.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    pass  # both are handled before any command is


@app.command(name="list", cls=Command, short_help="List the recipes.")
def list_recipes(
    planned: Annotated[bool, typer.Option("--planned", help="Also the systems that are not built yet.")] = False,
    json: options.AsJson = False,
) -> None:
    """List the recipes: one published system each."""
    from sensorium.core.recipe import recipes

    rows = [_row(recipe) for recipe in recipes()]
    if planned:
        rows += _planned({row["recipe"] for row in rows})
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["recipe", "year", "room", "variants", "title"])


def _row(recipe: object) -> dict[str, object]:
    from sensorium.core.errors import UserError
    from sensorium.core.recipe import Recipe

    assert isinstance(recipe, Recipe), "recipes() gives recipes"
    try:
        paper, variants = recipe.paper(), " ".join(recipe.variants())
    except UserError as error:
        # A recipe of another package that cannot be read must not hide the others.
        paper, variants = {"title": f"cannot be read: {error}"}, ""
    return {
        "recipe": recipe.name,
        "year": paper.get("year"),
        "room": paper.get("room"),
        "variants": variants,
        "title": paper.get("title"),
    }


def _planned(known: set[object]) -> list[dict[str, object]]:
    from sensorium.recipes import _planned as table

    return [
        {"recipe": name, "year": year, "room": room, "variants": "(planned)", "title": title}
        for name, year, room, title in table.PLANNED
        if name not in known
    ]


@app.command(cls=Command, short_help="Say what this installation and machine can do.")
def doctor(
    out: Annotated[Path, typer.Option(help="The store to look at.")] = Path("runs"),
    json: options.AsJson = False,
) -> None:
    """Say what this installation and this machine can do, and what is missing."""
    from sensorium.cli.doctor import findings

    rows = findings(out)
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["what", "state", "note"])
