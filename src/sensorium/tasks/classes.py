"""Class lists: what can be answered, how each class is called in which language, and how frequent it is.

The file form is `classes.json`, as the worlds write it beside their rows:

    {"classes": [{"label": 0, "names": {"en": ["dog face"], "de": ["Hundegesicht"]}, "rank": 1, "group":
    "head"}, ...]}

`label` (or `id`) is what the rows say. `rank` is the place by frequency in the pool that a model was trained
on, the most frequent class first; `group` sorts the classes for scores of their own. Both are optional, and
so are other keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError, listing
from sensorium.tasks.templates import Templates, fill, sentences

FILE = "classes.json"
ANY = "*"
"""The language of names given without one."""

Names = Literal["all", "first"]
"""Which names of a class make its prompts."""


@dataclass(frozen=True, kw_only=True)
class LabelClass:
    """One class.

    Args:
        id: the text by which labels name it.
        names: its names by language, the usual one first; `ANY` holds names without a language.
        rank: place by frequency, smaller is more frequent; None where nothing is known.
        group: the group it belongs to, if the list has groups.
    """

    id: str
    names: Mapping[str, tuple[str, ...]]
    rank: int | None = None
    group: str | None = None


@dataclass(frozen=True)
class ClassFile:
    """A `classes.json` as a value of a stage's field; it counts as a Source, known by its content."""

    path: str

    def identity(self) -> str:
        """The sha256 of the file."""
        self.read()
        return files.sha256_file(Path(self.path))

    def read(self) -> ClassList:
        """The classes.

        Raises:
            InputError: the file is missing or has another form.
        """
        return read_classes(Path(self.path))


class ClassList:
    """The classes of a task, in a fixed order; a class's number is its place.

    Args:
        classes: at least two, with different ids.

    Raises:
        InputError: fewer than two classes, an id twice, or a class without a name.
    """

    def __init__(self, classes: Iterable[LabelClass]) -> None:
        self.classes = tuple(classes)
        self.ids = [one.id for one in self.classes]
        self._number = {name: number for number, name in enumerate(self.ids)}
        if len(self.classes) < 2:
            raise InputError(f"a classification needs at least 2 classes, not {len(self.classes)}.")
        if len(self._number) < len(self.ids):
            twice = sorted({name for name in self.ids if self.ids.count(name) > 1})
            raise InputError(f"these class ids occur twice: {listing(twice)}.")
        nameless = [one.id for one in self.classes if not any(one.names.values())]
        if nameless:
            raise InputError(f"these classes have no name: {listing(nameless)}.")

    def __len__(self) -> int:
        return len(self.classes)

    def numbers(self, labels: pa.Array | pa.ChunkedArray | Sequence[Any]) -> np.ndarray:
        """Class numbers of labels, (N,) int64; -1 where a label is null, NaN or names no class.

        Args:
            labels: texts or whole numbers; class 7 is meant by 7 and by "7".
        """
        values = labels.to_pylist() if isinstance(labels, pa.Array | pa.ChunkedArray) else labels
        # NaN is no label, also where a class is called "nan".
        return np.array([self._number.get(_label(v), -1) if v == v else -1 for v in values], np.int64)

    def by_frequency(self) -> list[int]:
        """Class numbers, the most frequent first; equal ranks keep the order of the list.

        Raises:
            InputError: a class has no rank.
        """
        ranks = [one.rank for one in self.classes]
        if any(rank is None for rank in ranks):
            raise InputError(f"{ranks.count(None)} of {len(ranks)} classes have no rank, so none is most frequent.")
        return sorted(range(len(ranks)), key=lambda number: (ranks[number] or 0, number))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Class ids by the group that the list itself gives them, in the order of the list."""
        found: dict[str, list[str]] = {}
        for one in self.classes:
            if one.group:
                found.setdefault(one.group, []).append(one.id)
        return {group: tuple(ids) for group, ids in found.items()}

    def prompts(
        self, templates: Templates, languages: Sequence[str], names: Names = "all"
    ) -> tuple[list[str], np.ndarray]:
        """The names of all classes in all sentences, and the class number of each prompt.

        A prompt that a class would have twice (a name that is the same in two languages) is there once.

        Args:
            templates: see `tasks.templates`.
            languages: whose names to use; names without a language belong to each.
            names: "all", or only the "first" of each language.

        Returns:
            P texts in the order of the classes, and (P,) int64.

        Raises:
            SettingError: no language, or one in which a class has no name.
        """
        if isinstance(languages, str) or not languages:
            raise SettingError(f"languages are a list such as ('en',), not {languages!r}.")
        pairs = {language: sentences(templates, language) for language in dict.fromkeys(languages)}
        texts: list[str] = []
        owners: list[int] = []
        for number, one in enumerate(self.classes):
            found = {
                fill(template, name): None
                for language, templates_here in pairs.items()
                for name in self._names(one, language)[: 1 if names == "first" else None]
                for template in templates_here
            }
            texts += found
            owners += [number] * len(found)
        return texts, np.array(owners, np.int64)

    def _names(self, one: LabelClass, language: str) -> tuple[str, ...]:
        names = one.names.get(language, one.names.get(ANY, ()))
        if not names:
            absent = [other.id for other in self.classes if not other.names.get(language, other.names.get(ANY))]
            have = sorted({name for name, words in one.names.items() if words})
            raise SettingError(
                f"{len(absent)} of {len(self)} classes have no name in '{language}' ({listing(absent, 5)}); "
                f"class {one.id} has names in {listing(have)}."
            )
        return names


def read_classes(path: Path) -> ClassList:
    """The classes of a `classes.json`.

    Raises:
        InputError: the file is missing, is not JSON, or has another form.
    """
    try:
        content = files.read_json(path)
    except FileNotFoundError:
        raise InputError(f"there is no class list {path}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    entries = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f'{path} is no class list; it has the form {{"classes": [{{"label": 0, "names": ...}}]}}.')
    return ClassList(_entry(entry, path) for entry in entries)


def classes_from(names: Mapping[str, Any]) -> ClassList:
    """The classes of a mapping: label -> name, names, or names by language.

    Args:
        names: {"n01": "tench"}, {"n01": ("tench", "doctor fish")} or {"n01": {"en": "tench", "de":
            "Schleie"}}.
    """
    return ClassList(LabelClass(id=str(label), names=_names(value)) for label, value in names.items())


def classes_of_labels(labels: Iterable[Any]) -> ClassList:
    """The distinct labels as names, underscores read as blanks; sorted. For folders named by class.

    Labels that say nothing (null, NaN, blanks) make no class.
    """
    names = {_label(value): None for value in labels if not is_missing(value)}
    found = sorted((name, spoken) for name in names if (spoken := name.replace("_", " ").strip()))
    return ClassList(LabelClass(id=name, names={ANY: (spoken,)}) for name, spoken in found)


def is_missing(label: Any) -> bool:
    """Whether a row has no label: null, NaN (the null of other tools' tables), or blanks only."""
    return label is None or label != label or (isinstance(label, str) and not label.strip())


def _entry(entry: Any, path: Path) -> LabelClass:
    if not isinstance(entry, dict) or not ({"id", "label"} & entry.keys()) or "names" not in entry:
        raise InputError(f"{path} has an entry without label or names: {entry!r:.80}.")
    label = _label(entry["label"] if "label" in entry else entry["id"])
    rank, group = entry.get("rank"), entry.get("group")
    if rank is not None and (not isinstance(rank, int) or isinstance(rank, bool)):
        raise InputError(f"{path}: the rank of class {label} is {rank!r}; it is a whole number.")
    return LabelClass(id=label, names=_names(entry["names"]), rank=rank, group=str(group) if group else None)


def _names(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        value = {ANY: value}
    return {language: _distinct(names) for language, names in value.items()}


def _distinct(names: Any) -> tuple[str, ...]:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
        raise InputError(f"class names are texts, not {names!r:.80}.")
    return tuple(dict.fromkeys(name.strip() for name in listed if name.strip()))


def _label(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
