from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.core.toy_stages import Number, run

from sensorium.core.errors import BusyError, StorageError
from sensorium.core.store import BEGUN, DONE, LOCK, MARK, Done, Store, locked

HOLDER = """
import sys, time
from pathlib import Path
from sensorium.core.store import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path / "stage"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "stage")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_open_makes_the_folder_and_takes_its_own_back(tmp_path):
    store = Store(tmp_path / "deep" / "runs")
    store.open()
    store.open()
    assert [path.name for path in store.root.iterdir()] == [MARK]


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_text("x")
    with pytest.raises(BusyError, match=r"holds files that are not sensorium's \(photo.jpg, ...\)"):
        Store(tmp_path).open()
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_file_or_a_place_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BusyError, match="is a file"):
        Store(tmp_path / "file").open()
    with pytest.raises(StorageError, match=f"could not make the folder {tmp_path / 'file' / 'runs'}"):
        Store(tmp_path / "file" / "runs").open()


def test_a_run_that_was_killed_while_it_made_the_store_does_not_block_it(tmp_path):
    (tmp_path / f"{MARK}.tmp-1-ab").write_text("{")
    (tmp_path / ".DS_Store").write_text("x")
    Store(tmp_path).open()
    assert (tmp_path / MARK).exists()


def test_folders_are_named_class_and_fingerprint_or_are_the_users_choice(tmp_path):
    here, there = Number(value=1), Number(value=2)
    store = Store(tmp_path, at=((there, tmp_path / "mine"),))
    assert store.folder(here, "ab" * 32) == tmp_path / "Number" / ("ab" * 10)
    assert store.folder(there, "ab" * 32) == tmp_path / "mine"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"fingerprint": "x"}', '{"fingerprint": "x", "metrics": 3}', b"\xff\xfe"]
)
def test_a_broken_record_counts_as_not_done(tmp_path, content):
    (tmp_path / DONE).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert Done.read(tmp_path) is None


def test_no_folder_or_a_file_in_its_place_is_not_done(tmp_path):
    (tmp_path / "file").write_text("x")
    assert Done.read(tmp_path / "absent") is None
    assert Done.read(tmp_path / "file") is None


def test_a_record_with_another_fingerprint_is_not_ours(store):
    number = Number(value=3)
    plan, _ = run(number, store=store)
    digest = plan.fingerprints[number]
    assert store.done(number, digest).metrics == {"value": 3}
    same_folder = digest[:20] + "0" * 44
    assert store.done(number, same_folder) is None


def test_links_are_relative_replaceable_and_survive_a_move(tmp_path):
    store = Store(tmp_path / "runs")
    for text in ("old", "new"):
        folder = store.root / "Number" / text
        folder.mkdir(parents=True)
        (folder / "a").write_text(text)
        store.link("metaclip/mini/curated", folder)
    link = store.root / "metaclip" / "mini" / "curated"
    assert not os.path.isabs(os.readlink(link))
    assert (link / "a").read_text() == "new"
    assert [path.name for path in link.parent.iterdir()] == ["curated"]
    store.root.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "metaclip" / "mini" / "curated" / "a").read_text() == "new"


def test_a_link_is_right_when_the_store_is_reached_through_a_link(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "runs").symlink_to("disk/deep", target_is_directory=True)
    outside = tmp_path / "mine"
    outside.mkdir()
    (outside / "a").write_text("x")
    Store(tmp_path / "runs").link("recipe/mini/curated", outside)
    assert (tmp_path / "runs" / "recipe" / "mini" / "curated" / "a").read_text() == "x"


def test_a_second_writer_in_this_process_is_refused(tmp_path):
    with (
        locked(tmp_path / "stage"),
        pytest.raises(BusyError, match=f"by process {os.getpid()} on "),
        locked(tmp_path / "stage"),
    ):
        pass
    with locked(tmp_path / "stage"):
        assert json.loads((tmp_path / "stage" / LOCK).read_text())["pid"] == os.getpid()
    assert (tmp_path / "stage" / LOCK).read_text() == ""


def test_a_second_process_is_refused_with_host_and_pid(tmp_path, holder):
    sentence = f"is being written by process {holder.pid} on {socket.gethostname()} since 20"
    with pytest.raises(BusyError, match=sentence), locked(tmp_path / "stage"):
        pass


def test_the_lock_goes_with_a_process_that_is_killed(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / "stage" / LOCK).read_text())["pid"] == holder.pid
    with locked(tmp_path / "stage"):
        pass


def test_the_lock_of_another_machine_is_refused_with_what_to_do(tmp_path):
    lock = tmp_path / "stage" / LOCK
    lock.parent.mkdir()
    lock.write_text(json.dumps({"host": "node-17", "pid": 4, "since": time.time()}))
    with (
        pytest.raises(BusyError, match=f"process 4 on node-17 .* another machine; .* delete {lock}"),
        locked(lock.parent),
    ):
        pass
    lock.unlink()
    with locked(lock.parent):
        pass


def test_a_torn_lock_file_is_no_obstacle(tmp_path):
    (tmp_path / LOCK).write_text('{"host": "no')
    with locked(tmp_path):
        pass
    (tmp_path / LOCK).write_text("[1]")
    with locked(tmp_path):
        pass


def test_the_lock_is_released_when_the_work_fails(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError("the stage failed")
    with locked(tmp_path):
        pass


def test_a_full_disk_in_the_work_names_the_folder(tmp_path):
    import errno

    with pytest.raises(StorageError, match=f"could not write {tmp_path}: no space"), locked(tmp_path):
        raise OSError(errno.ENOSPC, "no space")


def test_the_words_of_the_store_are_distinct():
    assert len({DONE, BEGUN, LOCK, MARK}) == 4
