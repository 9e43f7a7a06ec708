"""Where files lie. A path that exists is literal; only otherwise is it a brace range or a glob.

Names are relative to the folder that was given, so that they stay when the folder moves.
"""

from __future__ import annotations

import glob
import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, BinaryIO, Protocol, cast

from sensorium.core.errors import InputError, MissingExtraError, SettingError, listing, nearest, unknown
from sensorium.core.files import TEMPORARY

MIB = 1 << 20
_WHOLE = 64 * MIB  # files up to this size are hashed in full for the identity
_BRACE = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_DEBRIS = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "__pycache__"})
_CHECKSUMS = (
    "sha256",
    "etag",
    "md5hash",
    "checksum",
    "crc32c",
    "blob_id",
    "content_md5",
    "mtime",
    "lastmodified",
    "last_modified",
)
_MAX_RANGE = 1_000_000
_LOST = -1  # in the place of a size


@dataclass(frozen=True)
class Location:
    """One file: an absolute path or a URI, and its name relative to the pool's folder (with `/`)."""

    uri: str
    name: str
    size: int

    @property
    def local(self) -> bool:
        """Whether `uri` is a path of this machine's file system."""
        return "://" not in self.uri

    @property
    def folder(self) -> str:
        """The folder the file lies in, as path or URI."""
        return posixpath.dirname(self.uri)

    def stamp(self) -> tuple[int, int] | None:
        """Size and time of the last change in ns, to see a change by; None of a remote file or one that is gone."""
        try:
            found = os.stat(self.uri) if self.local else None
        except OSError:
            found = None
        return (found.st_size, found.st_mtime_ns) if found else None

    def open(self) -> BinaryIO:
        """Open for reading; seekable. A file that went away or may not be read is an InputError."""
        try:
            if self.local:
                return open(self.uri, "rb")
            place, path = _place(self.uri)
            return cast(_Remote, place).open(path)
        except FileNotFoundError as error:
            raise InputError(f"{self.uri} is not there any more.") from error
        except PermissionError as error:
            raise InputError(f"{self.uri} cannot be read: permission denied.") from error


@dataclass(frozen=True)
class Listing:
    """What a given text stands for.

    Attributes:
        given: the text.
        root: the folder that names are relative to.
        files: sorted by name.
        hidden: names that were left out: dot files, desktop debris, temporary files of a killed writer.
        empty: folders without a file.
        lost: links that lead nowhere or back up, pipes and devices.
        folder: the text named exactly one folder.
    """

    given: str
    root: str
    files: tuple[Location, ...]
    hidden: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    folder: bool = False


def is_hidden(name: str) -> bool:
    """Whether a relative name is debris: a dot file, what a desktop left, or a temporary file."""
    parts = name.split("/")
    return any(part.startswith(".") or part.lower() in _DEBRIS or TEMPORARY in part for part in parts)


def locate(given: str) -> Listing:
    """The files a text stands for.

    A path that exists is taken letter by letter, whatever characters it has. Otherwise the longest existing
    beginning is literal, and in the rest `{00000..00003}` and `{a,b}` name files that must all be there, `*`,
    `?`, `[...]` and `**` are searched.

    Raises:
        InputError: nothing is there, or members of a range are missing; the sentence names them.
    """
    if not given.strip():
        raise SettingError("a pool is given as '', an empty text; give a file, a folder, a pattern or a URI.")
    place, path = _place(given)
    if place.exists(path):
        return _literal(place, path, given)
    prefix, rest = _literal_prefix(place, path)
    names = _expand(rest)
    if names == [rest] and not glob.has_magic(rest):
        raise InputError(_nothing(place, given, prefix, rest))
    found: dict[str, int] = {}
    missing = []
    for name in names:
        matches = _matches(place, prefix, name)
        found.update(matches)
        if not matches:
            missing.append(name)
    if len(names) > 1 and missing:
        raise InputError(
            f"{given} names {len(names)} files, but {len(missing)} of them "
            f"{'is' if len(missing) == 1 else 'are'} missing: {listing(missing)}."
        )
    if not found:
        raise InputError(f"nothing matches {given}: no such file in {prefix or '.'}.")
    return _from_matches(place, given, prefix, found)


def _literal(place: _Place, path: str, given: str) -> Listing:
    if not place.is_folder(path):
        root = posixpath.dirname(path)
        return Listing(given, place.uri(root), (_location(place, path, posixpath.basename(path), place.size(path)),))
    files, hidden, empty, lost = [], [], [], []
    for name, size in place.walk(path):
        if is_hidden(name):
            hidden.append(name.rstrip("/"))
        elif size is not None:
            files.append(_location(place, posixpath.join(path, name), name, size))
        elif name.endswith("/"):
            empty.append(name.rstrip("/"))
        else:
            lost.append(name)
    files.sort(key=lambda file: file.name)
    return Listing(
        given,
        place.uri(path),
        tuple(files),
        hidden=tuple(sorted(hidden)),
        empty=tuple(sorted(empty)),
        lost=tuple(sorted(lost)),
        folder=True,
    )


def _from_matches(place: _Place, given: str, prefix: str, found: dict[str, int]) -> Listing:
    files: dict[str, Location] = {}
    hidden: list[str] = []
    lost: list[str] = []
    for path in sorted(found):
        name = posixpath.relpath(path, prefix) if prefix else path
        if is_hidden(name):
            hidden.append(name)
        elif found[path] == _LOST:
            lost.append(name)
        elif place.is_folder(path):
            inner = _literal(place, path, given)
            hidden += [f"{name}/{other}" for other in inner.hidden]
            lost += [f"{name}/{other}" for other in inner.lost]
            files.update({file.uri: Location(file.uri, f"{name}/{file.name}", file.size) for file in inner.files})
        else:
            files[place.uri(path)] = _location(place, path, name, found[path])
    ordered = tuple(sorted(files.values(), key=lambda file: file.name))
    return Listing(given, place.uri(prefix), ordered, tuple(sorted(hidden)), lost=tuple(sorted(lost)))


def _location(place: _Place, path: str, name: str, size: int) -> Location:
    return Location(place.uri(path), name, size)


def _literal_prefix(place: _Place, path: str) -> tuple[str, str]:
    """Cut a path behind its longest existing beginning; only parts with special characters need a look."""
    parts = path.split("/")
    prefix = ""
    for position, part in enumerate(parts):
        longer = part if position == 0 else f"{prefix}/{part}"
        special = glob.has_magic(part) or "{" in part
        if position == len(parts) - 1 or (special and not place.exists(longer)):
            return prefix or ("/" if path.startswith("/") else ""), "/".join(parts[position:])
        prefix = longer
    return prefix, ""


def _expand(text: str) -> list[str]:
    """Brace ranges and alternatives written out, in order; a text without them is returned alone."""
    pieces: list[list[str]] = []
    end = 0
    for brace in _BRACE.finditer(text):
        inner = brace.group(1)
        bounds = _RANGE.fullmatch(inner)
        if bounds:
            options = _range(bounds.group(1), bounds.group(2), text)
        elif "," in inner:
            options = inner.split(",")
        else:
            continue
        pieces += [[text[end : brace.start()]], options]
        end = brace.end()
    pieces.append([text[end:]])
    return ["".join(combination) for combination in product(*pieces)]


def _range(first: str, last: str, text: str) -> list[str]:
    low, high = int(first), int(last)
    if high < low or high - low >= _MAX_RANGE:
        raise SettingError(
            f"the range {{{first}..{last}}} in {text} must go upwards and name at most {_MAX_RANGE} files."
        )
    width = len(first) if first.startswith("0") or len(first) == len(last) else 0
    return [str(number).zfill(width) for number in range(low, high + 1)]


def _matches(place: _Place, prefix: str, rest: str) -> dict[str, int]:
    path = posixpath.join(prefix, rest)
    if place.exists(path):
        return {path: 0 if place.is_folder(path) else place.size(path)}
    return place.glob(prefix, rest) if glob.has_magic(rest) else {}


def _nothing(place: _Place, given: str, prefix: str, rest: str) -> str:
    near = nearest(
        posixpath.basename(given.rstrip("/")),
        place.names(posixpath.dirname(posixpath.join(prefix, rest)) or "."),
    )
    hint = f"; did you mean '{near}'?" if near else "."
    return f"there is no file or folder {given}{hint}"


class _Place(Protocol):
    """A file system, as far as a pool needs one. Paths use `/`."""

    def exists(self, path: str) -> bool: ...
    def is_folder(self, path: str) -> bool: ...
    def size(self, path: str) -> int: ...
    def walk(self, path: str) -> Iterator[tuple[str, int | None]]: ...
    def glob(self, prefix: str, rest: str) -> dict[str, int]: ...
    def names(self, path: str) -> list[str]: ...
    def uri(self, path: str) -> str: ...


class _Local:
    """This machine's file system."""

    def exists(self, path: str) -> bool:
        return os.path.exists(path or ".")

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path or ".")

    def size(self, path: str) -> int:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is a pipe or a device; a pool is read more than once, so give a file.")
        return found.st_size

    def uri(self, path: str) -> str:
        return os.path.abspath(path or ".")

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except OSError:
            return []

    def glob(self, prefix: str, rest: str) -> dict[str, int]:
        pattern = posixpath.join(glob.escape(prefix), rest)
        found = {}
        for path in glob.glob(pattern, recursive=True):
            try:
                seen = os.stat(path)
                plain = stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode)
            except OSError:  # a link to nowhere, or round in a circle
                plain = False
            found[path.rstrip("/")] = seen.st_size if plain else _LOST
        return found

    def walk(self, path: str) -> Iterator[tuple[str, int | None]]:
        """Relative names with sizes; None for folders (with `/`) that are empty or hidden, and for what is lost."""
        stack: list[tuple[str, frozenset[str]]] = [("", frozenset())]
        while stack:
            inner, above = stack.pop()
            here = os.path.join(path, inner)
            entries = self._entries(here)
            above = above | {os.path.realpath(here)}
            if not entries and inner:
                yield f"{inner}/", None
            for entry in entries:
                name = posixpath.join(inner, entry.name)
                try:
                    if entry.is_file():
                        yield name, entry.stat().st_size
                    elif not entry.is_dir() or os.path.realpath(entry.path) in above:
                        yield name, None  # a link to nowhere or back up is not followed
                    elif is_hidden(entry.name):
                        yield f"{name}/", None
                    else:
                        stack.append((name, above))
                except OSError:  # a link round in a circle, or a file that has just gone
                    yield name, None

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                return list(found)
        except PermissionError as error:
            raise InputError(f"{folder} cannot be read: permission denied.") from error


class _Remote:
    """A file system of fsspec."""

    def __init__(self, fs: Any, protocol: str) -> None:
        self.fs = fs
        self.protocol = protocol

    def _ask(self, what: str, path: str, **options: Any) -> Any:
        """The answer of the file system; each brings errors of its own kinds, which here are one sentence."""
        try:
            return getattr(self.fs, what)(path, **options)
        except FileNotFoundError:
            raise
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")[:200]
            raise InputError(f"{self.uri(path)} cannot be reached ({why}).") from error

    def exists(self, path: str) -> bool:
        if self._ask("exists", path):
            return True
        try:
            return self.protocol in ("http", "https") and bool(self._ask("info", path))
        except FileNotFoundError as error:
            if isinstance(error.__cause__, OSError):  # a web server that cannot be reached is "not found" as well
                raise InputError(f"{self.uri(path)} cannot be reached ({error.__cause__}).") from error
            return False

    def is_folder(self, path: str) -> bool:
        return bool(self._ask("isdir", path))

    def size(self, path: str) -> int:
        return int(self.info(path).get("size") or 0)

    def info(self, path: str) -> dict[str, Any]:
        return dict(self._ask("info", path))

    def open(self, path: str) -> BinaryIO:
        return cast("BinaryIO", self._ask("open", path, mode="rb"))

    def uri(self, path: str) -> str:
        return path if "://" in path else f"{self.protocol}://{path}"

    def names(self, path: str) -> list[str]:
        try:
            return [posixpath.basename(str(name).rstrip("/")) for name in self._ask("ls", path, detail=False)]
        except (OSError, InputError):
            return []

    def glob(self, prefix: str, rest: str) -> dict[str, int]:
        found = self._ask("glob", posixpath.join(glob.escape(prefix), rest), detail=True)
        return {str(path): self._size(path, info) for path, info in found.items()}

    def walk(self, path: str) -> Iterator[tuple[str, int | None]]:
        for found, info in self._ask("find", path, detail=True).items():
            yield posixpath.relpath(found, path), self._size(found, info)

    def _size(self, path: str, info: Mapping[str, Any]) -> int:
        """The size in a listing; a web server's listing has none."""
        known = info.get("size")
        return self.size(path) if known is None and info.get("type") != "directory" else int(known or 0)


def _place(given: str) -> tuple[_Place, str]:
    """The file system of a path or URI, and the path in it."""
    protocol, _, rest = given.partition("://")
    if not rest or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", protocol) or os.path.exists(given):
        return _Local(), given if set(given) == {"/"} else given.rstrip("/")
    if protocol == "file":
        return _Local(), rest.rstrip("/") or "/"
    import fsspec  # 80 ms that a local pool does not pay

    try:
        fs = fsspec.filesystem(protocol)
    except ImportError as error:
        extra = "; install it with: pip install 'sensorium[hub]'" if protocol == "hf" else ""
        raise MissingExtraError(f"reading {given} needs a package that is not installed ({error}){extra}.") from error
    except Exception as error:  # each file system has its own
        if protocol not in fsspec.available_protocols():
            raise unknown("protocol", protocol, fsspec.available_protocols()) from error
        raise SettingError(f"{given} cannot be opened: {error}.") from error
    return _Remote(fs, protocol), str(fs._strip_protocol(given)).rstrip("/")


def read_uri(uri: str, *, limit: int) -> bytes:
    """The content of a file given by path or URI.

    Raises:
        FileNotFoundError: it is not there.
        OverflowError: it is larger than `limit` bytes.
    """
    place, path = _place(uri)
    if not place.exists(path) or place.is_folder(path):
        raise FileNotFoundError(uri)
    if place.size(path) > limit:
        raise OverflowError(uri)
    with _location(place, path, path, 0).open() as handle:
        return handle.read(limit)


def content_identity(files: Sequence[Location]) -> list[list[Any]]:
    """Name, size and content hash of each file, sorted by name; read by a few threads.

    Files up to 64 MiB are hashed in full; of larger ones the first and last MiB and 30 evenly spaced blocks
    of 64 KiB. Remote files are known by what their store says of them (checksum, etag or time of change),
    else by content.
    """
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: [file.name, file.size, _digest(file)], files))
    return sorted(found)


def _digest(file: Location) -> str:
    if not file.local:
        place, path = _place(file.uri)
        info = {key.lower(): value for key, value in cast(_Remote, place).info(path).items()}
        known = {key: str(info[key]) for key in _CHECKSUMS if info.get(key)}
        if known:
            return hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()
    digest = hashlib.sha256()
    with file.open() as handle:
        for start, length in _blocks(file.size):
            handle.seek(start)
            _update(digest, handle, length)
    return digest.hexdigest()


def _update(digest: Any, handle: BinaryIO, length: int) -> None:
    while length > 0 and (piece := handle.read(min(length, MIB))):
        digest.update(piece)
        length -= len(piece)


def _blocks(size: int) -> list[tuple[int, int]]:
    """The stretches (start, length) of a file that enter its hash."""
    if size <= _WHOLE:
        return [(0, size)]
    block = 64 << 10
    inner = size - 2 * MIB - block
    return [(0, MIB), *((MIB + inner * k // 29, block) for k in range(30)), (size - MIB, MIB)]


def leaves_folder(path: str, folder: str) -> bool:
    """Whether a path found in data points outside the pool's folder: `..`, or an absolute path elsewhere."""
    if "\0" in path or ".." in path.split("/"):
        return True
    if path.startswith("/") or "://" in path:
        return not (folder and path.startswith(folder.rstrip("/") + "/"))
    return False
