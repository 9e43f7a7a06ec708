from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import linecache
import math
import pickle
import sys
import time
import types
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.toy_stages import Anything, Number, Precise, Square, Sum, Text

from sensorium.core import fingerprint
from sensorium.core.errors import SettingError
from sensorium.core.fingerprint import Fingerprints, order
from sensorium.core.stage import Stage, aside, stage
from sensorium.engine.machine import Machine


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Config:
    width: int = 4
    teacher: Any = None
    looks: str = dataclasses.field(default="plain", metadata={"identity": False})


@dataclass(frozen=True)
class Twin:
    width: int = 4
    teacher: Any = None


@dataclass(frozen=True)
class Counted:
    """A source that remembers how often it was looked at."""

    looks: list[int]
    text: str = "x"

    def identity(self) -> Any:
        self.looks.append(1)
        return {"text": self.text, "sizes": (1, 2.0)}


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


def of(value: Any) -> str:
    last = Anything(value=value)
    return Fingerprints(last)[last]


def digest(last: Stage, **machine: Any) -> str:
    return Fingerprints(last, machine=Machine(**machine))[last]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """A value with its types, as something `==` tells apart: 1, 1.0, True and -0.0 are four values."""
    if isinstance(value, dict):
        return ("map", frozenset((key, typed(inner)) for key, inner in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(map(typed, value)))
    return (type(value).__name__, repr(value))


@settings(deadline=None)
@given(plain, plain)
def test_equal_values_have_equal_fingerprints_and_others_differ(one, other):
    assert (of(one) == of(other)) == (typed(one) == typed(other))


@settings(deadline=None)
@given(st.dictionaries(st.text(), plain, max_size=6))
def test_the_order_of_mapping_keys_is_no_part(mapping):
    assert of(mapping) == of(dict(reversed(mapping.items())))


def test_values_that_python_calls_equal_are_told_apart():
    values = [
        1,
        1.0,
        True,
        "1",
        b"1",
        [1],
        (1.0,),
        {"1": 1},
        {1},
        None,
        "None",
        "",
        [],
        {},
        ["1"],
        Colour.RED,
        "RED",
    ]
    assert len({of(value) for value in values}) == len(values)


def test_a_user_mapping_cannot_imitate_our_encoding():
    assert of({"float": (1.5).hex()}) != of(1.5)
    assert of({"list": [1]}) != of([1])
    assert of({"stage": "x"}) != of({"map": {"stage": "x"}})


@settings(deadline=None)
@given(st.sets(st.integers() | st.text()))
def test_sets_have_no_order(items):
    assert of(items) == of(frozenset(sorted(items, key=repr)))


def test_name_and_asides_are_no_part_version_and_class_are():
    plain_number = digest(Number(value=3))
    assert digest(Number(value=3, name="three", note="seen")) == plain_number
    assert digest(Number(value=4)) != plain_number
    assert of(Config(looks="fancy")) == of(Config())
    assert of(Config()) != of(Twin())

    @stage
    class Newer(Number):
        version: ClassVar[int] = 2

    older = dataclasses.replace(Number(value=3))
    Newer.__module__, Newer.__qualname__ = Number.__module__, Number.__qualname__
    assert digest(older) == plain_number
    assert digest(Newer(value=3)) != plain_number


def test_a_config_with_a_new_version_is_another_config():
    @dataclass(frozen=True)
    class Next(Config):
        version: ClassVar[int] = 2

    Next.__module__, Next.__qualname__ = Config.__module__, Config.__qualname__
    assert of(Next()) != of(Config())


def test_inputs_count_by_fingerprint_wherever_they_stand():
    seven, again, eight = Number(value=7), Number(value=7, name="again"), Number(value=8)
    for wrap in (lambda x: x, lambda x: (x,), lambda x: {"a": [x]}, lambda x: Config(teacher=x)):
        last = [Anything(value=wrap(number)) for number in (seven, again, eight)]
        prints = Fingerprints(*last)
        assert prints[last[0]] == prints[last[1]] != prints[last[2]]


def test_precision_counts_only_where_it_is_used():
    assert digest(Precise()) != digest(Precise(), precision="bf16")
    assert digest(Precise()) == digest(Precise(), workers=7, threads=3, devices=0, compile=True)
    assert digest(Number()) == digest(Number(), precision="bf16")


def test_a_misspelt_machine_setting_is_not_ignored():
    @stage
    class Misspelt(Precise):
        uses: ClassVar[tuple[str, ...]] = ("precisiom",)

    with pytest.raises(AttributeError, match="precisiom"):
        digest(Misspelt())


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(number):
    with pytest.raises(SettingError, match=r"Anything.value.p is .*, which is not a finite number"):
        of({"p": [number]})


def test_functions_count_by_name_and_source_lambdas_are_refused():
    assert of(double) == of(double)
    assert of(double) != of(triple)
    assert of(Square) != of(Text)
    with pytest.raises(SettingError, match="must be defined at the top of a module"):
        of(lambda x: x)

    def inner(x):
        return x

    with pytest.raises(SettingError, match="must be defined at the top of a module"):
        of(inner)


@pytest.mark.parametrize("value", [object(), partial(double, 1), len, {1: "a"}, 1j, range(3)])
def test_what_has_no_fingerprint_is_refused_with_its_place(value):
    with pytest.raises(SettingError, match=r"Anything\.value(\.inner)? (holds a|has keys)"):
        of({"inner": value})


def test_a_hidden_stage_is_refused():
    with pytest.raises(SettingError, match=r"Anything\.value hides the stage seven in a set"):
        of(frozenset([Number(name="seven")]))


def test_sources_count_by_class_and_identity_and_are_looked_at_once():
    looks = []
    source = Counted(looks)
    last = Anything(value=(source, Anything(value={"again": source})))
    Fingerprints(last)
    assert len(looks) == 1
    Fingerprints(last)
    assert len(looks) == 2
    assert of(Text("a")) == of(Text("a")) != of(Text("b"))
    assert of(Text("a")) != of("a")


def test_order_has_inputs_before_users_and_each_object_once():
    a, b = Number(value=1), Number(value=2)
    left, right = Sum(of=(a, b)), Sum(of=(b, a))
    top = Sum(of=(right, left, a))
    found = order(top, left, a)
    assert found == [b, a, right, left, top]
    assert len(set(found)) == len(found)


def ladder(levels: int) -> Stage:
    left, right = Number(value=1), Number(value=2)
    for level in range(levels):
        left, right = Sum(of=(left, right), name=f"l{level}"), Sum(of=(right, left), name=f"r{level}")
    return Sum(of=(left, right))


def chain(length: int) -> Stage:
    last: Stage = Number(value=0)
    for number in range(length):
        last = Anything(value={"before": (last,), "number": number})
    return last


def test_a_ladder_of_diamonds_is_linear():
    started = time.perf_counter()
    prints = Fingerprints(ladder(60))
    assert len(prints.order) == 123
    assert len({prints[inner] for inner in prints.order}) == 123
    assert time.perf_counter() - started < 2


def test_a_long_chain_is_linear_and_needs_no_recursion():
    assert sys.getrecursionlimit() < 5000
    seconds = []
    for length in (1000, 5000):
        last = chain(length)
        started = time.perf_counter()
        prints = Fingerprints(last)
        seconds.append(time.perf_counter() - started)
        assert len(prints.order) == length + 1
    # Five times as long, and a quadratic rule would take twenty-five times the time.
    assert seconds[1] < 15 * seconds[0] + 0.5


def test_fingerprints_survive_pickling_also_of_a_long_chain():
    last = chain(3000)
    prints = Fingerprints(last, machine=Machine())
    copy = pickle.loads(pickle.dumps(prints))
    assert [copy[inner] for inner in copy.order] == [prints[inner] for inner in prints.order]
    assert copy.order[-1] in copy
    assert last not in copy
    assert copy.lineage(copy.order[-1]) == prints.lineage(last)


@pytest.fixture
def outside(monkeypatch, tmp_path):
    """A module outside the package whose text can be changed."""

    def load(name: str, text: str) -> types.ModuleType:
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        module = types.ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(text, str(file), "exec"), module.__dict__)
        return module

    return load


STEP = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Step:\n    size: int = 1\n"


def test_the_lineage_sees_code_of_parts_in_fields_the_fingerprint_does_not(outside):
    first = Anything(value=(outside("my_steps", STEP).Step(),))
    prints = Fingerprints(first)
    second = Anything(value=(outside("my_steps", STEP + "# edited\n").Step(),))
    edited = Fingerprints(second)
    assert prints[first] == edited[second]
    assert prints.lineage(first) != edited.lineage(second)


def test_the_lineage_knows_what_lies_below_and_nothing_beside(outside):
    below = Anything(value=outside("my_steps", STEP).Step())
    other = Number(value=3)
    above = Anything(value=(below, other))
    prints = Fingerprints(above)
    edited_below = Anything(value=outside("my_steps", STEP + "# edited\n").Step())
    edited_above = Anything(value=(edited_below, other))
    edited = Fingerprints(edited_above)
    assert prints.lineage(other) == edited.lineage(other)
    assert prints.lineage(above) != edited.lineage(edited_above)
    kept = [prints.lineage(below), prints.lineage(other)]
    assert edited.lineage(edited_above, kept) == prints.lineage(above, kept)
    assert prints.lineage(above, kept) == prints.lineage(above)


def test_the_lineage_sees_base_classes(outside):
    outside("my_base", "from tests.core.toy_stages import Number\nclass Base(Number): pass\n")
    text = "from my_base import Base\nfrom sensorium.core.stage import stage\n@stage\nclass Mine(Base): pass\n"
    mine = outside("my_stage", text).Mine()
    before = Fingerprints(mine).lineage(mine)
    base = sys.modules["my_base"].__file__
    with open(base, "a") as handle:
        handle.write("# edited\n")
    assert Fingerprints(mine).lineage(mine) != before


CELL = """
from sensorium.core.stage import stage
from tests.core.toy_stages import Number

@stage
class Cell(Number):
    def run(self, here):
        return BODY
"""


def test_code_without_a_file_counts_by_its_functions(monkeypatch):
    def typed_in(body: str) -> types.ModuleType:
        module = types.ModuleType("my_notebook")
        monkeypatch.setitem(sys.modules, "my_notebook", module)
        text = CELL.replace("BODY", body)
        name = f"<cell {body}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        exec(compile(text, name, "exec"), module.__dict__)
        return module

    one, other = typed_in("{}").Cell(), typed_in("{'edited': 1}").Cell()
    first, second = Fingerprints(one), Fingerprints(other)
    assert first[one] == second[other]
    assert first.lineage(one) != second.lineage(other)


def test_no_path_of_the_machine_enters_fingerprint_or_lineage(outside, tmp_path, monkeypatch):
    one = Anything(value=outside("my_steps", STEP).Step())
    first = Fingerprints(one)
    moved = tmp_path / "elsewhere.py"
    moved.write_text(STEP)
    sys.modules["my_steps"].__file__ = str(moved)
    second = Fingerprints(one)
    assert (first[one], first.lineage(one)) == (second[one], second.lineage(one))


def test_the_package_hash_is_that_of_its_files():
    assert len(fingerprint.package_hash()) == 64
    assert fingerprint.package_hash() == fingerprint.package_hash()


def test_the_fingerprint_is_the_published_formula():
    """sha256 of class, version, fields and used machine settings as sorted JSON; written out once by hand."""
    content = {
        "class": "tests.core.toy_stages.Number",
        "version": 1,
        "fields": {"value": 7},
        "machine": {},
    }
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert digest(Number(value=7, name="seven")) == expected


def test_an_aside_stage_field_keeps_its_default():
    @stage
    class Shown(Number):
        colour: str = aside("red")

    assert Shown().colour == "red"
    assert digest(Shown(colour="blue")) == digest(Shown())
