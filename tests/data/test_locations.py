import os
import time

import fsspec
import pytest

from sensorium.core.errors import InputError, MissingExtraError, SettingError
from sensorium.data.locations import (
    MIB,
    Location,
    content_identity,
    is_hidden,
    leaves_folder,
    locate,
    read_uri,
)


def names(given):
    return [file.name for file in locate(str(given)).files]


def content(file):
    with file.open() as handle:
        return handle.read()


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("folder", ["[D_DATA]", "pool v1 #2 (50%)", "a*b?", "{0..3}", ".hidden", "{a,b}", "ü ñ 猫"])
def test_an_existing_path_is_literal(tmp_path, folder):
    touch(tmp_path / folder / "x.parquet")
    touch(tmp_path / "D" / "x.parquet", b"decoy")
    touch(tmp_path / "aXbY" / "x.parquet", b"decoy")
    found = locate(str(tmp_path / folder))
    assert [file.name for file in found.files] == ["x.parquet"]
    assert content(found.files[0]) == b"x"
    assert names(tmp_path / folder / "x.parquet") == ["x.parquet"]


@pytest.mark.parametrize("folder", ["[WIP] pool", "a*b", "{0..1}"])
def test_a_pattern_below_a_literal_folder(tmp_path, folder):
    touch(tmp_path / folder / "0.tar")
    touch(tmp_path / folder / "1.tar")
    touch(tmp_path / "W pool" / "2.tar")
    touch(tmp_path / "aXb" / "2.tar")
    assert names(tmp_path / folder / "*.tar") == ["0.tar", "1.tar"]
    assert names(tmp_path / folder / "{0..1}.tar") == ["0.tar", "1.tar"]


def test_a_range_names_what_is_missing(tmp_path):
    for number in (0, 1, 3):
        touch(tmp_path / f"{number:05d}.tar")
    with pytest.raises(InputError, match=r"00002\.tar"):
        locate(str(tmp_path / "{00000..00003}.tar"))
    assert names(tmp_path / "*.tar") == ["00000.tar", "00001.tar", "00003.tar"]
    assert names(tmp_path / "{00000..00001}.tar") == ["00000.tar", "00001.tar"]
    assert names(tmp_path / "{00003,00000}.tar") == ["00000.tar", "00003.tar"]
    touch(tmp_path / "00010.tar")
    assert names(tmp_path / "000{00..01}.tar") == ["00000.tar", "00001.tar"]


@pytest.mark.parametrize("text", ["{5..2}.tar", "{0..99999999}.tar"])
def test_senseless_ranges_are_refused(tmp_path, text):
    with pytest.raises(SettingError, match="range"):
        locate(str(tmp_path / text))


def test_nothing_there_names_the_nearest(tmp_path):
    touch(tmp_path / "captions.parquet")
    with pytest.raises(InputError, match=r"did you mean 'captions\.parquet'"):
        locate(str(tmp_path / "caption.parquet"))
    with pytest.raises(InputError, match="nothing matches"):
        locate(str(tmp_path / "*.tar"))
    with pytest.raises(SettingError, match="empty"):
        locate(" ")


def test_debris_is_left_out_and_told(tmp_path):
    for name in (
        "a.parquet",
        ".DS_Store",
        "Thumbs.db",
        "cat/._0.jpg",
        ".git/x/y",
        "b.parquet.tmp-12-ab",
        "__MACOSX/a",
    ):
        touch(tmp_path / name)
    (tmp_path / "bird").mkdir()
    found = locate(str(tmp_path))
    assert [file.name for file in found.files] == ["a.parquet"]
    assert set(found.hidden) == {
        ".DS_Store",
        "Thumbs.db",
        "cat/._0.jpg",
        ".git",
        "b.parquet.tmp-12-ab",
        "__MACOSX",
    }
    assert found.empty == ("bird",)
    assert is_hidden("x/.y/z")
    assert not is_hidden("x/y.z")


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "real" / "a.jpg")
    pool = tmp_path / "pool"
    touch(pool / "x" / "b.jpg")
    (pool / "y").symlink_to(tmp_path / "real")
    (pool / "z").symlink_to(tmp_path / "real")
    (pool / "x" / "up").symlink_to(pool)
    (pool / "gone").symlink_to(tmp_path / "nowhere")
    found = locate(str(pool))
    assert [file.name for file in found.files] == ["x/b.jpg", "y/a.jpg", "z/a.jpg"]
    assert set(found.lost) == {"x/up", "gone"}
    assert found.empty == ()


def test_a_literal_path_does_not_search_the_disk(tmp_path):
    touch(tmp_path / "[x]" / "a.parquet")
    begun = time.perf_counter()
    locate(str(tmp_path / "[x]"))
    assert time.perf_counter() - begun < 1


def test_names_do_not_depend_on_place_or_working_folder(tmp_path, monkeypatch):
    touch(tmp_path / "pool" / "b" / "x.tar", b"1")
    touch(tmp_path / "pool" / "a.tar", b"2")
    monkeypatch.chdir(tmp_path)
    relative, absolute = locate("pool"), locate(f"file://{tmp_path}/pool/")
    assert [file.name for file in relative.files] == ["a.tar", "b/x.tar"]
    assert relative.files == absolute.files
    first = content_identity(relative.files)
    os.rename(tmp_path / "pool", tmp_path / "moved")
    assert content_identity(locate("moved").files) == first


def test_identity_sees_content_of_same_size_and_time(tmp_path):
    path = touch(tmp_path / "a.bin", b"one")
    before = content_identity(locate(str(path)).files)
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content_identity(locate(str(path)).files) != before


def test_identity_of_a_big_file_samples_its_ends_and_middle(tmp_path):
    path = tmp_path / "big.bin"
    size = 65 * MIB
    with path.open("wb") as handle:
        handle.truncate(size)
    seen = {content_identity(locate(str(path)).files)[0][2]}
    inner = size - 2 * MIB - (64 << 10)
    for place in (0, size - 1, MIB + inner * 15 // 29 + 5):
        with path.open("r+b") as handle:
            handle.seek(place)
            handle.write(b"!")
        seen.add(content_identity(locate(str(path)).files)[0][2])
    assert len(seen) == 4


def test_remote_files_by_memory():
    fs = fsspec.filesystem("memory")
    try:
        for name in ("pool/[a]/0.tar", "pool/[a]/1.tar", "pool/a/2.tar", "pool/[a]/.hidden"):
            fs.pipe(f"/{name}", name.encode())
        assert names("memory://pool/[a]") == ["0.tar", "1.tar"]
        assert names("memory://pool/[a]/*.tar") == ["0.tar", "1.tar"]
        assert names("memory://pool/[a]/{0..1}.tar") == ["0.tar", "1.tar"]
        assert names("memory://pool/[a]/1.tar") == ["1.tar"]
        with pytest.raises(InputError, match=r"2\.tar"):
            locate("memory://pool/[a]/{0..2}.tar")
        with pytest.raises(InputError, match="there is no"):
            locate("memory://pool/b")
        file = locate("memory://pool/a/2.tar").files[0]
        assert not file.local
        assert content(file) == b"pool/a/2.tar"
        assert read_uri("memory://pool/a/2.tar", limit=100) == b"pool/a/2.tar"
        before = content_identity([file])
        assert content_identity([file]) == before
        fs.pipe("/pool/a/2.tar", b"pool/a/X.tar")
        assert content_identity([file]) != before
    finally:
        fs.rm("/pool", recursive=True)


def test_unknown_protocols_are_named():
    with pytest.raises(SettingError, match="did you mean 's3'"):
        locate("s33://bucket/x")
    with pytest.raises((MissingExtraError, InputError), match="abfs"):
        locate("abfs://bucket/x.parquet")


def test_a_file_that_went_away(tmp_path):
    with pytest.raises(InputError, match="not there"):
        Location(str(tmp_path / "gone"), "gone", 1).open()
    with pytest.raises(FileNotFoundError):
        read_uri(str(tmp_path), limit=1)
    touch(tmp_path / "x", b"123")
    with pytest.raises(OverflowError):
        read_uri(str(tmp_path / "x"), limit=2)


@pytest.mark.parametrize(
    ("path", "leaves"),
    [
        ("a/b.jpg", False),
        ("a..b/c", False),
        ("../x", True),
        ("a/../../x", True),
        ("/etc/passwd", True),
        ("/pool/a.jpg", False),
        ("/poolx/a.jpg", True),
        ("s3://other/x", True),
        ("a\0b", True),
    ],
)
def test_leaves_folder(path, leaves):
    assert leaves_folder(path, "/pool") is leaves


def test_a_range_of_one_file(tmp_path):
    touch(tmp_path / "0.tar")
    assert names(tmp_path / "{0..0}.tar") == ["0.tar"]


def test_pipes_and_links_in_circles_are_left_out_and_told(tmp_path):
    touch(tmp_path / "pool" / "a.tar")
    (tmp_path / "pool" / "itself").symlink_to("itself")
    (tmp_path / "pool" / "gone.tar").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pool" / "pipe.tar")
    for given in (tmp_path / "pool", tmp_path / "pool" / "*"):
        found = locate(str(given))
        assert [file.name for file in found.files] == ["a.tar"]
        assert set(found.lost) == {"itself", "gone.tar", "pipe.tar"}
    with pytest.raises(InputError, match=r"pipe\.tar is a pipe or a device; a pool is read more than once"):
        locate(str(tmp_path / "pool" / "pipe.tar"))


class Unreachable:
    """A file system without a network."""

    def __init__(self, error):
        self.error = error

    def __getattr__(self, name):
        def fail(path, **_):
            raise self.error

        return fail


def test_a_place_that_cannot_be_reached_is_one_sentence(monkeypatch):
    monkeypatch.setattr(fsspec, "filesystem", lambda protocol: Unreachable(RuntimeError("no route\nto host.")))
    Unreachable._strip_protocol = staticmethod(lambda given: given.partition("://")[2])
    with pytest.raises(InputError, match=r"^memory://x/y cannot be reached \(RuntimeError: no route to host\)\.$"):
        locate("memory://x/y")


def test_a_web_server_without_a_network_is_not_called_a_missing_file(monkeypatch):
    missing = FileNotFoundError("http://x/y")
    missing.__cause__ = ConnectionRefusedError("refused")
    web = Unreachable(missing)
    web.exists = lambda path: False
    web._strip_protocol = lambda given: given
    monkeypatch.setattr(fsspec, "filesystem", lambda protocol: web)
    with pytest.raises(InputError, match=r"^http://x/y cannot be reached \(refused\)\.$"):
        locate("http://x/y")
    missing.__cause__ = None
    with pytest.raises(InputError, match="there is no file or folder http://x/y"):
        locate("http://x/y")


def test_a_stamp_shows_a_change(tmp_path):
    (file,) = locate(str(touch(tmp_path / "a.tar"))).files
    before = file.stamp()
    assert file.stamp() == before
    touch(tmp_path / "a.tar", b"longer")
    assert file.stamp() != before
    (tmp_path / "a.tar").unlink()
    assert file.stamp() is None
