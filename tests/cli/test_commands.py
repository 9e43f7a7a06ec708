from __future__ import annotations

import re

import pytest

COMMANDS = (
    ("run",), ("show",), ("claim",), ("curate",), ("apply",), ("new",), ("list",), ("doctor",),
    ("data", "list"), ("data", "show"), ("data", "get"), ("data", "peek"), ("models", "list"),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_every_command_explains_itself_and_takes_json(sensorium, command, asked):
    ran = sensorium(*command, asked)
    assert ran.code == 0
    assert ran.err == ""
    assert re.search(r"--json +Print one JSON document", ran.out)
    assert f"Usage: sensorium {' '.join(command)}" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert "`" not in ran.out, "help is read on a terminal, where a backquote is a letter"


@pytest.mark.parametrize("words", [("-h",), ("data", "-h"), ("models", "-h")])
def test_the_overview_has_whole_sentences(sensorium, words):
    ran = sensorium(*words)
    commands = ran.out.split("Commands:\n")[1].strip().splitlines()
    assert len(commands) >= 1
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)


@pytest.mark.parametrize(
    "words",
    [
        ("curate", "pool", "--out", "a", "--out", "b"),
        ("curate", "pool", "--out", "a", "--t", "2", "--t", "3"),
        ("run", "metaclip", "--workers", "1", "--workers", "2"),
        ("run", "metaclip", "--t", "1", "--t", "2"),
        ("show", "metaclip", "--t", "1", "--t=2"),
        ("claim", "metaclip", "--seeds", "1", "--seeds", "1"),
        ("apply", "model", "in", "--classes", "a", "--classes", "b"),
        ("data", "peek", "pool", "--rows", "1", "--rows", "2"),
        ("doctor", "--out", "a", "--out", "b"),
    ],
)
def test_an_option_given_twice_is_refused(sensorium, tmp_path, words):
    ran = sensorium(*words)
    assert ran.code == 2
    assert "is given twice" in ran.error
    assert not list(tmp_path.iterdir())


def test_flags_and_several_arguments_may_repeat(sensorium, pool):
    assert sensorium("data", "peek", pool, "--json", "--json").code == 0


def test_the_help_of_a_recipe_lists_its_own_options(sensorium, recipe):
    ran = sensorium("run", recipe, "--help")
    own = ran.out.split("Options of mine:mini:\n")[1]
    assert [line.split()[0] for line in own.splitlines() if line.startswith("  --")] == [
        "--pool",
        "--entries",
        "--words",
        "--t",
        "--seed",
    ]
    assert "captions with fewer words are dropped. [default: 4]" in " ".join(own.split())
    assert "[default:dog,cat,tree,boat,lamp,quokka]" in "".join(own.split())


def test_without_a_recipe_the_help_says_where_its_options_are(sensorium):
    assert "A recipe's own options: sensorium run NAME --help." in sensorium("run", "-h").out


def test_help_for_an_unknown_recipe_is_a_mistake(sensorium):
    ran = sensorium("run", "metclip", "-h")
    assert (ran.code, ran.error) == (2, "unknown recipe 'metclip'; did you mean 'metaclip'? Known: metaclip.")
