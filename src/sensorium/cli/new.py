"""`sensorium new recipe NAME`: a recipe file that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from sensorium.cli import output
from sensorium.core.errors import SettingError, unknown

_RECIPE = '''"""{name}: say here which system this is, and what it shows."""

from __future__ import annotations

from sensorium.core.stage import Stage
from sensorium.curate.balance import Balance
from sensorium.curate.curate import Curate
from sensorium.curate.match import Match
from sensorium.curate.metadata import Entries
from sensorium.data.sources import Pool, parse_pool

PAPER = {{
    "title": "{name}",
    "year": {year},
    "room": "curate",
    "says": "The sentence this recipe tests.",
    "needs": {{"text": "a caption"}},
}}


def mini(pool: Pool | None = None, entries: tuple[str, ...] = ("dog", "cat", "tree"), t: int = 2, seed: int = 0) -> Stage:
    """Match a pool against a few entries and balance it; replace this by the system's own wiring."""
    vocabulary = Entries(entries=entries)
    steps = (Match(vocabulary=vocabulary), Balance(t=t, seed=seed))
    return Curate(name="curated", pool=pool or parse_pool(str(EXAMPLE)), steps=steps)
'''


def new(
    what: Annotated[str, typer.Argument(help="What to make: recipe.")],
    name: Annotated[str, typer.Argument(help="Its name, like my_system.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a recipe file that runs."""
    from sensorium.cli.new_templates import RECIPE

    if what != "recipe":
        raise unknown("thing to make", what, ["recipe"])
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SettingError(f"'{name}' is not a recipe name; use small letters, digits and underscores, like my_system.")
    path = Path(f"{name}.py")
    if path.exists() and not force:
        raise SettingError(f"{path} exists; choose another name, or say --force to replace it.")
    path.write_text(RECIPE.replace("NAME", name), "utf-8")
    output.say(f"wrote {path}; try: sensorium run ./{path}")
