"""What the commands print: text letter by letter (no markup), tables, or JSON with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def emit_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=True, default=str)
    print()


def say(text: str = "") -> None:
    """A line of text, printed as it is."""
    print(text)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, wide: str | None = None) -> None:
    """An aligned table; the last column (or `wide`) is cut to the width of the terminal.

    Plain print instead of a rich table: file names with brackets stay as they are, and `list` needs no import.
    """
    import shutil

    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max([len(column), *(len(line[number]) for line in cells)]) for number, column in enumerate(columns)]
    room = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 10_000
    stretch = columns.index(wide) if wide else len(columns) - 1
    widths[stretch] = max(12, min(widths[stretch], room - sum(widths) + widths[stretch] - 2 * (len(columns) - 1)))
    print("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for line in cells:
        shown = [_cut(cell, width).ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(shown).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    # Control characters in a caption or a file name must not move the cursor of somebody's terminal.
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(value))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
