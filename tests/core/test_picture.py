from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.core.toy_stages import Anything, Number, Sum, Text

from sensorium.core.picture import picture, rows
from sensorium.core.stage import Stage, stage


@dataclass(frozen=True)
class Explosive:
    """A source that must not be looked at."""

    path: str

    def identity(self) -> Any:
        raise AssertionError("a picture reads nothing")


@stage
class Untouched(Stage):
    gives: ClassVar[str] = "pool"
    pool: Any = None
    t: int = 20

    def run(self, here):
        raise AssertionError("a picture runs nothing")


def test_rows_number_the_stages_with_inputs_first():
    seven, eight = Number(name="seven", value=7), Number(value=8)
    found = rows(Sum(name="total", of=(seven, eight), weights={"seven": 0.5}))
    assert found == [
        {
            "number": 1,
            "name": "seven",
            "class": "Number",
            "gives": "number",
            "consumes": [],
            "sources": [],
            "settings": {"value": "7"},
        },
        {
            "number": 2,
            "name": "Number",
            "class": "Number",
            "gives": "number",
            "consumes": [],
            "sources": [],
            "settings": {"value": "8"},
        },
        {
            "number": 3,
            "name": "total",
            "class": "Sum",
            "gives": "number",
            "consumes": [1, 2],
            "sources": [],
            "settings": {"weights": "{'seven': 0.5}"},
        },
    ]
    json.dumps(found)


def test_a_picture_shows_what_each_stage_consumes_and_gives():
    last = Sum(name="total", of=(Number(name="seven", value=7), Number()))
    assert picture(last).splitlines() == [
        "  1  seven: Number(value=7)",
        "     nothing -> number",
        "  2  Number: Number()",
        "     nothing -> number",
        "  3  total: Sum()",
        "     1 + 2 -> number",
    ]


def test_sources_are_shown_as_consumed_and_nothing_is_read_or_run():
    shown = picture(Untouched(pool=Explosive("my/*.parquet"), t=30))
    assert shown == "  1  Untouched: Untouched(t=30)\n     Explosive(path='my/*.parquet') -> pool"
    mixed = rows(Anything(value={"web": Text("a"), "old": Untouched()}))[-1]
    assert mixed["sources"] == ["Text(text='a')"]
    assert "web" in mixed["settings"]["value"]


@dataclass(frozen=True)
class Config:
    width: int = 4
    names: tuple[str, ...] = ()


def test_configs_and_steps_are_shown_by_what_differs_from_their_defaults():
    steps = (Config(), Config(width=8, names=("a", "b")))
    found = rows(Anything(value={"steps": steps, "of": Number(name="seven")}))[-1]["settings"]
    assert found == {"value": "{'of': <seven>, 'steps': [Config(), Config(width=8, names=['a', 'b'])]}"}


def test_long_settings_are_cut():
    shown = rows(Anything(value="x" * 500))[0]["settings"]["value"]
    assert len(shown) == 100
    assert shown.endswith("...")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A setting with settings."""

    name: str = ""
    size: int = 3
    how: str = "plain"
    inner: Any = None


def test_configs_are_shown_by_class_with_what_differs_from_their_defaults():
    value = (Part(name="x", size=5, inner=Untouched(name="web")), Part(), {"a": Part(how="other"), "b": ("c", 1.5)})
    shown = rows(Anything(value=value))[-1]["settings"]["value"]
    assert shown == "[Part(size=5, inner=<web>), Part(), {'a': Part(how='other'), 'b': ['c', 1.5]}]"


def test_a_ladder_of_diamonds_is_drawn_at_once():
    left, right = Number(), Number(value=2)
    for _ in range(60):
        left, right = Sum(of=(left, right)), Sum(of=(right, left))
    started = time.perf_counter()
    assert len(picture(Sum(of=(left, right))).splitlines()) == 2 * 123
    assert time.perf_counter() - started < 2
