"""Checked files: a whole file is hashed once, and again only when anything about it changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from sensorium.core import files
from sensorium.core.errors import StorageError

_KNOWN: dict[tuple[str, tuple[int, ...]], str] = {}


def cache_folder() -> Path:
    """Where what can be found again is kept: SENSORIUM_CACHE, else `sensorium` in the user's cache folder."""
    given = os.environ.get("SENSORIUM_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "sensorium"


def sha256_of(path: Path) -> str:
    """The sha256 of a file; not read again while size, both times and inode stay as they were.

    The time of a change of status (ctime) cannot be set by programs, so a file whose times were put back is
    noticed.
    """
    path = Path(path).resolve()
    state = path.stat()
    stamp = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    key = (str(path), stamp)
    if key not in _KNOWN:
        _KNOWN[key] = _stamped(path, stamp)
    return _KNOWN[key]


def _stamped(path: Path, stamp: tuple[int, ...]) -> str:
    place = cache_folder() / "sha256" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(place.read_text("utf-8"))
        if tuple(found["stamp"]) == stamp:
            return str(found["sha256"])
    digest = files.sha256_file(path)
    # A cache that cannot be written only costs the next run a second look.
    with contextlib.suppress(OSError, StorageError):
        files.write_json(place, {"stamp": stamp, "sha256": digest})
    return digest
