"""What a page is made of: plain data; how it looks lies in the templates, and all text is escaped there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NewType

from sensorium.core.claim import Verdict
from sensorium.core.errors import SettingError
from sensorium.report.text import number

Svg = NewType("Svg", str)
"""Markup of a drawing made by `report/plots.py`, the only text that enters a page unescaped."""

_DATA = re.compile(r"data:(image/(png|jpeg|webp)|audio/wav);base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A user's text with its language, shown in its own direction."""

    content: str
    lang: str = ""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One large number of the headline."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A verdict with its words."""

    verdict: Verdict | Literal["none"]
    words: str


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The top of a page: what this is, what it says, the verdict, a few large numbers."""

    title: str
    eyebrow: str = ""
    says: str = ""
    chip: Chip | None = None
    tiles: tuple[Tile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prose:
    """A paragraph; `quiet` is for remarks."""

    content: str
    quiet: bool = False
    template: ClassVar[str] = "prose"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names and values, two columns."""

    rows: tuple[tuple[str, str], ...]
    title: str = ""
    template: ClassVar[str] = "facts"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a flow of rows."""

    label: str
    count: int
    kind: Literal["kept", "dropped", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Where the rows of one stage went: in = kept + dropped (by reason) + rejected."""

    label: str
    total: int
    parts: tuple[Part, ...]
    template: ClassVar[str] = "flow"

    def balanced(self) -> bool:
        """Whether the parts sum to the rows that went in; a page says so when they do not."""
        return sum(part.count for part in self.parts) == self.total


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing with the sentence that says how to read it."""

    svg: Svg
    title: str
    caption: str = ""
    template: ClassVar[str] = "figure"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row of a pool: picture, sound or only caption; `why` stands where a medium could not be shown."""

    caption: Text
    image: str = ""
    audio: str = ""
    note: str = ""
    why: str = ""
    pixels: int = 0

    def __post_init__(self) -> None:
        for value in (self.image, self.audio):
            if value and not _DATA.fullmatch(value):
                raise SettingError("media of a page are data URIs; a page loads nothing from elsewhere.")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A grid of samples."""

    items: tuple[Sample, ...]
    title: str = ""
    caption: str = ""
    template: ClassVar[str] = "samples"

    @property
    def form(self) -> str:
        """How the grid looks: by its richest medium."""
        if any(item.image for item in self.items):
            return "images"
        return "sounds" if any(item.audio for item in self.items) else "texts"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table; numbers are aligned and sorted as numbers."""

    title: str
    kind: Literal["text", "number"] = "text"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell: what is shown, and what it is sorted by where that differs."""

    content: str
    sort: float | str | None = None
    lang: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that sorts by any column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    caption: str = ""
    template: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise SettingError(f"every row of table '{self.title}' needs {len(self.columns)} cells.")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of `Bars`; `before` is drawn behind it where given."""

    label: str
    value: float
    before: float | None = None
    lang: str = ""


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Labelled horizontal bars, drawn without a plot library."""

    items: tuple[Bar, ...]
    title: str = ""
    caption: str = ""
    template: ClassVar[str] = "bars"

    @property
    def largest(self) -> float:
        """The value that fills the width."""
        return max((max(item.value, item.before or 0) for item in self.items), default=0) or 1


@dataclass(frozen=True, kw_only=True)
class Command:
    """Lines for a shell."""

    lines: tuple[str, ...]
    title: str = ""
    template: ClassVar[str] = "command"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A stage in the picture of a graph; x and y count columns and rows."""

    label: str
    what: str
    note: str
    state: Literal["made", "kept", "missing"]
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The picture of a graph of stages; edges are pairs of node numbers."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    title: str = "Stages"
    template: ClassVar[str] = "graph"

    @property
    def width(self) -> float:
        """Columns."""
        return max(node.x for node in self.nodes) + 1

    @property
    def height(self) -> float:
        """Rows."""
        return max(node.y for node in self.nodes) + 1


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """An expectation or control with its verdict and figures."""

    says: str
    chip: Chip
    figures: str
    template: ClassVar[str] = "ruling"


Block = Prose | Facts | Flow | Figure | Samples | Table | Bars | Command | Graph | Ruling


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page with a heading."""

    title: str
    blocks: tuple[Block, ...]
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Whose material a page shows."""

    content: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What the stages of one kind add to a page."""

    tiles: tuple[Tile, ...] = ()
    sections: tuple[Section, ...] = ()
    attributions: tuple[Attribution, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page.

    Args:
        headline: its top; the title is also the document's.
        sections: its parts, in order; each gets an entry in the contents.
        attributions: whose material is shown, for the footer.
        footer: small print: versions, hashes.
    """

    headline: Headline
    sections: tuple[Section, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    footer: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def cell(value: Any, **given: Any) -> Cell:
    """A cell from a number or a text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(content=number(value), sort=float(value), **given)
    return Cell(content="–" if value is None else str(value), **given)
