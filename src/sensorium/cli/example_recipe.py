"""example_recipe: say here which system this is.

A recipe is a file with a PAPER card and variants: functions that build a graph of
stages and return the last one. It reads nothing and computes nothing itself.

    sensorium show ./example_recipe.py                 its stages, options and card
    sensorium run ./example_recipe.py --words 2        its page is written at the end
    sensorium run ./example_recipe.py --pool 'my/*.parquet' --t 100
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.stage import Here, Stage, stage
from sensorium.curate.balance import Balance
from sensorium.curate.curate import Curate
from sensorium.curate.match import Match
from sensorium.curate.metadata import Entries
from sensorium.curate.steps import DROPPED, reason_where, with_columns
from sensorium.data.chance import hash_ids, uniform
from sensorium.data.sources import Pool, write_shard

# The card is read without running this file, so it holds plain values only.
PAPER = {
    "title": "example_recipe",
    "year": 2026,
    "room": "curate",
    "says": "The one sentence this system stands for.",
    "needs": {"text": "a caption"},
}

THINGS = ("dog", "cat", "tree", "boat", "lamp", "quokka")


@stage
class Captions(Stage):
    """A small pool of captions: the first things are frequent, the last ones rare.

    A stage declares its settings, says what it `gives`, writes files into `here.out`
    and returns figures. It runs once: its result is found again by class and settings.
    """

    gives: ClassVar[str] = "pool"

    rows: int = 1000
    seed: int = 0

    def run(self, here: Here) -> Mapping[str, float]:
        """Write `rows/`, as every stage that gives a pool does."""
        ids = [f"caption-{row:06d}" for row in range(self.rows)]
        # Chance is a hash of the row's id, so a row is the same in any order and shard.
        draw = uniform(hash_ids(ids), self.seed, "thing")
        which = (draw**3 * len(THINGS)).astype(int)
        texts = [("a ", "my old ")[n % 2] + THINGS[n] + " outside" for n in which]
        table = pa.table({"id": ids, "text": texts})
        write_shard(here.out / "rows" / "captions.parquet", [table])
        return {"rows": self.rows}


@dataclass(frozen=True, kw_only=True)
class EnoughWords:
    """A curation step: drop captions of fewer than `words` words.

    A step says which columns it reads and adds, and returns the rows it was given; a
    row leaves by getting a reason in the column `dropped`.
    """

    words: int = 3

    columns: ClassVar[tuple[str, ...]] = ("text",)
    adds: ClassVar[tuple[str, ...]] = ()

    def __call__(self, table: pa.Table) -> pa.Table:
        """Judge some rows; they may come in pieces of any size."""
        count = pc.list_value_length(pc.utf8_split_whitespace(table["text"]))
        few = pc.fill_null(pc.less(count, self.words), True).to_numpy()
        return with_columns(table, {DROPPED: reason_where(few, "too few words")})


def mini(
    pool: Pool | None = None,
    entries: tuple[str, ...] = THINGS,
    words: int = 4,
    t: int = 50,
    seed: int = 0,
) -> Stage:
    """Filter, match and balance a pool; runs in a second.

    Args:
        pool: rows with a column `text`; without one, captions are made up.
        entries: what to look for in the texts.
        words: captions with fewer words are dropped.
        t: texts an entry keeps on average; more are thinned.
        seed: of the captions and the coins.
    """
    match = Match(vocabulary=Entries(name="entries", entries=entries))
    steps = (EnoughWords(words=words), match, Balance(t=t, seed=seed))
    rows = pool or Captions(name="captions", seed=seed)
    return Curate(name="curated", pool=rows, steps=steps)
