"""What the names of metrics mean: definition, unit and direction, for result files, pages and boards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sensorium.core.errors import unknown

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Args:
        name: as in result files.
        title: as on pages.
        better: the direction.
        unit: of the value.
        definition: what is averaged over what, and how ties count.
    """

    name: str
    title: str
    better: Better = "higher"
    unit: str = "fraction"
    definition: str = ""


_TIES = "equal scores count against the model"
_QUERIES = "averaged over queries; a repeated result counts once"

_KNOWN = (
    Metric(
        name="mean_per_class",
        title="mean per class",
        definition=f"share of items whose own class ranks first, averaged over classes with items; {_TIES}",
    ),
    Metric(
        name="head",
        title="head",
        definition=f"top-1 accuracy over the items of the most frequent classes; {_TIES}",
    ),
    Metric(
        name="middle",
        title="middle",
        definition=f"top-1 accuracy over the items of the classes between head and tail; {_TIES}",
    ),
    Metric(
        name="tail",
        title="tail",
        definition=f"top-1 accuracy over the items of the least frequent classes; {_TIES}",
    ),
    Metric(
        name="mrr",
        title="mean reciprocal rank",
        definition=f"1 / rank of the first relevant result, 0 without one, {_QUERIES}",
    ),
)

_AT_K = {
    "top": ("top-{k}", f"share of items whose own class ranks among the first {{k}} of all classes; {_TIES}"),
    "r": (
        "R@{k}",
        f"share of queries with at least one relevant item among the first {{k}}; {_TIES}",
    ),
    "recall_at_": (
        "recall@{k}",
        f"distinct relevant results among the first {{k}} over all distinct relevant ones, {_QUERIES}",
    ),
    "precision_at_": (
        "precision@{k}",
        f"distinct relevant results among the first {{k}}, over {{k}}, {_QUERIES}",
    ),
    "ndcg_at_": (
        "nDCG@{k}",
        f"sum of gain / log2(1 + rank) over the first {{k}}, over the best possible sum, {_QUERIES}",
    ),
}

_DIRECTIONS = {"image_to_text": "image to text", "text_to_image": "text to image"}

_SHAPE = re.compile(
    r"(?:(?P<direction>[a-z]+_to_[a-z]+)_)?(?P<stem>top|recall_at_|precision_at_|ndcg_at_|r)(?P<k>[1-9]\d*)"
)


def metric(name: str) -> Metric:
    """The metric of a name such as "top5", "mean_per_class", "ndcg_at_10" or "image_to_text_r1".

    Raises:
        SettingError: nobody knows the name; the sentence gives the nearest one.
    """
    known = {one.name: one for one in _KNOWN}
    if name in known:
        return known[name]
    found = _SHAPE.fullmatch(name)
    direction = found["direction"] if found else None
    if not found or (direction and (direction not in _DIRECTIONS or found["stem"] != "r")):
        examples = [
            "top1",
            "top5",
            "r1",
            "image_to_text_r1",
            "text_to_image_r1",
            "recall_at_10",
            "precision_at_10",
            "ndcg_at_10",
        ]
        raise unknown("metric", name, [*known, *examples])
    title, definition = (text.format(k=found["k"]) for text in _AT_K[found["stem"]])
    if direction:
        title, definition = f"{_DIRECTIONS[direction]} {title}", f"{_DIRECTIONS[direction]}: {definition}"
    return Metric(name=name, title=title, definition=definition)
