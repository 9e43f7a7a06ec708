from __future__ import annotations

import io
import json
import os
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.cli import output

TEXTS = st.text(max_size=60)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(print_it, *given):
    """The lines that something prints on a terminal of 40 columns."""
    with pytest.MonkeyPatch.context() as patch:
        screen = Terminal()
        patch.setattr(sys, "stdout", screen)
        patch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((40, 24)))
        print_it(*given)
    return screen.getvalue().removesuffix("\n").split("\n")


@given(TEXTS)
def test_nothing_that_is_printed_can_steer_a_terminal(text):
    shown = output.printable(text)
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    if text.isprintable():
        assert shown == text


def test_markup_and_escapes_are_letters(capsys):
    output.say("[red]dog[/red] \x1b[31mred\x07 [/items]")
    assert capsys.readouterr().out == "[red]dog[/red] \\x1b[31mred\\x07 [/items]\n"


def test_a_table_is_aligned_and_shows_values_for_people(capsys):
    rows = [{"name": "a", "here": True, "rows": 12345}, {"name": "longer", "rows": 0.123456}]
    output.table(rows, ["name", "here", "rows"])
    assert capsys.readouterr().out.splitlines() == [
        "name    here  rows",
        "a       yes   12,345",
        "longer  -     0.1235",
    ]


def test_an_empty_table_is_its_header(capsys):
    output.table([], ["name", "rows"])
    assert capsys.readouterr().out == "name  rows\n"


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=4))
def test_a_table_fits_a_terminal_whatever_is_in_it(cells):
    rows = [dict(zip("abc", line, strict=True)) for line in cells]
    lines = on_terminal(output.table, rows, ["a", "b", "c"])
    assert len(lines) == len(rows) + 1, "one line a row, also with line ends in the cells"
    assert max(map(len, lines)) <= 40


def test_the_widest_column_gives_way_first():
    lines = on_terminal(output.table, [{"short": "x" * 8, "long": "y" * 300}], ["short", "long"])
    assert lines[1] == "x" * 8 + "  " + "y" * 27 + "..."


def test_names_in_the_first_column_are_cut_last():
    row = {"name": "n" * 18, "what": "w" * 100, "more": "m" * 100}
    shown = on_terminal(output.table, [row], ["name", "what", "more"])[1].split()
    assert shown[0] == "n" * 18
    shown = on_terminal(output.table, [row | {"name": "n" * 100}], ["name", "what", "more"])[1].split()
    assert [len(cell) for cell in shown] == [20, 8, 8]


def test_long_texts_are_wrapped_and_indented():
    first, *others = on_terminal(output.paragraph, "word " * 20, "     ")
    assert len(first) <= 40
    assert all(line.startswith("     word") and len(line) <= 40 for line in others)


def test_settings_are_broken_behind_brackets():
    text = "  4  clip: Train(objective=Contrast(towers=Mini(pixels=Pixels(size=32, other=1))))"
    lines = on_terminal(output.paragraph, text, "     ")
    assert max(map(len, lines)) <= 40
    assert "".join(line.strip() for line in lines).replace(" ", "") == text.replace(" ", "")
    assert all(re.search(r"[(,]$|[)]$", line) for line in lines)


def test_definitions_stand_beside_their_terms_or_below_long_ones():
    pairs = [("--t", "texts " * 10), ("--a-very-long-option <several of these>", "what for")]
    lines = on_terminal(output.definitions, pairs)
    assert lines[0].startswith("  --t ")
    assert lines[1].startswith(" " * 34)
    assert lines[-2] == "  --a-very-long-option <several of these>"
    assert lines[-1].strip() == "what for"


def test_only_the_document_reaches_standard_output(capsys):
    with output.document_only():
        print("a library that talks")
        output.emit_json({"text": "käse \u2028 [x]", "path": os.fspath("a")})
    seen = capsys.readouterr()
    assert json.loads(seen.out) == {"text": "käse \u2028 [x]", "path": "a"}
    assert seen.out.isascii()
    assert seen.err == "a library that talks\n"
    assert output.real_stdout() is sys.stdout
