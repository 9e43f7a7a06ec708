from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core import files
from sensorium.core.errors import StorageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def half_written(path, error, folder=False):
    with files.atomic(path) as temporary:
        if folder:
            temporary.mkdir()
        (temporary / "part" if folder else temporary).write_text("half")
        raise error


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "deep" / "a.json"
    files.write_json(path, {"b": 1, "a": "ü"})
    assert path.read_bytes() == '{\n "a": "ü",\n "b": 1\n}\n'.encode()
    assert names(path.parent) == ["a.json"]
    with pytest.raises(RuntimeError):
        half_written(path, RuntimeError("the writer failed"))
    assert files.read_json(path) == {"a": "ü", "b": 1}
    assert names(path.parent) == ["a.json"]


def test_a_folder_replaces_an_older_one(tmp_path):
    path = tmp_path / "model"
    for number in (1, 2):
        with files.atomic(path) as temporary:
            temporary.mkdir()
            (temporary / f"part-{number}").write_text("x")
    assert names(path) == ["part-2"]
    assert names(tmp_path) == ["model"]
    with pytest.raises(RuntimeError):
        half_written(path, RuntimeError("the writer failed"), folder=True)
    assert names(path) == ["part-2"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("value", [float("nan"), {"x": float("inf")}, {"x": object()}])
def test_what_is_not_json_is_refused_and_leaves_nothing(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        files.write_json(tmp_path / "a.json", value)
    assert names(tmp_path) == []


@settings(deadline=None)
@given(st.text())
def test_text_comes_back_and_line_ends_stay(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        files.write_json(path, {"text": text})
        assert files.read_json(path) == {"text": text}


def test_a_lone_surrogate_comes_back(tmp_path):
    files.write_json(tmp_path / "a.json", "x\ud800y")
    assert files.read_json(tmp_path / "a.json") == "x\ud800y"


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "no space left on the disk"), (errno.EDQUOT, "quota"), (errno.EFBIG, "file too large")],
)
def test_a_full_disk_is_one_sentence_with_the_path(tmp_path, number, reason):
    path = tmp_path / "rows" / "00.parquet"
    with pytest.raises(StorageError, match=f"could not write {path}: .*{reason}"):
        half_written(path, OSError(number, "the system's words"))
    assert names(path.parent) == []


def test_other_system_errors_keep_their_type(tmp_path):
    with pytest.raises(PermissionError), files.atomic(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "no")


WRITER = """
import sys
from pathlib import Path
from sensorium.core import files
folder = Path(sys.argv[1])
if sys.argv[2] == "rlimit":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
files.write_bytes(folder / "small.bin", bytes(1000))
try:
    files.write_bytes(folder / "large.bin", bytes(200_000))
except files.StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("how", ["ulimit", "rlimit"])
def test_a_file_size_limit_leaves_no_incomplete_file(tmp_path, how):
    command = (
        f'ulimit -f 48; exec "{sys.executable}" -c "$0" "$1" "$2"' if how == "ulimit" else 'exec "$3" -c "$0" "$1" "$2"'
    )
    done = subprocess.run(
        ["bash", "-c", command, WRITER, str(tmp_path), how, sys.executable],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"could not write {tmp_path / 'large.bin'}: file too large; free some space and run the same command again.\n"
    )
    assert names(tmp_path) == ["small.bin"]


def test_a_killed_writer_leaves_debris_that_is_removed(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from sensorium.core import files\n"
        "with files.atomic(Path(sys.argv[1]) / 'a.bin') as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "inner")], timeout=60)
    assert done.returncode == -9
    (tmp_path / "inner" / "kept.bin").write_bytes(b"x")
    (tmp_path / f"folder{files.TEMPORARY}1").mkdir()
    (tmp_path / f"folder{files.TEMPORARY}1" / f"a{files.TEMPORARY}2").write_bytes(b"x")
    assert len(list(tmp_path.rglob("*.tmp-*"))) == 3
    assert files.remove_debris(tmp_path) == 3
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept.bin"]
    assert files.remove_debris(tmp_path / "absent") == 0


def test_remove_takes_the_link_and_not_what_it_points_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("x")
    (tmp_path / "link").symlink_to("kept", target_is_directory=True)
    files.remove(tmp_path / "link")
    files.remove(tmp_path / "absent")
    assert names(tmp_path) == ["kept"]
    assert names(tmp_path / "kept") == ["a"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_safe_names_are_names_of_files(name):
    safe = files.safe_name(name)
    assert 0 < len(safe.encode()) <= 80
    assert "/" not in safe
    assert "\0" not in safe
    assert not safe.startswith(".")
    assert files.TEMPORARY not in safe
    assert files.safe_name(safe) == safe


@settings(deadline=None)
@given(st.lists(st.text(), unique=True, max_size=20))
def test_safe_names_keep_names_apart(given_names):
    assert len({files.safe_name(name) for name in given_names}) == len(given_names)


def test_plain_names_stay_and_a_name_like_our_debris_does_not():
    assert files.safe_name("00012.parquet") == "00012.parquet"
    assert files.safe_name("Привет мир").startswith("item-")
    assert files.safe_name("a/b").startswith("a-b-")
    assert files.safe_name("crawl.tmp-3") != "crawl.tmp-3"


def test_sha256_of_a_file(tmp_path):
    import hashlib

    content = bytes(range(256)) * 8192 + b"end"
    (tmp_path / "a").write_bytes(content)
    assert files.sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
