"""Why a text is kept or not: its matches, their counts, and its chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sensorium.core import files
from sensorium.core.errors import InputError
from sensorium.curate.atoms import Semantics
from sensorium.curate.balance import COUNTS as BALANCED
from sensorium.curate.balance import check_whole, entry_probability, keep_probability
from sensorium.curate.match import COUNTS as ENTRIES
from sensorium.curate.matcher import Matcher, Span
from sensorium.curate.vocabulary import Vocabulary, one_array
from sensorium.data.table_file import read_table


@dataclass(frozen=True)
class EntryFacts:
    """One matched entry: its texts in the pool, its own chance p, and where it stands in the text."""

    entry: str
    count: int
    p: float
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Explanation:
    """The matches of a text and the probability that it is kept."""

    text: str
    t: int
    entries: tuple[EntryFacts, ...]
    keep_probability: float

    def __str__(self) -> str:
        lines = [f"{self.text!r} is kept with P = {self.keep_probability:.4g} (t = {self.t:,})"]
        lines += [f"  {facts.entry!r}: in {facts.count:,} texts, p = {facts.p:.4g}" for facts in self.entries]
        return "\n".join(lines if self.entries else [*lines, "  no entry matches, so it is dropped"])


def explain(
    text: str,
    vocabulary: Vocabulary | Matcher,
    counts: Sequence[int] | np.ndarray,
    t: int,
    semantics: Semantics = "published-v1",
) -> Explanation:
    """Show how a text fares in balancing.

    Args:
        text: any text, of the pool or not.
        vocabulary: the entries, or a matcher that was built before (its semantics count then).
        counts: texts per entry, shape (num_entries,).
        t: the threshold.
        semantics: for a vocabulary.

    Raises:
        InputError: there is not one count for each entry.
    """
    matcher = vocabulary if isinstance(vocabulary, Matcher) else Matcher(vocabulary, semantics)
    number = np.asarray(counts, np.int64)
    if len(number) != len(matcher.vocabulary):
        raise InputError(f"{len(number)} counts were given for {len(matcher.vocabulary)} entries; give one for each.")
    check_whole("t", t, low=1)
    p = entry_probability(number, t)
    matches = matcher.match(pa.array([text], pa.large_string()))
    spans = matcher.spans(text)
    found = tuple(
        EntryFacts(
            matcher.vocabulary[one],
            int(number[one]),
            float(p[one]),
            tuple(span for span in spans if span.entry_id == one),
        )
        for one in matches[0].as_py()
    )
    return Explanation(text, t, found, float(keep_probability(matches, p)[0]))


def explain_in(text: str, pool: Path) -> Explanation:
    """The same with the vocabulary, counts and threshold of a finished curation.

    Args:
        text: any text.
        pool: the folder of a `Curate` stage with `Match` and `Balance`.

    Raises:
        InputError: the folder has no counts or no threshold.
    """
    if not (pool / BALANCED).exists() or not (pool / ENTRIES).exists():
        raise InputError(f"{pool} was not matched and balanced; explain takes the folder of such a curation.")
    steps = {step["step"]: step for step in files.read_json(pool / "card.json")["steps"]}
    vocabulary = Vocabulary.build([("counts", one_array(read_table(pool / ENTRIES)["entry"]))])
    counts = np.zeros(len(vocabulary), np.int64)
    known = read_table(pool / BALANCED)["texts"].to_numpy()
    counts[: len(known)] = known
    semantics: Semantics = steps["Match"]["semantics"]
    return explain(text, vocabulary, counts, steps["Balance"]["t"], semantics)
