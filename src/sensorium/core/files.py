"""Files that are whole or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sensorium.core.errors import StorageError

TEMPORARY = ".tmp-"
_FULL = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "file too large",
}


@contextlib.contextmanager
def says_when_full(path: Path) -> Iterator[None]:
    """Turn 'no space', 'quota' and 'file too large' into a StorageError that names the path."""
    try:
        yield
    except OSError as error:
        reason = _FULL.get(error.errno or 0)
        if reason is None:
            raise
        raise StorageError(
            f"could not write {path}: {reason}; free some space and run the same command again."
        ) from error


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, sync it and rename it to `path`.

    On any error the temporary file or folder is removed and `path` stays as it was.
    """
    path = Path(path)
    with says_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}{TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with says_when_full(path):
            yield temporary
            if temporary.is_dir():
                replace_folder(temporary, path)
            else:
                with temporary.open("rb") as handle:
                    os.fsync(handle.fileno())
                temporary.replace(path)
    finally:
        remove(temporary)


def replace_folder(temporary: Path, path: Path) -> None:
    """Put a finished folder in the place of `path`; an old one is moved aside first, then deleted."""
    old = path.with_name(f"{path.name}{TEMPORARY}old-{os.urandom(4).hex()}")
    if path.exists():
        path.rename(old)
    temporary.rename(path)
    remove(old)


def remove(path: Path) -> None:
    """Delete a file, link or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_debris(folder: Path) -> int:
    """Delete what a killed writer left under temporary names; the caller must hold the folder's lock."""
    found = [path for path in folder.rglob(f"*{TEMPORARY}*") if TEMPORARY in path.name] if folder.exists() else []
    for path in found:
        remove(path)
    return len(found)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a small UTF-8 file with LF line ends atomically."""
    write_bytes(path, content.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, sorted and indented: two equal values give equal bytes; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def safe_name(name: str) -> str:
    """A file name for any text: plain names stay, others become a slug with a hash that keeps them apart.

    A name that looks like one of our temporary names is no plain name: it would be tidied away as debris.
    """
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,79}", name) and TEMPORARY not in name:
        return name
    slug = re.sub(r"[^A-Za-z0-9_.=+-]+|\.tmp-", "-", name).strip("-.+=")[:48] or "item"
    return f"{slug}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def sha256_file(path: Path) -> str:
    """The sha256 of a whole file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while piece := handle.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
