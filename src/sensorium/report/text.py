"""User text on its way into a page: cleaned and cut; numbers, times and sizes as people read them."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

CAPTION_LIMIT = 160
LABEL_LIMIT = 48

# Controls but tab and line feed, surrogates and non-characters: none may stand in an HTML document.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_URL = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
# A cut in front of one of these would change the character before it.
_JOINERS = {0x200D, 0xFE0E, 0xFE0F, 0x20E3}


def clean(text: str) -> str:
    """The text with what HTML forbids shown as a replacement character; everything else letter by letter."""
    return _FORBIDDEN.sub("\ufffd", text.replace("\r\n", "\n"))


def cut(text: str, limit: int = CAPTION_LIMIT) -> str:
    """At most about `limit` characters, cut between what a reader sees as characters, length named."""
    if len(text) <= limit:
        return text
    end = limit
    while end > limit // 2 and (_joins(text[end]) or ord(text[end - 1]) == 0x200D):
        end -= 1
    return f"{text[:end].rstrip()}… ({len(text):,} characters)"


def shorten(text: str, limit: int = LABEL_LIMIT) -> str:
    """A label cut in the middle, so that the ends that tell long names apart stay."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def language(tag: Any) -> str:
    """A language tag fit for a `lang` attribute, or nothing."""
    text = str(tag or "").strip()
    return text.replace("_", "-") if _LANGUAGE.fullmatch(text) else ""


def link(address: Any) -> str:
    """The address if it is a plain web address, else nothing: what is no link is shown as text."""
    text = str(address or "").strip()
    return text if _URL.fullmatch(text) and len(text) <= 2000 else ""


def number(value: Any, digits: int = 4) -> str:
    """A number for reading: 12,345; 0.1234; 1.2e-07; −3; an en dash where there is none."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}".replace("-", "−")
    # So many significant digits, counted from the first that is not zero.
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 1)
    text = f"{value:,.{places}f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def signed(value: Any, digits: int = 3) -> str:
    """A difference for reading: +0.0894, −0.0019, 0."""
    shown = number(value, digits)
    return shown if shown in ("–", "0") or shown.startswith("−") else f"+{shown}"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 99.95 or percent == 0 else f"{percent:.1f} %"


def duration(seconds: Any) -> str:
    """Seconds for reading: 0.3 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if not isinstance(seconds, int | float):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(num_bytes: Any) -> str:
    """Bytes for reading: 812 MiB, 1.5 GiB."""
    if not isinstance(num_bytes, int | float):
        return "–"
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _joins(character: str) -> bool:
    code = ord(character)
    skin = 0x1F3FB <= code <= 0x1F3FF
    return code in _JOINERS or skin or unicodedata.category(character) in ("Mn", "Me", "Mc")
