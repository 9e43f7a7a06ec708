from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.core.toy_stages import Anything, Number, Squares, Sum, Text, Waits, plan_of, run, value

from sensorium.core import files, fingerprint
from sensorium.core.errors import BusyError, SettingError, StageFailedError, StorageError
from sensorium.core.execute import StageWorker, execute, labelled, sources
from sensorium.core.stage import Stage, aside, stage
from sensorium.core.store import BEGUN, DONE, LOCK, Store, locked
from sensorium.engine.local import LocalRunner
from sensorium.engine.progress import QuietProgress


@pytest.fixture
def source(monkeypatch):
    """Sets what the source of the package hashes to."""

    def change(text: str) -> None:
        monkeypatch.setattr(fingerprint, "package_hash", lambda: text)

    change("today")
    return change


def age(plan, *stages: Stage) -> dict[Stage, int]:
    """When each record was written: a stage that ran again has another time."""
    return {found: (plan.folder(found) / DONE).stat().st_mtime_ns for found in stages or plan.order}


def graph(value: int = 7) -> tuple[Number, Number, Sum]:
    left, right = Number(name="left", value=value), Number(name="right", value=8)
    return left, right, Sum(name="total", of=(left, right))


def test_a_run_leaves_folders_and_records(store):
    left, right, total = graph()
    plan, progress = run(total, store=store)
    assert value(plan, total) == 15
    record = files.read_json(plan.folder(total) / DONE)
    assert record["stage"] == "tests.core.toy_stages.Sum"
    assert record["name"] == "total"
    assert record["inputs"] == {"left": plan.fingerprints[left], "right": plan.fingerprints[right]}
    assert record["config"] == {"of": ["<left>", "<right>"], "weights": {}}
    assert record["metrics"] == {"value": 15}
    assert record["fingerprint"] == plan.fingerprints[total]
    assert record["seconds"] >= 0
    assert record["peak_memory_bytes"] > 1e6
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert str(store.root) not in json.dumps(record)
    assert sorted(path.name for path in plan.folder(total).iterdir()) == [LOCK, BEGUN, DONE, "value.json"]
    assert progress.sentences == []


def test_a_second_run_keeps_everything_and_a_changed_value_reruns_what_lies_downstream(store):
    plan, _ = run(graph()[2], store=store)
    before = age(plan)
    again, _ = run(graph()[2], store=store)
    assert list(age(again).values()) == list(before.values())
    left, right, total = graph(value=1)
    changed = plan_of(total, store=store)
    assert changed.waiting() == [left, total]
    changed, _ = run(total, store=store)
    assert value(changed, total) == 9
    assert (changed.folder(right) / DONE).stat().st_mtime_ns == before[plan.order[1]]


def test_a_finished_stage_does_not_need_its_deleted_inputs(store):
    left, _, total = graph()
    plan, _ = run(total, store=store)
    shutil.rmtree(store.root / "Number")
    assert plan_of(total, store=store).waiting() == []
    above = Sum(of=(total,))
    plan, _ = run(above, store=store)
    assert value(plan, above) == 15
    assert not (store.root / "Number").exists()
    beside = Sum(of=(left, total))
    assert plan_of(beside, store=store).waiting() == [left, beside]


def test_equal_stages_built_twice_run_once_and_after_their_inputs(store):
    """The last stage meets the second copies first, and the shared input again on another way."""

    def copy() -> tuple[Stage, Stage]:
        below = Number(value=3)
        return below, Sum(of=(below,))

    (first_below, first), (second_below, second) = copy(), copy()
    last = Sum(of=(Sum(of=(first_below, first)), Sum(of=(second, second_below)), second_below))
    plan = plan_of(last, store=store)
    waiting = plan.waiting()
    assert len(waiting) == len({plan.fingerprints[found] for found in plan.order}) == 5
    done: set[str] = set()
    for found in waiting:
        assert {plan.fingerprints[inner] for inner in found.inputs()} <= done
        done.add(plan.fingerprints[found])
    plan, _ = run(last, store=store)
    assert value(plan, last) == 15


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_built_twice_inputs_come_before_their_users(store, seed):
    """Graphs in which any stage may be a second copy of another, and any way may lead to either."""
    chance = random.Random(seed)
    built: list[tuple[Stage, ...]] = [(Number(value=1), Number(value=1))]
    for number in range(12):
        kinds = [chance.randrange(len(built)) for _ in range(chance.randint(1, 3))]
        copies = [Sum(of=tuple(chance.choice(built[kind]) for kind in kinds), weights={"n": number}) for _ in range(2)]
        built.append(tuple(copies))
    last = Sum(of=tuple(chance.choice(copies) for copies in built if chance.random() < 0.6))
    plan = plan_of(last, store=store)
    ready: set[str] = set()
    for found in plan.waiting():
        assert {plan.fingerprints[inner] for inner in found.inputs()} <= ready
        ready.add(plan.fingerprints[found])
    assert ready == {plan.fingerprints[found] for found in plan.order}


def test_several_last_stages_share_what_they_can(store):
    left, right, total = graph()
    other = Sum(of=(right,))
    plan, _ = run(total, other, left, store=store)
    assert [value(plan, found) for found in plan.last] == [15, 8, 7]
    assert plan.waiting() == []


def test_reuse_any_says_what_is_old_same_source_and_none_run_it_again(store, source):
    plan, _ = run(graph()[2], store=store)
    before = list(age(plan).values())
    source("tomorrow")
    plan, progress = run(graph()[2], store=store)
    assert list(age(plan).values()) == before
    assert progress.sentences == [
        "kept left, right, total from an earlier version of the source; --fresh runs them again."
    ]
    plan, progress = run(graph()[2], store=store, reuse="same-source")
    same = list(age(plan).values())
    assert all(new > old for new, old in zip(same, before, strict=True))
    assert progress.sentences == []
    plan, _ = run(graph()[2], store=store, reuse="same-source")
    assert list(age(plan).values()) == same
    plan, _ = run(graph()[2], store=store, reuse="none")
    assert all(new > old for new, old in zip(age(plan).values(), same, strict=True))


def test_same_source_looks_through_to_old_inputs(store, source):
    """Made today from yesterday's input is not made by today's source."""
    left, right, total = graph()
    run(left, right, store=store)
    source("tomorrow")
    run(total, store=store)
    left, right, total = graph()
    assert plan_of(total, store=store).waiting() == []
    assert plan_of(total, store=store, reuse="same-source").waiting() == [left, right, total]
    run(total, store=store, reuse="same-source")
    assert plan_of(total, store=store, reuse="same-source").waiting() == []


MINE = """
from sensorium.core.stage import stage
from tests.core.toy_stages import Sum

@stage
class Mine(Sum):
    pass
"""


def test_another_recipes_code_does_not_make_a_shared_stage_old(store, monkeypatch, tmp_path):
    """A pool that two recipe files share stays young, although each file has other code beside it."""
    import types

    shared = Number(value=3)
    run(shared, store=store)
    file = tmp_path / "my_recipe.py"
    file.write_text(MINE)
    module = types.ModuleType("my_recipe")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "my_recipe", module)
    exec(file.read_text(), module.__dict__)
    last = module.Mine(of=(shared,))
    assert plan_of(last, store=store, reuse="same-source").waiting() == [last]


def test_the_record_comes_last(store):
    @stage
    class Looks(Stage):
        gives: ClassVar[str] = "number"

        def run(self, here):
            assert not (here.out / DONE).exists()
            assert (here.out / BEGUN).exists()
            raise RuntimeError("the stage failed")

    last = Looks()
    with pytest.raises(RuntimeError, match="the stage failed"):
        run(last, store=store)
    assert plan_of(last, store=store).done(last) is None


@stage
class Returns(Stage):
    gives: ClassVar[str] = "number"
    what: Any = aside(None)

    def run(self, here):
        return self.what


def test_figures_keep_their_type(store):
    what = {"flops": 10**18 + 1, "half": 0.5, "yes": True}
    plan, _ = run(Returns(what=what), store=store)
    metrics = plan.done(plan.last[0]).metrics
    assert metrics == {"flops": 10**18 + 1, "half": 0.5, "yes": 1}
    assert isinstance(metrics["flops"], int)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (None, "returned no figures"),
        ([1], "returned no figures"),
        ({"loss": float("nan")}, "gave loss = nan, which is not a finite number"),
        ({"loss": float("-inf")}, "gave loss = -inf, which is not a finite number"),
        ({"loss": "low"}, "gave loss = 'low', which is not a number"),
        ({"loss": None}, "gave loss = None, which is not a number"),
    ],
)
def test_figures_that_are_none_are_a_failed_stage(store, what, sentence):
    with pytest.raises(StageFailedError, match=sentence):
        run(Returns(what=what), store=store)
    last = Returns()
    assert plan_of(last, store=store).done(last) is None


@stage
class Peeks(Stage):
    """Reads the input of its input."""

    gives: ClassVar[str] = "number"
    of: Sum | None = None

    def run(self, here):
        here.path(self.of)
        here.path(self.of.of[0])
        return {}


def test_a_stage_sees_its_own_inputs_only(store):
    with pytest.raises(KeyError, match="<left: gives number> is not an input of <Peeks: gives number>"):
        run(Peeks(of=graph()[2]), store=store)


@stage
class Items(Stage):
    gives: ClassVar[str] = "numbers"
    items: Any = None
    groups: tuple[str, ...] = ("items",)
    worker: Any = aside(None)

    def run(self, here):
        found = [here.items(self.worker, self.items, group=group) for group in self.groups]
        files.write_json(here.out / "all.json", found)
        return {"items": sum(map(len, found))}


class Echo:
    """Gives back what it gets, in a form that JSON changes; counts what it handled."""

    def __init__(self) -> None:
        self.handled: list[Any] = []

    def build(self):
        def handle(item):
            self.handled.append(item)
            return {"pair": (item, item), 1: "key"}

        return handle


def test_items_have_markers_and_results_as_json_gives_them_back(store):
    names = {"plain": 1, "mit Leerzeichen/Strich": 2, "..": 3, "x.tmp-1": 4, "é" * 200: 5}
    last = Items(items=names, worker=Echo())
    plan, _ = run(last, store=store)
    folder = plan.folder(last)
    assert len(list((folder / "items").glob("*.json"))) == 5
    assert {files.read_json(path)["item"] for path in (folder / "items").glob("*.json")} == set(names)
    found = files.read_json(folder / "all.json")[0]
    assert list(found) == sorted(names)
    assert found["plain"] == {"pair": [1, 1], "1": "key"}
    # A resumed run reads the markers; it must see the same values.
    (folder / DONE).unlink()
    first = (folder / "all.json").read_bytes()
    worker = Echo()
    run(Items(items=names, worker=worker), store=store)
    assert worker.handled == []
    assert (folder / "all.json").read_bytes() == first


def test_two_groups_of_items_do_not_meet(store):
    worker = Echo()
    run(Items(items={"a": 1}, groups=("fit", "score"), worker=worker), store=store)
    assert worker.handled == [1, 1]


def test_results_keep_the_order_of_the_items_also_when_some_were_done(store):
    class Notes(Echo):
        def build(self):
            return lambda item: self.handled.append(item) or item

    @stage
    class Ordered(Items):
        def run(self, here):
            files.write_json(here.out / "items" / "item-1-x.json", {})  # a stranger is not in the way
            found = here.items(self.worker, {"item 1": 1})
            found = here.items(self.worker, {f"item {number}": number for number in (3, 1, 2)})
            assert list(found.items()) == [("item 3", 3), ("item 1", 1), ("item 2", 2)]
            return {}

    worker = Notes()
    run(Ordered(items={}, worker=worker), store=store)
    assert worker.handled == [1, 3, 2]


@pytest.mark.parametrize("result", [float("nan"), {1, 2}, object()])
def test_a_result_that_is_no_json_names_the_item(store, result):
    class Wrong:
        def build(self):
            return lambda item: result

    with pytest.raises(StageFailedError, match=r"item third gave .*, which is no JSON value"):
        run(Items(items={"third": 1}, worker=Wrong()), store=store)


def log_of(plan, last: Stage) -> list[int]:
    return [int(line) for line in (plan.folder(last) / "log.txt").read_text().split()]


@pytest.mark.parametrize("workers", [1, 2])
def test_items_that_finished_before_a_failure_are_not_done_again(store, source, workers):
    failing = Squares(count=6, fail=(4,))
    with pytest.raises(RuntimeError, match="item 4 cannot be squared"):
        run(failing, store=store, workers=workers)
    plan = plan_of(failing, store=store)
    finished = {files.read_json(path)["result"]["square"] for path in (plan.folder(failing) / "items").iterdir()}
    assert {0, 1, 4, 9} <= finished
    handled = len(log_of(plan, failing))
    mended = Squares(count=6)
    plan, progress = run(mended, store=store, workers=workers)
    later = {number * number for number in log_of(plan, mended)[handled:]}
    assert later == {0, 1, 4, 9, 16, 25} - finished
    assert progress.sentences == []
    assert files.read_json(plan.folder(mended) / "all.json")["item 5"] == {"square": 25}


def test_the_marker_of_a_finished_item_does_not_wait_for_an_earlier_one(store):
    plan, _ = run(Waits(), store=store, workers=2)
    assert plan.done(plan.last[0]).metrics == {"items": 3}


def test_a_stage_whose_source_changed_starts_over_and_says_so(store, source):
    with pytest.raises(RuntimeError):
        run(Squares(name="squares", count=3, fail=(2,)), store=store)
    source("tomorrow")
    last = Squares(name="squares", count=3)
    plan, progress = run(last, store=store)
    assert progress.sentences == ["squares: the source changed since this run began; starting it over."]
    assert log_of(plan, last) == [0, 1, 2]  # the old log went with everything else


def test_other_files_in_a_chosen_folder_are_refused(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    number = Number()
    with pytest.raises(BusyError, match=r"mine holds other files \(thesis.tex, ...\)"):
        run(number, store=Store(tmp_path / "runs", at=((number, mine),)))
    assert (mine / "thesis.tex").read_text() == "x"


def test_a_chosen_folder_is_refused_before_its_inputs_run(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    total = graph()[2]
    with pytest.raises(BusyError, match="holds other files"):
        run(total, store=Store(mine / ".inputs", at=((total, mine),)))
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]


def test_a_chosen_folder_keeps_its_inputs_when_it_is_made_again(tmp_path, source):
    total = graph()[2]
    store = Store(tmp_path / "mine" / ".inputs", at=((total, tmp_path / "mine"),))
    run(total, store=store)
    plan, _ = run(total, store=store, reuse="none")
    assert value(plan, total) == 15
    source("tomorrow")
    (tmp_path / "mine" / DONE).unlink()
    plan, progress = run(total, store=store)
    assert value(plan, total) == 15
    assert "total: the source changed since this run began; starting it over." in progress.sentences


def test_another_run_in_a_chosen_folder_is_refused_and_the_same_is_kept(tmp_path):
    mine = tmp_path / "mine"
    for _ in range(2):
        number = Number(value=1)
        plan, _ = run(number, store=Store(tmp_path / "runs", at=((number, mine),)))
    assert value(plan, number) == 1
    other = Number(value=2)
    with pytest.raises(BusyError, match="holds another run"):
        run(other, store=Store(tmp_path / "runs", at=((other, mine),)))
    assert files.read_json(mine / "value.json") == 1


def test_a_folder_that_is_being_written_is_refused(store):
    number = Number()
    store.open()
    plan = plan_of(number, store=store)
    with locked(plan.folder(number)), pytest.raises(BusyError, match="is being written"):
        run(number, store=store)


def test_what_another_run_finished_meanwhile_is_kept(store, monkeypatch):
    number = Number()
    first, _ = run(number, store=store)
    before = age(first)
    late = plan_of(number, store=store)
    monkeypatch.setattr(type(late), "waiting", lambda self: [number])
    execute(late, runner=LocalRunner(), progress=QuietProgress())
    assert age(late) == before


class TestKilledWhileBeginning:
    """Every state that a kill can leave before a stage runs is taken up again."""

    @pytest.fixture
    def folder(self, store):
        self.number = Number(value=5)
        self.plan = plan_of(self.number, store=store)
        self.store = store
        store.open()
        folder = self.plan.folder(self.number)
        folder.mkdir(parents=True)
        return folder

    def finish(self, reuse: str = "any") -> list[str]:
        plan, progress = run(self.number, store=self.store, reuse=reuse)
        assert value(plan, self.number) == 5
        assert not list(plan.folder(self.number).rglob("*.tmp-*"))
        return progress.sentences

    def test_before_the_first_mark(self, folder):
        (folder / LOCK).write_text("")
        (folder / f"{BEGUN}.tmp-12-ab").write_text("{")
        assert self.finish() == []

    def test_while_it_was_emptied(self, folder, source):
        digest = self.plan.fingerprints[self.number]
        files.write_json(folder / BEGUN, {"fingerprint": digest, "lineage": ""})
        files.write_json(folder / "items" / "a.json", {"item": "a", "result": 1})
        assert self.finish() == []
        assert not (folder / "items").exists()

    def test_while_it_was_emptied_for_a_source_that_is_taken_back(self, store, source, monkeypatch):
        with pytest.raises(RuntimeError):
            run(Squares(count=3, fail=(2,)), store=store)
        source("tomorrow")
        remove = files.remove

        def killed(path: Path) -> None:
            if path.name in ("squares", "log.txt", "items"):
                if path.name == "squares":
                    remove(path)
                raise KeyboardInterrupt
            remove(path)

        # Whatever comes first in the folder, the results of the items are gone and their markers are not.
        last = Squares(count=3)
        folder = plan_of(last, store=store).folder(last)
        monkeypatch.setattr(files, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            run(last, store=store)
        monkeypatch.setattr(files, "remove", remove)
        remove(folder / "squares")
        source("today")
        run(last, store=store)
        assert sorted(path.name for path in (folder / "squares").iterdir()) == ["0.json", "1.json", "2.json"]

    def test_after_the_record_was_removed(self, folder, source):
        run(self.number, store=self.store)
        (folder / DONE).unlink()
        assert self.finish() == []

    def test_before_the_record_was_removed(self, folder, source):
        plan, _ = run(self.number, store=self.store)
        files.write_json(folder / BEGUN, {"fingerprint": plan.fingerprints[self.number], "lineage": ""})
        assert self.finish() == []
        assert self.finish(reuse="none") == []


def test_labels_that_occur_twice_are_numbered():
    stages = [Number(name="a"), Number(name="a-2"), Number(name="a"), Number(name="a"), Number()]
    assert list(labelled(stages)) == ["a", "a-2", "a-3", "a-4", "Number"]


def test_inputs_with_one_label_are_all_recorded(store):
    experts = tuple(Number(name="expert", value=number) for number in range(3))
    plan, _ = run(Sum(of=experts), store=store)
    assert list(plan.done(plan.last[0]).content["inputs"]) == ["expert", "expert-2", "expert-3"]


def test_sources_of_a_plan_each_once(store):
    text = Text("a")
    last = Anything(value=(text, Anything(value={"x": text, "y": Text("b")})))
    assert sources(plan_of(last, store=store)) == [text, Text("b")]


def test_a_plan_survives_pickling_also_of_a_long_chain(store):
    last: Stage = Number(value=0)
    for _ in range(2000):
        last = Sum(of=(last,))
    placed = Store(store.root, at=((last, store.root / "mine"),))
    plan = plan_of(last, store=placed)
    plan.made_now("x")
    copy = pickle.loads(pickle.dumps(plan))
    assert len(copy.order) == 2001
    assert copy.last[0] is copy.order[-1]
    assert copy.folder(copy.last[0]) == store.root / "mine"
    assert [copy.fingerprints[found] for found in copy.order] == [plan.fingerprints[found] for found in plan.order]
    assert copy._fresh == {"x"}


def test_a_long_chain_runs(store):
    last: Stage = Number(value=3)
    for _ in range(100):
        last = Sum(of=(last,))
    plan, _ = run(last, store=store)
    assert value(plan, last) == 3


# Several stages at once


@stage
class Meets(Stage):
    """Ends only when its partner has begun: two of these cannot run one after the other."""

    gives: ClassVar[str] = "number"
    me: str = "a"
    partner: str = "b"
    meeting: str = ""

    def run(self, here):
        (Path(self.meeting) / self.me).write_text("here")
        end = time.monotonic() + 20
        while not (Path(self.meeting) / self.partner).exists():
            assert time.monotonic() < end, "the partner never came"
            time.sleep(0.01)
        files.write_json(here.out / "value.json", 1)
        return {"value": 1}


@stage
class Fails(Stage):
    gives: ClassVar[str] = "number"
    how: str = "setting"

    def run(self, here):
        if self.how == "setting":
            raise SettingError("t is at least 0, not -5.")
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise StorageError("could not write x: no space left on the disk.")


@stage
class Says(Number):
    def run(self, here):
        here.progress.say(f"{self.name} was here")
        return super().run(here)


def side_by_side(*last: Stage, store: Store, reuse: str = "any"):
    plan = plan_of(*last, store=store, reuse=reuse)
    progress = QuietProgress()
    inside = StageWorker(plan, LocalRunner(1), QuietProgress())
    execute(plan, runner=LocalRunner(2), progress=progress, inside=inside, jobs=2)
    return plan, progress


def wide(meeting: str = "") -> Stage:
    numbers = [Number(name=f"n{number}", value=number) for number in range(4)]
    middle = [Sum(of=(numbers[0], numbers[1])), Sum(of=(numbers[2], numbers[3])), Squares(count=3)]
    meet: list[Stage] = [Meets(meeting=meeting), Meets(me="b", partner="a", meeting=meeting)] if meeting else []
    return Sum(of=(middle[0], middle[1], *meet)) if meeting else Anything(value=middle)


def contents(root: Path) -> dict[str, bytes]:
    """What a run left, without records of time and process."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in (DONE, BEGUN, LOCK, "log.txt")
    }


def test_jobs_run_independent_stages_side_by_side(tmp_path):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    plan, _ = side_by_side(wide(str(meeting)), store=Store(tmp_path / "runs"))
    assert value(plan, plan.last[0]) == 8


def test_jobs_give_the_same_folders_as_one_after_the_other(tmp_path):
    side_by_side(wide(), store=Store(tmp_path / "two"))
    run(wide(), store=Store(tmp_path / "one"))
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_jobs_keep_what_is_finished_and_rerun_once_when_fresh(tmp_path):
    store = Store(tmp_path / "runs")
    plan, _ = side_by_side(wide(), store=store)
    before = list(age(plan).values())
    plan, _ = side_by_side(wide(), store=store)
    assert list(age(plan).values()) == before
    plan, _ = side_by_side(wide(), store=store, reuse="none")
    assert all(new > old for new, old in zip(age(plan).values(), before, strict=True))


def test_jobs_bring_back_errors_as_they_were_and_what_was_said(tmp_path):
    store = Store(tmp_path / "runs")
    with pytest.raises(SettingError, match=r"^t is at least 0, not -5\.$"):
        side_by_side(Anything(value=(Fails(), Number())), store=store)
    with pytest.raises(StorageError, match="no space left"):
        side_by_side(Anything(value=(Fails(how="full"), Number(value=2))), store=store)
    with pytest.raises(StageFailedError, match="a worker process was killed"):
        side_by_side(Anything(value=(Fails(how="killed"), Number(value=3))), store=store)
    _, progress = side_by_side(Anything(value=(Says(name="left"), Says(name="right", value=2))), store=store)
    assert sorted(progress.sentences) == ["left was here", "right was here"]


# Killed by SIGKILL, in another process

DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sensorium.core import fingerprint
# Whoever edits the package beside this test must not start it over.
fingerprint.package_hash = lambda: "today"
from sensorium.core.store import Store
from tests.core.toy_stages import Squares, run
if __name__ == "__main__":
    last = Squares(count=int(sys.argv[3]), seconds=float(sys.argv[4]))
    print("begun", flush=True)
    run(last, store=Store(Path(sys.argv[2])), workers=int(sys.argv[5]))
"""


def start(tmp_path: Path, count: int, seconds: float, workers: int) -> subprocess.Popen[str]:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    return subprocess.Popen(
        [
            sys.executable,
            str(script),
            str(Path(__file__).parents[2]),
            str(tmp_path / "runs"),
            str(count),
            str(seconds),
            str(workers),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    with process:
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_at_random_moments_loses_nothing_and_does_nothing_twice(tmp_path, workers):
    count = 30
    chance = random.Random(workers)
    folder: Path | None = None
    redone: set[str] = set()
    for attempt in range(5 - workers):
        if attempt:
            for squares in (tmp_path / "runs").glob("Squares/*"):
                folder = squares
        finished = {files.read_json(path)["item"] for path in folder.glob("items/*.json")} if folder else set()
        handled = len((folder / "log.txt").read_text().split()) if folder and (folder / "log.txt").exists() else 0
        kill_after(start(tmp_path, count, 0.03, workers), chance.uniform(0.0, 0.5) + (0.5 if workers > 1 else 0))
        time.sleep(0.4 if workers > 1 else 0)  # workers of a killed parent leave by themselves
        if folder and (folder / "log.txt").exists():
            later = (folder / "log.txt").read_text().split()[handled:]
            redone |= finished & {f"item {number}" for number in later}
    last = start(tmp_path, count, 0.0, workers)
    last.communicate(timeout=60)
    assert last.returncode == 0
    assert redone == set()
    [folder] = (tmp_path / "runs").glob("Squares/*")
    assert files.read_json(folder / DONE)["metrics"] == {"items": count}
    undisturbed = Store(tmp_path / "undisturbed")
    plan, _ = run(Squares(count=count), store=undisturbed)
    for name in ("all.json", "squares", "items"):
        assert contents(folder / name) == contents(plan.folder(plan.last[0]) / name)
    assert (folder / "all.json").read_bytes() == (plan.folder(plan.last[0]) / "all.json").read_bytes()
    assert not list(folder.rglob("*.tmp-*"))


RECIPE = '''
"""A stage with items, in a file of the user's."""
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import time
from sensorium.core import files
from sensorium.core.stage import Stage, stage

PAPER = {"title": "x", "year": 2026, "room": "curate"}

@dataclass(frozen=True)
class Worker:
    out: Path

    def build(self):
        def handle(item):
            time.sleep(0.02)
            return item * 2
        return handle

@stage
class Doubles(Stage):
    gives: ClassVar[str] = "numbers"

    def run(self, here):
        found = here.items(Worker(here.out), {str(number): number for number in range(40)})
        files.write_json(here.out / "all.json", found)
        return {"sum": sum(found.values())}

def mini() -> Stage:
    return Doubles()
'''

RUN_RECIPE = """
import sys
from pathlib import Path
from sensorium.core import fingerprint
fingerprint.package_hash = lambda: "today"
from sensorium.core.execute import Plan, execute
from sensorium.core.recipe import find
from sensorium.core.store import Store
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine
from sensorium.engine.progress import LineProgress
recipe, variant = find(sys.argv[1])
print("begun", flush=True)
plan = Plan((recipe.variant(variant).build(),), Store(Path(sys.argv[2])), Machine())
execute(plan, runner=LocalRunner(1), progress=LineProgress())
"""


def test_a_recipe_edited_between_kill_and_restart_starts_over(tmp_path):
    recipe = tmp_path / "mine.py"
    recipe.write_text(RECIPE)

    def command() -> list[str]:
        return [sys.executable, "-c", RUN_RECIPE, str(recipe), str(tmp_path / "runs")]

    def killed() -> set[Path]:
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        with subprocess.Popen(command(), **quiet) as process:
            process.stdout.readline()
            time.sleep(0.25)
            process.kill()
        return set((tmp_path / "runs").glob("Doubles/*/items/*.json"))

    finished = killed()
    assert 0 < len(finished) < 40
    before = {path: path.stat().st_mtime_ns for path in finished}
    resumed = killed()
    assert resumed >= finished
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    recipe.write_text(RECIPE.replace("item * 2", "item * 3"))
    done = subprocess.run(command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Doubles: the source changed since this run began; starting it over." in done.stderr
    [folder] = (tmp_path / "runs").glob("Doubles/*")
    assert files.read_json(folder / DONE)["metrics"] == {"sum": 3 * sum(range(40))}


def test_a_full_disk_ends_the_stage_with_one_sentence_and_the_next_run_finishes(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.replace("Squares(", "Big(").replace("import Squares, run", "import run") + "")
    big = (
        "from tests.core.toy_stages import *\n"
        "from sensorium.core.stage import stage\n"
        "@stage\nclass Big(Squares):\n"
        "    def run(self, here):\n"
        "        found = super().run(here)\n"
        "        files.write_bytes(here.out / 'rows' / 'big.bin', bytes(300_000))\n"
        "        return found\n"
    )
    (tmp_path / "big_stage.py").write_text(big)
    text = script.read_text().replace(
        "from tests.core.toy_stages import run",
        "from tests.core.toy_stages import run\nfrom big_stage import Big",
    )
    script.write_text(text)
    arguments = [
        sys.executable,
        str(script),
        str(Path(__file__).parents[2]),
        str(tmp_path / "runs"),
        "3",
        "0",
        "1",
    ]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert limited.returncode == 1
    assert "big.bin: file too large; free some space" in limited.stderr
    assert not list((tmp_path / "runs").rglob("big.bin*"))
    assert not list((tmp_path / "runs").rglob(DONE))
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    [folder] = (tmp_path / "runs").glob("Big/*")
    assert (folder / "log.txt").read_text().split() == ["0", "1", "2"]
    assert (folder / "rows" / "big.bin").stat().st_size == 300_000
