"""Views of drawings: on random backgrounds, turned, scaled, shifted, sheared, jittered in colour, with noise.

Everything about a view is decided by the hash of its row, so a view is the same in any batch. Sampling is
done in integers, the rest element by element in float32; angles come from a table, so that no library's sine
can differ between two lengths of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sensorium.data.chance import keyed, mix, uniform

_TURNS = np.array(
    [[math.cos(k / 1024 * 2 * math.pi), math.sin(k / 1024 * 2 * math.pi)] for k in range(1024)], np.float32
)
_BATCH = 64  # views whose planes fit the second-level cache together


@dataclass(frozen=True, kw_only=True)
class Warp:
    """How far views differ from the drawing; each value is drawn uniformly within its range.

    Args:
        turn: degrees to either side.
        small, large: size of the drawing as a share of the picture.
        shift: of the picture's side, to either side.
        shear: horizontal shear to either side.
        gain, offset: colours become colour * (1 +- gain) + (+- offset), each channel on its own.
        noise: standard deviation of the noise added to each value, in [0, 1].
    """

    turn: float = 12.0
    small: float = 0.8
    large: float = 1.05
    shift: float = 0.06
    shear: float = 0.08
    gain: float = 0.1
    offset: float = 0.04
    noise: float = 0.03


def views(drawings: np.ndarray, which: np.ndarray, hashes: np.ndarray, seed: int, warp: Warp) -> np.ndarray:
    """Views as uint8 (N, size, size, 3), where drawings are 2 * size pixels wide.

    Args:
        drawings: (C, 2 * size, 2 * size, 4) uint8, colours multiplied by alpha, from `drawings.draw`.
        which: (N,) the drawing of each view.
        hashes: (N,) uint64 hashes of the rows' ids.
        seed: of the world.
        warp: ranges of what changes.
    """
    size = drawings.shape[1] // 2
    lanes = _lanes(drawings)
    result = np.empty((len(which), size, size, 3), np.uint8)
    for start in range(0, len(which), 32 * _BATCH):
        coins = _coins(hashes[start : start + 32 * _BATCH], seed, warp)
        for first in range(0, len(coins["turn"]), _BATCH):
            batch = {purpose: values[first : first + _BATCH] for purpose, values in coins.items()}
            rows = slice(start + first, start + first + len(batch["turn"]))
            planes = _view(lanes, size, which[rows], batch)
            planes += _noise(batch["noise"], 3 * size * size).reshape(planes.shape) * np.float32(warp.noise)
            levels = (np.clip(planes, 0, 1, out=planes) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
            result[rows] = levels.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)
    return result


def _lanes(drawings: np.ndarray) -> np.ndarray:
    """Drawings as one 64-bit word a pixel, four lanes of 16 bits, with a clear border; flat.

    The border is one pixel above and left, two below and right: a position clamped to it reads nothing.
    A lane holds at most 255 * 256, so four channels are weighted by a factor of up to 256 in one
    multiplication.
    """
    padded = np.pad(drawings, ((0, 0), (1, 2), (1, 2), (0, 0))).astype("<u2")
    return np.ascontiguousarray(padded).view("<u8").reshape(-1)


def _coins(hashes: np.ndarray, seed: int, warp: Warp) -> dict[str, np.ndarray]:
    """All chance of some views: float32 (N, 1), colours (N, 3, 1), and `noise` uint64 (N,)."""
    ranges = {
        "turn": (-warp.turn / 360, warp.turn / 360),
        "size": (warp.small, warp.large),
        "shift x": (-warp.shift, warp.shift),
        "shift y": (-warp.shift, warp.shift),
        "shear": (-warp.shear, warp.shear),
        "gradient": (0.0, 1.0),
    }
    colours = {
        "background": (0.0, 1.0),
        "background end": (0.0, 1.0),
        "gain": (1 - warp.gain, 1 + warp.gain),
        "offset": (-warp.offset, warp.offset),
    }

    def coin(purpose: str, low: float, high: float) -> np.ndarray:
        return np.asarray(low + (high - low) * uniform(hashes, seed, f"web/{purpose}"), np.float32)[:, None]

    found = {purpose: coin(purpose, *limits) for purpose, limits in ranges.items()}
    for purpose, limits in colours.items():
        found[purpose] = np.stack([coin(f"{purpose} {channel}", *limits) for channel in "rgb"], axis=1)
    found["noise"] = keyed(hashes, seed, "web/noise")
    return found


def _view(lanes: np.ndarray, size: int, which: np.ndarray, coins: dict[str, np.ndarray]) -> np.ndarray:
    """Views without noise, float32 (N, 3, pixels), not yet clipped."""
    steps = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    across, down = np.tile(steps, size), np.repeat(steps, size)
    sampled = _sample(lanes, 2 * size, which, *_source(across, down, coins))
    picture = _background(across, down, coins)
    picture *= np.float32(1) - sampled[:, 3:]
    picture += sampled[:, :3]
    picture *= coins["gain"]
    picture += coins["offset"]
    return picture


def _source(across: np.ndarray, down: np.ndarray, coins: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a view lies in its drawing, (N, pixels) each, in shares of the drawing's side."""
    slots = np.rint(coins["turn"] * np.float32(1024)).astype(np.int64) % 1024
    cosine, sine = _TURNS[slots, 0], _TURNS[slots, 1]
    x = (across - coins["shift x"]) / coins["size"]
    y = (down - coins["shift y"]) / coins["size"]
    x, y = cosine * x + sine * y, cosine * y - sine * x
    return x + coins["shear"] * y + np.float32(0.5), y + np.float32(0.5)


def _sample(lanes: np.ndarray, side: int, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples, float32 (N, 4, pixels) in [0, 1]; positions count in sixteenths of a drawing's pixel.

    Pixel k of a drawing has its centre at (k + 0.5) / side; what lies outside is transparent.
    """
    width = side + 3
    x16 = np.clip(x * np.float32(16 * side) + np.float32(8.5), 0, 16 * (side + 1)).astype(np.int64)
    y16 = np.clip(y * np.float32(16 * side) + np.float32(8.5), 0, 16 * (side + 1)).astype(np.int64)
    corner = (which.astype(np.int64) * width * width)[:, None] + (y16 >> 4) * width + (x16 >> 4)
    right, low = (x16 & 15).astype(np.uint64), (y16 & 15).astype(np.uint64)
    left, high = np.uint64(16) - right, np.uint64(16) - low
    total = lanes[corner] * (left * high)
    total += lanes[corner + 1] * (right * high)
    total += lanes[corner + width] * (left * low)
    total += lanes[corner + width + 1] * (right * low)
    channels = total.astype("<u8", copy=False).view("<u2").reshape(*total.shape, 4).transpose(0, 2, 1)
    return np.asarray(channels * np.float32(1 / (255 * 256)), np.float32)


def _background(across: np.ndarray, down: np.ndarray, coins: dict[str, np.ndarray]) -> np.ndarray:
    """A gradient between two random colours in a random direction, (N, 3, pixels)."""
    slots = (coins["gradient"] * np.float32(1024)).astype(np.int64) % 1024
    along = np.clip(_TURNS[slots, 0] * across + _TURNS[slots, 1] * down + np.float32(0.5), 0, 1)[:, None]
    colours = (coins["background end"] - coins["background"]) * along
    colours += coins["background"]
    return np.asarray(colours, np.float32)


def _noise(keys: np.ndarray, count: int) -> np.ndarray:
    """Noise (N, count) of standard deviation 1: sums of two uniform bytes of 64-bit hashes."""
    words = -(-count // 4)
    hashes = mix(keys[:, None] + np.arange(words, dtype=np.uint64)).astype("<u8", copy=False)
    # Two bytes of a 16-bit lane are added in place: low byte plus high byte.
    lanes = hashes.view("<u2").reshape(len(keys), 4 * words)[:, :count]
    summed = (lanes & np.uint16(255)) + (lanes >> np.uint16(8))
    return (summed.astype(np.float32) - np.float32(255)) * np.float32(1 / math.sqrt(2 * (256**2 - 1) / 12))
