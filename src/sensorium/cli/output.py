"""What the commands print: text letter by letter (no markup), tables, or JSON with `--json`."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

_PLAIN_WIDTH = 100  # where no terminal says how wide it is
_documents: list[TextIO] = []
"""With `--json`: the real standard output, on top."""


@contextlib.contextmanager
def document_only() -> Iterator[None]:
    """Keep standard output for `emit_json`; whatever else is printed meanwhile goes to standard error."""
    _documents.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _documents.pop()


def real_stdout() -> TextIO:
    """Standard output, also while it is kept for a document."""
    return _documents[-1] if _documents else sys.stdout


def emit_json(value: Any) -> None:
    """One JSON document on standard output."""
    stream = real_stdout()
    stream.write(json.dumps(value, indent=1, ensure_ascii=True, default=str) + "\n")
    stream.flush()


def printable(text: str) -> str:
    """The text with control characters escaped: a caption or file name must not steer somebody's terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def say(text: str = "") -> None:
    """A line of text, printed as it is, without markup."""
    print(printable(text))


def width() -> int:
    """Columns of the terminal, or of a page where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


class _Wrapper(textwrap.TextWrapper):
    """Breaks at blanks and behind an opening bracket, so that `Train(pool=...` is not cut within a word."""

    wordsep_simple_re = re.compile(r"([\t\n\x0b\x0c\r ]+|(?<=\())")


def paragraph(text: str, indent: str = "") -> None:
    """Text wrapped to the terminal; following lines are indented."""
    wrapper = _Wrapper(width=max(24, width()), subsequent_indent=indent, break_on_hyphens=False)
    say("\n".join(wrapper.wrap(text)))


def definitions(pairs: Iterable[tuple[str, str]]) -> None:
    """Terms with their explanations beside them, wrapped to the terminal."""
    listed = list(pairs)
    column = min(30, max((len(term) for term, _ in listed), default=0)) + 4
    for term, text in listed:
        # A term too long for its column has a line of its own.
        first = f"  {term}".ljust(column) if len(term) + 2 < column else f"  {term}\n{' ' * column}"
        room = max(24, width() - column)
        lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        say((first + f"\n{' ' * column}".join(lines)).rstrip())


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """An aligned table; on a terminal the widest columns are cut until it fits, the first, a name, as the last.

    Plain print instead of a rich table: file names with brackets stay as they are, and `list` needs no import.
    """
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max([len(column), *(len(line[number]) for line in cells)]) for number, column in enumerate(columns)]
    if sys.stdout.isatty():
        widths = _fitted(widths, [len(column) for column in columns], width() - 2 * (len(columns) - 1))
    for line in [list(columns), *cells]:
        shown = [_cut(text, room).ljust(room) for text, room in zip(line, widths, strict=True)]
        print("  ".join(shown).rstrip())


def _fitted(widths: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit into `room`, taken from the widest columns; none gets narrower than its title or 8."""
    widths = list(widths)
    floors = [min(wide, max(name, 8)) for wide, name in zip(widths, least, strict=True)]
    # People copy what stands in the first column into the next command.
    for places in (range(1, len(widths)), range(len(widths))):
        while sum(widths) > room and (spare := [place for place in places if widths[place] > floors[place]]):
            widths[max(spare, key=lambda place: widths[place])] -= 1
    return widths


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return printable(str(value).replace("\n", "\\n"))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
