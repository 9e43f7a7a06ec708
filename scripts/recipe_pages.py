"""Write the generated pages: one per recipe, the catalogue (also in README.md), the list of claims.

python scripts/recipe_pages.py           write them
python scripts/recipe_pages.py --check   say which are out of date, exit code 1
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sensorium.core.recipe import Recipe, recipes
from sensorium.recipes._planned import PLANNED

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- systems: written by scripts/recipe_pages.py -->", "<!-- end of systems -->"
MARKS = (("here", "runs here"), ("real", "on real data"), ("gpu", "on GPU"), ("full", "full size checked"))


def recipe_page(recipe: Recipe) -> str:
    """One recipe: its card, its columns, its variants with parameters, its claims."""
    paper = recipe.paper()
    lines = [
        f"# {recipe.name}",
        "",
        f"*{paper['title']}* ({paper['year']}). Room: {paper['room']}.",
        "",
        paper["says"],
        "",
    ]
    lines += ["## Columns it needs", "", "| column | what |", "| --- | --- |"]
    lines += [f"| `{column}` | {what} |" for column, what in paper["needs"].items()]
    lines += ["", "## Variants", ""]
    for name in recipe.variants():
        variant = recipe.variant(name)
        about = (variant.function.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        lines += [f"### `sensorium run {recipe.name}:{name}`", "", " ".join(about.split()), ""]
        options = [f"--{key.replace('_', '-')}" for key in variant.parameters()]
        lines += ["Options: " + ", ".join(f"`{option}`" for option in options) + ".", ""]
    if paper.get("departs"):
        lines += ["## What departs from the paper", ""] + [f"- {line}" for line in paper["departs"]] + [""]
    lines += claims_of(recipe.name)
    return "\n".join(lines).rstrip() + "\n"


def claims_of(name: str) -> list[str]:
    """The recorded verdicts of a recipe."""
    found = sorted((ROOT / "docs/claims").glob(f"{name}*.json"))
    records = [json.loads(path.read_text("utf-8")) for path in found if ".registration" not in path.name]
    if not records:
        return []
    lines = ["## Claims", "", "| claim | verdict | stands on | command |", "| --- | --- | --- | --- |"]
    return lines + [
        f"| {record['says']} | **{record['verdict']}** | {record['basis']} | `{record['command']}` |"
        for record in records
    ]


def catalogue() -> str:
    """The table of the fifty systems with four marks; a gap is a dot."""
    known = {recipe.name: recipe.paper() for recipe in recipes() if recipe.origin == "package"}
    lines = [
        "| system | paper | " + " | ".join(title for _, title in MARKS) + " |",
        "| --- | --- |" + " :-: |" * len(MARKS),
    ]
    for name, year, _, title in PLANNED:
        marks = known.get(name, {}).get("marks", {})
        cells = " | ".join("●" if marks.get(mark) else "·" for mark, _ in MARKS)
        shown = f"[`{name}`](docs/recipes/{name}.md)" if name in known else f"`{name}`"
        lines.append(f"| {shown} | {title} ({year}) | {cells} |")
    return "\n".join(lines)


def claims_index() -> str:
    """All recorded verdicts, newest state; the logs beside them keep every run."""
    lines = [
        "# Claims",
        "",
        "Each line is the newest verdict of a pre-registered run; `NAME.log.jsonl` keeps every one. Replay a verdict with",
        "`sensorium claim NAME --check`. Miniatures are reimplementations at reduced scale; a failed claim speaks of the miniature.",
        "",
        "| recipe | claim | verdict | stands on | seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for path in sorted((ROOT / "docs/claims").glob("*.json")):
        if path.name.endswith(".registration.json") or ".tuning" in path.name:
            continue
        record = json.loads(path.read_text("utf-8"))
        lines.append(
            f"| {record['name']} | {record['says']} | **{record['verdict']}** | {record['basis']} | {len(record['seeds'])} |"
        )
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    found = {
        ROOT / f"docs/recipes/{recipe.name}.md": recipe_page(recipe)
        for recipe in recipes()
        if recipe.origin == "package"
    }
    table = catalogue()
    found[ROOT / "docs/recipes/index.md"] = "# The catalogue\n\n" + table.replace("](docs/recipes/", "](") + "\n"
    found[ROOT / "docs/claims/index.md"] = claims_index()
    readme = (ROOT / "README.md").read_text("utf-8")
    if BEGIN in readme:
        head, rest = readme.split(BEGIN, 1)
        found[ROOT / "README.md"] = f"{head}{BEGIN}\n{table}\n{END}{rest.split(END, 1)[1]}"
    return found


def main() -> int:
    """Write or check."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date; run: python scripts/recipe_pages.py")
        return 1 if stale else 0
    for path, text in pages().items():
        path.write_text(text, "utf-8")
    print(f"{len(stale)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
