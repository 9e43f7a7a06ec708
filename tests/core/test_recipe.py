from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core import recipe
from sensorium.core.errors import InputError, SettingError, UserError
from sensorium.core.fingerprint import Fingerprints
from sensorium.core.recipe import Parser, find, read_value, recipes

RECIPE = '''
"""A recipe of the user's."""
from __future__ import annotations

from typing import Literal

from tests.core.toy_stages import Number, Sum
from sensorium.core import stage as words
from sensorium.core.stage import Stage

PAPER = {"title": "Sums", "year": 2026, "room": "curate"}


def mini(num_parts: int = 2, value: float | None = None, mode: Literal["all", "tail"] = "all") -> Stage:
    return Sum(of=tuple(Number(value=part) for part in range(num_parts)))


def needs(pool: str, seed: int = 0) -> "Stage":
    return Number(name=pool)


def full() -> words.Stage:
    return Number()


def wrong() -> Stage:
    return 3


def _part() -> Stage:
    return Number()


def not_a_variant(x: int) -> int:
    return x
'''


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A recipe file; what importing it left behind goes with the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    path = tmp_path / "my-recipe.py"
    path.write_text(RECIPE)
    yield path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text[-1] in ".?"
    return text


# One value


class Odd(Enum):
    ONE = 1


def read_pool(text: str) -> str:
    if text == "missing":
        raise InputError("there is no pool 'missing'.")
    return f"pool of {text}"


Pool = Annotated[str, Parser(read_pool, "a pool")]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "20_000", 20000),
        (int, "-5", -5),
        (int, "+7", 7),
        (float, "1e-3", 0.001),
        (float, "3", 3.0),
        (bool, "Yes", True),
        (bool, "off", False),
        (bool, "0", False),
        (str, "", ""),
        (str, "none", "none"),
        (Any, "5", "5"),
        (Path, "a/b c", Path("a/b c")),
        (int | None, "none", None),
        (int | None, "", None),
        (int | None, "3", 3),
        (str | None, "x", "x"),
        (int | str, "3", 3),
        (int | str, "x", "x"),
        (int | Literal["auto"], "auto", "auto"),
        (Literal["all", "tail"], "tail", "tail"),
        (Literal[1, 2], "2", 2),
        (tuple[str, ...], "a, b,,c ", ("a", "b", "c")),
        (tuple[int, ...], "1,2", (1, 2)),
        (tuple[str, ...], "", ()),
        (tuple[int, str], "3,x", (3, "x")),
        (tuple[Literal["a", "b"], ...], "b,a", ("b", "a")),
        (Mapping[str, str], "text=caption, image=jpg", {"text": "caption", "image": "jpg"}),
        (dict[str, int], "a=1", {"a": 1}),
        (Mapping[str, str], "a=b=c", {"a": "b=c"}),
        (Mapping[str, str], "", {}),
        (Pool, "web", "pool of web"),
        (Pool | None, "web", "pool of web"),
        (Pool | None, "none", None),
        (Annotated[int, "a note"], "3", 3),
    ],
)
def test_a_text_becomes_a_value_of_its_type(annotation, text, value):
    found = read_value(annotation, text, "--x")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "said"),
    [
        (int, "1e3", "--t takes a whole number, not '1e3'."),
        (int, "abc", "--t takes a whole number, not 'abc'."),
        (int, "", "--t takes a whole number, not ''."),
        (int, "1_", "--t takes a whole number, not '1_'."),
        (int, "9" * 5000, "--t takes a whole number, not '" + "9" * 80 + "'."),
        (float, "high", "--t takes a number, not 'high'."),
        (float, "nan", "--t takes a number, not 'nan'."),
        (float, "-inf", "--t takes a number, not '-inf'."),
        (bool, "maybe", "--t takes yes or no, not 'maybe'."),
        (
            Literal["all", "tail"],
            "tial",
            "unknown value for --t 'tial'; did you mean 'tail'? Known: all, tail.",
        ),
        (int | None, "x", "--t takes a whole number, not 'x'."),
        (int | Literal["auto"], "atuo", "--t takes a whole number or auto, not 'atuo'; did you mean 'auto'?"),
        (int | bool, "x", "--t takes a whole number or yes or no, not 'x'."),
        (
            int | tuple[int, ...],
            "x",
            "--t takes a whole number or several of these with commas: a whole number, not 'x'.",
        ),
        (tuple[int, ...], "1,x", "--t takes a whole number, not 'x'."),
        (tuple[int, int], "1,2,3", "--t takes 2 values with commas between them, not '1,2,3'."),
        (Mapping[str, int], "a", "--t takes pairs like text=caption,image=jpg, not 'a'."),
        (Mapping[str, int], "=1", "--t takes pairs like text=caption,image=jpg, not '=1'."),
        (Mapping[str, int], "a=x", "--t takes a whole number, not 'x'."),
        (Mapping[str, int], "a=1,a=2", "--t names 'a' twice; say it once."),
        (Odd, "ONE", "--t is a Odd, which cannot be given on the command line; set it from Python."),
        (Sequence, "1", "--t is a Sequence, which cannot be given on the command line; set it from Python."),
        (Odd | float, "x", "--t takes Odd or a number, not 'x'."),
    ],
)
def test_a_wrong_text_is_one_sentence(annotation, text, said):
    with pytest.raises(SettingError) as error:
        read_value(annotation, text, "--t")
    assert sentence(error) == said


def test_what_a_parser_says_is_not_covered_up():
    for annotation in (Pool, Pool | None, Pool | int):
        with pytest.raises(InputError, match="there is no pool 'missing'"):
            read_value(annotation, "missing", "--pool")


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_value_or_one_sentence(text):
    for annotation in (
        int,
        float,
        bool,
        Literal["a"],
        int | None,
        tuple[int, ...],
        Mapping[str, float],
        int | Literal["auto"],
    ):
        try:
            read_value(annotation, text, "--x")
        except SettingError:
            continue


@settings(deadline=None)
@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_from_their_text(whole, number):
    if abs(whole) < 10**30:
        assert read_value(int, str(whole), "--x") == whole
    assert read_value(float, repr(number), "--x") == number


# One recipe


def test_a_file_is_found_by_path_with_its_card_and_variants(file):
    found, variant = find(str(file))
    assert (found.name, found.origin, variant) == ("my-recipe", "path", "mini")
    assert found.paper() == {"title": "Sums", "year": 2026, "room": "curate"}
    assert found.variants() == ["mini", "needs", "full", "wrong"]
    assert find(f"{file}:full")[1] == "full"
    assert find(f"{file}:")[1] == "mini"


def test_a_path_may_hold_colons_brackets_and_blanks(file, tmp_path):
    odd = tmp_path / "a:b [c] d" / "my recipe.py"
    odd.parent.mkdir()
    odd.write_text(RECIPE)
    found, variant = find(f"{odd}:full")
    assert (found.file, variant) == (odd, "full")
    assert found.variant("full").build().gives == "number"


def test_a_missing_file_is_one_sentence():
    with pytest.raises(InputError, match=r"no recipe file ./absent.py; give the path") as error:
        find("./absent.py:mini")
    sentence(error)


def test_an_unknown_name_or_module_names_the_nearest(monkeypatch, tmp_path):
    (tmp_path / "metaclip.py").write_text(RECIPE)
    (tmp_path / "_hidden.py").write_text(RECIPE)
    monkeypatch.setattr(recipe, "FOLDER", tmp_path)
    assert [found.name for found in recipes() if found.origin == "package"] == ["metaclip"]
    assert find("metaclip:base")[0].target == "sensorium.recipes.metaclip"
    for wrong in ("metclip", "metaclop:full"):
        with pytest.raises(SettingError, match="did you mean 'metaclip'") as error:
            find(wrong)
        sentence(error)
    for wrong in ("no.such.module:mini", "..", "", "./x", "json..x", "os.path.nothing"):
        with pytest.raises(SettingError, match="unknown recipe"):
            find(wrong)


def test_a_module_is_found_without_importing_it_or_its_package(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    (package / "deep").mkdir(parents=True)
    for init in (package / "__init__.py", package / "deep" / "__init__.py"):
        init.write_text("raise ImportError('nobody may import this to look for a recipe')")
    (package / "deep" / "sums.py").write_text(RECIPE)
    monkeypatch.syspath_prepend(str(tmp_path))
    found, variant = find("my_package.deep.sums:full")
    assert (found.name, found.origin, found.file, variant) == (
        "sums",
        "module",
        package / "deep" / "sums.py",
        "full",
    )
    assert found.paper()["title"] == "Sums"
    assert "my_package" not in sys.modules


def test_listing_and_cards_import_no_recipe_and_nothing_heavy():
    script = textwrap.dedent(
        """
        import sys
        from sensorium.core.recipe import recipes
        for found in recipes():
            found.paper(), found.variants()
        heavy = {"torch", "numpy", "pyarrow"} & set(sys.modules)
        print([name for name in sys.modules if name.startswith("sensorium.recipes.")], heavy)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[] set()\n", done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", r"mine.py has no PAPER card; a recipe begins with PAPER = "),
        ("PAPER = make()\n", r"PAPER in mine.py must be a literal mapping"),
        ("PAPER = 3\n", r"PAPER in mine.py must be a literal mapping"),
        ("PAPER = 'title'\n", r"PAPER in mine.py must be a literal mapping"),
        ("def mini(:\n", r"mine.py is not a Python file that can be read: invalid syntax"),
        ("PAPER = {}\0", r"mine.py is not a Python file that can be read"),
    ],
)
def test_a_broken_recipe_file_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(SettingError, match=said) as error:
        find(str(path))[0].paper()
    sentence(error)


def test_a_card_may_be_annotated_and_a_file_may_begin_with_a_mark(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(b"\xef\xbb\xbfPAPER: dict[str, object] = {'title': '\xc3\xa4'}\n")
    assert find(str(path))[0].paper() == {"title": "ä"}


def test_an_unknown_variant_names_those_there_are(file):
    with pytest.raises(SettingError, match="unknown variant of my-recipe 'ful'; did you mean 'full'"):
        find(str(file))[0].variant("ful")


# One variant


def test_parameters_have_evaluated_annotations(file):
    parameters = find(str(file))[0].variant("mini").parameters()
    assert [parameter.annotation for parameter in parameters.values()] == [
        int,
        float | None,
        Literal["all", "tail"],
    ]
    assert parameters["num_parts"].default == 2


def test_options_become_arguments(file):
    variant = find(str(file))[0].variant("mini")
    assert variant.read_options({"num-parts": "3", "value": "none"}) == {"num_parts": 3, "value": None}
    assert len(variant.build(num_parts=3).inputs()) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"num-part": "3"},
            "my-recipe:mini has no option '--num-part'; did you mean '--num-parts'? "
            "It has: --num-parts, --value, --mode.",
        ),
        ({"xyz": "3"}, "my-recipe:mini has no option '--xyz'; It has: --num-parts, --value, --mode."),
        ({"num-parts": "3", "num_parts": "4"}, "--num_parts is given twice; say it once."),
        ({"mode": "tails"}, "unknown value for --mode 'tails'; did you mean 'tail'? Known: all, tail."),
        ({"value": "much"}, "--value takes a number, not 'much'."),
    ],
)
def test_wrong_options_are_one_sentence(file, options, said):
    with pytest.raises(SettingError) as error:
        find(str(file))[0].variant("mini").read_options(options)
    assert sentence(error) == said


@pytest.mark.parametrize(
    ("variant", "arguments", "said"),
    [
        ("mini", {"parts": 3}, "unknown parameter of my-recipe:mini 'parts'; did you mean 'num_parts'?"),
        ("needs", {}, "my-recipe:needs needs 'pool'; on the command line: --pool."),
        ("wrong", {}, "my-recipe:wrong returned int; a variant returns its last stage."),
    ],
)
def test_wrong_arguments_are_one_sentence(file, variant, arguments, said):
    with pytest.raises(UserError, match=re.escape(said)) as error:
        find(str(file))[0].variant(variant).build(**arguments)
    sentence(error)


def test_an_annotation_that_is_only_there_for_type_checkers_is_one_sentence(file):
    file.write_text(RECIPE + "\n\ndef late(pool: Missing = None) -> Stage:\n    return Number()\n")
    with pytest.raises(SettingError, match="annotates a parameter with 'Missing'") as error:
        find(str(file))[0].variant("late").parameters()
    sentence(error)


# Importing a file


def test_a_file_is_imported_once_and_again_when_it_changed(file):
    found = find(str(file))[0]
    first = found.module()
    assert found.module() is first
    assert first.__name__ == "sensorium_file_my_recipe"
    file.write_text(RECIPE.replace("num_parts: int = 2", "num_parts: int = 3"))
    assert len(found.variant("mini").build().inputs()) == 3
    assert not list(file.parent.glob("__pycache__"))


def test_two_files_of_one_name_do_not_answer_for_each_other(file, tmp_path):
    other = tmp_path / "other" / "my-recipe.py"
    other.parent.mkdir()
    other.write_text(RECIPE.replace("num_parts: int = 2", "num_parts: int = 5"))
    for _ in range(2):
        assert len(find(str(file))[0].variant("mini").build().inputs()) == 2
        assert len(find(str(other))[0].variant("mini").build().inputs()) == 5


def test_a_file_that_fails_to_import_leaves_nothing_behind(file):
    file.write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        find(str(file))[0].module()
    assert "sensorium_file_my_recipe" not in sys.modules


def test_a_recipe_may_import_a_file_beside_it_but_not_cover_a_library(file):
    (file.parent / "parts_beside_it.py").write_text("LEVEL = 7\n")
    (file.parent / "json.py").write_text("raise ImportError('the library json is meant')\n")
    file.write_text("import json\nfrom parts_beside_it import LEVEL\nassert json.dumps(LEVEL) == '7'\n")
    assert find(str(file))[0].module().LEVEL == 7


OWN = """
from sensorium.core.stage import stage

@stage
class Own(Number):
    pass

def own() -> Stage:
    return Own()
"""


def test_fingerprints_do_not_depend_on_where_the_file_lies(file, tmp_path):
    own = RECIPE + OWN
    prints = set()
    for folder in ("one", "two"):
        path = tmp_path / folder / "mine.py"
        path.parent.mkdir()
        path.write_text(own)
        last = find(str(path))[0].variant("own").build()
        found = Fingerprints(last)
        prints.add((found[last], found.lineage(last)))
    assert len(prints) == 1


# Entry points


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Pretends that a distribution with these entry points is installed."""

    def install(entries: str, name: str = "outside") -> Path:
        site = tmp_path / "site"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[sensorium.recipes]\n{entries}\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    return install


def test_recipes_of_installed_packages_are_found_by_name(installed):
    site = installed("sums = my_plugin.sums\nsame = my_plugin.sums:mini\nbroken = no_such_plugin.x")
    (site / "my_plugin").mkdir()
    (site / "my_plugin" / "__init__.py").write_text("raise ImportError('not for listing')")
    (site / "my_plugin" / "sums.py").write_text(RECIPE)
    found = {one.name: one for one in recipes() if one.origin == "entry point"}
    assert list(found) == ["same", "sums"]
    assert found["sums"].target == found["same"].target == "my_plugin.sums"
    assert find("sums:full")[0].paper()["title"] == "Sums"
    assert "my_plugin" not in sys.modules


def test_the_packages_own_recipe_and_the_first_of_two_plugins_win(installed, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "metaclip.py").write_text(RECIPE)
    monkeypatch.setattr(recipe, "FOLDER", own)
    site = installed("metaclip = plugin_a\nsums = plugin_a")
    installed("sums = plugin_b", name="zweite")
    for name in ("plugin_a", "plugin_b"):
        (site / f"{name}.py").write_text(RECIPE)
    names = [found.name for found in recipes()]
    assert sorted(names) == ["metaclip", "sums"]
    assert find("metaclip")[0].origin == "package"
