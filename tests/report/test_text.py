from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.report.text import clean, cut, duration, language, link, number, share, shorten, signed, size


@given(st.text())
def test_clean_text_holds_nothing_that_html_forbids(text):
    result = clean(text)
    result.encode("utf-8")
    assert not any(ord(c) < 32 and c not in "\n\t" for c in result)
    assert "\x7f" not in result


@given(st.text(st.characters(min_codepoint=160, exclude_categories=("Cs", "Cn"))))
def test_letters_pass_unchanged(text):
    assert clean(text) == text


def test_lone_surrogates_and_nulls_become_visible():
    assert clean("a\x00b\ud800c") == "a\ufffdb\ufffdc"


@given(st.text(), st.integers(10, 50))
def test_short_texts_are_not_cut_and_long_ones_say_how_long_they_are(text, limit):
    result = cut(text, limit)
    if len(text) <= limit:
        assert result == text
    else:
        assert result.endswith(f"… ({len(text):,} characters)")
        assert text.startswith(result[: result.rindex("…")].rstrip()[: limit // 2])


def test_five_thousand_characters_are_cut():
    assert len(cut("x" * 5000)) < 200
    assert "5,000 characters" in cut("x" * 5000)


def test_a_cut_does_not_split_a_family_or_an_accent():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    for limit in range(10, 20):
        head = cut(family * 20, limit).partition("…")[0]
        assert not head.endswith("\u200d")
        assert (family * 20)[len(head)] != "\u200d"
    assert cut("e\u0301" * 20, 11).startswith("e\u0301" * 5 + "…")


@given(st.text(min_size=1), st.integers(5, 60))
def test_shortened_labels_fit_and_keep_both_ends(text, limit):
    result = shorten(text, limit)
    assert len(result) <= limit
    if len(text) > limit:
        assert result[0] == text[0]
        assert result[-1] == text[-1]


@pytest.mark.parametrize("tag", ["en", "de-AT", "zh-Hant", "sr_Latn", "gsw"])
def test_language_tags_pass(tag):
    assert language(tag) == tag.replace("_", "-")


@pytest.mark.parametrize("tag", ["", None, 'en" onload="x', "<b>", "x", "english!", 5])
def test_what_is_no_language_tag_is_left_out(tag):
    assert language(tag) == ""


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil",
        "http://a b",
        'https://a"onclick="x',
        "",
        None,
        "ftp://x",
    ],
)
def test_what_is_no_web_address_is_no_link(address):
    assert link(address) == ""


def test_web_addresses_are_links():
    assert link("https://openmoji.org") == "https://openmoji.org"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (12345, "12,345"),
        (0, "0"),
        (0.0, "0"),
        (-3, "−3"),
        (0.123456, "0.1235"),
        (0.5, "0.5"),
        (-0.00194, "−0.00194"),
        (1.2e-7, "1.2e−07"),
        (1234.5678, "1,234.6"),
        (None, "–"),
        (float("nan"), "–"),
        (True, "True"),
        ("text", "text"),
    ],
)
def test_numbers(value, words):
    assert number(value) == words


def test_differences_carry_their_sign():
    assert [signed(value) for value in (0.0894, -0.0019, 0, None)] == ["+0.0894", "−0.0019", "0", "–"]


def test_shares_times_and_sizes():
    assert [share(1, 3), share(0, 5), share(5, 5), share(1, 0), share(1, 100_000)] == [
        "33.3 %",
        "0 %",
        "100 %",
        "–",
        "<0.1 %",
    ]
    assert [duration(s) for s in (0.34, 12, 200, 7500, None)] == [
        "0.3 s",
        "12 s",
        "3 min 20 s",
        "2 h 05 min",
        "–",
    ]
    assert [size(b) for b in (5, 2048, 300 << 20, 3 << 30, 5 << 40, None)] == [
        "5 B",
        "2.0 KiB",
        "300 MiB",
        "3.0 GiB",
        "5.0 TiB",
        "–",
    ]
