"""What a file is, by its suffix and, where that says nothing, by its first bytes."""

from __future__ import annotations

from sensorium.data.locations import Location
from sensorium.data.packing import without_packing

MEDIA_SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".avif"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".mp3", ".opus", ".aiff", ".aif", ".au", ".m4a"),
    "video": (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".mpg", ".mpeg"),
}
"""Media column -> suffixes of the files that go there, lower case."""

TABLE_SUFFIXES = {
    "parquet": (".parquet", ".pq", ".parq"),
    "webdataset": (".tar", ".tgz"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "arrow": (".arrow",),
}
"""Format -> suffixes of its files, lower case; `.gz` and `.zst` may follow those of tars and JSON lines."""

FORMATS = (*TABLE_SUFFIXES, *MEDIA_SUFFIXES)
_PACKED = ("webdataset", "jsonl")


def by_suffix(name: str) -> str | None:
    """The format that a file name says, in either case of letters; None for a name that says nothing."""
    lower = name.lower()
    plain = without_packing(lower)
    for kind, suffixes in TABLE_SUFFIXES.items():
        if (plain if kind in _PACKED else lower).endswith(suffixes):
            return kind
    return next((kind for kind, suffixes in MEDIA_SUFFIXES.items() if lower.endswith(suffixes)), None)


def by_content(file: Location) -> str | None:
    """The format that a file's first bytes say: Parquet, Arrow, tar, or JSON lines."""
    with file.open() as handle:
        head = handle.read(512)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    if head[257:262] == b"ustar":
        return "webdataset"
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b'{"') else None


def stem(name: str) -> str:
    """A file's name without the suffixes of its format."""
    kind = by_suffix(name)
    if kind is None:
        return name
    plain = without_packing(name) if kind in _PACKED else name
    return plain.rpartition(".")[0] or plain
