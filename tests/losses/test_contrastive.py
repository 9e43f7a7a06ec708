from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sensorium.losses.contrastive import clip_loss, info_nce, limit_scale


def unit(num_rows, dim, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(num_rows, dim, generator=generator, dtype=dtype), dim=1)


def slow_info_nce(queries, keys, scale, targets):
    """The formula, one pair at a time."""
    total = 0.0
    for row, target in enumerate(targets):
        products = [scale * sum(q * k for q, k in zip(queries[row], key, strict=True)) for key in keys]
        total = total + torch.log(sum(torch.exp(product) for product in products)) - products[target]
    return total / len(queries)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 7), st.integers(0, 3), st.integers(1, 9), st.floats(0.1, 30), st.integers(0, 99))
def test_value_and_gradients_equal_the_formula(num_rows, more, chunk, scale, seed):
    inputs = [
        unit(num_rows, 3, seed),
        unit(num_rows + more, 3, seed + 1),
        torch.tensor(scale, dtype=torch.float64),
    ]
    targets = torch.randint(0, num_rows + more, (num_rows,), generator=torch.Generator().manual_seed(seed))
    fast = [tensor.clone().requires_grad_() for tensor in inputs]
    slow = [tensor.clone().requires_grad_() for tensor in inputs]
    got, wanted = info_nce(*fast, targets, chunk=chunk), slow_info_nce(*slow, targets)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)
    (3 * got).backward()
    (3 * wanted).backward()
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-10)


def test_symmetric_loss_equals_two_cross_entropies():
    images, texts, scale = unit(9, 4, 0), unit(9, 4, 1), torch.tensor(14.0, dtype=torch.float64)
    logits = scale * images @ texts.T
    right = torch.arange(9)
    wanted = (nn.functional.cross_entropy(logits, right) + nn.functional.cross_entropy(logits.T, right)) / 2
    torch.testing.assert_close(clip_loss(images, texts, scale, chunk=4), wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(clip_loss(texts, images, scale), wanted, rtol=1e-12, atol=1e-12)


def test_gradients_by_differences():
    inputs = (unit(5, 3, 0), unit(6, 3, 1), torch.tensor(7.0, dtype=torch.float64))
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    targets = torch.tensor([5, 0, 0, 3, 1])
    assert torch.autograd.gradcheck(lambda *args: info_nce(*args, targets, chunk=2), leaves)


def test_large_scales_stay_finite():
    rows = unit(8, 4, 0, torch.float32).requires_grad_()
    loss = clip_loss(rows, rows.detach(), torch.tensor(1e4))
    loss.backward()
    assert loss.isfinite()
    assert rows.grad.isfinite().all()
    assert clip_loss(unit(1, 4, 0), unit(1, 4, 1), torch.tensor(100.0)) == 0, "one pair has no negative"


def test_no_more_than_a_chunk_of_logits_exists(monkeypatch):
    seen = []
    product = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: seen.append(product(a, b).shape) or product(a, b))
    clip_loss(unit(64, 4, 0).requires_grad_(), unit(64, 4, 1), torch.tensor(1.0), chunk=16).backward()
    assert max(shape.numel() for shape in seen) == 16 * 64


def test_half_precision_is_computed_in_32_bits():
    images, texts = unit(6, 4, 0).bfloat16(), unit(6, 4, 1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = clip_loss(images, texts, torch.tensor(10.0))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, clip_loss(images.float(), texts.float(), torch.tensor(10.0)))


def test_the_scale_is_limited():
    log_scale = nn.Parameter(torch.tensor(5.0))
    limit_scale(log_scale)
    assert math.isclose(log_scale.exp().item(), 100, rel_tol=1e-6)
    limit_scale(log_scale, 10.0)
    assert math.isclose(log_scale.exp().item(), 10, rel_tol=1e-6)
    small = nn.Parameter(torch.tensor(-1.0))
    limit_scale(small)
    assert small.item() == -1


def test_pictures_without_texts_are_refused():
    with pytest.raises(ValueError, match="as many pictures as texts"):
        clip_loss(unit(3, 4, 0), unit(2, 4, 1), torch.tensor(1.0))
