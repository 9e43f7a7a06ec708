from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest

from sensorium.cli.parameters import find_variant, parameters, read_arguments, read_options
from sensorium.core.errors import SettingError
from sensorium.core.recipe import Parser, Recipe, Variant

OWN = ("out", "workers", "threads", "fresh", "dry-run")
Wave = Annotated[str, Parser(lambda text: text, "a wave")]


def everything(
    needed: int,
    wave: Wave | None = None,
    kind: Literal["a", "b"] = "a",
    sizes: tuple[int, ...] = (1, 2),
    names: Mapping[str, str] | None = None,
    place: Path = Path("x/y"),
    flag: bool = False,
    rate: float = 0.5,
):
    """A sentence.

    With a colon: not an argument.

    Args:
        needed: how many.
        wave, kind: two at once,
            over two lines: with a colon.
        sizes: of things.

    Returns:
        nothing: at all.
    """


@pytest.fixture
def variant(tmp_path):
    recipe = Recipe(name="mine", origin="path", target="mine.py", file=tmp_path / "mine.py")
    return Variant(recipe=recipe, name="mini", function=everything)


def test_arguments_are_read_from_the_docstring():
    assert read_arguments(everything) == {
        "needed": "how many.",
        "wave": "two at once, over two lines: with a colon.",
        "kind": "two at once, over two lines: with a colon.",
        "sizes": "of things.",
    }


def test_no_docstring_no_arguments():
    assert read_arguments(lambda: None) == {}


def test_parameters_are_told_as_options(variant):
    found = {row.option: row for row in parameters(variant)}
    assert list(found) == [f"--{name}" for name in inspect.signature(everything).parameters]
    assert {option: row.takes for option, row in found.items()} == {
        "--needed": "a whole number",
        "--wave": "a wave",
        "--kind": "a or b",
        "--sizes": "several of these with commas: a whole number",
        "--names": "pairs like text=caption",
        "--place": "a path",
        "--flag": "yes or no",
        "--rate": "a number",
    }
    assert found["--needed"].text() == "how many. [required]"
    assert found["--wave"].text() == "two at once, over two lines: with a colon."
    assert found["--sizes"].text() == "of things. [default: 1,2]"
    assert found["--place"].text() == "[default: y]"
    assert found["--needed"].as_json() == {
        "takes": "a whole number",
        "default": None,
        "required": True,
        "about": "how many.",
    }


@pytest.mark.parametrize(
    ("given", "near"), [("worker", "workers"), ("fresch", "fresh"), ("dry_rum", "dry-run"), ("thread", "threads")]
)
def test_a_mistyped_option_of_the_command_is_named(variant, given, near):
    with pytest.raises(SettingError, match=f"there is no option '--{given}'; did you mean '--{near}'"):
        read_options(variant, {given: "2"}, OWN)


def test_a_mistyped_option_of_the_recipe_is_named(variant):
    with pytest.raises(SettingError, match="has no option '--needs'; did you mean '--needed'"):
        read_options(variant, {"needs": "2"})
    with pytest.raises(SettingError, match="has no option '--fresh'"):
        read_options(variant, {"fresh": "2"})
    assert read_options(variant, {"needed": "2", "sizes": "3,4"}, OWN) == {"needed": 2, "sizes": (3, 4)}


def test_options_before_the_recipe_are_one_sentence():
    with pytest.raises(SettingError, match="name the recipe first"):
        find_variant("--t")
