"""Write the generated pages: one per recipe, the catalogue (also in README.md), the lists of claims and decisions.

python scripts/recipe_pages.py           write them
python scripts/recipe_pages.py --check   say which are out of date, exit code 1
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sensorium.cli.parameters import parameters
from sensorium.core import files
from sensorium.core.recipe import Recipe, Variant, recipes
from sensorium.recipes._planned import PLANNED

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- systems: written by scripts/recipe_pages.py -->", "<!-- end of systems -->"
MARKS = (("here", "runs here"), ("real", "on real data"), ("gpu", "on GPU"), ("full", "full size checked"))


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """A Markdown table; bars and line ends in cells are taken care of."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def recipe_page(recipe: Recipe, root: Path = ROOT) -> str:
    """One recipe: its card, its columns, its variants with parameters, its claims."""
    paper = recipe.paper()
    lines = [f"# {recipe.name}", "", f"*{paper['title']}* ({paper['year']}). Room: {paper['room']}."]
    lines += ["", paper["says"], ""]
    if paper["needs"]:
        needs = [(f"`{column}`", what) for column, what in paper["needs"].items()]
        lines += ["## Columns it needs", "", *table(("column", "what"), needs), ""]
    lines += ["## Variants", ""]
    for name in recipe.variants():
        lines += variant_section(recipe.variant(name))
    if paper.get("departs"):
        lines += ["## What departs from the paper", "", *(f"- {line}" for line in paper["departs"]), ""]
    lines += claims_of(recipe.name, root)
    return "\n".join(lines).rstrip() + "\n"


def variant_section(variant: Variant) -> list[str]:
    """The command of a variant, what it does, and its options."""
    about = (variant.function.__doc__ or "").strip().split("\n\n")[0]
    lines = [f"### `sensorium run {variant.recipe.name}:{variant.name}`", "", " ".join(about.split()), ""]
    rows = [(f"`{row.option}`", row.takes, row.text()) for row in parameters(variant)]
    return [*lines, *table(("option", "takes", "what for"), rows), ""] if rows else lines


def records(root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """The recorded verdicts by name; registrations and tuning runs lie beside them."""
    found = sorted((root / "docs/claims").glob("*.json"))
    verdicts = [path for path in found if not path.stem.endswith((".registration", ".tuning"))]
    return {path.stem: json.loads(path.read_text("utf-8")) for path in verdicts}


def claims_of(name: str, root: Path = ROOT) -> list[str]:
    """The recorded verdicts of a recipe: its claim, and the further ones called `name.second`."""
    mine = [record for key, record in records(root).items() if key.split(".")[0] == name]
    rows = [(r["says"], f"**{r['verdict']}**", r["basis"], f"`{r['command']}`") for r in mine]
    return ["## Claims", "", *table(("claim", "verdict", "stands on", "command"), rows), ""] if rows else []


def catalogue() -> str:
    """The table of the fifty systems with four marks; a gap is a dot."""
    known = {recipe.name: recipe.paper() for recipe in recipes() if recipe.origin == "package"}
    head = "| system | paper | " + " | ".join(title for _, title in MARKS) + " |"
    lines = [head, "| --- | --- |" + " :-: |" * len(MARKS)]
    for name, year, _, title in PLANNED:
        marks = known.get(name, {}).get("marks", {})
        cells = " | ".join("●" if marks.get(mark) else "·" for mark, _ in MARKS)
        shown = f"[`{name}`](docs/recipes/{name}.md)" if name in known else f"`{name}`"
        lines.append(f"| {shown} | {title} ({year}) | {cells} |")
    return "\n".join(lines)


def claims_index(root: Path = ROOT) -> str:
    """All recorded verdicts, newest state; the logs beside them keep every run."""
    lines = [
        "# Claims",
        "",
        "Each line is the newest verdict of a pre-registered run; `NAME.log.jsonl` keeps every one. Replay a",
        "verdict with `sensorium claim NAME --check`. Miniatures are reimplementations at reduced scale; a failed",
        "claim speaks of the miniature.",
        "",
    ]
    rows = [
        (claim_link(name, root), r["says"], f"**{r['verdict']}**", r["basis"], len(r["seeds"]))
        for name, r in records(root).items()
    ]
    return "\n".join(lines + table(("claim", "says", "verdict", "stands on", "seeds"), rows)) + "\n"


def claim_link(name: str, root: Path) -> str:
    """The name of a claim, with its page where there is one."""
    return f"[{name}]({name}.html)" if (root / f"docs/claims/{name}.html").exists() else name


def decisions_index(root: Path = ROOT) -> str:
    """The decisions by number, with their titles."""
    lines = ["# Decisions", "", "What was decided, why, and what it costs.", ""]
    for path in sorted((root / "docs/decisions").glob("[0-9]*.md")):
        title = path.read_text("utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Every generated file with its content."""
    ours = [recipe for recipe in recipes() if recipe.origin == "package"]
    found = {root / f"docs/recipes/{recipe.name}.md": recipe_page(recipe, root) for recipe in ours}
    systems = catalogue()
    found[root / "docs/recipes/index.md"] = "# The catalogue\n\n" + systems.replace("](docs/recipes/", "](") + "\n"
    found[root / "docs/claims/index.md"] = claims_index(root)
    found[root / "docs/decisions/index.md"] = decisions_index(root)
    readme = (root / "README.md").read_text("utf-8")
    if BEGIN in readme and END in readme:
        head, rest = readme.split(BEGIN, 1)
        found[root / "README.md"] = f"{head}{BEGIN}\n{systems}\n{END}{rest.split(END, 1)[1]}"
    return found


def stale(root: Path = ROOT) -> dict[Path, str]:
    """The generated files that are missing or differ, with what they should hold."""
    wanted = pages(root)
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text}


def main() -> int:
    """Write or check."""
    old = stale()
    if "--check" in sys.argv[1:]:
        for path in old:
            print(f"{path.relative_to(ROOT)} is out of date; run: python scripts/recipe_pages.py")
        return 1 if old else 0
    for path, text in old.items():
        files.write_text(path, text)
    print(f"{len(old)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
