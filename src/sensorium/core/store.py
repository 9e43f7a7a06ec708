"""The store: `runs/<StageClass>/<fingerprint>/`, one writer per folder, `done.json` written last."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sensorium.core import files
from sensorium.core.errors import BusyError, StorageError
from sensorium.core.stage import Stage

DONE, BEGUN, LOCK, MARK = "done.json", "begun.json", ".lock", "sensorium-store.json"
SHORT = 20  # hexadecimal digits of a fingerprint in a folder name: 80 bits


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a finished stage says of itself."""

    fingerprint: str
    source: str
    lineage: str
    """A hash of the source that made this result and all it was made from; see `Fingerprints`."""
    metrics: dict[str, float]
    seconds: float
    content: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Done | None:
        """The record of a folder, or None when the stage did not finish there."""
        try:
            content = files.read_json(folder / DONE)
            return cls(
                fingerprint=content["fingerprint"],
                source=content["source"],
                lineage=content["lineage"],
                metrics=dict(content["metrics"]),
                seconds=content["seconds"],
                content=content,
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None


class Store:
    """Folders of finished stages, shared by all recipes and arms.

    Args:
        root: the folder; made when missing. A folder that holds other things is refused, so that a mistyped
            `--out` never mixes a run with somebody's files.
        at: stages that live in a folder of the user's choice instead (`sensorium curate --out DIR`).
    """

    def __init__(self, root: Path, at: tuple[tuple[Stage, Path], ...] = ()) -> None:
        self.root = Path(root)
        self._at = at

    def open(self) -> None:
        """Make the folder, or refuse one that is not a store."""
        mark = self.root / MARK
        if mark.exists():
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise BusyError(f"{self.root} is a file; choose a folder for the results.") from error
        except OSError as error:
            raise StorageError(f"could not make the folder {self.root}: {error.strerror}.") from error
        # A run beside this one may just be writing the mark, and a killed one may have left half of it.
        strangers = [path.name for path in self.root.iterdir() if not path.name.startswith((".", MARK))]
        if strangers and not mark.exists():
            raise BusyError(
                f"{self.root} holds files that are not sensorium's ({strangers[0]}, ...); "
                "choose an empty or new folder for the results."
            )
        files.write_json(mark, {"store": 1, "about": "results of sensorium; folders are named class/fingerprint"})

    def folder(self, stage: Stage, fingerprint: str) -> Path:
        """Where the stage's result lies or will lie."""
        chosen = next((folder for placed, folder in self._at if placed is stage), None)
        return chosen or self.root / type(stage).__name__ / fingerprint[:SHORT]

    def done(self, stage: Stage, fingerprint: str) -> Done | None:
        """The record of a finished stage, or None."""
        found = Done.read(self.folder(stage, fingerprint))
        return found if found and found.fingerprint == fingerprint else None

    def link(self, name: str, folder: Path) -> None:
        """Make `root/name` a relative link to a stage's folder; an older link gives way."""
        link = self.root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        # Resolved, because `..` in a link counts from where the link really lies.
        target = os.path.relpath(folder.resolve(), link.parent.resolve())
        temporary = link.with_name(f"{link.name}{files.TEMPORARY}{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target, target_is_directory=True)
        temporary.replace(link)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of a folder; the lock goes with the process, also when it is killed.

    The kernel's lock decides on one machine; host and process id are for the sentence, and for shared file
    systems whose locks do not cross machines.
    """
    path = folder / LOCK
    with files.says_when_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as handle:
            _take(handle, path)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    handle.truncate(0)


def _take(handle: TextIO, path: Path) -> None:
    """Lock the open file and write down who holds it, or say who does."""
    folder = path.parent
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(f"{folder} is being written {_holder(path)}; wait for it, or choose another folder.") from error
    holder = _read_holder(path)
    if holder and holder.get("host") != socket.gethostname():
        raise BusyError(
            f"{folder} was being written {_holder(path)}, another machine; "
            f"if that run is over, delete {path} and run again."
        )
    handle.truncate(0)
    handle.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}))
    handle.flush()


def _read_holder(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _holder(path: Path) -> str:
    holder = _read_holder(path)
    if not holder:
        return "by another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.get("since", 0)))
    return f"by process {holder.get('pid')} on {holder.get('host')} since {since}"
