"""The `sensorium` command as a process: exit codes, signals, pipes, disks and terminals."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium import __main__ as program
from sensorium.__main__ import call
from sensorium.cli import app as commands
from sensorium.core.errors import StageFailedError, UserError

COMMAND = [sys.executable, "-m", "sensorium"]


def start(*words, folder, **more):
    env = {**os.environ, **more.pop("env", {})}
    env.pop("SENSORIUM_DATA", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen([*COMMAND, *map(str, words)], cwd=folder, env=env, text=True, **pipes)


def finish(process, seconds=90):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


@pytest.fixture
def raising(monkeypatch, capsys, tmp_path):
    """`sensorium list` that fails with a given error; returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def fail(error, *words):
        space = {"error": error}
        # As if it stood in the package: an error raised elsewhere is somebody else's.
        exec(compile("def explode():\n    raise error", program.__file__, "exec"), space)
        monkeypatch.setattr("sensorium.core.recipe.recipes", space["explode"])
        code = call(["list", *words])
        return (code, *capsys.readouterr())

    return fail


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code", "sentence"),
        [
            (UserError("t is 0."), 2, "t is 0."),
            (StageFailedError("a worker was killed."), 1, "a worker was killed."),
            (KeyboardInterrupt(), 130, program.AGAIN),
            (MemoryError(), 1, "there is not enough memory; use fewer --workers or smaller batches."),
            (PermissionError(errno.EACCES, "Permission denied", "x/[y].json"), 2, "x/[y].json: permission denied."),
            (OSError(errno.ENOSPC, "No space left on device"), 2, "could not write: no space left on device."),
        ],
    )
    def test_each_kind_is_one_sentence_and_a_code(self, raising, error, code, sentence):
        assert raising(error) == (code, "", f"sensorium: {sentence}\n")
        ran = raising(error, "--json")
        assert (ran[0], json.loads(ran[1])) == (code, {"error": sentence, "code": code})

    @pytest.mark.parametrize(
        "error", [ZeroDivisionError("by\nzero"), OSError(errno.ENOENT, "gone", "x"), AssertionError()]
    )
    def test_a_bug_says_so_in_one_line(self, raising, error):
        code, out, err = raising(error)
        assert (code, out) == (1, "")
        assert err.startswith(f"sensorium: this is a bug ({type(error).__name__}")
        assert "run the same command with --debug" in err
        assert err.count("\n") == 1

    def test_debug_shows_the_traceback_before_the_sentence(self, raising):
        code, _, err = raising(UserError("t is 0."), "--debug")
        assert code == 2
        assert err.startswith("Traceback")
        assert "in explode" in err
        assert err.endswith("sensorium: t is 0.\n")

    def test_control_characters_of_a_name_do_not_reach_the_terminal(self, raising):
        assert raising(UserError("no file \x1b[31mred\x07"))[2] == "sensorium: no file \\x1b[31mred\\x07\n"

    def test_the_streams_are_as_before(self, raising):
        before = sys.stdout, sys.stderr
        raising(UserError("t is 0."), "--json")
        assert (sys.stdout, sys.stderr) == before

    @pytest.mark.parametrize("where", ["mini", "step"])
    def test_an_error_in_the_users_file_names_its_line(self, tmp_path, monkeypatch, capsys, where):
        monkeypatch.chdir(tmp_path)
        call(["new", "recipe", "mine"])
        path = tmp_path / "mine.py"
        text = path.read_text("utf-8")
        spot = {"mini": "    match = Match(", "step": "        count = pc.list_value_length("}[where]
        indent = " " * (len(spot) - len(spot.lstrip()))
        path.write_text(text.replace(spot, f"{indent}1 / 0\n{spot}"), "utf-8")
        line = path.read_text("utf-8").splitlines().index(f"{indent}1 / 0") + 1
        capsys.readouterr()
        assert call(["run", "./mine.py"]) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert (
            said
            == f"sensorium: {path}, line {line}: ZeroDivisionError: division by zero (--debug shows the traceback)."
        )
        sys.modules.pop("sensorium_file_mine", None)


class TestStreams:
    def test_a_reader_that_leaves_is_no_error(self, tmp_path):
        code = 'sensorium() { "$0" -m sensorium "$@"; }; sensorium data list | head -n 1; echo ${PIPESTATUS[0]}'
        done = subprocess.run(
            ["bash", "-c", code, sys.executable], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert (done.stdout.split()[0], done.stdout.splitlines()[-1]) == ("name", "0")
        assert done.stderr == ""

    def test_a_run_goes_on_when_nobody_reads_its_progress(self, tmp_path):
        call_new(tmp_path)
        code = '"$0" -m sensorium run ./mine.py 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}'
        done = subprocess.run(
            ["bash", "-c", code, sys.executable], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert (done.stdout, done.stderr) == ("0\n", "")
        assert (tmp_path / "runs/mine/mini/report.html").is_file()

    @pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-"])
    def test_closed_streams_are_no_error(self, tmp_path, closing):
        command = f'"$0" -m sensorium list {closing}; echo $? >code'
        subprocess.run(["bash", "-c", command, sys.executable], capture_output=True, cwd=tmp_path, timeout=60)
        assert (tmp_path / "code").read_text() == "0\n"

    @pytest.mark.parametrize("as_json", ["", "--json"])
    def test_a_full_disk_under_the_output_is_one_sentence(self, tmp_path, as_json):
        if not os.path.exists("/dev/full"):
            pytest.skip("needs /dev/full")
        command = f'"$0" -m sensorium list {as_json} >/dev/full'
        done = subprocess.run(
            ["bash", "-c", command, sys.executable], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert (done.returncode, done.stderr) == (2, "sensorium: could not write: no space left on device.\n")

    def test_a_terminal_that_knows_ascii_only_shows_escapes(self, tmp_path):
        folder = tmp_path / "قطة 🐱"
        folder.mkdir()
        texts = ["قطة", "猫が好き", "кот • ✓", "🐱🐱", "café"]
        ids = [str(row) for row in range(5)]
        pq.write_table(pa.table({"id": ids, "text": texts}), folder / "0.parquet")
        (tmp_path / "entries.txt").write_text("café\n🐱🐱\n", "utf-8")
        ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
        words = ("curate", folder.name, "--concepts", "entries.txt", "--match-only", "--out", "kept 🐱")
        code, out, err = finish(start(*words, folder=tmp_path, env=ascii_only))
        assert code == 0, err
        assert "rows: kept \\U0001f431/rows" in out
        assert sorted(pq.read_table(tmp_path / "kept 🐱/rows")["text"].to_pylist()) == ["café", "🐱🐱"]
        code, out, err = finish(start("data", "peek", folder.name, folder=tmp_path, env=ascii_only))
        assert (code, out.splitlines()[-1].endswith("\\xe9")) == (0, True)


def call_new(folder):
    """`mine.py`, a recipe that runs, in a folder."""
    from sensorium.cli.new import recipe_text

    (folder / "mine.py").write_text(recipe_text("mine"), "utf-8")


def write_pool(folder, shards, rows):
    (folder / "pool").mkdir()
    for shard in range(shards):
        ids = [f"{shard}-{row}" for row in range(rows)]
        texts = [f"a dog and {row} cats with {'many words ' * (row % 40)}" for row in range(rows)]
        pq.write_table(pa.table({"id": ids, "text": texts}), folder / f"pool/{shard:02d}.parquet")
    (folder / "entries.txt").write_text("dog\ncats\nmany words\n", "utf-8")


SLOW = """
import time
from sensorium.core import files
from sensorium.core.stage import Stage, stage

PAPER = {"title": "Slow", "year": 2026, "room": "curate"}


class Wait:
    def __init__(self, out):
        self.out = out

    def build(self):
        def handle(number):
            with (self.out / "log.txt").open("a") as log:
                log.write(f"{number}\\n")
            time.sleep(0.15)
            return number

        return handle


@stage
class Slow(Stage):
    gives = "numbers"

    def run(self, here):
        here.items(Wait(here.out), {str(number): number for number in range(12)})
        files.write_json(here.out / "all.json", 1)
        return {"items": 12}


def mini() -> Stage:
    return Slow(name="slow")
"""


class TestInterruptions:
    @pytest.mark.parametrize("words", [(), ("--json",), ("--workers", "2")], ids=["text", "json", "workers"])
    def test_ctrl_c_says_how_to_go_on_and_the_same_command_goes_on(self, tmp_path, words):
        (tmp_path / "slow.py").write_text(SLOW)
        process = start("run", "./slow.py", *(words or ("--workers", "1")), folder=tmp_path, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("runs/Slow/*/items/*.json"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        started = time.monotonic()
        code, out, err = finish(process)
        assert time.monotonic() - started < 15
        assert code == 130
        assert err.splitlines()[-1] == f"sensorium: {program.AGAIN}"
        assert "Traceback" not in err
        if words == ("--json",):
            assert json.loads(out) == {"error": program.AGAIN, "code": 130}
        done = len(list(tmp_path.glob("runs/Slow/*/items/*.json")))
        assert 2 <= done < 12
        assert not list(tmp_path.glob("runs/Slow/*/done.json"))
        code, _, err = finish(start("run", "./slow.py", folder=tmp_path))
        assert code == 0, err
        log = next(tmp_path.glob("runs/Slow/*/log.txt")).read_text().split()
        assert set(log) == {str(number) for number in range(12)}
        assert len(log) <= 12 + 2, "only what was under way is done again"

    @pytest.mark.slow
    def test_a_curation_that_is_stopped_ends_in_the_same_bytes(self, tmp_path):
        write_pool(tmp_path, shards=6, rows=20_000)
        words = ("curate", "pool", "--concepts", "entries.txt", "--t", "500", "--workers", "2")
        assert finish(start(*words, "--out", "whole", folder=tmp_path))[0] == 0
        for moment in (0.2, 0.6, 1.0, 1.4):
            process = start(*words, "--out", "stopped", folder=tmp_path, start_new_session=True)
            deadline = time.monotonic() + 60
            while not (tmp_path / "stopped/begun.json").exists():
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGINT)
            assert finish(process)[0] in (0, 130)
        assert finish(start(*words, "--out", "stopped", folder=tmp_path))[0] == 0
        for part in ("rows", "dropped"):
            whole = {path.name: path.read_bytes() for path in (tmp_path / "whole" / part).iterdir()}
            assert {path.name: path.read_bytes() for path in (tmp_path / "stopped" / part).iterdir()} == whole
        assert not list((tmp_path / "stopped").rglob("*.tmp-*"))

    def test_a_full_disk_is_one_sentence_and_the_next_run_finishes(self, tmp_path):
        rows = 1500
        noise = [os.urandom(1500).hex() for _ in range(rows)]
        ids = [str(row) for row in range(rows)]
        pq.write_table(pa.table({"id": ids, "text": [f"dog {text}" for text in noise]}), tmp_path / "pool.parquet")
        (tmp_path / "entries.txt").write_text("dog\n")
        words = "curate pool.parquet --concepts entries.txt --match-only --out out"
        command = f'ulimit -f 1000; "$0" -m sensorium {words}'
        done = subprocess.run(
            ["bash", "-c", command, sys.executable], capture_output=True, text=True, cwd=tmp_path, timeout=90
        )
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == (
            "sensorium: could not write out/rows/pool.parquet: file too large; "
            "free some space and run the same command again."
        )
        assert not list((tmp_path / "out").glob("rows/*.parquet"))
        assert not (tmp_path / "out/done.json").exists()
        code, out, err = finish(start(*words.split(), folder=tmp_path))
        assert code == 0, err
        assert out.startswith("1,500 rows in = 1,500 out")
        assert pq.read_table(tmp_path / "out/rows").num_rows == rows
        assert not list((tmp_path / "out").rglob("*.tmp-*"))


def test_every_command_is_there():
    from typer.main import get_command

    assert list(get_command(commands.app).commands) == [
        "run", "show", "claim", "curate", "apply", "new", "list", "doctor", "data", "models",
    ]  # fmt: skip
