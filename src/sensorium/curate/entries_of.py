"""A vocabulary from anything that can list entries: a world, a table of yours, a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from sensorium.core.errors import SettingError
from sensorium.core.stage import Here, Stage, stage
from sensorium.curate.vocabulary import Vocabulary


@runtime_checkable
class EntrySource(Protocol):
    """A source of entries; read only when the stage runs."""

    def identity(self) -> Any:
        """A plain value that changes exactly when the entries may have changed."""

    def entries(self) -> Mapping[str, Sequence[str]]:
        """Entries by part (a language, a chapter), best first."""


@stage
class EntriesOf(Stage):
    """A vocabulary from a source of entries; equal ones are merged and counted.

    Args:
        source: has `identity()` and `entries()`, like `WebEntries`.
    """

    gives: ClassVar[str] = "vocabulary"

    source: EntrySource

    def check(self) -> None:
        """Refuse what cannot list entries."""
        if not isinstance(self.source, EntrySource):
            raise SettingError(f"EntriesOf.source is {self.source!r:.60}; it needs identity() and entries().")

    def run(self, here: Here) -> Mapping[str, float]:
        """Write the vocabulary."""
        vocabulary = Vocabulary.build([*self.source.entries().items()], self.label())
        vocabulary.save(here.out)
        return {
            "entries": len(vocabulary),
            **{key: value for key, value in vocabulary.facts.items() if isinstance(value, int)},
        }
