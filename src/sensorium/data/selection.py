"""Which files of a folder are the pool, which lie beside it and are named, and what is unclear and stops."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sensorium.core.errors import InputError, listing
from sensorium.data import hf
from sensorium.data.kinds import FORMATS, MEDIA_SUFFIXES, TABLE_SUFFIXES, by_content, by_suffix, stem
from sensorium.data.locations import Listing, Location, locate

_SIDE_JSON = (".json",)
_LOST = "links to nowhere or back, pipes or devices"


@dataclass(frozen=True)
class Selection:
    """The files of a pool.

    Attributes:
        kind: their format: "parquet", "webdataset", "jsonl", "arrow", "image", "audio" or "video".
        files: in stored order, with names that are unique in the pool.
        others: files beside them, some of which a folder of media uses.
        found: the listings they come from, joined.
        finished: they are the rows of a finished pool, whose ids are unique.
        notes: sentences about what was left out.
    """

    kind: str
    files: tuple[Location, ...]
    others: tuple[Location, ...]
    found: Listing
    finished: bool = False
    notes: tuple[str, ...] = ()

    def stems(self) -> list[tuple[Location, str]]:
        """Each file with its name without suffix, or with its whole name where two would be the same."""
        stems = [stem(file.name) for file in self.files]
        double = {name for name in stems if stems.count(name) > 1} if len(set(stems)) < len(stems) else set()
        return [(file, file.name if name in double else name) for file, name in zip(self.files, stems, strict=True)]


def select(uris: Sequence[str]) -> Selection:
    """The files that some texts (paths, patterns, URIs) stand for.

    Raises:
        InputError: there is nothing to read, or files of several kinds; the sentence says what is there.
    """
    pools = [_pool_rows(locate(uri)) for uri in uris]
    found = _joined([listed for listed, _ in pools])
    notes = [f"left out, hidden: {listing(found.hidden, 5)}"] if found.hidden else []
    notes += [f"left out, {_LOST}: {listing(found.lost, 5)}"] if found.lost else []
    if hf.is_saved(found):
        return Selection("arrow", tuple(hf.saved_files(found)), (), found, notes=tuple(notes))
    kind, files, others = _choose(found)
    hf.refuse_mixed_splits(found, files)
    if kind not in MEDIA_SUFFIXES and others and found.folder:
        notes.append(f"left out, not {kind}: {listing([file.name for file in others], 5)}")
    return Selection(kind, tuple(files), tuple(others), found, all(finished for _, finished in pools), tuple(notes))


def _pool_rows(found: Listing) -> tuple[Listing, bool]:
    """The rows of a finished stage's folder in its place; anything else as it is."""
    names = {file.name for file in found.files}
    if not found.folder:
        return found, False
    if "begun.json" in names and "done.json" not in names:
        raise InputError(
            f"{found.given} is the folder of a run that did not finish; run it again, or give its rows/ folder."
        )
    if not {"pool.json", "done.json"} & names or not any(name.startswith("rows/") for name in names):
        return found, False
    rows = [
        replace(file, name=file.name.removeprefix("rows/")) for file in found.files if file.name.startswith("rows/")
    ]
    return Listing(found.given, posixpath.join(found.root, "rows"), tuple(rows), found.hidden, folder=True), True


def _joined(listings: Sequence[Listing]) -> Listing:
    """Several listings as one; names are then relative to the folder they have in common."""
    if len(listings) == 1:
        return listings[0]
    remote = {one.root.partition("://")[0] if "://" in one.root else "this machine" for one in listings}
    if len(remote) > 1:
        raise InputError(f"the pool mixes places ({listing(sorted(remote))}); all files must lie in one file system.")
    root = posixpath.commonpath([one.root.replace("://", ":/", 1) for one in listings]).replace(":/", "://", 1)
    files = {}
    for one in listings:
        beyond = posixpath.relpath(one.root, root) if one.root != root else ""
        files.update({file.uri: replace(file, name=posixpath.join(beyond, file.name)) for file in one.files})
    given = listing([one.given for one in listings], 3)
    ordered = tuple(sorted(files.values(), key=lambda file: file.name))
    hidden = tuple(name for one in listings for name in one.hidden)
    empty = tuple(name for one in listings for name in one.empty)
    lost = tuple(name for one in listings for name in one.lost)
    return Listing(given, root, ordered, hidden, empty, lost)


def _choose(found: Listing) -> tuple[str, list[Location], list[Location]]:
    kinds = {file.uri: by_suffix(file.name) for file in found.files}
    groups = {kind: [file for file in found.files if kinds[file.uri] == kind] for kind in FORMATS}
    groups = _without_sidecars({kind: files for kind, files in groups.items() if files})
    if not groups or not found.folder:
        for file in found.files:
            content = by_content(file) if kinds[file.uri] is None and file.size else None
            if content:
                groups.setdefault(content, []).append(file)
    if not groups:
        raise InputError(_nothing(found))
    if len(groups) > 1:
        counts = ", ".join(f"{len(files)} {kind}" for kind, files in groups.items())
        example = _pattern(found, next(iter(groups.values()))[0])
        raise InputError(
            f"{found.given} holds files of several kinds ({counts}); name one kind, for instance '{example}'."
        )
    kind, files = next(iter(groups.items()))
    chosen = {file.uri for file in files}
    others = [file for file in found.files if file.uri not in chosen]
    if others and not found.folder and kind in TABLE_SUFFIXES:
        raise InputError(f"{others[0].uri} is no {kind} file like the others of {found.given}.")
    return kind, files, others


def _without_sidecars(groups: dict[str, list[Location]]) -> dict[str, list[Location]]:
    """Drop what accompanies data: JSON beside anything, a table beside its tar, metadata beside media."""
    groups = dict(groups)
    lines = [file for file in groups.get("jsonl", []) if not file.name.lower().endswith(_SIDE_JSON)]
    if "jsonl" in groups and (len(groups) > 1 or lines):
        groups["jsonl"] = lines
    if "webdataset" in groups and "parquet" in groups:
        tars = {stem(file.name) for file in groups["webdataset"]}
        groups["parquet"] = [file for file in groups["parquet"] if stem(file.name) not in tars]
    if set(groups) & set(MEDIA_SUFFIXES) and "jsonl" in groups:
        groups["jsonl"] = [file for file in groups["jsonl"] if file.name != "metadata.jsonl"]
    return {kind: files for kind, files in groups.items() if files}


def _pattern(found: Listing, file: Location) -> str:
    suffix = file.name[len(stem(file.name)) :]
    deep = "**/" if "/" in file.name else ""
    return posixpath.join(found.given if found.folder else found.root, f"{deep}*{suffix}")


def _nothing(found: Listing) -> str:
    known = ", ".join(suffixes[0] for suffixes in (*TABLE_SUFFIXES.values(), *MEDIA_SUFFIXES.values()))
    if not found.files:
        left = [f"{len(found.hidden)} hidden"] if found.hidden else []
        left += [f"{_LOST} ({listing(found.lost, 3)})"] if found.lost else []
        but = f" but {' and '.join(left)}" if left else ""
        return f"the pool {found.given} is empty: no files{but}. It may hold {known}, ..."
    suffixes = sorted({posixpath.splitext(file.name)[1] or file.name for file in found.files})
    return f"no file that can be read in {found.given}; found {listing(suffixes)}. It may hold {known}, ..."
