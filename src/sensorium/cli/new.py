"""`sensorium new recipe NAME`: a recipe file that runs."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from sensorium.cli import options, output
from sensorium.core.errors import SettingError, unknown

EXAMPLE = Path(__file__).with_name("example_recipe.py")
"""The file that is copied; it is a recipe itself."""


def new(
    what: Annotated[str, typer.Argument(help="What to make: recipe.")],
    name: Annotated[str, typer.Argument(help="Its name, like my_system.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    json: options.AsJson = False,
) -> None:
    """Write a recipe file that runs at once: a card, an own stage, an own curation step, a variant."""
    from sensorium.core import files

    if what != "recipe":
        raise unknown("thing to make", what, ["recipe"])
    path = Path(f"{check_name(name)}.py")
    if path.is_dir() or (path.exists() and not force):
        raise SettingError(f"{path} exists; choose another name, or say --force to replace it.")
    files.write_text(path, recipe_text(name))
    if json:
        output.emit_json({"path": str(path)})
        return
    output.say(f"wrote {path}; try: sensorium show ./{path}; sensorium run ./{path}")


def check_name(name: str) -> str:
    """The name, if it can be a recipe's: also a module's, since other files may import it.

    Raises:
        SettingError: it cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or keyword.iskeyword(name):
        raise SettingError(f"'{name}' is not a recipe name; use small letters, digits and underscores, like my_system.")
    return name


def recipe_text(name: str) -> str:
    """The example recipe under another name."""
    text = EXAMPLE.read_text("utf-8").replace("example_recipe", name)
    # Outside of this package, sensorium is a library like others, and imports are sorted with theirs.
    return text.replace("as pc\n\nfrom sensorium", "as pc\nfrom sensorium")
