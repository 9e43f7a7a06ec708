from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "lightning_fabric", "matplotlib", "jinja2")
LIGHT = ("numpy", "pyarrow", "PIL", "rich", "loky", "fsspec", "sensorium.api")
PROBE = """
import json, sys
from sensorium.__main__ import call
code = call(sys.argv[2:])
found = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
print("PROBE", json.dumps([code, found]), file=sys.stderr)
"""


def loaded(words, modules, folder):
    """Exit code of a command in a fresh process, and which of the modules it imported."""
    command = [sys.executable, "-c", PROBE, json.dumps(modules), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    return json.loads(done.stderr.split("PROBE ")[1])


@pytest.mark.parametrize(
    "words", [["list"], ["--help"], ["curate", "--help"], ["data", "list"], ["models", "list"]], ids=" ".join
)
def test_what_must_be_quick_imports_nothing_big(tmp_path, words):
    assert loaded(words, [*HEAVY, *LIGHT], tmp_path) == [0, []]


@pytest.mark.parametrize(
    "words",
    [
        ["show", "metaclip"],
        ["doctor"],
        ["data", "peek", "pool.jsonl"],
        ["curate", "pool.jsonl", "--concepts", "entries.txt", "--t", "1", "--out", "out", "--json"],
    ],
    ids=lambda words: words[0],
)
def test_work_on_data_needs_no_torch(tmp_path, words):
    (tmp_path / "pool.jsonl").write_text('{"id": "a", "text": "a dog"}\n{"id": "b", "text": "a cat"}\n')
    (tmp_path / "entries.txt").write_text("dog\n")
    assert loaded(words, ["torch", "transformers", "lightning_fabric"], tmp_path) == [0, []]


def test_recipes_are_listed_with_their_cards(sensorium):
    rows = sensorium("list", "--json").document
    assert {"recipe", "year", "room", "variants", "title"} == set(rows[0])
    ours = next(row for row in rows if row["recipe"] == "metaclip")
    assert (ours["year"], ours["room"], ours["title"]) == (2023, "curate", "Demystifying CLIP Data")
    assert ours["variants"].split()[0] == "mini"
    assert "metaclip" in sensorium("list").out


def test_planned_systems_are_fifty_with_those_that_are_here(sensorium):
    rows = sensorium("list", "--planned", "--json").document
    assert len({row["recipe"] for row in rows}) == len(rows) >= 50
    assert any(row["variants"] == "(planned)" for row in rows)


def test_a_broken_recipe_of_another_package_does_not_hide_the_others(sensorium, tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("PAPER = make_card()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = importlib.metadata.EntryPoint("stranger", "stranger", "sensorium.recipes")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    rows = {row["recipe"]: row for row in sensorium("list", "--json").document}
    assert "metaclip" in rows
    assert rows["stranger"]["title"].startswith("cannot be read: PAPER in stranger.py must be a literal")


def test_the_version_is_the_packages(sensorium):
    import sensorium as package

    assert sensorium("--version").out == f"sensorium {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lst"], "No such command 'lst'. Did you mean 'list'? See: sensorium --help."),
        (["data", "lst"], "No such command 'lst'. Did you mean 'list'? See: sensorium data --help."),
        (["list", "--plan"], "No such option: --plan"),
        (["list", "metaclip"], "Got unexpected extra argument(s) (metaclip); see: sensorium list --help."),
        (["show"], "Missing argument 'name'; see: sensorium show --help."),
    ],
)
def test_words_nobody_knows_are_one_sentence(sensorium, words, says):
    ran = sensorium(*words)
    assert ran.code == 2
    assert ran.error.startswith(says)
    assert ran.out == ""


@pytest.mark.parametrize("words", [[], ["data"], ["models"]])
def test_without_a_command_the_commands_are_shown(sensorium, words):
    ran = sensorium(*words)
    assert ran.code == 2
    assert ran.err.startswith(f"Usage: {' '.join(['sensorium', *words])} ")
