"""Chance per row: a coin is a hash of (row id, seed, purpose, epoch), never a stateful generator.

So shards, order, retries and the number of machines cannot change a result. The hash is defined here, on bytes, and
is part of every published subset: changing it is a change of results.

    mix(x)     = the finaliser of splitmix64 applied to x + 0x9E3779B97F4A7C15           (Steele et al. 2014)
    hash(text) = fold over the 8-byte little-endian words w of the zero-padded UTF-8 bytes: h <- mix(h ^ w), from h = 0,
                 then mix(h ^ number of bytes)
    coin       = the upper 53 bits of mix(mix(hash(id) ^ hash(purpose)) ^ mix(seed) ^ mix(~epoch)), a fraction in [0, 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_ALL = 2**64 - 1


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit values, one to one."""
    with np.errstate(over="ignore"):
        x = values + _GAMMA
        x = (x ^ (x >> np.uint64(30))) * _M1
        x = (x ^ (x >> np.uint64(27))) * _M2
        return np.asarray(x ^ (x >> np.uint64(31)), np.uint64)


def hash_ids(ids: pa.Array | pa.ChunkedArray | Sequence[str]) -> np.ndarray:
    """64-bit hashes of texts, shape (N,) uint64; no Python object per text.

    Args:
        ids: Arrow strings or a sequence of str, without nulls.
    """
    if isinstance(ids, pa.ChunkedArray):
        ids = pa.concat_arrays(ids.chunks) if ids.num_chunks else pa.array([], pa.large_string())
    array = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.large_string())
    if array.null_count:
        raise ValueError("ids must not be null")
    array = array.cast(pa.large_string())
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return _hash_spans(content, offsets)


def _hash_spans(content: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    starts, lengths = offsets[:-1], np.diff(offsets)
    hashes = np.zeros(len(starts), np.uint64)
    if len(starts) == 0:
        return hashes
    padded = np.concatenate([content[: offsets[-1]], np.zeros(8, np.uint8)])
    words = (lengths + 7) // 8
    for position in range(int(words.max(initial=0))):
        rows = np.flatnonzero(words > position)
        first = starts[rows] + 8 * position
        piece = padded[first[:, None] + np.arange(8)]
        kept = np.arange(8) < (lengths[rows] - 8 * position)[:, None]
        word = np.ascontiguousarray(np.where(kept, piece, 0)).view("<u8")[:, 0]
        hashes[rows] = mix(hashes[rows] ^ word)
    return mix(hashes ^ lengths.astype(np.uint64))


def uniform(id_hashes: np.ndarray, seed: int, purpose: str, epoch: int = 0) -> np.ndarray:
    """One number in [0, 1) per row, shape (N,) float64, from hashes made by `hash_ids`."""
    return (keyed(id_hashes, seed, purpose, epoch) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@lru_cache(maxsize=1024)
def _purpose(purpose: str) -> np.uint64:
    return np.uint64(hash_ids([purpose])[0])


def keyed(id_hashes: np.ndarray, seed: int, purpose: str, epoch: int = 0) -> np.ndarray:
    """64 random bits per row, shape (N,) uint64; for permutations and choices."""
    key = _purpose(purpose)
    salt = mix(np.array([seed & _ALL], np.uint64)) ^ mix(~np.array([epoch & _ALL], np.uint64))
    return mix(mix(np.asarray(id_hashes, np.uint64) ^ key) ^ salt)
