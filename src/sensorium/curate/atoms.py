"""Cutting text into atoms: words and single open characters, with the number of blanks around them.

Matching by substring in a normalised text (`match`) is the same as matching chains of atoms, which needs no
scan per entry and no automaton. All of it works on Arrow's bytes; no Python object is made per text.

Normalised text of the published systems: one blank in front and one behind; each of the seven marks , . ; : ?
! ` is replaced by blank-mark-blank; tab, LF and CR become a blank. Nothing else changes. Here nothing is
copied: a mark only adds one to the number of blanks on both its sides.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import unknown
from sensorium.curate.vocabulary import one_array, text_buffers

Semantics = Literal["published-v1", "published-v2", "strict"]
"""v1: whole words between blanks. v2: open characters (CJK, Thai, punctuation, ...) need no blank. strict: v2
with entries normalised like texts, NFC, and kana open."""

MARKS = ",.;:?!`"
BLANKS = " \t\n\r"
OPEN_MARKS = string.punctuation + "，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
OPEN_RANGES = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2EBEF), (0xF900, 0xFAFF),  # CJK
    (0x2E80, 0x2EFF), (0x2F00, 0x2FDF), (0x2FF0, 0x2FFF),  # radicals, description characters
    (0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF),  # Thai to Khmer
)  # fmt: skip
KANA_RANGES = ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF65, 0xFF9F), (0x1AFF0, 0x1B16F))
# What Python's str.strip() removes: Unicode white space. Spelled out because Arrow's own notion may change.
WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())

# Kinds of bytes; _REST: second and later bytes of an open character.
_WORD, _BLANK, _SINGLE, _REST = 0, 1, 2, 3


@dataclass(frozen=True)
class Rules:
    """How a semantics reads text: what is open, what is removed, whether entries are normalised."""

    marks_only: bool
    ranges: tuple[tuple[int, int], ...]
    strip: bool
    compose: bool
    normalise_entries: bool

    @classmethod
    def of(cls, semantics: str) -> Rules:
        """The rules of a semantics by name."""
        if semantics == "published-v1":
            return cls(marks_only=True, ranges=(), strip=False, compose=False, normalise_entries=False)
        if semantics == "published-v2":
            return cls(marks_only=False, ranges=OPEN_RANGES, strip=True, compose=False, normalise_entries=False)
        if semantics == "strict":
            both = OPEN_RANGES + KANA_RANGES
            return cls(marks_only=False, ranges=both, strip=True, compose=True, normalise_entries=True)
        raise unknown("semantics", str(semantics), get_args(Semantics))

    def is_open(self, character: str) -> bool:
        """Whether an entry may begin or end with this character inside a word."""
        if self.marks_only:
            return False
        return character in OPEN_MARKS or any(low <= ord(character) <= high for low, high in self.ranges)

    def prepare(self, texts: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
        """Texts as large_string without nulls (these become empty), stripped and composed by the rules."""
        array = pc.fill_null(one_array(texts).cast(pa.large_string()), "")
        if self.compose:
            array = pc.utf8_normalize(array, form="NFC")
        return pc.utf8_trim(array, characters=WHITE_SPACE) if self.strip else array


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of N texts, in order; K atoms in all.

    Args:
        first: (N + 1,) int64: text i owns the atoms first[i] to first[i + 1].
        begin, end: (K,) int64: byte positions in the texts' buffer.
        row: (K,) int64: the text of each atom.
        gap: (K,) int64: blanks in front in the normalised text, its outer blank included.
        tail: (K,) int64: blanks behind.
        open: (K,) bool: a single open character (always False under v1).
        mark: (K,) bool: one of the seven marks.
        words: (K,) large_string: the atoms' text.
    """

    first: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    row: np.ndarray
    gap: np.ndarray
    tail: np.ndarray
    open: np.ndarray
    mark: np.ndarray
    words: pa.LargeStringArray


def cut(texts: pa.LargeStringArray, rules: Rules, *, wrap: bool = True) -> Atoms:
    """Cut prepared texts into atoms.

    Args:
        texts: what `rules.prepare` returned (a slice is fine).
        rules: the semantics.
        wrap: count the blanks that normalisation puts around marks and texts; False for entries taken as they
            are, whose gaps are their own blanks only (and whose tabs and line ends are ordinary characters).
    """
    offsets, whole = text_buffers(texts)
    content, offsets = whole[offsets[0] : offsets[-1]], offsets - offsets[0]
    kind = _kinds(content, rules, blanks=BLANKS if wrap else " ")
    begin, end = _spans(kind, offsets)
    first = np.searchsorted(begin, offsets)
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(first))
    single = kind[begin] == _SINGLE
    mark = single & _table(MARKS)[content[begin]]
    extra = mark.astype(np.int64) if wrap else np.zeros(len(begin), np.int64)
    gap = begin - np.concatenate([[0], end[:-1]]) + extra
    gap[1:] += extra[:-1]
    tail = np.empty_like(gap)
    tail[:-1] = gap[1:]
    filled = np.flatnonzero(np.diff(first))
    heads, lasts = first[filled], first[filled + 1] - 1
    gap[heads] = begin[heads] - offsets[filled] + extra[heads] + wrap
    tail[lasts] = offsets[filled + 1] - end[lasts] + extra[lasts] + wrap
    return Atoms(
        first,
        begin,
        end,
        row,
        gap,
        tail,
        single & (not rules.marks_only),
        mark,
        _words(content, kind, begin, end),
    )


def _kinds(content: np.ndarray, rules: Rules, blanks: str) -> np.ndarray:
    """What each byte is: of a word, a blank, an open or mark character, the rest of one; (bytes,) uint8."""
    kind = np.zeros(256, np.uint8)
    kind[[ord(mark) for mark in (MARKS if rules.marks_only else string.punctuation)]] = _SINGLE
    kind[[ord(blank) for blank in blanks]] = _BLANK
    kinds: np.ndarray = kind[content]
    if rules.marks_only:
        return kinds
    lead = np.flatnonzero(content >= 0xC0)
    if len(lead):
        code, width = _decode(content, lead)
        is_open = _open_characters(rules)[code]
        lead, width = lead[is_open], width[is_open]
        kinds[lead] = _SINGLE
        for place in (1, 2, 3):
            kinds[lead[width > place] + place] = _REST
    return kinds


def _decode(content: np.ndarray, lead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code points and widths in bytes of the characters that start at `lead`; valid UTF-8 is assumed."""
    head: np.ndarray = content[lead].astype(np.int32)
    width = 2 + (head >= 0xE0) + (head >= 0xF0)
    code = head & (0x7F >> width)
    for place in (1, 2, 3):
        inside = width > place
        code[inside] = code[inside] << 6 | (content[lead[inside] + place] & 0x3F)
    return code, width


@lru_cache(maxsize=4)
def _open_characters(rules: Rules) -> np.ndarray:
    """(0x110000,) bool: the open characters by code point."""
    table = np.zeros(0x110000, bool)
    table[[ord(mark) for mark in OPEN_MARKS]] = True
    for low, high in rules.ranges:
        table[low : high + 1] = True
    return table


@lru_cache(maxsize=4)
def _table(characters: str) -> np.ndarray:
    table = np.zeros(256, bool)
    table[[ord(character) for character in characters]] = True
    return table


def _spans(kind: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end positions of all atoms; texts lie side by side, so a text's border also cuts."""
    border = np.zeros(len(kind) + 1, bool)
    border[offsets] = True
    if len(kind) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    word = kind == _WORD
    after_word = np.concatenate([[False], word[:-1]])
    begins = (kind == _SINGLE) | (word & (border[:-1] | ~after_word))
    cuts = np.concatenate([begins | (kind == _BLANK), [True]]) | border  # an atom that reaches here ends here
    ends = np.concatenate([[False], kind != _BLANK]) & cuts
    return np.flatnonzero(begins), np.flatnonzero(ends)


def _words(content: np.ndarray, kind: np.ndarray, begin: np.ndarray, end: np.ndarray) -> pa.LargeStringArray:
    """The atoms as one Arrow array: the bytes that are not blanks are exactly the atoms in order."""
    lengths = np.concatenate([[0], np.cumsum(end - begin)])
    packed = content[kind != _BLANK]
    return pa.LargeStringArray.from_buffers(len(begin), pa.py_buffer(lengths.astype(np.int64)), pa.py_buffer(packed))
