"""Reading pages as a strict reader does: well nested, ids once, nothing loaded from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags and text, and fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"attribute twice in {tag}: {names}"
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def check_page(html: str) -> Reader:
    """The properties of every page; returns what was read."""
    reader = Reader(html)
    assert html.startswith("<!DOCTYPE html>")
    ids = [given["id"] for _, given in reader.tags if "id" in given]
    assert len(ids) == len(set(ids)), "an id occurs twice"
    for tag, given in reader.tags:
        for name in given:
            assert not name.startswith("on"), f"{tag} has {name}"
        for name in ("src", "srcset", "poster", "data", "action", "formaction", "background", "ping"):
            value = given.get(name)
            assert value is None or value.startswith("data:"), f"{tag} loads {value}"
        if tag == "a":
            assert re.match(r"#|https?://", given.get("href") or ""), given
        elif "href" in given:
            assert (given["href"] or "").startswith("#"), f"{tag} refers to {given['href']}"
    names = [tag for tag, _ in reader.tags]
    assert not {"link", "iframe", "object", "embed", "base", "form", "image", "foreignobject"} & set(names)
    assert names.count("script") == 1
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    assert not re.search(r"url\(|@import|expression\(", style[1])
    assert not re.search(r"url\((?!#)", html.replace(style[0], ""))
    targets = {given["href"][1:] for _, given in reader.tags if (given.get("href") or "").startswith("#")}
    assert targets <= set(ids), targets - set(ids)
    return reader
