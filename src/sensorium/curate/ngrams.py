"""Frequent words and word pairs of a corpus as vocabulary entries; counts are exact on any sharding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.stage import Here, Stage, stage, takes
from sensorium.curate.atoms import OPEN_MARKS, Rules, cut
from sensorium.curate.balance import check_whole
from sensorium.curate.vocabulary import Vocabulary, one_array
from sensorium.data.shards import Shard, need_columns
from sensorium.data.sources import Pool, open_pool
from sensorium.data.table_file import read_table, write_table

_RULES = Rules.of("published-v2")


@stage
class NGrams(Stage):
    """Words by count, then pairs of neighbours by pointwise mutual information, best first.

        PMI(a, b) = log2( c(ab) N / (c(a) c(b)) ),  N = number of all words

    Words are cut at blanks, and every open character (CJK, Thai, ...) is a word of its own; a pair that
    stands without a blank is joined without one. Punctuation is no word and breaks pairs. Case is kept.

    PMI cannot exceed log2(N): with fewer than 1.07e9 words the published threshold of 30 gives no pair at
    all. So `pmi_min` is off by default and the best pairs are taken by `top_k`.

    Args:
        pool: the corpus.
        min_count: least count of a word; published 100.
        top_k: most pairs; None for all above `pmi_min`. 0: words only.
        pmi_min: least PMI of a pair; published 30, None for no limit.
        pair_min_count: least count of a pair; rare pairs have the highest PMI and mean the least.
        words: False leaves the words out (a cap in a `Union` then counts pairs only).
        column: the text column.
    """

    gives: ClassVar[str] = "vocabulary"

    pool: Pool = takes("pool")
    min_count: int = 100
    top_k: int | None = 100_000
    pmi_min: float | None = None
    pair_min_count: int = 5
    words: bool = True
    column: str = "text"

    def check(self) -> None:
        """Refuse settings that cannot work."""
        for name, low in (("min_count", 1), ("top_k", 0), ("pair_min_count", 1)):
            check_whole(f"NGrams.{name}", getattr(self, name), low)
        if not self.words and self.top_k == 0:
            raise SettingError("NGrams has neither words nor pairs to give; set words=True, or top_k to 1 or more.")
        if self.pmi_min is not None and not math.isfinite(self.pmi_min):
            raise SettingError(f"NGrams.pmi_min is {self.pmi_min}; it must be a finite number, or None.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Count per shard, add up, choose."""
        shards = open_pool(self.pool, here)
        need_columns(shards, [self.column])
        work = here.out / "work"
        worker = _Count(self.column, work, pairs=self.top_k != 0)
        here.items(
            worker,
            {shard.name: shard for shard in shards},
            group="work/done",
            title=f"{self.label()}: counting words",
        )
        names = [files.safe_name(shard.name) for shard in shards]
        words = _total([work / f"{name}.words.parquet" for name in names], ["word"])
        total = pc.sum(words["count"]).as_py() or 0
        frequent = words.filter(pc.greater_equal(words["count"], self.min_count))
        parts = [("words", _ranked(frequent["word"], frequent["count"]))] if self.words else []
        if self.top_k != 0:
            pairs = _total([work / f"{name}.pairs.parquet" for name in names], ["first", "second", "apart"])
            parts.append(("pairs", self._pairs(words, pairs, total)))
        what = f"{self.label()} (words of at least {self.min_count} occurrences among {total:,})"
        vocabulary = Vocabulary.build(parts, what)
        vocabulary.save(here.out)
        files.remove(work)
        return {
            "entries": len(vocabulary),
            "words": sum(vocabulary.origin == 0) * self.words,
            "corpus_words": total,
        }

    def _pairs(self, words: pa.Table, pairs: pa.Table, total: int) -> pa.Array:
        if self.pmi_min is not None and total and self.pmi_min > math.log2(total):
            raise InputError(
                f"NGrams.pmi_min is {self.pmi_min}, but PMI cannot exceed log2 of all {total:,} words, "
                f"{math.log2(total):.1f}; give a smaller one, or None with top_k."
            )
        pairs = pairs.filter(pc.greater_equal(pairs["count"], self.pair_min_count))
        count = {name: _counts_of(pairs[name], words) for name in ("first", "second")}
        pmi = np.log2(pairs["count"].to_numpy() * float(total) / (count["first"] * count["second"].astype(np.float64)))
        text = _joined(pairs)
        if self.pmi_min is not None:
            high = pmi >= self.pmi_min
            text, pmi = text.filter(pa.array(high)), pmi[high]
        ranked = _ranked(text, pa.array(pmi))
        return ranked if self.top_k is None else ranked.slice(0, self.top_k)


@dataclass(frozen=True)
class _Count:
    """Counts words and pairs of one shard into two Parquet files."""

    column: str
    out: Path
    pairs: bool

    def build(self) -> Callable[[Shard], int]:
        return self.handle

    def handle(self, shard: Shard) -> int:
        words, pairs, rows = [], [], 0
        for piece in shard.pieces([self.column]):
            found, beside = count_piece(piece.table[self.column], self.pairs)
            words.append(found)
            pairs.append(beside)
            rows += piece.table.num_rows
            if len(words) >= 16:
                words, pairs = [_grouped(words, ["word"])], [_grouped(pairs, ["first", "second", "apart"])]
        name = files.safe_name(shard.name)
        write_table(self.out / f"{name}.words.parquet", _grouped(words, ["word"]))
        write_table(self.out / f"{name}.pairs.parquet", _grouped(pairs, ["first", "second", "apart"]))
        return rows


def count_piece(texts: pa.ChunkedArray | pa.Array, pairs: bool = True) -> tuple[pa.Table, pa.Table]:
    """Words with counts, and pairs of neighbours with counts; `apart`: blanks stand between them."""
    atoms = cut(_RULES.prepare(texts), _RULES)
    words = atoms.words
    is_word = ~pc.is_in(words, value_set=pa.array(list(OPEN_MARKS), pa.large_string())).to_numpy(zero_copy_only=False)
    counted = pa.table({"word": words.filter(pa.array(is_word))}).group_by("word").aggregate([([], "count_all")])
    first = (
        np.flatnonzero(is_word[:-1] & is_word[1:] & (atoms.row[:-1] == atoms.row[1:]))
        if pairs
        else np.zeros(0, np.int64)
    )
    columns = {
        "first": words.take(pa.array(first)),
        "second": words.take(pa.array(first + 1)),
        "apart": pa.array(atoms.gap[first + 1] > 0),
    }
    beside = pa.table(columns).group_by(["first", "second", "apart"]).aggregate([([], "count_all")])
    return counted.rename_columns({"count_all": "count"}), beside.rename_columns({"count_all": "count"})


def _grouped(tables: Sequence[pa.Table], keys: list[str]) -> pa.Table:
    summed = pa.concat_tables(tables).group_by(keys).aggregate([("count", "sum")])
    return (
        summed.rename_columns({"count_sum": "count"})
        .select([*keys, "count"])
        .sort_by([(key, "ascending") for key in keys])
    )


def _total(paths: Sequence[Path], keys: list[str]) -> pa.Table:
    total: pa.Table | None = None
    for path in paths:
        table = read_table(path)
        total = _grouped([table] if total is None else [total, table], keys)
    assert total is not None, "a pool has a shard"
    return total


def _counts_of(column: pa.ChunkedArray, words: pa.Table) -> np.ndarray:
    place = pc.index_in(column, value_set=one_array(words["word"]))
    return np.asarray(words["count"].take(place).to_numpy(), np.int64)


def _joined(pairs: pa.Table) -> pa.Array:
    blank = pc.if_else(pairs["apart"], pa.scalar(" ", pa.large_string()), pa.scalar("", pa.large_string()))
    return one_array(
        pc.binary_join_element_wise(pairs["first"], blank, pairs["second"], pa.scalar("", pa.large_string()))
    )


def _ranked(texts: Any, scores: Any) -> pa.Array:
    """Texts by descending score, equal scores by their bytes, so that the order is the same everywhere."""
    table = pa.table({"text": one_array(texts), "score": one_array(scores)})
    return one_array(table.sort_by([("score", "descending"), ("text", "ascending")])["text"])
