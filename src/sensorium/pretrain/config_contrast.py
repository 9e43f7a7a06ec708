"""Settings of contrastive pretraining on pairs of pictures and texts. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sensorium.core.errors import SettingError
from sensorium.data.prepare import Augment, Pairs
from sensorium.models.config_two_tower import ClipConfig, MiniTowersConfig
from sensorium.train.train import Train

if TYPE_CHECKING:
    from sensorium.pretrain.contrast import ContrastObjective


@dataclass(frozen=True, kw_only=True)
class ContrastConfig:
    """CLIP's objective (Radford et al. 2021) over two towers.

    Args:
        towers: the networks.
        max_scale: the learned factor on the cosines stays at or below it.
        chunk: rows of logits that exist at a time; changes memory, not the result beyond rounding.
    """

    towers: MiniTowersConfig | ClipConfig = field(default_factory=MiniTowersConfig)
    max_scale: float = 100.0
    chunk: int = 4096

    def __post_init__(self) -> None:
        if not self.max_scale > 0 or self.chunk < 1:
            raise SettingError(f"max_scale is above 0 and chunk at least 1, not {self.max_scale} and {self.chunk}.")

    @property
    def in_batch_negatives(self) -> bool:
        """Every other pair of the batch is a negative."""
        return True

    def build(self) -> ContrastObjective:
        """The objective with fresh weights."""
        from sensorium.pretrain.contrast import ContrastObjective

        return ContrastObjective(self)


def contrast(pool: Any, config: ContrastConfig, *, augment: Augment | None = None, **settings: Any) -> Train:
    """A training stage whose preparation reads pictures and texts as the towers need them.

    Args:
        pool: rows with `image` and `text`.
        config: the objective.
        augment: changes to the pictures.
        settings: the other fields of `Train`.
    """
    towers = config.towers
    prepare = Pairs(pixels=towers.pixels, tokens=towers.tokens, augment=augment or Augment())
    return Train(pool=pool, objective=config, prepare=prepare, **settings)
