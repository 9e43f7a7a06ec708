from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from sensorium.data.prepare import Pixels
from sensorium.data.words import HashedWords
from sensorium.models.config_two_tower import MiniTowersConfig
from sensorium.pretrain.config_contrast import ContrastConfig
from sensorium.train.objective import Clock

CLOCK = Clock(0, 10, 0, 0.0)
CONFIG = ContrastConfig(
    towers=MiniTowersConfig(
        pixels=Pixels(size=8),
        words=HashedWords(buckets=50, length=4),
        channels=(4,),
        hidden=(6, 6),
        bag=5,
        dim=4,
    ),
    chunk=3,
)


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return CONFIG.build()


def batch(count=7):
    generator = torch.Generator().manual_seed(1)
    return {
        "image": torch.randint(0, 256, (count, 8, 8, 3), generator=generator, dtype=torch.uint8),
        "text": torch.randint(0, 50, (count, 4), generator=generator, dtype=torch.int32),
    }


def test_the_loss_is_clips(objective):
    given = batch()
    terms = objective(given, CLOCK)
    images = objective.towers.encode_images(given["image"])
    logits = images @ objective.towers.encode_texts(given["text"]).T / 0.07
    wanted = (F.cross_entropy(logits, torch.arange(7)) + F.cross_entropy(logits.T, torch.arange(7))) / 2
    torch.testing.assert_close(terms["contrast"], wanted)
    assert terms["watch/scale"].item() == pytest.approx(1 / 0.07, rel=1e-5)
    assert not terms["watch/scale"].requires_grad


def test_gradients_reach_every_parameter(objective):
    objective(batch(), CLOCK)["contrast"].backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_learned_scale_is_limited_after_an_update(objective):
    objective.towers.logit_scale.data.fill_(9.0)
    objective.after_update(CLOCK)
    assert objective.towers.logit_scale.item() == pytest.approx(math.log(100))


def test_pictures_without_contrast_give_finite_gradients(objective):
    given = batch(4)
    levels = torch.tensor([0, 255, 0, 0], dtype=torch.uint8)
    given["image"] = levels[:, None, None, None].expand(4, 8, 8, 3)
    given["text"][1:3] = 0
    loss = objective(given, CLOCK)["contrast"]
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in objective.parameters())


def test_the_towers_are_what_is_exported(objective):
    assert objective.finished()[""] is objective.towers
    assert objective.in_batch_negatives
    assert CONFIG.in_batch_negatives
