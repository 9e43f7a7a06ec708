"""Contrastive pretraining: pull each picture to its text and away from all others of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from sensorium.losses.contrastive import clip_loss, limit_scale
from sensorium.pretrain.config_contrast import ContrastConfig
from sensorium.train.objective import Clock, Objective


class ContrastObjective(Objective):
    """CLIP's symmetric loss over the batches of all ranks.

    Args:
        config: its settings.
    """

    in_batch_negatives: ClassVar[bool] = True

    def __init__(self, config: ContrastConfig) -> None:
        super().__init__()
        self.config = config
        self.towers = config.towers.build()

    def forward(self, batch: Mapping[str, Tensor], clock: Clock) -> Mapping[str, Tensor]:
        """The loss, and the factor on the cosines to watch, of {"image", "text"} as `Pairs` makes them."""
        images = self.towers.encode_images(batch["image"])
        texts = self.towers.encode_texts(batch["text"])
        scale = self.towers.logit_scale.exp()
        return {
            "contrast": clip_loss(images, texts, scale, chunk=self.config.chunk),
            "watch/scale": scale.detach(),
        }

    def after_update(self, clock: Clock) -> None:
        """Limit the learned factor."""
        limit_scale(self.towers.logit_scale, self.config.max_scale)

    def finished(self) -> Mapping[str, nn.Module]:
        """The towers."""
        return {"": self.towers}
