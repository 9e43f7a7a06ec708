"""What a curation step is. A step of your own is a frozen dataclass; nothing is registered.

    Step    sees rows piece by piece                 a filter, a label, a score
    Fold    measures all rows first, then applies    balancing, a subset of exact size
    Gather  sees all rows of one key together        duplicates, several texts of one image

All three return the rows they were given, with the columns they declare in `adds`; a row goes by getting a
reason in the column `dropped` (null = kept). Rows that are gone are not shown to later steps. A step sees
`id` and the columns it declares in `columns`, nothing else. Steps may hold stages in their fields: those
become inputs of the curation.

What a step may have besides:

    bound(here) -> step          on the driver, before the work: stages replaced by paths of their folders
    parts() -> steps             a step that stands for several
    needs_rows = True            a pool without rows is refused; without it, it passes as it is
    nothing_left(first) -> text  the sentence when all rows were dropped; `first` is the first row it saw
    tally(table) -> State        once more over all rows at the end, all columns and `dropped`; summed up
    publish(out, state, tally)   at the end, on the driver: write small files, return figures for the page
    card(state) -> mapping       what another person needs to get the same rows
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import InputError, SettingError, StageFailedError
from sensorium.core.stage import Here
from sensorium.curate.states import State
from sensorium.curate.vocabulary import one_array

DROPPED = "dropped"


@runtime_checkable
class Step(Protocol):
    """Rows piece by piece."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads, of the pool or of earlier steps; `id` is always there."""

    @property
    def adds(self) -> tuple[str, ...]:
        """Columns it adds, or replaces."""

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows with the added columns and, where rows go, `dropped`; pieces may be of any size."""


@runtime_checkable
class Fold(Protocol):
    """All rows are measured before any is judged. Integer states make the result exact on any sharding."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads, when measuring and when applying."""

    @property
    def adds(self) -> tuple[str, ...]:
        """Columns `apply` adds."""

    def measure(self, table: pa.Table) -> State:
        """The state of some rows."""

    def merge(self, states: Sequence[State]) -> State:
        """One state from several; any grouping and order give the same."""

    def finish(self, state: State) -> State:
        """Once, on the driver.

        With a method `then(state) -> Fold | None`, another fold measures all rows again and its finished
        state takes the place of this one, until `then` returns None.
        """

    def apply(self, state: State, table: pa.Table) -> pa.Table:
        """Like a step's call, with the finished state."""


@runtime_checkable
class Gather(Protocol):
    """Rows of equal key meet in one table, from whatever shard they are.

    A table holds many keys, and every row of each of them. Which keys share a table depends on the keys and
    on the number of rows only, the order of rows in it is the stored order of the pool.
    """

    @property
    def key(self) -> str:
        """The column whose equal values meet; rows with null there stay alone."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads, the key included."""

    @property
    def adds(self) -> tuple[str, ...]:
        """Columns it adds."""

    def gather(self, table: pa.Table) -> pa.Table:
        """Like a step's call."""


AnyStep: TypeAlias = Step | Fold | Gather
StepKind = Literal["step", "fold", "gather"]


def kind_of(step: Any) -> StepKind:
    """Which of the three a step is.

    Raises:
        SettingError: it is none, or not a frozen dataclass (only those have an identity that a result can be
            known by).
    """
    if inspect.isclass(step):
        raise SettingError(f"steps hold the class {step.__name__}; write {step.__name__}(...) with its settings.")
    name = type(step).__name__
    if not dataclasses.is_dataclass(step) or not getattr(type(step), "__dataclass_params__").frozen:  # noqa: B009
        raise SettingError(f"the step {name} is not a frozen dataclass; write @dataclass(frozen=True) above its class.")
    missing = [attribute for attribute in ("columns", "adds") if not isinstance(getattr(step, attribute, None), tuple)]
    if missing:
        raise SettingError(
            f"the step {name} does not say which columns it has as '{missing[0]}'; give a tuple of names."
        )
    if callable(getattr(step, "measure", None)):
        absent = [method for method in ("merge", "finish", "apply") if not callable(getattr(step, method, None))]
        if absent:
            raise SettingError(f"the step {name} measures but has no '{absent[0]}'; a Fold needs merge, finish, apply.")
        return "fold"
    if callable(getattr(step, "gather", None)):
        return "gather"
    if callable(step):
        return "step"
    raise SettingError(f"{name} is no step: it has neither __call__ (Step) nor measure (Fold) nor gather (Gather).")


def expand(steps: Sequence[Any]) -> Iterator[Any]:
    """Steps in order, each that stands for several replaced by its parts."""
    for step in steps:
        parts = step.parts() if callable(getattr(step, "parts", None)) else (step,)
        if len(parts) == 1 and parts[0] is step:
            yield step
        else:
            yield from expand(parts)


def bind(step: Any, here: Here) -> Any:
    """The step as it travels to the workers: without stages, with paths."""
    return step.bound(here) if callable(getattr(step, "bound", None)) else step


def checked(step: Any, given: pa.Table, returned: Any) -> pa.Table:
    """What a step returned, if it kept its promises.

    Raises:
        StageFailedError: rows were added, lost or reordered, or a declared column is missing.
    """
    name = describe(step)
    if not isinstance(returned, pa.Table):
        raise StageFailedError(f"the step {name} returned {type(returned).__name__}, not a pyarrow.Table.")
    if returned.num_rows != given.num_rows:
        raise StageFailedError(
            f"the step {name} was given {given.num_rows} rows and returned {returned.num_rows}; "
            f"a step returns the same rows and removes one by a reason in the column '{DROPPED}'."
        )
    if "id" not in returned.column_names or not returned["id"].equals(given["id"]):
        raise StageFailedError(f"the step {name} lost or changed the column 'id'; it must return it as it was given.")
    lost = [column for column in step.adds if column not in returned.column_names]
    if lost:
        raise StageFailedError(f"the step {name} says it adds the column '{lost[0]}' but did not return it.")
    return returned


def with_columns(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """The table with columns added, or replaced where the name is taken."""
    for name, values in columns.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def as_text(column: pa.ChunkedArray | pa.Array, name: str) -> pa.Array:
    """A column as texts, to find equal values by.

    Raises:
        InputError: its values are lists, structs or the like.
    """
    array = one_array(column)
    try:
        return array.cast(pa.string())
    except pa.ArrowException as error:
        raise InputError(f"column '{name}' is {array.type}; it must be text or numbers here.") from error


def reason_where(gone: np.ndarray, reason: str, others: pa.Array | None = None) -> pa.Array:
    """The column `dropped`: a reason where rows go, null or what `others` says elsewhere; (N,) string."""
    kept = pa.nulls(len(gone), pa.string()) if others is None else others
    return pc.if_else(pa.array(gone), pa.scalar(reason), kept)


def describe(step: Any) -> str:
    """A step's name for people: its class, or the class it stands for."""
    return str(getattr(step, "stands_for", type(step).__name__))
