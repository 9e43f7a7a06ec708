from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.page_reading import check_page

from sensorium.report import page
from sensorium.report.blocks import (
    Attribution,
    Bar,
    Bars,
    Cell,
    Chip,
    Column,
    Command,
    Facts,
    Flow,
    Graph,
    Headline,
    Node,
    Page,
    Part,
    Prose,
    Ruling,
    Sample,
    Samples,
    Section,
    Table,
    Text,
    Tile,
)

BROWSER = Path("/usr/bin/chromium")
NASTY = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror=window.hit=1>',
    "' onmouseover='window.hit=1",
    "javascript:window.hit=1",
    "</style><script>window.hit=1</script>",
    "</title></head><body onload=window.hit=1>",
    "<!-- & &amp; &lt; ]]> {{ 7*7 }} {% raw %}",
    "[red] and [/items]",
    "../../etc/passwd",
    "\u202egnirts desrever",
    "\u200f\u2066\u2069 مرحبا",
    "e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "null \x00 bell \x07 lone \ud800 end",
    "y" * 5000,
)


def full_page(text: str) -> Page:
    """A page with one text in every place that takes one."""
    sample = Sample(caption=Text(content=text, lang=text), note=text, why=text)
    node = Node(label=text, what=text, note=text, state="made", x=0, y=0)
    table = Table(
        columns=(Column(title=text), Column(title=text, kind="number")),
        rows=((Cell(content=text, lang=text, note=text), Cell(content=text, sort=text)),),
        title=text,
        caption=text,
    )
    blocks = (
        Prose(content=text),
        Facts(rows=((text, text),), title=text),
        Flow(
            label=text,
            total=2,
            parts=(Part(label=text, count=1, kind="kept"), Part(label=text, count=2, kind="dropped")),
        ),
        Samples(items=(sample,), title=text, caption=text),
        table,
        Bars(items=(Bar(label=text, value=1, before=2, lang=text),), title=text, caption=text),
        Command(lines=(text,), title=text),
        Graph(nodes=(node,), edges=((0, 0),), title=text),
        Ruling(says=text, chip=Chip(verdict="fails", words=text), figures=text),
    )
    return Page(
        headline=Headline(
            title=text,
            eyebrow=text,
            says=text,
            chip=Chip(verdict="holds", words=text),
            tiles=(Tile(value=text, label=text, note=text),),
        ),
        sections=(Section(title=text, says=text, blocks=blocks), Section(title=text, blocks=())),
        attributions=(Attribution(content=text, url=text),),
        footer=((text, text),),
    )


@pytest.mark.parametrize("text", NASTY)
def test_text_from_outside_is_shown_letter_by_letter_and_never_as_markup(text):
    reader = check_page(page.render(full_page(text)))
    expected = page.text.clean(text)
    if len(text) < 100:
        assert expected in reader.text
    shown_or_read = ("aria-label", "data-v")
    values = {value for _, given_ in reader.tags for name, value in given_.items() if name not in shown_or_read}
    assert not any("hit" in str(value) for value in values)
    if text.startswith("y"):
        assert "y" * 2000 not in reader.text
        assert "5,000 characters" in reader.text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_well_formed_page(text):
    check_page(page.render(full_page(text))).text.encode("utf-8")


def test_the_number_of_elements_does_not_depend_on_what_texts_hold():
    count = {len(check_page(page.render(full_page(text))).tags) for text in ("plain", *NASTY[:9])}
    assert len(count) == 1


def test_a_policy_forbids_what_the_page_does_not_bring():
    html = page.render(full_page("x"))
    policy = next(given_["content"] for tag, given_ in check_page(html).tags if given_.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "http" not in policy


def test_web_links_are_links_and_others_are_text():
    links = {}
    for url in ("https://openmoji.org", "javascript:alert(1)"):
        shown = Page(headline=Headline(title="t"), attributions=(Attribution(content="a", url=url),))
        links[url] = [given_["href"] for tag, given_ in check_page(page.render(shown)).tags if tag == "a"]
        assert url in page.render(shown)
    assert "https://openmoji.org" in links["https://openmoji.org"]
    assert links["javascript:alert(1)"] == ["#main"]


def test_captions_carry_language_and_direction():
    items = tuple(
        Sample(caption=Text(content=text, lang=lang))
        for text, lang in (("قلب", "ar"), ("heart", "en"), ("?", "no tag"))
    )
    reader = check_page(
        page.render(Page(headline=Headline(title="t"), sections=(Section(title="s", blocks=(Samples(items=items),)),)))
    )
    captions = [given_ for tag, given_ in reader.tags if tag == "bdi" and "lang" in given_]
    assert [given_["lang"] for given_ in captions] == ["ar", "en"]
    assert all(given_["dir"] == "auto" for tag, given_ in reader.tags if tag == "bdi")


def test_equal_pages_give_equal_bytes(tmp_path):
    first = page.write(tmp_path / "a.html", full_page("x")).read_bytes()
    assert first == page.write(tmp_path / "b.html", full_page("x")).read_bytes()
    assert b"\r" not in first


def test_a_folder_gets_a_report(tmp_path):
    assert page.write(tmp_path / "run", full_page("x")) == tmp_path / "run" / "report.html"


def test_an_empty_page_is_a_page():
    assert "nothing here" in check_page(page.render(Page(headline=Headline(title="nothing here")))).text


def test_numbers_that_do_not_sum_are_pointed_out():
    flow = Flow(label="x", total=9, parts=(Part(label="kept", count=7, kind="kept"),))
    html = page.render(Page(headline=Headline(title="t"), sections=(Section(title="s", blocks=(flow,)),)))
    assert "do not sum" in html


def test_importing_pages_brings_neither_matplotlib_nor_torch():
    code = "import sys, sensorium.report.page, sensorium.report.judge, sensorium.report.verdict;"
    code += "print([m for m in ('matplotlib', 'torch', 'pyarrow') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "matplotlib" not in found.stdout
    assert "torch" not in found.stdout


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if not BROWSER.exists():
        pytest.skip(f"{BROWSER} is not installed")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=str(BROWSER), args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def opened(browser, path, **given_):
    """A tab with the page, and what went wrong in it: errors, messages, requests beyond the file itself."""
    tab = browser.new_page(**given_)
    trouble = []
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("console", lambda message: trouble.append(message.text))
    tab.on("dialog", lambda dialog: trouble.append(dialog.message))
    tab.on(
        "request",
        lambda request: trouble.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
    )
    tab.goto(path.as_uri())
    return tab, trouble


@pytest.mark.browser
def test_nothing_runs_and_nothing_is_loaded_in_a_browser(browser, tmp_path):
    for number, text in enumerate(NASTY):
        tab, trouble = opened(browser, page.write(tmp_path / f"{number}.html", full_page(text)))
        assert tab.evaluate("window.hit === undefined")
        assert trouble == []
        tab.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_the_page_fits_every_width(browser, tmp_path, width):
    path = page.write(tmp_path / "w.html", full_page("a long name " * 20))
    tab, _ = opened(browser, path, viewport={"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


@pytest.mark.browser
def test_tables_sort_by_keyboard(browser, tmp_path):
    rows = tuple(
        (Cell(content=name), Cell(content=str(value), sort=value)) for name, value in (("b", 10), ("a", 9), ("c", 100))
    )
    table = Table(columns=(Column(title="name"), Column(title="value", kind="number")), rows=rows)
    path = page.write(
        tmp_path / "t.html",
        Page(headline=Headline(title="t"), sections=(Section(title="s", blocks=(table,)),)),
    )
    tab, trouble = opened(browser, path)
    order = "[...document.querySelectorAll('tbody tr')].map(r => r.cells[0].textContent.trim()).join('')"
    tab.locator("thead button").nth(1).focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate(order) == "abc"
    tab.keyboard.press("Enter")
    assert tab.evaluate(order) == "cba"
    assert tab.locator("thead th").nth(1).get_attribute("aria-sort") == "descending"
    tab.locator("thead button").nth(0).press("Space")
    assert tab.evaluate(order) == "abc"
    assert trouble == []
    tab.close()


@pytest.mark.browser
def test_dark_differs_from_light_and_both_can_be_read(browser, tmp_path):
    path = page.write(tmp_path / "c.html", full_page("x"))
    seen = {}
    for scheme in ("light", "dark"):
        tab, _ = opened(browser, path, color_scheme=scheme)
        seen[scheme] = tab.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        tab.close()
    assert seen["light"][0] != seen["dark"][0]
    for paper, ink in seen.values():
        assert contrast(paper, ink) > 7


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.1 between two colours written rgb(r, g, b)."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
