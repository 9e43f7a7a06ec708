"""Which entries of a vocabulary a text holds, under the published or our own semantics.

The result of a text is the set of all entries found in it: nested and overlapping ones count, each once.
Substring matching of the published systems (see `atoms`) becomes: an entry is a chain of atoms with given
numbers of blanks between them, that starts after and ends before a demanded number of blanks.

    1. the words of a block of texts become integers: only distinct words are looked up, by hash, then bytes;
    2. chains advance level by level through a tree of the entries' prefixes, all positions of the block at
       once; a prefix is an exact integer, so no chance of a wrong match remains.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import InputError
from sensorium.curate.atoms import WHITE_SPACE, Atoms, Rules, Semantics, cut
from sensorium.curate.vocabulary import Vocabulary, one_array, text_buffers
from sensorium.data.chance import hash_ids

BLOCK_BYTES = 4 << 20  # texts handled at once; working memory is about 15 times this

_Hits = tuple[np.ndarray, np.ndarray, np.ndarray]  # first atom, last atom, entry id


@dataclass(frozen=True)
class Span:
    """One occurrence of an entry; `begin` and `end` count characters of the text as given."""

    entry: str
    entry_id: int
    begin: int
    end: int


class _Words:
    """The distinct words of a vocabulary, looked up by hash and confirmed by their bytes."""

    def __init__(self, words: pa.LargeStringArray) -> None:
        hashes = hash_ids(words)
        order = np.argsort(hashes, kind="stable")
        first = np.ones(len(order), bool)
        first[1:] = hashes[order[1:]] != hashes[order[:-1]]
        self._hashes, self._place = hashes[order[first]], order[first]
        self._words = words
        # Words that share their 64 bits with another one are practically never there; they get an exact
        # table.
        self._others = order[~first]
        self._other_words = words.take(pa.array(self._others))
        self._longest = pc.max(pc.binary_length(words)).as_py() or 0

    def codes(self, words: pa.LargeStringArray) -> np.ndarray:
        """The code of each word, -1 for words of no entry; shape (N,) int64."""
        encoded = words.dictionary_encode()
        distinct = encoded.dictionary
        code = np.full(len(distinct), -1, np.int64)
        # Longer words than any entry's are not hashed: a megabyte without a blank costs nothing.
        short = np.flatnonzero(pc.binary_length(distinct).to_numpy() <= self._longest)
        if len(short) and len(self._words):
            code[short] = self._lookup(distinct.take(pa.array(short)))
        return np.asarray(code[encoded.indices.to_numpy()])

    def _lookup(self, words: pa.LargeStringArray) -> np.ndarray:
        spot = np.searchsorted(self._hashes, hash_ids(words)).clip(max=len(self._hashes) - 1)
        candidate = self._place[spot]
        equal = pc.equal(words, self._words.take(pa.array(candidate))).to_numpy(zero_copy_only=False)
        code = np.where(equal, candidate, -1)
        if len(self._others):
            other = pc.index_in(words, value_set=self._other_words)
            found = other.is_valid().to_numpy(zero_copy_only=False)
            code[found] = self._others[other.filter(pa.array(found)).to_numpy()]
        return code


class Matcher:
    """A vocabulary made ready for matching; holds arrays only, safe to share between threads.

    Args:
        vocabulary: the entries; ids of the result are its positions.
        semantics: "published-v1", "published-v2" or "strict".
    """

    def __init__(self, vocabulary: Vocabulary, semantics: Semantics = "published-v1") -> None:
        self.rules = Rules.of(semantics)
        self.semantics = semantics
        self.vocabulary = vocabulary
        entries = vocabulary.entries
        if self.rules.normalise_entries:
            entries = self.rules.prepare(entries)
        atoms = cut(entries, self.rules, wrap=self.rules.normalise_entries)
        encoded = atoms.words.dictionary_encode()
        self._words = _Words(encoded.dictionary)
        self._plant(atoms, encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary))

    def _plant(self, atoms: Atoms, code: np.ndarray, num_words: int) -> None:
        """Number the prefixes of entries; `_levels[d]` maps (prefix of d + 1 atoms, next) to one more."""
        count = np.diff(atoms.first)
        inner = np.ones(len(code), bool)
        inner[atoms.first[:-1][count > 0]] = False
        # Numbers of blanks beyond any that entries have are alike: nothing continues over them.
        self._gaps = int(atoms.gap[inner].max(initial=0)) + 2
        self._num_words = num_words
        symbol = atoms.gap.clip(max=self._gaps - 1) * num_words + code
        entry = np.flatnonzero(count > 0)
        node = code[atoms.first[entry]]
        final = np.full(len(count), -1, np.int64)
        final[entry] = node
        self._levels: list[tuple[np.ndarray, int]] = []
        size = num_words
        parents: list[np.ndarray] = []
        for depth in range(1, int(count.max(initial=0))):
            longer = count[entry] > depth
            entry, node = entry[longer], node[longer]
            parents.append(node)
            keys, child = np.unique(self._key(node, symbol[atoms.first[entry] + depth]), return_inverse=True)
            self._levels.append((keys, size))
            node = child + size
            final[entry] = node
            size += len(keys)
        self._goes_on = np.zeros(size, bool)
        for found in parents:
            self._goes_on[found] = True
        self._edges(atoms, final, size)

    def _key(self, node: np.ndarray, symbol: np.ndarray) -> np.ndarray:
        return np.asarray(node * (self._gaps * self._num_words) + symbol)

    def _edges(self, atoms: Atoms, final: np.ndarray, size: int) -> None:
        """Which entries end at which prefix, and the blanks each demands on its two sides."""
        whole = np.flatnonzero(final >= 0)
        head, last = atoms.first[whole], atoms.first[whole + 1] - 1
        self._left, self._right = np.zeros(len(final), np.int64), np.zeros(len(final), np.int64)
        wrapped = 1 if self.rules.normalise_entries else 0
        # An entry taken as it is demands its own outer blanks and one more; a normalised one is judged
        # without them.
        own_left = 0 if wrapped else atoms.gap[head]
        own_right = 0 if wrapped else atoms.tail[last]
        self._left[whole] = np.where(atoms.open[head] & (own_left == 0), 0, own_left + 1)
        self._right[whole] = np.where(atoms.open[last] & (own_right == 0), 0, own_right + 1)
        self._ending = whole[np.argsort(final[whole], kind="stable")].astype(np.int32)
        count = np.bincount(final[whole], minlength=size)
        self._first_ending = np.concatenate([[0], np.cumsum(count)])
        # A word is of use at the start of a chain if an entry ends there or goes on from there.
        self._useful = (self._goes_on | (count > 0))[: self._num_words]

    def match(self, texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
        """The sorted set of entry ids of each text, list<int32>; null texts give an empty list.

        Args:
            texts: string, large_string or dictionary of them; slices and chunks are fine.
        """
        array = _texts(texts)
        counts, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
        for block in _blocks(array):
            row, entry = self._pairs(block)
            counts.append(np.bincount(row, minlength=len(block)))
            found.append(entry)
        ids = np.concatenate(found)
        if len(ids) >= 1 << 31:
            raise InputError(
                f"{len(array):,} texts hold {len(ids):,} matches, too many for one table; use smaller shards."
            )
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids, pa.int32()))

    def _pairs(self, block: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and entry ids of all matches, each pair once, sorted."""
        atoms = cut(self.rules.prepare(block), self.rules)
        size = max(1, len(self.vocabulary))
        keys = [atoms.row[start] * size + entry for start, _, entry in self._hits(atoms)]
        key = np.sort(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
        fresh = np.ones(len(key), bool)
        fresh[1:] = key[1:] != key[:-1]
        key = key[fresh]
        row = key // size
        return row, (key - row * size).astype(np.int32)

    def _hits(self, atoms: Atoms) -> Iterator[_Hits]:
        """All occurrences, level by level: the atoms they start and end at, and the entry."""
        code = self._words.codes(atoms.words)
        start = np.flatnonzero(code >= 0)
        start = start[self._useful[code[start]]]
        node, place = code[start], start
        beyond = atoms.first[1:]
        for depth in range(len(self._levels) + 1):
            yield self._ended(atoms, node, start, place)
            if depth == len(self._levels) or not len(start):
                return
            go = self._goes_on[node]
            start, node, place = start[go], node[go], place[go] + 1
            inside = place < beyond[atoms.row[start]]
            start, node, place = start[inside], node[inside], place[inside]
            known = code[place] >= 0
            start, node, place = start[known], node[known], place[known]
            symbol = atoms.gap[place].clip(max=self._gaps - 1) * self._num_words + code[place]
            keys, base = self._levels[depth]
            key = self._key(node, symbol)
            spot = np.searchsorted(keys, key).clip(max=len(keys) - 1)
            equal = keys[spot] == key
            start, node, place = start[equal], spot[equal] + base, place[equal]

    def _ended(self, atoms: Atoms, node: np.ndarray, start: np.ndarray, place: np.ndarray) -> _Hits:
        """The entries that end at these prefixes and have the blanks they demand."""
        first = self._first_ending[node]
        count = self._first_ending[node + 1] - first
        one = np.repeat(np.arange(len(node)), count)
        within = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
        entry = self._ending[first[one] + within].astype(np.int64)
        start, place = start[one], place[one]
        fits = (atoms.gap[start] >= self._left[entry]) & (atoms.tail[place] >= self._right[entry])
        return start[fits], place[fits], entry[fits]

    def spans(self, text: str) -> list[Span]:
        """Every occurrence of every entry in one text, by place; for explanations.

        Positions index the text as given: `text[span.begin : span.end]` is the entry, up to the blanks around
            marks
        and the composition of accents that "strict" changes.
        """
        prepared = self.rules.prepare(pa.array([text], pa.large_string()))
        atoms = cut(prepared, self.rules)
        content = text_buffers(prepared)[1]
        characters = np.concatenate([[0], np.cumsum((content & 0xC0) != 0x80)])  # before each byte
        places = np.array(_original_places(text, self.rules))
        found = []
        for start, place, entry in self._hits(atoms):
            begin, end = places[characters[atoms.begin[start]]], places[characters[atoms.end[place]]]
            for one, low, high in zip(entry.tolist(), begin.tolist(), end.tolist(), strict=True):
                found.append(Span(self.vocabulary[one], one, low, high))
        return sorted(found, key=lambda span: (span.begin, span.end, span.entry_id))


def _original_places(text: str, rules: Rules) -> list[int]:
    """For each character of the prepared text, and its end, the place in the text as given."""
    places = list(range(len(text)))
    composed = text
    if rules.compose and not unicodedata.is_normalized("NFC", text):
        composed, places = "", []
        begin = 0
        for end in range(1, len(text) + 1):
            piece = unicodedata.normalize("NFC", text[begin:end])
            if end < len(text) and unicodedata.normalize("NFC", text[begin : end + 1]) != piece + text[end]:
                continue  # the next character joins this one
            places += [min(begin + index, end - 1) for index in range(len(piece))]
            composed, begin = composed + piece, end
    if not rules.strip:
        return [*places, len(text)]
    lead = len(composed) - len(composed.lstrip(WHITE_SPACE))
    kept = len(composed.strip(WHITE_SPACE))
    return [*places, len(text)][lead : lead + kept + 1]


def _texts(texts: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    array = one_array(texts)
    if pa.types.is_null(array.type):
        array = array.cast(pa.large_string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not (
        pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    ):
        raise InputError(f"texts to match are {array.type}, not strings; name the column that holds text.")
    return array.cast(pa.large_string())


def _blocks(array: pa.LargeStringArray) -> Iterator[pa.LargeStringArray]:
    """Slices of about BLOCK_BYTES, at least one text each."""
    offsets = text_buffers(array)[0]
    start = 0
    while start < len(array):
        stop = int(np.searchsorted(offsets, offsets[start] + BLOCK_BYTES, side="right")) - 1
        stop = min(max(stop, start + 1), len(array))
        yield array.slice(start, stop - start)
        start = stop
