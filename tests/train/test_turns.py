from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorium.core.errors import SettingError
from sensorium.train.objective import Group, Turn
from sensorium.train.optim import AdamW
from sensorium.train.turns import RunningTurn

NAN = torch.tensor(float("nan"))


def parameters(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def running(turn, optim, count=10):
    found = [parameter for group in turn.groups for parameter in group.parameters]
    names = {parameter: f"p{number}" for number, parameter in enumerate(found)}
    return RunningTurn(turn, optim, names, count)


def give(found, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in found:
        parameter.grad = torch.randn(parameter.shape, generator=generator) * 5


def test_steps_equal_adamw_with_schedule_factors_and_clipping():
    ours, theirs = parameters((3, 2), (2,)), parameters((3, 2), (2,))
    optim = AdamW(lr=0.1, warmup=2, weight_decay=0.2, betas=(0.8, 0.9), eps=1e-6, clip=1.0)
    groups = (Group(parameters=ours[:1]), Group(parameters=ours[1:], lr=0.5, decay=0.0))
    turn = running(Turn(groups=groups), optim)
    reference = torch.optim.AdamW(
        [{"params": theirs[:1], "weight_decay": 0.2}, {"params": theirs[1:], "weight_decay": 0.0}],
        betas=(0.8, 0.9),
        eps=1e-6,
        fused=False,
    )
    for update in range(10):
        give(ours, update)
        give(theirs, update)
        norm, skipped = turn.step(update, torch.tensor(1.0))
        wanted = nn.utils.clip_grad_norm_(theirs, 1.0)
        for settings, factor in zip(reference.param_groups, (1.0, 0.5), strict=True):
            settings["lr"] = 0.1 * factor * optim.factor(update, 10)
        reference.step()
        torch.testing.assert_close(norm, wanted)
        assert skipped == 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_group_can_be_clipped_by_itself():
    first, second = parameters((4,), (4,))
    turn = running(Turn(groups=(Group(parameters=[first], clip=0.5), Group(parameters=[second]))), AdamW(clip=2.0))
    give([first, second], 0)
    before = torch.cat([first.grad, second.grad]).norm()
    norm, _ = turn.step(0, torch.tensor(0.0))
    assert norm == pytest.approx(before.item())
    assert first.grad.norm() == pytest.approx(0.5, rel=1e-4)
    assert second.grad.norm() == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_what_is_not_finite_moves_nothing(bad):
    (one,) = parameters((3,))
    turn = running(Turn(groups=(Group(parameters=[one]),)), AdamW(lr=0.1, weight_decay=0.5, clip=1.0))
    give([one], 0)
    turn.step(0, torch.tensor(1.0))
    before, moments = one.detach().clone(), {key: value.clone() for key, value in turn.state().items()}
    give([one], 1)
    if bad == "gradient":
        one.grad[1] = float("inf")
    _, skipped = turn.step(1, NAN if bad == "loss" else torch.tensor(1.0))
    assert skipped == 1
    assert torch.equal(one, before)
    assert all(torch.equal(turn.state()[key], value) for key, value in moments.items())
    give([one], 2)
    assert turn.step(2, torch.tensor(1.0))[1] == 0
    assert not torch.equal(one, before)


def test_moments_come_back_bit_for_bit():
    ours, theirs = parameters((3, 2), (2,)), parameters((3, 2), (2,))
    turn, other = (
        running(Turn(groups=(Group(parameters=found[:1]), Group(parameters=found[1:]))), AdamW())
        for found in (ours, theirs)
    )
    for update in range(3):
        give(ours, update)
        turn.step(update, torch.tensor(1.0))
    for mine, its in zip(ours, theirs, strict=True):
        its.data.copy_(mine.data)
    other.load({name: tensor.clone() for name, tensor in turn.state().items()})
    give(ours, 3)
    give(theirs, 3)
    turn.step(3, torch.tensor(1.0))
    other.step(3, torch.tensor(1.0))
    assert all(torch.equal(mine, its) for mine, its in zip(ours, theirs, strict=True))
    kinds = ("step", "exp_avg", "exp_avg_sq")
    assert set(turn.state()) == {f"moments/all/p{number}/{kind}" for number in range(2) for kind in kinds}


def test_terms_are_summed_by_name():
    (one,) = parameters((1,))
    groups = (Group(parameters=[one]),)
    terms = {"a": torch.tensor(1.0), "b": torch.tensor(2.0), "watch/c": torch.tensor(4.0)}
    assert running(Turn(groups=groups), AdamW()).total(terms) == 3
    assert running(Turn(groups=groups, terms=("b",)), AdamW()).total(terms) == 2
    with pytest.raises(SettingError, match="but the objective gave a, b, watch/c"):
        running(Turn(groups=groups, terms=("x",)), AdamW()).total(terms)


def test_bad_turns():
    (one,) = parameters((1,))
    with pytest.raises(SettingError, match="no parameters"):
        running(Turn(groups=(Group(parameters=[]),)), AdamW())
    with pytest.raises(SettingError, match="twice"):
        running(Turn(groups=(Group(parameters=[one]), Group(parameters=[one]))), AdamW())
