"""Pages: one self-contained HTML file that loads nothing, runs one known script, and escapes every text."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sensorium.core import files
from sensorium.report import text
from sensorium.report.blocks import Page, Svg

NAME = "report.html"


def write(path: str | Path, page: Page) -> Path:
    """Write a page atomically; equal pages give equal bytes.

    Args:
        path: a file that ends in .html, or a folder, which gets a `report.html`.
        page: what it shows.

    Returns:
        The path of the file.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        path = path / NAME
    files.write_text(path, render(page))
    return path


def render(page: Page) -> str:
    """The page as HTML text."""
    environment, style, script = _environment(), _part("page.css"), _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Style and script are ours; the script's hash in the page's policy keeps every other script from running.
    return (
        environment.get_template("page.html.jinja")
        .render(page=page, style=Markup(style), script=Markup(script), script_hash=f"sha256-{digest}")
        .rstrip()
        + "\n"
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sensorium.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        keep_trailing_newline=False,
    )
    environment.filters |= {
        "cut": text.cut,
        "shorten": text.shorten,
        "language": text.language,
        "link": text.link,
        "number": text.number,
        "share": text.share,
        "drawing": _drawing,
    }
    return environment


def _finalize(value: Any) -> Any:
    # Markup is ours already; everything else that is text may hold what HTML forbids.
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _drawing(svg: Svg) -> Markup:
    return Markup(svg)


@lru_cache(maxsize=4)
def _part(name: str) -> str:
    return resources.files("sensorium.report").joinpath("templates", name).read_text("utf-8").strip()
