"""Work on this machine: loky processes with one BLAS thread each, or threads for work that frees the lock."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from multiprocessing import resource_tracker
from typing import Any

from sensorium.core.errors import StageFailedError
from sensorium.core.stage import Buildable

_ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}


class LocalRunner:
    """The Runner of one machine.

    Args:
        workers: processes at once; with 1, or with one item, work is done in this process.

    Processes are started by loky (a fresh interpreter each, never a fork of one that holds torch), so this
    works in notebooks and needs no `if __name__ == "__main__"`. A worker whose class sets `frees_lock = True`
    runs in threads.
    """

    def __init__(self, workers: int = 1) -> None:
        self.num_workers = max(1, workers)

    def map(self, worker: Buildable, items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of the items; at most twice as many items as workers are under way."""
        listed = list(items)
        ahead = 2 * self.num_workers
        if self.num_workers == 1 or len(listed) <= 1:
            yield from _inline(worker, listed)
        elif getattr(worker, "frees_lock", False):
            handle = worker.build()
            with ThreadPoolExecutor(self.num_workers) as pool:
                yield from _in_order(lambda item: pool.submit(handle, item), listed, ahead, cancel=True)
        else:
            with _says_when_killed(), _processes(worker, min(self.num_workers, len(listed))) as pool:
                yield from _in_order(lambda item: pool.submit(_handle, item), listed, ahead)

    @contextlib.contextmanager
    def workers(self, worker: Buildable, count: int) -> Iterator[Workers]:
        """Long-lived processes that each hold one built worker."""
        with _processes(worker, count) as pool:
            yield Workers(pool)


class Workers:
    """Handles to long-lived workers."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def submit(self, item: Any) -> Future[Any]:
        """Send one item to whichever worker is free."""
        outcome: Future[Any] = Future()
        outcome.set_running_or_notify_cancel()
        with _says_when_killed():
            self._pool.submit(_handle, item).add_done_callback(partial(_pass_on, outcome))
        return outcome


def _pass_on(outcome: Future[Any], done: Future[Any]) -> None:
    try:
        with _says_when_killed():
            outcome.set_result(done.result())
    except BaseException as error:  # noqa: BLE001  (whatever happened there is for whoever waits here)
        outcome.set_exception(error)


def _inline(worker: Buildable, items: list[Any]) -> Iterator[Any]:
    if items:
        handle = worker.build()
        for item in items:
            yield handle(item)


def _in_order(
    submit: Callable[[Any], Future[Any]], items: list[Any], ahead: int, *, cancel: bool = False
) -> Iterator[Any]:
    """Yield results in order while keeping `ahead` items under way.

    With `cancel`, items that have not begun are called off when one fails. Not for processes, which are killed then:
    loky reports to each future of a killed worker, and trips over one that was called off.
    """
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            waiting.append(submit(item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        for future in waiting if cancel else ():
            future.cancel()
        raise


@contextlib.contextmanager
def _says_when_killed() -> Iterator[None]:
    """Turn the end of a worker process into one sentence; the pool says it at `submit` or at a result."""
    from loky.process_executor import TerminatedWorkerError

    try:
        yield
    except TerminatedWorkerError as error:
        raise StageFailedError(
            "a worker process was killed (often: out of memory); finished items are kept, "
            "run again with fewer --workers."
        ) from error


@contextlib.contextmanager
def _processes(worker: Buildable, count: int) -> Iterator[Executor]:
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(
        max_workers=count,
        initializer=_start,
        initargs=(os.getpid(), list(sys.path), _pickled(worker)),
        env=_ONE_THREAD,
    )
    try:
        with _ctrl_c_waits():
            pool.submit(os.getpid)  # the first item starts the processes
        yield pool
        pool.shutdown(wait=True)
    except BaseException:
        pool.shutdown(wait=True, kill_workers=True)
        raise


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back while processes start, which then never get it.

    A terminal sends it to the whole group, but workers are stopped from here, and theirs would be tracebacks.
    """
    resource_tracker.ensure_running()  # starting it (up to Python 3.13) would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pickled(worker: Buildable) -> bytes:
    """The worker as bytes; classes of files loaded by path travel with their code."""
    import cloudpickle  # type: ignore[import-untyped]

    for name, module in list(sys.modules.items()):
        if name.startswith("sensorium_file_") and module is not None:
            cloudpickle.register_pickle_by_value(module)
    return bytes(cloudpickle.dumps(worker))


class _Held:
    """What a worker process holds: the worker as bytes, and what it built of them."""

    blob: bytes = b""
    handle: Callable[[Any], Any] | None = None


def _start(parent: int, path: list[str], blob: bytes) -> None:
    """Runs once in a worker process: see the same modules, and leave when the parent is gone."""
    sys.path[:] = path
    _Held.blob = blob
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _handle(item: Any) -> Any:
    """Runs in a worker process: build once, then handle the item."""
    if _Held.handle is None:
        import cloudpickle

        _Held.handle = cloudpickle.loads(_Held.blob).build()
        _Held.blob = b""
    assert _Held.handle, "build() returns a function"
    return _Held.handle(item)


def _leave_with(parent: int) -> None:
    # A parent killed by SIGKILL cannot stop its workers; one that lived on would write beside the next run.
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
