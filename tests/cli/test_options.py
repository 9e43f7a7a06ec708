from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.cli import options
from sensorium.core.errors import SettingError
from sensorium.core.stage import Stage, stage, takes
from sensorium.engine.progress import LineProgress, QuietProgress

NAMES = st.from_regex(r"[a-z][a-z-]{0,9}[a-z]", fullmatch=True)
VALUES = st.text(max_size=20).filter(lambda text: not text.startswith("--"))


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans())
def test_options_are_read_back_in_both_forms(wanted, joined):
    words = [
        word for name, value in wanted.items() for word in ([f"--{name}={value}"] if joined else [f"--{name}", value])
    ]
    assert options.pairs(words) == wanted


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stray"], "'stray' is neither an option nor the value of one"),
        (["--t", "3", "4"], "'4' is neither"),
        (["-t", "3"], "'-t' is neither"),
        (["--", "--t", "3"], "'--' is neither"),
        (["--t"], "--t needs a value, like --t VALUE"),
        (["--t", "--u", "3"], "--t needs a value"),
        (["--t", "3", "--t=4"], "--t is given twice: '3' and '4'; say it once"),
    ],
)
def test_what_is_no_pair_is_one_sentence(words, says):
    with pytest.raises(SettingError, match=says):
        options.pairs(words)


def test_values_may_begin_with_a_dash_and_hold_equals_signs():
    assert options.pairs(["--t", "-5", "--columns=text=caption", "--empty", ""]) == {
        "t": "-5",
        "columns": "text=caption",
        "empty": "",
    }


@pytest.mark.parametrize(
    ("given_to", "says"),
    [
        ({"workers": -1}, "--workers is -1; it is a count, or 0"),
        ({"threads": -2}, "--threads is -2"),
        ({"devices": -2}, r"--devices is -2; it is -1 \(all found\)"),
        ({"precision": "64"}, "unknown precision '64'"),
    ],
)
def test_a_wrong_machine_names_the_option(given_to, says):
    settings = {"workers": 0, "threads": 0, "devices": 0, "precision": "32", "compile": False} | given_to
    with pytest.raises(SettingError, match=says):
        options.machine(**settings)


def test_zero_means_all_cores_and_a_count_is_taken():
    everything = options.machine(0, 0, -1, "32", False)
    assert everything.workers == everything.threads >= 1
    some = options.machine(3, 2, 0, "bf16", True)
    assert (some.workers, some.threads, some.devices, some.precision, some.compile) == (3, 2, 0, "bf16", True)


def test_with_json_nothing_is_shown():
    assert isinstance(options.progress(True), QuietProgress)
    assert isinstance(options.progress(False), LineProgress)


@stage
class Plain(Stage):
    gives: ClassVar[str] = "pool"

    def run(self, here):
        return {}


@stage
class Trains(Stage):
    gives: ClassVar[str] = "model"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    pool: Stage = takes("pool")

    def run(self, here):
        return {}


@stage
class Scores(Stage):
    gives: ClassVar[str] = "scores"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    pool: Stage = takes("pool")

    def run(self, here):
        return {}


SAID = {"threads": 0, "devices": -1, "precision": "32", "compile": False}


@pytest.mark.parametrize(
    ("last", "said", "option"),
    [
        (Plain(), {"threads": 2}, "--threads"),
        (Plain(), {"devices": 1}, "--devices"),
        (Plain(), {"precision": "bf16"}, "--precision"),
        (Plain(), {"compile": True}, "--compile"),
        (Scores(pool=Plain()), {"compile": True}, "--compile"),
    ],
)
def test_an_option_without_effect_is_refused(last, said, option):
    with pytest.raises(SettingError, match=f"{option} has no effect: no stage of mine"):
        options.refuse_unused("mine", last, **(SAID | said))


def test_options_with_an_effect_are_taken():
    options.refuse_unused("mine", Plain(), **(SAID | {"devices": 0}))
    everything = {"threads": 1, "devices": 1, "precision": "16", "compile": True}
    options.refuse_unused("mine", Scores(pool=Plain()), **(everything | {"compile": False}))
    options.refuse_unused("mine", Trains(pool=Plain()), **everything)
