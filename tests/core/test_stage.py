from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.core.toy_stages import Anything, Number, Sum, Text

from sensorium.core.errors import SettingError
from sensorium.core.stage import Source, Stage, plain, sources_of, stage, stages_in, takes


@stage
class Pool(Stage):
    gives: ClassVar[str] = "pool"
    files: Any = takes("pool", default=None)

    def run(self, here):
        return {}


@stage
class Score(Stage):
    gives: ClassVar[str] = "scores"
    model: Any = takes("model", "number")
    others: Mapping[str, Any] | None = takes("pool", default=None)

    def run(self, here):
        return {}


@dataclass(frozen=True)
class Config:
    teacher: Any
    weight: float = 1.0


@dataclass(frozen=True)
class Released:
    name: str
    gives: ClassVar[str] = "model"

    def identity(self) -> Any:
        return self.name


class Odd:
    pass


def test_stages_are_compared_by_identity_and_print_short():
    one, other = Number(name="a"), Number(name="a")
    assert one != other
    assert len({one, other}) == 2
    assert repr(one) == "<a: gives number>"
    assert repr(Number()) == "<Number: gives number>"


def test_inputs_are_found_in_containers_and_configs_each_once_in_field_order():
    a, b, c = Number(value=1), Number(value=2), Number(value=3)
    user = Anything(value={"x": (a, [b]), "config": Config(teacher=c), "again": a})
    assert user.inputs() == (a, c, b)  # of a mapping in the order of its keys
    assert list(stages_in({"x": a, "y": a})) == [a, a]
    assert list(stages_in(Config)) == []


def test_a_mapping_is_copied_in_the_order_of_its_keys():
    given = {"b": 1, "a": 2}
    user = Anything(value=given)
    given["c"] = 3
    assert list(user.value.items()) == [("a", 2), ("b", 1)]


def test_sources_are_found_where_stages_are():
    text, other = Text("one"), Text("two")
    pool = Pool(files=text)
    assert sources_of(pool) == [text]
    assert sources_of(Anything(value=({"x": text, "y": other}, text, pool, Text))) == [text, other]
    assert isinstance(text, Source)


def test_a_wrong_wiring_is_refused_when_it_is_built():
    number = Number(name="seven", value=7)
    with pytest.raises(SettingError, match=r"Pool\.files takes pool, but seven gives number"):
        Pool(files=number)
    with pytest.raises(SettingError, match="takes model or number, but Pool gives pool"):
        Score(model=Pool())
    with pytest.raises(SettingError, match="but seven gives number"):
        Score(model=number, others={"a": Pool(), "b": Config(teacher=number)})


@pytest.mark.parametrize("wrong", ["web", 3, Odd(), ("web",), {"a": 1}, Text])
def test_what_is_neither_stage_nor_source_is_refused(wrong):
    with pytest.raises(SettingError, match=r"Pool\.files takes a stage that gives pool, not "):
        Pool(files=wrong)


def test_a_stray_value_beside_a_stage_is_refused():
    with pytest.raises(SettingError, match="not 'oops'"):
        Sum(of=(Number(), "oops"))


def test_sources_may_stand_where_stages_do_and_say_what_they_give():
    assert Pool(files=Text("x")).files == Text("x")
    assert Score(model=Released("minilm"))
    with pytest.raises(SettingError, match=r"Pool\.files takes pool, but Released gives model"):
        Pool(files=Released("minilm"))


def test_none_stands_for_no_input():
    assert Pool().inputs() == ()
    assert Sum(of=()).inputs() == ()


def test_check_runs_when_the_stage_is_built():
    @stage
    class Positive(Number):
        def check(self):
            if self.value < 0:
                raise SettingError(f"value is at least 0, not {self.value}.")

    with pytest.raises(SettingError, match="not -1"):
        Positive(value=-1)


def test_a_class_without_the_decorator_or_with_a_plain_dataclass_is_refused():
    class Bare(Number):
        extra: int = 3

    @dataclass(frozen=True, kw_only=True)
    class Equal(Number):
        extra: int = 3

    @stage
    class Silent(Stage):
        def run(self, here):
            return {}

    for wrong in (Bare, Equal, Silent):
        with pytest.raises(TypeError, match="decorated with @stage"):
            wrong()


@pytest.mark.parametrize("word", ["label", "inputs", "run", "version"])
def test_a_field_that_hides_a_word_of_stage_is_refused(word):
    with pytest.raises(TypeError, match=f"Wrong.{word} would hide a word of Stage"):
        stage(type("Wrong", (Stage,), {"__annotations__": {word: "int"}, word: 3, "__module__": __name__}))


def test_stages_are_frozen_and_take_no_positional_arguments():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Number().value = 3
    with pytest.raises(TypeError):
        Number("a")


def test_describe_gives_own_settings_and_inputs_by_label():
    described = Sum(name="total", of=(Number(name="seven"),), weights={"a": 0.5}).describe()
    assert described == {"of": ["<seven>"], "weights": {"a": 0.5}}


def test_plain_values_do_not_depend_on_the_run():
    assert plain({3, 1, 2}) == [1, 2, 3]
    assert plain(frozenset({"b", "a"})) == ["a", "b"]
    assert plain(Odd()) == "Odd"
    assert plain(len) == "len"
    assert plain(Path("/home/me/pool")) == "pool"
    assert plain(Config(teacher=Number(name="seven"))) == {
        "class": "Config",
        "teacher": "<seven>",
        "weight": 1.0,
    }
    assert plain({1: (None, True, 2.5, "x")}) == {"1": [None, True, 2.5, "x"]}
