"""Slow, obvious matching: build the normalised text, look for blank + entry + blank as a substring."""

import string
import unicodedata

MARKS = ",.;:?!`"
LISTED = "，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
CJK = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2EBEF), (0xF900, 0xFAFF)]
RADICALS = [(0x2E80, 0x2EFF), (0x2F00, 0x2FDF), (0x2FF0, 0x2FFF)]
SOUTH = [(0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF)]
KANA = [(0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF65, 0xFF9F), (0x1AFF0, 0x1B16F)]


def wrapped(text):
    out = ""
    for character in text:
        if character in MARKS:
            out += " " + character + " "
        elif character in "\t\n\r":
            out += " "
        else:
            out += character
    return " " + out + " "


def is_open(character, kana=False):
    if character in string.punctuation or character in LISTED:
        return True
    ranges = CJK + RADICALS + SOUTH + (KANA if kana else [])
    return any(low <= ord(character) <= high for low, high in ranges)


def with_edges(entry, kana=False):
    left = "" if is_open(entry[0], kana) else " "
    right = "" if is_open(entry[-1], kana) else " "
    return left + entry + right


def matches_v1(text, entries):
    whole = wrapped(text)
    return {index for index, entry in enumerate(entries) if f" {entry} " in whole}


def matches_v2(text, entries):
    whole = wrapped(text.strip())
    return {index for index, entry in enumerate(entries) if with_edges(entry) in whole}


def matches_strict(text, entries):
    whole = wrapped(unicodedata.normalize("NFC", text).strip())
    found = set()
    for index, entry in enumerate(entries):
        body = wrapped(unicodedata.normalize("NFC", entry).strip()).strip(" ")
        if body and with_edges(body, kana=True) in whole:
            found.add(index)
    return found


ORACLES = {"published-v1": matches_v1, "published-v2": matches_v2, "strict": matches_strict}


def matches(text, entries, semantics):
    """Sorted entry ids; None is a text without matches."""
    return sorted(ORACLES[semantics](text, entries)) if text is not None else []
