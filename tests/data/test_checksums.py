"""Checked files: hashed once, and again when anything changed."""

from __future__ import annotations

import hashlib
import os

import pytest

from sensorium.core import files
from sensorium.data import checksums


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SENSORIUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "_KNOWN", {})


@pytest.fixture
def reads(monkeypatch):
    seen = []
    real = files.sha256_file

    def counted(path):
        seen.append(path)
        return real(path)

    monkeypatch.setattr(files, "sha256_file", counted)
    return seen


def _write(path, content=b"hello"):
    path.write_bytes(content)
    return path


def test_the_digest_is_sha256(tmp_path):
    assert checksums.sha256_of(_write(tmp_path / "a")) == hashlib.sha256(b"hello").hexdigest()


def test_a_second_look_reads_nothing_in_this_process_and_the_next(tmp_path, reads, monkeypatch):
    path = _write(tmp_path / "a")
    first = checksums.sha256_of(path)
    assert checksums.sha256_of(path) == first
    monkeypatch.setattr(checksums, "_KNOWN", {})
    assert checksums.sha256_of(path) == first
    assert len(reads) == 1


def test_a_change_of_equal_size_and_time_is_noticed(tmp_path, reads):
    path = _write(tmp_path / "a")
    before = path.stat()
    checksums.sha256_of(path)
    _write(path, b"hallo")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert checksums.sha256_of(path) == hashlib.sha256(b"hallo").hexdigest()
    assert len(reads) == 2


def test_a_broken_or_unwritable_cache_only_costs_time(tmp_path, monkeypatch):
    path = _write(tmp_path / "a")
    digest = checksums.sha256_of(path)
    for stamp in (tmp_path / "cache" / "sha256").iterdir():
        stamp.write_text("{broken")
    monkeypatch.setattr(checksums, "_KNOWN", {})
    assert checksums.sha256_of(path) == digest
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SENSORIUM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(checksums, "_KNOWN", {})
    assert checksums.sha256_of(path) == digest


def test_the_cache_follows_the_usual_variables(tmp_path, monkeypatch):
    assert checksums.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SENSORIUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert checksums.cache_folder() == tmp_path / "xdg" / "sensorium"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert checksums.cache_folder().parts[-2:] == (".cache", "sensorium")
