"""The stage: one visit to one room, with declared inputs and a kind of result."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast, dataclass_transform, runtime_checkable

from sensorium.core.errors import SettingError

Kind = str
"""What a stage's folder holds: "pool", "vocabulary", "model", "features", "scores", "units", "page", ..."""

C = TypeVar("C", bound=type)

_WORDS = ("check", "describe", "gives", "inputs", "label", "run", "uses", "version")


def takes(*kinds: Kind, default: Any = dataclasses.MISSING) -> Any:
    """A stage field for stages giving one of these kinds, also in tuples, mappings, configs; or for sources.

    A source that has an attribute `gives` is held to it like a stage.
    """
    return dataclasses.field(metadata={"takes": kinds}, default=default)


def aside(default: Any) -> Any:
    """A stage field that is not part of its identity: it may change speed or looks, never a result."""
    return dataclasses.field(metadata={"identity": False}, default=default)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field, takes, aside))
def stage(cls: C) -> C:
    """Make a Stage class a frozen, keyword-only dataclass that is compared by identity.

    The equality and repr that `dataclass` writes walk the whole tree below; on a graph with shared inputs
    that is exponential, so stages have neither: compare fingerprints, print `describe`.
    """
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
    for spec in dataclasses.fields(made):
        if spec.name in _WORDS:
            raise TypeError(f"{cls.__name__}.{spec.name} would hide a word of Stage; give the field another name")
    return cast(C, made)


@runtime_checkable
class Source(Protocol):
    """Data that exists before any run: files, a catalogue entry, a released model. Known by its content."""

    def identity(self) -> Any:
        """A plain value (JSON types) that changes exactly when the content may have changed."""


class Task(Protocol):
    """One line of progress."""

    def advance(self, count: float = 1, **notes: Any) -> None:
        """Say that `count` more units are done; notes (loss=..., kept=...) are shown behind the bar."""


class Progress(Protocol):
    """Where progress is shown."""

    def task(self, title: str, total: float | None = None, unit: str = "items") -> AbstractContextManager[Task]:
        """Open a line; it closes with the block."""

    def say(self, sentence: str) -> None:
        """Print one sentence."""


class Buildable(Protocol):
    """A picklable recipe for a worker: built once per process, then called per item."""

    def build(self) -> Callable[[Any], Any]:
        """Load what is heavy and return the function that handles one item."""


class Runner(Protocol):
    """Where work happens: this machine's processes, or a cluster."""

    def map(self, worker: Buildable, items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of the items; each process builds the worker once."""

    def workers(self, worker: Buildable, count: int) -> AbstractContextManager[Any]:
        """Long-lived workers that each hold one built worker; `submit(item)` returns a future."""


class Machine(Protocol):
    """What the command line says about the machine; only `precision` is part of a result's identity."""

    @property
    def devices(self) -> int:
        """Accelerators: -1 all that are found, 0 none, n exactly n."""

    @property
    def precision(self) -> str:
        """The type of computing: "32", "bf16" or "16"."""

    @property
    def workers(self) -> int:
        """Processes for work on shards."""

    @property
    def threads(self) -> int:
        """Threads of one computing process."""

    @property
    def compile(self) -> bool:
        """Whether networks are compiled before training."""


class Here(Protocol):
    """What a running stage is given; see `core.execute.Workplace`."""

    @property
    def out(self) -> Path:
        """The folder of this stage's result."""

    @property
    def runner(self) -> Runner:
        """Where items are handled."""

    @property
    def machine(self) -> Machine:
        """How much of the machine may be used."""

    @property
    def progress(self) -> Progress:
        """Where progress is shown."""

    def path(self, stage: Stage) -> Path:
        """The finished folder of an input: a stage in this stage's own fields, not one further below."""

    def items(
        self, worker: Buildable, items: Mapping[str, Any], *, group: str = "items", title: str = ""
    ) -> dict[str, Any]:
        """Handle named items through the runner; an item whose marker exists is not handled again.

        Args:
            worker: handles one item and returns a JSON value; it may write files into `out`, atomically.
            items: name -> what the worker is given.
            group: one folder of markers per group: a stage with two rounds of items names two groups.
            title: for the progress bar.

        Returns:
            Name -> result, in the order of the items; as JSON gives it back, so a resumed run sees the same.
        """


@stage
class Stage(ABC):
    """One visit to one room. Its inputs are the stages in its fields, also in tuples, mappings and configs.

    A subclass is decorated with `@stage`, sets `gives`, declares inputs with `takes(...)`, implements `run`.
    `name` is for people and is no part of the identity; `version` is raised when results are meant to change.
    """

    name: str = ""
    version: ClassVar[int] = 1
    gives: ClassVar[Kind]
    uses: ClassVar[tuple[str, ...]] = ()
    """Machine settings that change results: stages that compute with tensors say ("precision",)."""

    def __post_init__(self) -> None:
        # A plain @dataclass would bring back an equality that walks the whole tree; see `stage`.
        decorated = "__dataclass_params__" in vars(type(self)) and type(self).__eq__ is object.__eq__
        if not decorated or not hasattr(type(self), "gives"):
            raise TypeError(f"{type(self).__name__} must be decorated with @stage and say what it gives")
        for spec in dataclasses.fields(self):
            if isinstance(mapping := getattr(self, spec.name), Mapping):
                # A copy in the order of the keys: order is no part of the identity, so it must not reach `run`.
                object.__setattr__(self, spec.name, {key: mapping[key] for key in sorted(mapping, key=str)})
            if "takes" in spec.metadata:
                self._check_wiring(spec.name, spec.metadata["takes"])
        self.check()

    def check(self) -> None:  # noqa: B027  (most stages have nothing to add)
        """Refuse settings that cannot work; called when the stage is built, long before it runs."""

    @abstractmethod
    def run(self, here: Here) -> Mapping[str, float]:
        """Do the work, write into `here.out`, return figures for done.json (examples, parameters, scores)."""

    def inputs(self) -> tuple[Stage, ...]:
        """The stages this one consumes directly, each once, in field order."""
        seen: dict[int, Stage] = {}
        for spec in dataclasses.fields(self):
            for found in stages_in(getattr(self, spec.name)):
                seen.setdefault(id(found), found)
        return tuple(seen.values())

    def label(self) -> str:
        """The name for people: `name`, or the class."""
        return self.name or type(self).__name__

    def describe(self) -> dict[str, Any]:
        """Own settings as plain values, inputs by label; for pages and `show`."""
        return {spec.name: plain(getattr(self, spec.name)) for spec in dataclasses.fields(self) if spec.name != "name"}

    def __repr__(self) -> str:
        return f"<{self.label()}: gives {self.gives}>"

    def _check_wiring(self, field: str, kinds: tuple[Kind, ...]) -> None:
        value = getattr(self, field)
        where, wanted = f"{type(self).__name__}.{field}", " or ".join(kinds)
        for leaf in () if value is None else _leaves(value):
            found = list(stages_in(leaf))
            for inner in found:
                if inner.gives not in kinds:
                    raise SettingError(f"{where} takes {wanted}, but {inner.label()} gives {inner.gives}.")
            if not found and (isinstance(leaf, type) or not isinstance(leaf, Source)):
                raise SettingError(f"{where} takes a stage that gives {wanted}, not {leaf!r:.80}.")
            if not found and (given := getattr(leaf, "gives", kinds[0])) not in kinds:
                raise SettingError(f"{where} takes {wanted}, but {type(leaf).__name__} gives {given}.")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | tuple | list):
        for inner in _parts(value):
            yield from _leaves(inner)
    else:
        yield value


def stages_in(value: Any) -> Iterator[Stage]:
    """The stages in a field value: itself, or inside tuples, lists, mappings and config dataclasses."""
    if isinstance(value, Stage):
        yield value
    else:
        for inner in _parts(value):
            yield from stages_in(inner)


def sources_of(stage: Stage) -> list[Source]:
    """The sources in the fields of a stage, each once; found where `stages_in` finds stages."""
    found: dict[int, Source] = {}
    values = [getattr(stage, spec.name) for spec in dataclasses.fields(stage)]
    while values:
        value = values.pop(0)
        if isinstance(value, Stage | type):
            continue
        if isinstance(value, Source):
            found.setdefault(id(value), value)
        else:
            values[:0] = _parts(value)
    return list(found.values())


def _parts(value: Any) -> Iterable[Any]:
    """What a container or a config dataclass holds."""
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, tuple | list):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, spec.name) for spec in dataclasses.fields(value)]
    return ()


def plain(value: Any) -> Any:
    """A value for people: stages and objects by name, containers as JSON containers."""
    if isinstance(value, Stage):
        return f"<{value.label()}>"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Source) and not isinstance(value, type) and hasattr(value, "label"):
        return f"{type(value).__name__}: {_tail(value.label())}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {spec.name: plain(getattr(value, spec.name)) for spec in dataclasses.fields(value)}
        return {"class": type(value).__name__, **inner}
    text = getattr(value, "__name__", None) or str(value)
    # The default text of an object holds its address, which differs in every run.
    return type(value).__name__ if " at 0x" in text else text


def _tail(label: str) -> str:
    """An absolute path by its last two parts: records say which data, and move with the store."""
    return "/".join(label.split("/")[-2:]) if label.startswith("/") else label
