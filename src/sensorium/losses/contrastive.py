"""InfoNCE between two views of a batch: every other example is a negative, on this rank and on all others."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sensorium.engine.ranks import gather, rank

MAX_SCALE = 100.0
"""The largest factor on cosines (Radford et al. 2021, section 2.5)."""


def info_nce(
    queries: Tensor, keys: Tensor, scale: Tensor, targets: Tensor | None = None, *, chunk: int = 4096
) -> Tensor:
    """Mean cross-entropy of picking the right key for each query.

        L = 1/B sum_i [ log sum_j exp(s q_i k_j) - s q_i k_t(i) ]

    van den Oord et al. 2018, equation 4, with the inner product and a scale s = 1 / temperature. The logits
    are made `chunk` queries at a time and made again in the backward pass, so never more than (chunk, N) of
    them exist.

    Args:
        queries: (B, D), normalised by the caller.
        keys: (N, D).
        scale: scalar s.
        targets: (B,) int64, the right key of each query; None means the i-th.
        chunk: queries at a time.

    Returns:
        A scalar, in 32 bits or more whatever the autocast type.
    """
    if targets is None:
        targets = torch.arange(len(queries), device=queries.device)
    device = queries.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        kind = torch.promote_types(queries.dtype, torch.float32)
        return _ChunkedCrossEntropy.apply(queries.to(kind), keys.to(kind), scale.to(kind), targets, max(1, chunk))


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Cross-entropy over inner products, with logits recomputed in the backward pass."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, scale: Tensor, targets: Tensor, chunk: int) -> Tensor:
        spread = queries.new_empty(len(queries))
        total = queries.new_zeros(())
        for start in range(0, len(queries), chunk):
            piece = slice(start, start + chunk)
            logits = scale * (queries[piece] @ keys.T)
            spread[piece] = torch.logsumexp(logits, dim=1)
            total = total + (spread[piece] - logits.gather(1, targets[piece, None])[:, 0]).sum()
        ctx.save_for_backward(queries, keys, scale, targets, spread)
        ctx.chunk = chunk
        return total / len(queries)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        queries, keys, scale, targets, spread = ctx.saved_tensors
        to_queries, to_keys = torch.empty_like(queries), torch.zeros_like(keys)
        to_scale = torch.zeros_like(scale)
        factor = gradient / len(queries)
        for start in range(0, len(queries), ctx.chunk):
            piece = slice(start, start + ctx.chunk)
            products = queries[piece] @ keys.T
            # d L / d logits = (softmax - one-hot) / B
            errors = torch.exp(scale * products - spread[piece, None])
            errors.scatter_add_(1, targets[piece, None], -torch.ones_like(errors[:, :1]))
            errors *= factor
            to_scale += (errors * products).sum()
            errors *= scale
            to_queries[piece] = errors @ keys
            to_keys += errors.T @ queries[piece]
        return to_queries, to_keys, to_scale, None, None


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor, *, chunk: int = 4096) -> Tensor:
    """The symmetric loss of CLIP (Radford et al. 2021, figure 3) over the rows of all ranks.

    Half the cross-entropy of finding each picture's text among all texts, half that of finding each text's
    picture. Each rank answers for its own rows; the mean over ranks is the loss of the whole batch.

    Args:
        images: (B, D) normalised embeddings of this rank's pictures; B is equal on all ranks.
        texts: (B, D), those of their texts.
        scale: scalar factor on the cosines.
        chunk: rows of logits at a time.
    """
    if images.shape != texts.shape:
        raise ValueError(f"pairs need as many pictures as texts, not {tuple(images.shape)} and {tuple(texts.shape)}")
    targets = rank() * len(images) + torch.arange(len(images), device=images.device)
    to_texts = info_nce(images, gather(texts), scale, targets, chunk=chunk)
    to_images = info_nce(texts, gather(images), scale, targets, chunk=chunk)
    return (to_texts + to_images) / 2


@torch.no_grad()
def limit_scale(log_scale: nn.Parameter, largest: float = MAX_SCALE) -> None:
    """Keep the learned scale exp(log_scale) at or below its largest value, after an update.

    CLIP limits the parameter, not its use, so that the gradient never vanishes at the border.
    """
    log_scale.clamp_(max=math.log(largest))
