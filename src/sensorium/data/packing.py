"""gzip and zstd streams in bounded memory; a cut stream is noticed, and what came before it is kept."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

import zstandard

Packing = Literal["gz", "zst"]
_BLOCK = 1 << 20
_SUFFIXES: dict[str, Packing] = {"gz": "gz", "tgz": "gz", "zst": "zst", "zstd": "zst"}


class DamagedError(Exception):
    """A compressed file is cut or broken; its text says which kind it is."""


def packing(name: str) -> Packing | None:
    """How a file is compressed, by its suffix."""
    return _SUFFIXES.get(name.lower().rpartition(".")[2])


def without_packing(name: str) -> str:
    """The name without a suffix of compression: `a.jsonl.gz` becomes `a.jsonl`, `a.tgz` stays."""
    stem, _, suffix = name.rpartition(".")
    return stem if suffix.lower() in ("gz", "zst", "zstd") else name


def unpacked(handle: BinaryIO, how: Packing | None) -> Iterator[bytes]:
    """The content in blocks, all gzip members or zstd frames one after another.

    Raises:
        DamagedError: after the last block that could be unpacked.
    """
    if how == "zst":
        yield from _unpacked_zst(handle)
        return
    source: Any = gzip.GzipFile(fileobj=handle) if how == "gz" else handle
    # read1 hands out what is unpacked before it meets the damage; read would lose it.
    read = source.read1 if how == "gz" else source.read
    try:
        while block := read(_BLOCK):
            yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedError("damaged gzip file") from error


def _unpacked_zst(handle: BinaryIO) -> Iterator[bytes]:
    waiting = b""
    try:
        while waiting := waiting or handle.read(64 << 10):
            frame = zstandard.ZstdDecompressor().decompressobj()
            while not frame.eof:
                if not waiting:
                    raise DamagedError("damaged zstd file")
                if block := frame.decompress(waiting):
                    yield block
                waiting = b"" if frame.eof else handle.read(64 << 10)
            waiting = frame.unused_data
    except zstandard.ZstdError as error:
        raise DamagedError("damaged zstd file") from error
