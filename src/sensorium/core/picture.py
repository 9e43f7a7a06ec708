"""A graph as lines of text, without running it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sensorium.core.fingerprint import order
from sensorium.core.stage import Source, Stage, plain, sources_of


def rows(last: Stage) -> list[dict[str, Any]]:
    """One mapping per stage, inputs first: number, name, class, gives, consumes, sources, settings."""
    stages = order(last)
    number = {id(stage): position for position, stage in enumerate(stages, 1)}
    return [
        {
            "number": number[id(stage)],
            "name": stage.label(),
            "class": type(stage).__name__,
            "gives": stage.gives,
            "consumes": [number[id(inner)] for inner in stage.inputs()],
            "sources": [_source(source) for source in sources_of(stage)],
            "settings": _settings(stage),
        }
        for stage in stages
    ]


def picture(last: Stage) -> str:
    """The rows as lines: `3  balanced: Curate(t=30, ...)`, and below `1 + 2 -> pool`."""
    lines = []
    for row in rows(last):
        settings = ", ".join(f"{key}={value}" for key, value in row["settings"].items())
        stage = f"{row['number']:>3}  {row['name']}: {row['class']}({settings})"
        consumes = " + ".join(map(str, [*row["consumes"], *row["sources"]])) or "nothing"
        lines.append(f"{stage}\n     {consumes} -> {row['gives']}")
    return "\n".join(lines)


def _settings(stage: Stage) -> dict[str, Any]:
    """Settings that differ from the class's defaults, short; inputs are shown as numbers instead."""
    found = _changed(stage)
    return {name: _short(_words(value)) for name, value in found.items() if not _is_input(value)}


def _changed(owner: Any) -> dict[str, Any]:
    """The fields of a stage or config that differ from their defaults; the name is no setting."""
    found = {}
    for spec in dataclasses.fields(owner):
        value = getattr(owner, spec.name)
        default = spec.default if spec.default_factory is dataclasses.MISSING else spec.default_factory()
        if spec.name != "name" and value != default:
            found[spec.name] = value
    return found


def _words(value: Any, inside: bool = False) -> str:
    """A setting for people: configs and steps as `Class(changed=...)`, texts in containers in quotes."""
    if isinstance(value, Stage | type):
        return str(plain(value))
    if dataclasses.is_dataclass(value):
        changed = ", ".join(f"{name}={_words(inner, True)}" for name, inner in _changed(value).items())
        return f"{type(value).__name__}({changed})"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_words(inner, True) for inner in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_words(inner, True)}" for key, inner in value.items()) + "}"
    shown = plain(value)
    return repr(shown) if inside and isinstance(shown, str) else str(shown)


def _is_input(value: Any) -> bool:
    """Whether a value is only stages and sources; a mapping is not, since its keys say what they are for."""
    if isinstance(value, tuple | list):
        return bool(value) and all(map(_is_input, value))
    return isinstance(value, Stage | Source) and not isinstance(value, type)


def _source(source: Source) -> str:
    """A source for people: its own text, or its class."""
    shown = plain(source)
    return _short(shown if isinstance(shown, str) else str(source))


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
