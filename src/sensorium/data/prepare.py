"""From rows of a pool to arrays of a batch, in loader threads: decode once, then vary by chance. No weights.

A `Prepare` works in two steps. `decode` turns rows into arrays of fixed shape and is pure in the rows, so
its result may be kept in memory. Calling it makes one batch of them and is pure in (row ids, epoch, seed):
crops, shifts, colours and masks take their chance from the ids, so no worker, order or restart changes a
batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from PIL import Image

from sensorium.core.errors import InputError, SettingError
from sensorium.data import chance
from sensorium.data.media import BrokenMediaError, decode_image
from sensorium.data.rows import FOLDER
from sensorium.data.words import HashedWords, Tokenizer

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Chance:
    """The chance of the rows of one batch.

    Args:
        hashes: hashes of the row ids, (N,) uint64.
        epochs: the epoch of each row, (N,) int64.
        seed: the seed of the run.
    """

    hashes: np.ndarray
    epochs: np.ndarray
    seed: int

    def uniform(self, purpose: str) -> np.ndarray:
        """One number in [0, 1) per row and purpose, (N,) float64."""
        return self.uniforms(purpose, 1)[:, 0]

    def uniforms(self, purpose: str, count: int) -> np.ndarray:
        """Several numbers in [0, 1) per row and purpose, (N, count) float64."""
        bits = np.zeros(len(self.hashes), np.uint64)
        for epoch in np.unique(self.epochs):
            rows = self.epochs == epoch
            bits[rows] = chance.keyed(self.hashes[rows], self.seed, purpose, int(epoch))
        several = chance.mix(bits[:, None] ^ np.arange(count, dtype=np.uint64))
        return (several >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Decoded:
    """Arrays of N rows, and why some rows could not be decoded (by position; their content is arbitrary)."""

    arrays: Arrays
    broken: Mapping[int, str] = field(default_factory=dict)


class Prepare(Protocol):
    """A setting: how rows become a batch. One that needs files may have `ready()`, called before a pool is read."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs besides the id."""

    def decode(self, rows: pa.Table) -> Decoded:
        """Arrays with one entry per row, each of a fixed shape; pure in the rows."""

    def __call__(self, decoded: Arrays, chance: Chance) -> Arrays:
        """The batch; pure in the decoded rows, their ids, the epoch and the seed."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How a picture becomes (size, size, 3) uint8: shortest side to `size`, then the middle square.

    These are the steps of CLIP's processor (Radford et al. 2021) with Pillow's filters; mean and spread are
    taken off inside the network, so no one can apply them twice or not at all.
    """

    size: int = 224
    resample: Literal["bicubic", "bilinear", "box", "nearest"] = "bicubic"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SettingError(f"pictures have a size of at least 1 pixel, not {self.size}.")

    def __call__(self, picture: Image.Image | np.ndarray, margin: int = 0) -> np.ndarray:
        """One picture, (S, S, 3) uint8 with S = size + 2 * margin.

        Args:
            picture: a Pillow image of any mode, or an array (H, W, 3) uint8.
            margin: pixels kept around the square, for random shifts later.
        """
        size = self.size + 2 * margin
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        image = image if image.mode == "RGB" else image.convert("RGB")
        if min(image.size) != size:
            short = min(image.size)
            width, height = (int(size * side / short) if side > short else size for side in image.size)
            image = image.resize((width, height), Image.Resampling[self.resample.upper()])
        left, top = (image.width - size) // 2, (image.height - size) // 2
        return np.asarray(image)[top : top + size, left : left + size]


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Changes to pictures that keep what they show; by default none.

    Args:
        shift: up to so many pixels left or right, up or down, by whole pixels.
        flip: probability of mirroring left and right.
        jitter: contrast is multiplied by a factor in [1 - jitter, 1 + jitter], and to each colour a constant
            in [-64 jitter, 64 jitter] of 255 levels is added.
        pad: whether a shift repeats the border (small pictures) or pictures are decoded with a margin to
            shift into.
    """

    shift: int = 0
    flip: float = 0.0
    jitter: float = 0.0
    pad: bool = True

    def __post_init__(self) -> None:
        if self.shift < 0 or not 0 <= self.flip <= 1 or not 0 <= self.jitter <= 1:
            given = f"{self.shift}, {self.flip} and {self.jitter}"
            raise SettingError(f"shift is 0 or more, flip and jitter lie in [0, 1]; given {given}.")

    @property
    def margin(self) -> int:
        """Pixels around the square that decoding should keep."""
        return 0 if self.pad else self.shift

    def __call__(self, pictures: np.ndarray, chance: Chance) -> np.ndarray:
        """Pictures (N, S, S, 3) uint8 changed by chance; with a margin, S shrinks by twice the margin."""
        if self.shift:
            pictures = _shifted(pictures, self.shift, self.pad, chance)
        if self.flip:
            flipped = (chance.uniform("flip") < self.flip)[:, None, None, None]
            pictures = np.where(flipped, pictures[:, :, ::-1], pictures)
        return _jittered(pictures, self.jitter, chance) if self.jitter else pictures


def _shifted(pictures: np.ndarray, shift: int, pad: bool, chance: Chance) -> np.ndarray:
    """One square cut out of each padded picture."""
    if pad:
        pictures = np.pad(pictures, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
    size, steps = pictures.shape[1] - 2 * shift, 2 * shift + 1
    down, right = (chance.uniforms("shift", 2) * steps).astype(np.int64).T
    cut = np.empty((len(pictures), size, size, 3), np.uint8)
    for row, (top, left) in enumerate(zip(down, right, strict=True)):
        cut[row] = pictures[row, top : top + size, left : left + size]
    return cut


def _jittered(pictures: np.ndarray, jitter: float, chance: Chance) -> np.ndarray:
    """Contrast and colours changed, in 32-bit arithmetic, rounded to the nearest level."""
    num, height, width, _ = pictures.shape
    change = jitter * (2 * chance.uniforms("jitter", 4) - 1)
    contrast = (1 + change[:, :1]).astype(np.float32)
    # 127.5 is the fixed point of the contrast; .5 turns the cut of the cast into rounding.
    added = (127.5 * (1 - contrast) + 64 * change[:, 1:] + 0.5).astype(np.float32)
    # One row of a picture at a time: broadcasting over the three colours alone would be many times slower.
    levels = pictures.reshape(num, height, width * 3).astype(np.float32)
    levels *= contrast[:, :, None]
    levels += np.tile(added, width)[:, None]
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8).reshape(pictures.shape)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pictures with texts: {"image": (N, S, S, 3) uint8, "text": (N, L) int32}.

    A picture that cannot be decoded and a missing text break a row; an empty text is a text.

    Args:
        pixels, tokens: how pictures and texts are read; they must be those of the network.
        augment: changes to the pictures.
        image, text: the columns.
    """

    pixels: Pixels = Pixels()
    tokens: Tokenizer = field(default_factory=HashedWords)
    augment: Augment = Augment()
    image: str = "image"
    text: str = "text"

    @property
    def columns(self) -> tuple[str, ...]:
        """Picture and text."""
        return (self.image, self.text)

    def ready(self) -> None:
        """Find the tokenizer's files now, before the pool is read."""
        self.tokens(["a"])

    def decode(self, rows: pa.Table) -> Decoded:
        """Squares of pixels and tokens."""
        size = self.pixels.size + 2 * self.augment.margin
        pictures, broken = np.zeros((len(rows), size, size, 3), np.uint8), dict[int, str]()
        values, texts = rows.column(self.image).to_pylist(), rows.column(self.text).to_pylist()
        folders = rows.column(FOLDER).to_pylist() if FOLDER in rows.column_names else [None] * len(rows)
        for row, (value, text, folder) in enumerate(zip(values, texts, folders, strict=True)):
            if text is None:
                broken[row] = "no text"
                continue
            try:
                pictures[row] = self.pixels(decode_image(value, folder=folder), self.augment.margin)
            except BrokenMediaError as error:
                broken[row] = str(error)
        tokens = self.tokens([text or "" for text in texts])
        return Decoded({"image": pictures, "text": tokens}, broken)

    def __call__(self, decoded: Arrays, chance: Chance) -> Arrays:
        """Pictures changed by chance, texts as they are."""
        return {"image": self.augment(decoded["image"], chance), "text": decoded["text"]}


@dataclass(frozen=True)
class Columns:
    """Numbers as they are: columns as (N,), lists of one length L as (N, L); fractions in 32 bits."""

    columns: tuple[str, ...]

    def decode(self, rows: pa.Table) -> Decoded:
        """Arrays of the columns; a row with a number that is missing or not finite in 32 bits is broken."""
        arrays, broken = {}, dict[int, str]()
        for name in self.columns:
            column: Any = rows.column(name).combine_chunks()
            values = column.to_numpy(zero_copy_only=False) if len(column) else np.zeros(0)
            if values.dtype == object:
                lengths = {len(value) for value in column.to_pylist() if value is not None}
                if len(lengths) > 1:
                    raise InputError(f"column '{name}' holds lists of {min(lengths)} to {max(lengths)} numbers.")
                blank = np.full(lengths.pop() if lengths else 0, np.nan)
                values = np.stack([blank if value is None else value for value in values])
            if values.dtype.kind == "f":
                with np.errstate(over="ignore"):
                    values = values.astype(np.float32)
            finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
            for row in np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1)):
                broken[int(row)] = f"no finite number in '{name}'"
            arrays[name] = values
        return Decoded(arrays, broken)

    def __call__(self, decoded: Arrays, chance: Chance) -> Arrays:
        """The arrays, unchanged."""
        return decoded
