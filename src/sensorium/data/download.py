"""Downloads that can be interrupted: parts are continued, and files appear only with their sha256."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.stage import Progress
from sensorium.core.store import locked
from sensorium.data import catalog

PART = ".part"
RETRIES = 5
TIMEOUT_SECONDS = 30.0
_PIECE = 1 << 18


class _AgainError(Exception):
    """A failure that may pass: try once more."""


class _WrongError(Exception):
    """The whole file came and is another one."""


def get(name: str, to: Path, base_url: str | None = None, *, progress: Progress | None = None) -> list[Path]:
    """Fetch the prepared files of a set into `to/NAME/`; what is there already with its sha256 is kept.

    No public place offers the prepared files; they come from a mirror of yours. Without `base_url` this says
    where the material comes from and which files belong where.

    Args:
        name: of the set.
        to: a folder; name it in SENSORIUM_DATA to use the set afterwards.
        base_url: `https://...` or `http://...`; files lie at `BASE_URL/NAME/FILE`.
        progress: where to show it.

    Raises:
        SettingError: no such set, or an address that is neither http nor https.
        InputError: no `base_url`; a file is missing there, or is another one; the connection kept failing.
    """
    known = catalog.card(name)
    if base_url is None:
        raise InputError(
            f"no prepared download of '{name}' is published; give the base URL of a mirror that has "
            f"{name}/{known.files[0].file}. Otherwise: {catalog.missing(name)}"
        )
    if urllib.parse.urlsplit(base_url).scheme not in ("http", "https"):
        raise SettingError(f"base_url is '{base_url}'; it must begin with https:// or http://.")
    folder, paths = Path(to) / name, []
    with locked(folder):
        for file in known.files:
            url = f"{base_url.rstrip('/')}/{urllib.parse.quote(name)}/{urllib.parse.quote(file.file)}"
            paths.append(fetch(url, folder / file.file, sha256=file.sha256, size=file.bytes))
            if progress is not None:
                progress.say(f"{name}/{file.file}: {file.bytes:,} bytes, sha256 as recorded.")
    return paths


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int,
    retries: int = RETRIES,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch one file; continue a part that an earlier try left beside it.

    A part whose continuation has the wrong sha256 is thrown away and the file fetched once more from its
    beginning (the part may have been of an older version); a whole file with the wrong sha256 is refused.

    Args:
        url: http or https.
        path: the final place; `path.part` holds what came so far.
        sha256: the recorded one.
        size: the recorded number of bytes; more are never written.
        retries: tries after the first, with waits of 0.5, 1, 2, ... seconds; progress starts the count anew.
        wait: how to wait.
    """
    part = path.with_name(path.name + PART)
    if path.is_file() and path.stat().st_size == size and files.sha256_file(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    tries, before = 0, _length(part)
    while True:
        continued = _length(part) > 0
        try:
            _continue(url, part, size)
            return _accept(part, path, sha256)
        except _WrongError:
            part.unlink()
            if not continued:
                raise InputError(f"{url} is not the recorded file: its sha256 differs; nothing was kept.") from None
        except _AgainError as error:
            tries = 0 if _length(part) > before else tries + 1
            before = _length(part)
            if tries > retries:
                raise InputError(
                    f"{url} could not be fetched after {tries} tries ({error}); "
                    f"{before:,} of {size:,} bytes are kept, run the same command to continue."
                ) from error
            wait(0.5 * 2 ** max(0, tries - 1))


def _continue(url: str, part: Path, size: int) -> None:
    """Append to the part what is missing, in one request."""
    start = _length(part)
    if start > size:
        part.unlink()
        start = 0
    if start == size:
        return
    headers = {"Range": f"bytes={start}-"} if start else {}
    # urllib follows redirects to http, https and ftp only; the address itself was checked by the caller.
    request = urllib.request.Request(url, headers={"User-Agent": "sensorium", "Accept-Encoding": "identity", **headers})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
            _append(reply, part, start, size)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _AgainError("the server has no such range") from error
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _AgainError(f"HTTP {error.code}") from error
        raise InputError(f"{url} answers HTTP {error.code} ({error.reason}); check the base URL.") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _AgainError(str(getattr(error, "reason", "")) or type(error).__name__) from error
    if _length(part) < size:
        raise _AgainError(f"the connection ended after {_length(part):,} of {size:,} bytes")


def _append(reply: http.client.HTTPResponse, part: Path, start: int, size: int) -> None:
    if reply.status == 206 and not str(reply.headers.get("Content-Range", "")).startswith(f"bytes {start}-"):
        part.unlink(missing_ok=True)
        raise _AgainError("the server sent another range")
    resumed = reply.status == 206
    written = start if resumed else 0  # a server without ranges sends the file from its beginning
    with files.says_when_full(part), part.open("ab" if resumed else "wb") as handle:
        while piece := reply.read(min(_PIECE, size - written + 1)):
            written += len(piece)
            if written > size:
                handle.truncate(0)
                raise _WrongError
            handle.write(piece)


def _accept(part: Path, path: Path, sha256: str) -> Path:
    if files.sha256_file(part) != sha256:
        raise _WrongError
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    part.replace(path)
    return path


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
