"""What models do, as protocols: put pictures and texts into one space, or texts into one. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    Picture = Image.Image | np.ndarray
    """A PIL image, or uint8 pixels of shape (H, W, 3)."""


@runtime_checkable
class TextEmbedder(Protocol):
    """A model that puts texts into a space of unit vectors."""

    def embed_texts(self, texts: Sequence[str], batch: int = 256) -> np.ndarray:
        """Unit vectors of texts, shape (N, D) float32; independent of the batch size to 1e-5."""


@runtime_checkable
class ImageEmbedder(Protocol):
    """A model that puts pictures into a space of unit vectors."""

    def embed_images(self, images: Sequence[Picture], batch: int = 64) -> np.ndarray:
        """Unit vectors of pictures, shape (N, D) float32; independent of the batch size to 1e-5."""


@runtime_checkable
class Matcher(ImageEmbedder, TextEmbedder, Protocol):
    """A model that puts pictures and texts into one space."""

    def score(self, images: Sequence[Picture] | np.ndarray, texts: Sequence[str] | np.ndarray) -> np.ndarray:
        """How well pictures and texts match, shape (N, C) float32: the model's logits, higher is better.

        Either side may already be embedded (a float array of shape (N, D)).
        """
