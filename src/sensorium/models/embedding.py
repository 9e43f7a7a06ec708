"""What the wrappers of released models share: pictures and texts going in, unit vectors coming out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from sensorium.core.errors import InputError, SettingError

if TYPE_CHECKING:
    from sensorium.models.matcher import Picture


def batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Pieces of at most `size` items, in order."""
    if size < 1:
        raise SettingError(f"a batch has at least 1 item, not {size}.")
    if isinstance(items, str):
        raise SettingError("texts are given as a list; for one text, give a list of one.")
    stream = iter(items)
    while piece := list(itertools.islice(stream, size)):
        yield piece


def as_rgb(image: Picture) -> Image.Image:
    """A picture as RGB: a PIL image of any mode, or uint8 pixels, shape (H, W) or (H, W, 1 or 3 or 4)."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise SettingError(f"a picture is a PIL image or uint8 pixels (H, W, 3), not {image.dtype} {image.shape}.")
        image = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    return image.convert("RGB")


def is_embedded(side: Any) -> bool:
    """Whether one side of a score is already embedded: a two-dimensional array of floating-point numbers."""
    return isinstance(side, np.ndarray) and side.ndim == 2 and np.issubdtype(side.dtype, np.floating)


def lengths(tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """Numbers of tokens with special ones, before any cut, shape (N,)."""
    if not len(texts):
        return np.zeros(0, np.int64)
    # Without `verbose=False` every long text would print a warning; here its length is the answer.
    return np.array([len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]])


def unit_vectors(values: torch.Tensor) -> np.ndarray:
    """Rows divided by their Euclidean length, shape (N, D) float32; a row that has none stops the work."""
    values = values.detach().float()
    norms = values.norm(dim=-1, keepdim=True)
    if not bool((norms.isfinite() & (norms > 0)).all()):
        raise InputError(
            "the model gave an embedding that is zero or not finite; its weights or the precision are unfit."
        )
    return np.ascontiguousarray((values / norms).cpu().numpy(), np.float32)
