"""Run by test_ranks.py and by the tests of losses: one gloo rank; prints what it computed as JSON.

python two_ranks.py RANK NUM_RANKS FILE
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from sensorium.engine import ranks
from sensorium.losses.contrastive import clip_loss


def pairs(num_rows: int = 12):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num_rows, 6, generator=generator, dtype=torch.float64) for _ in range(2)]


def towers():
    torch.manual_seed(1)
    return nn.ModuleList([nn.Linear(6, 4), nn.Linear(6, 4)]).double(), torch.tensor(2.0, dtype=torch.float64)


def loss_and_gradients(images, texts, chunk: int = 5):
    """Of the rows given; gradients are averaged over ranks as DDP does."""
    networks, log_scale = towers()
    log_scale.requires_grad_()
    first, second = (nn.functional.normalize(net(x), dim=1) for net, x in zip(networks, (images, texts), strict=True))
    loss = clip_loss(first, second, log_scale.exp(), chunk=chunk)
    loss.backward()
    gradients = [*(p.grad for p in networks.parameters()), log_scale.grad]
    gradients = [ranks.all_sum(gradient) / ranks.num_ranks() for gradient in gradients]
    return (ranks.all_sum(loss) / ranks.num_ranks()).item(), [gradient.tolist() for gradient in gradients]


def main() -> None:
    rank, num_ranks, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    dist.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=num_ranks, timeout=timedelta(seconds=60)
    )
    mine = slice(rank * 12 // num_ranks, (rank + 1) * 12 // num_ranks)
    own = torch.full((2, 3), float(rank + 1), requires_grad=True)
    gathered = ranks.gather(own)
    (gathered * torch.arange(2 * num_ranks)[:, None] * (rank + 1)).sum().backward()
    images, texts = (side[mine] for side in pairs())
    print(
        json.dumps(
            {
                "rank": [ranks.rank(), ranks.num_ranks()],
                "gathered": gathered.tolist(),
                "gradient": own.grad.tolist(),
                "sum": ranks.all_sum(torch.tensor([1.0, rank])).tolist(),
                "max": ranks.all_max(torch.tensor([1.0, rank])).tolist(),
                "objects": ranks.all_objects({"rank": rank}),
                "loss": loss_and_gradients(images, texts),
            }
        )
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
