from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import pytest

from sensorium.core.errors import SettingError, StageFailedError, UserError
from sensorium.core.recipe import find
from sensorium.engine.local import LocalRunner

# However pytest names this module, workers get its classes as they are.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class OwnError(Exception):
    """Of the user's code; with arguments that are not one text."""

    def __init__(self, item: int, reason: str) -> None:
        super().__init__(item, reason)
        self.item, self.reason = item, reason


@dataclass(frozen=True)
class Worker:
    """Notes each build and each item in files, then does what the item says."""

    notes: Path

    def build(self):
        self.note("built.txt", os.getpid())

        def handle(item: Any) -> Any:
            self.note("handled.txt", item)
            what, value = item if isinstance(item, tuple) else ("give", item)
            if what == "sleep":
                time.sleep(value)
            if what == "setting":
                raise SettingError(f"{value} is not allowed.")
            if what == "own":
                raise OwnError(value, "because")
            if what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "environment":
                return {name: os.environ.get(name) for name in value}
            return value, os.getpid()

        return handle

    def note(self, name: str, what: Any) -> None:
        with (self.notes / name).open("a") as file:
            file.write(f"{what}\n")

    def lines(self, name: str) -> list[str]:
        return (self.notes / name).read_text().splitlines() if (self.notes / name).exists() else []


@dataclass(frozen=True)
class Threaded(Worker):
    frees_lock: ClassVar[bool] = True


@pytest.fixture
def worker(tmp_path):
    return Worker(tmp_path)


SLOW_FIRST = [("sleep", 0.2), ("sleep", 0.0), 3, ("sleep", 0.05), 5, 6, 7]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", [Worker, Threaded])
def test_results_come_in_the_order_of_the_items(tmp_path, count, kind):
    found = list(LocalRunner(count).map(kind(tmp_path), iter(SLOW_FIRST)))
    assert [value for value, _ in found] == [0.2, 0.0, 3, 0.05, 5, 6, 7]


def test_each_process_builds_the_worker_once(worker):
    found = list(LocalRunner(2).map(worker, [("sleep", 0.05)] * 8))
    built = worker.lines("built.txt")
    assert len(built) == len(set(built)) == 2
    assert {str(process) for _, process in found} == set(built)
    assert str(os.getpid()) not in built


@pytest.mark.parametrize(("count", "items"), [(1, [1, 2, 3]), (4, [1])])
def test_one_worker_or_one_item_is_handled_here(worker, count, items):
    assert list(LocalRunner(count).map(worker, items)) == [(item, os.getpid()) for item in items]
    assert worker.lines("built.txt") == [str(os.getpid())]


def test_without_items_nothing_is_built(worker):
    assert list(LocalRunner(2).map(worker, [])) == []
    assert worker.lines("built.txt") == []


def test_threads_share_one_worker_in_this_process(tmp_path):
    worker = Threaded(tmp_path)
    found = list(LocalRunner(2).map(worker, [1, 2, 3, 4]))
    assert found == [(item, os.getpid()) for item in (1, 2, 3, 4)]
    assert worker.lines("built.txt") == [str(os.getpid())]


@pytest.mark.parametrize("kind", [Worker, Threaded])
def test_only_so_many_items_are_under_way(tmp_path, kind):
    worker = kind(tmp_path)
    results = LocalRunner(2).map(worker, range(100))
    next(results)
    time.sleep(0.3)
    assert len(worker.lines("handled.txt")) <= 4
    results.close()
    assert len(worker.lines("handled.txt")) < 10


@pytest.mark.parametrize("count", [1, 2])
def test_errors_arrive_as_they_were_raised(worker, count):
    runner = LocalRunner(count)
    with pytest.raises(SettingError) as setting:
        list(runner.map(worker, [1, ("setting", "x"), 3]))
    assert type(setting.value) is SettingError
    assert isinstance(setting.value, UserError)
    assert str(setting.value) == "x is not allowed."
    with pytest.raises(OwnError) as own:
        list(runner.map(worker, [1, ("own", 5), 3]))
    assert (own.value.item, own.value.reason) == (5, "because")


def test_results_before_an_error_are_given_and_the_rest_is_left(worker):
    results = LocalRunner(2).map(worker, [1, 2, ("setting", "x"), *range(50)])
    assert [next(results)[0], next(results)[0]] == [1, 2]
    with pytest.raises(SettingError):
        next(results)
    assert list(results) == []
    assert len(worker.lines("handled.txt")) < 20


def test_an_error_while_building_arrives_too(tmp_path):
    class Broken:
        def build(self):
            raise SettingError("there is no model folder.")

    for count in (1, 2):
        with pytest.raises(SettingError, match="there is no model folder"):
            list(LocalRunner(count).map(Broken(), [1, 2]))


def test_a_killed_worker_is_one_sentence(worker):
    with pytest.raises(StageFailedError, match=r"a worker process was killed .* fewer --workers"):
        list(LocalRunner(2).map(worker, [1, ("kill", 0), 3, 4, 5, 6]))


def test_a_worker_is_pickled_once_whatever_the_number_of_items(tmp_path):
    class Heavy(Worker):
        def __getstate__(self):
            self.note("pickled.txt", os.getpid())
            return dict(self.__dict__)

    worker = Heavy(tmp_path)
    assert len(list(LocalRunner(2).map(worker, range(20)))) == 20
    assert len(worker.lines("pickled.txt")) == 1


def test_a_worker_process_has_one_thread_for_linear_algebra(worker):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    for found in LocalRunner(2).map(worker, [("environment", names)] * 2):
        assert found == dict.fromkeys(names, "1")


def test_long_lived_workers_take_items_one_by_one(worker):
    with LocalRunner().workers(worker, 2) as pool:
        futures = [pool.submit(number) for number in range(6)]
        wait(futures)
        assert [future.result()[0] for future in futures] == list(range(6))
        with pytest.raises(SettingError, match="x is not allowed"):
            pool.submit(("setting", "x")).result()
        assert pool.submit(7).result()[0] == 7
    assert len(set(worker.lines("built.txt"))) <= 2


def test_a_killed_long_lived_worker_is_the_same_sentence(worker):
    with (
        pytest.raises(StageFailedError, match="a worker process was killed"),
        LocalRunner().workers(worker, 2) as pool,
    ):
        pool.submit(("kill", 0)).result()
    with LocalRunner().workers(worker, 2) as pool:
        killed = pool.submit(("kill", 0))
        wait([killed])
        assert isinstance(killed.exception(), StageFailedError)
        with pytest.raises(StageFailedError, match="a worker process was killed"):
            pool.submit(1).result()


RECIPE = """
from dataclasses import dataclass, fields
from typing import ClassVar
from sensorium.core.stage import Stage, stage

PAPER = {}
OFFSET = 100


class Refused(Exception):
    pass


@dataclass(frozen=True)
class Reply:
    number: int
    extra: str = "default"


@stage
class Mine(Stage):
    gives: ClassVar[str] = "pool"
    size: int = 3

    def run(self, here):
        return {}


def shifted(number):
    return number + OFFSET


@dataclass(frozen=True)
class Worker:
    stage: Mine

    def build(self):
        def handle(item):
            if item < 0:
                raise Refused(item)
            assert [spec.name for spec in fields(self.stage)] == ["name", "size"]
            assert isinstance(self.stage, Stage)
            return Reply(shifted(item) + self.stage.size)
        return handle
"""


def test_classes_of_a_file_loaded_by_path_travel(tmp_path):
    path = tmp_path / "travelling.py"
    path.write_text(RECIPE)
    module = find(str(path))[0].module()
    worker = module.Worker(module.Mine(size=5))
    replies = list(LocalRunner(2).map(worker, range(4)))
    assert replies == [module.Reply(number + 105) for number in range(4)]
    assert all(isinstance(reply, module.Reply) for reply in replies)
    with pytest.raises(module.Refused):
        list(LocalRunner(2).map(worker, [1, -1]))


SCRIPT = """
import os, sys, time
from pathlib import Path
from sensorium.engine.local import LocalRunner

FACTOR = 3

class Refused(Exception):
    pass

class Worker:
    def build(self):
        def handle(item):
            if item == "pid":
                Path(sys.argv[2], str(os.getpid())).write_text("")
                time.sleep(60)
            if item < 0:
                raise Refused(item)
            return FACTOR * item
        return handle
"""


def script(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT + body)
    return [sys.executable, str(path)]


def test_classes_of_a_script_travel_without_a_guard(tmp_path):
    body = """
print(list(LocalRunner(2).map(Worker(), range(5))))
try:
    list(LocalRunner(2).map(Worker(), [1, -1, 2]))
except Refused as error:
    print("refused", error)
"""
    done = subprocess.run(script(tmp_path, body), capture_output=True, text=True, timeout=60)
    assert done.stdout == "[0, 3, 6, 9, 12]\nrefused -1\n", done.stderr


def test_it_works_in_a_running_event_loop(worker):
    async def cell() -> list[Any]:
        return [value for value, _ in LocalRunner(2).map(worker, [1, 2, 3])]

    assert asyncio.run(cell()) == [1, 2, 3]


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def sleeping(tmp_path):
    """A script with two workers that sleep and one without work; its process and the ids of the two."""
    pids = tmp_path / "pids"
    pids.mkdir()
    body = """
try:
    with LocalRunner().workers(Worker(), 3) as pool:
        [future.result() for future in [pool.submit("pid"), pool.submit("pid")]]
except KeyboardInterrupt:
    print("stopped", flush=True)
    sys.exit(130)
"""
    command = [*script(tmp_path, body), "x", str(pids)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert wait_for(lambda: len(list(pids.iterdir())) == 2, 30)
    workers = [int(path.name) for path in pids.iterdir()]
    yield process, workers
    for left in (process.pid, *workers):
        if alive(left):
            os.kill(left, signal.SIGKILL)
    process.communicate()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
def test_workers_leave_when_their_parent_was_killed(sleeping):
    process, workers = sleeping
    assert all(map(alive, workers))
    process.kill()
    process.wait()
    assert wait_for(lambda: not any(map(alive, workers)), 5)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.4])
def test_ctrl_c_while_workers_start_leaves_no_tracebacks(tmp_path, seconds):
    body = """
try:
    print("begun", flush=True)
    list(LocalRunner(3).map(Worker(), range(100_000)))
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    process = subprocess.Popen(
        script(tmp_path, body), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (out, err) == ("stopped\n", "")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
def test_ctrl_c_stops_all_quickly_and_without_tracebacks(sleeping):
    process, workers = sleeping
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, "stopped\n")
    assert "Traceback" not in err
    assert wait_for(lambda: not any(map(alive, workers)), 5)
