"""Fingerprints: a Merkle sha256 over class, version, own fields and the fingerprints of the inputs."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import inspect
import json
import math
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import sensorium
from sensorium.core.errors import SettingError
from sensorium.core.stage import Machine, Source, Stage


def order(*last: Stage) -> list[Stage]:
    """All stages below and including the given ones, inputs before users, each object once; no recursion."""
    finished: dict[int, Stage] = {}
    stack: list[tuple[Stage, bool]] = [(stage, False) for stage in reversed(last)]
    while stack:
        stage, leaving = stack.pop()
        if id(stage) in finished:
            continue
        if leaving:
            finished[id(stage)] = stage
            continue
        # A frozen stage can only hold stages that existed before it, so the graph has no cycle to look for.
        stack.append((stage, True))
        stack.extend((inner, False) for inner in reversed(stage.inputs()) if id(inner) not in finished)
    return list(finished.values())


class _Print(NamedTuple):
    digest: str
    code: str
    lineage: str


class Fingerprints:
    """The fingerprints of one graph, computed once per object; files are looked at anew for every instance.

    A fingerprint says what a result is. A lineage says which source made it: a hash of this package, of the
    files outside it that define a stage or what stands in its fields, and of the lineages of its inputs.
    """

    def __init__(self, *last: Stage, machine: Machine | None = None) -> None:
        self._machine = machine
        self._sources: dict[int, tuple[Source, Any]] = {}
        self._code: dict[str, Any] = {}
        self._contents: dict[str, str] = {}
        self._of: dict[int, _Print] = {}
        self.order = order(*last)
        for stage in self.order:
            self._code.clear()
            digest, code = self._digest(stage), self._hash_code()
            lineage = _join(code, [self.lineage(inner) for inner in stage.inputs()])
            self._of[id(stage)] = _Print(digest, code, lineage)

    def __getitem__(self, stage: Stage) -> str:
        return self._of[id(stage)].digest

    def __contains__(self, stage: Stage) -> bool:
        return id(stage) in self._of

    def __getstate__(self) -> dict[str, Any]:
        # Object ids do not survive pickling; positions in `order` do. `order` goes first: inputs stand before
        # users, so pickling a chain of thousands of stages never goes more than one stage deep.
        return {"order": self.order, "prints": [self._of[id(stage)] for stage in self.order]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.order = state["order"]
        self._of = {id(stage): found for stage, found in zip(self.order, state["prints"], strict=True)}

    def lineage(self, stage: Stage, below: Iterable[str] | None = None) -> str:
        """The source of a stage and of all it is made from.

        Args:
            stage: a stage of this graph.
            below: the lineages its inputs really have; without, those they would have if they were made now.
        """
        found = self._of[id(stage)]
        return found.lineage if below is None else _join(found.code, below)

    def _digest(self, stage: Stage) -> str:
        fields = {
            spec.name: self._encode(getattr(stage, spec.name), f"{type(stage).__name__}.{spec.name}")
            for spec in dataclasses.fields(stage)
            if spec.name != "name" and spec.metadata.get("identity", True)
        }
        machine = self._machine
        used = {setting: None if machine is None else getattr(machine, setting) for setting in stage.uses}
        name = self._met(type(stage))
        content = {"class": name, "version": stage.version, "fields": fields, "machine": used}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _encode(self, value: Any, where: str) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                raise SettingError(f"{where} is {value}, which is not a finite number.")
            return {"float": value.hex()}
        if isinstance(value, Stage):
            if value not in self:
                raise SettingError(
                    f"{where} hides the stage {value.label()} in a set or in an identity(); "
                    "inputs belong in fields, tuples, mappings or config dataclasses."
                )
            return {"stage": self[value]}
        if isinstance(value, Source) and not isinstance(value, type):
            return {"source": self._met(type(value)), "identity": self._identity(value, where)}
        if isinstance(value, bytes):
            return {"bytes": hashlib.sha256(value).hexdigest()}
        if isinstance(value, enum.Enum):
            return {"enum": self._met(type(value)), "value": value.name}
        return self._encode_container(value, where)

    def _encode_container(self, value: Any, where: str) -> Any:
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                raise SettingError(f"{where} has keys that are not text: {list(value)[:3]!r}.")
            return {"map": {key: self._encode(inner, f"{where}.{key}") for key, inner in value.items()}}
        if isinstance(value, tuple | list):
            return {"list": [self._encode(inner, where) for inner in value]}
        if isinstance(value, frozenset | set):
            return {"set": sorted(json.dumps(self._encode(inner, where), sort_keys=True) for inner in value)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            inner = {
                spec.name: self._encode(getattr(value, spec.name), f"{where}.{spec.name}")
                for spec in dataclasses.fields(value)
                if spec.metadata.get("identity", True)
            }
            name = self._met(type(value))
            return {"config": name, "version": getattr(value, "version", 1), "fields": inner}
        if inspect.isclass(value) or inspect.isfunction(value):
            if "<locals>" in value.__qualname__ or "<lambda>" in value.__qualname__:
                raise SettingError(
                    f"{where} is {value.__qualname__}; a function in a stage must be defined at the top of a module."
                )
            return {"code": self._met(value), "source": _source_of(value)}
        raise SettingError(
            f"{where} holds a {type(value).__name__}, which has no fingerprint; "
            "use plain values, dataclasses, or an object with identity()."
        )

    def _identity(self, source: Source, where: str) -> Any:
        if id(source) not in self._sources:
            self._sources[id(source)] = (source, self._encode(source.identity(), where))
        return self._sources[id(source)][1]

    def _met(self, code: Any) -> str:
        """The name of a class or function; it is remembered with the classes it builds on."""
        for base in getattr(code, "__mro__", (code,)):
            if not _is_known(base.__module__):
                self._code[class_name(base)] = base
        return class_name(code)

    def _hash_code(self) -> str:
        contents = set()
        for name, code in self._code.items():
            if name not in self._contents:
                self._contents[name] = _written(code)
            contents.add(self._contents[name])
        return " ".join(sorted(contents))


def class_name(code: Any) -> str:
    """Module and name of a class or function; a file loaded by path counts by its stem, never by its path."""
    return f"{code.__module__}.{code.__qualname__}"


def _source_of(value: Any) -> str:
    try:
        return hashlib.sha256(inspect.getsource(value).encode()).hexdigest()
    except (OSError, TypeError):
        return ""


def _join(code: str, below: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([package_hash(), code, *below]).encode()).hexdigest()


def _is_known(module: str) -> bool:
    return module.startswith("sensorium.") or module.partition(".")[0] in sys.stdlib_module_names


def _written(code: Any) -> str:
    """A hash of where a class or function is written: its file or, in a notebook, its own functions."""
    file = getattr(sys.modules.get(code.__module__), "__file__", None)
    if file and Path(file).is_file():
        return hashlib.sha256(code.__module__.encode() + b"\0" + Path(file).read_bytes()).hexdigest()
    parts = vars(code).values() if inspect.isclass(code) else [code]
    sources = [_source_of(part) for part in parts if inspect.isfunction(part)]
    return hashlib.sha256("\n".join([class_name(code), *sources]).encode()).hexdigest()


@lru_cache(maxsize=1)
def package_hash() -> str:
    """A hash of the source files of this package, as they were when first asked for."""
    root = Path(sensorium.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
