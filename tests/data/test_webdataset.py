import gzip
import io
import json
import pickle
import tarfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.data.pool_makers import image, read, tar

from sensorium.core.errors import InputError
from sensorium.data.sources import Files, open_pool
from sensorium.data.webdataset import _split_names


def test_members_are_joined_by_key_wherever_they_stand(tmp_path):
    members = [(f"{n}.jpg", image(n)) for n in range(3)] + [(f"{n}.txt", b"caption %d" % n) for n in range(3)]
    rows, rejected = read(tar(tmp_path / "00000.tar", members))
    assert not rejected
    assert {name: row["text"] for name, row in rows.items()} == {f"00000/{n}": f"caption {n}" for n in range(3)}
    assert rows["00000/1"]["image"] == {"bytes": image(1), "path": "1.jpg"}


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (
            ["Track 2.0 (clean).jpg", "Track 2.0 (clean).txt"],
            [("Track 2.0 (clean)", "jpg"), ("Track 2.0 (clean)", "txt")],
        ),
        (["v1.2.jpg", "v1.2.txt", "v1.jpg"], [("v1.2", "jpg"), ("v1.2", "txt"), ("v1", "jpg")]),
        (["a.seg.png", "a.jpg", "a.txt"], [("a", "seg.png"), ("a", "jpg"), ("a", "txt")]),
        (
            ["mr.bean.jpg", "mr.bean.txt", "mr.x.jpg"],
            [("mr.bean", "jpg"), ("mr.bean", "txt"), ("mr.x", "jpg")],
        ),
        (
            ["a.b.jpg", "a.b.txt", "a.jpg", "a.txt"],
            [("a.b", "jpg"), ("a.b", "txt"), ("a", "jpg"), ("a", "txt")],
        ),
        (
            ["0.in.png", "0.out.png", "1.in.png", "1.out.png"],
            [("0", "in.png"), ("0", "out.png"), ("1", "in.png"), ("1", "out.png")],
        ),
        (["d/a.JPG", "d/a.Txt"], [("d/a", "jpg"), ("d/a", "txt")]),
        (
            ["images/0.jpg", "images/1.jpg", "captions/0.txt", "captions/1.txt"],
            [("0", "jpg"), ("1", "jpg"), ("0", "txt"), ("1", "txt")],
        ),
        (["cat/0.jpg", "dog/0.png"], [("cat/0", "jpg"), ("dog/0", "png")]),
        (["x/0.jpg", "x/0.txt", "y/0.jpg"], [("x/0", "jpg"), ("x/0", "txt"), ("y/0", "jpg")]),
        (["J. Smith.jpg", "J. Smith.cls"], [("J. Smith", "jpg"), ("J. Smith", "cls")]),
    ],
)
def test_names_are_split_by_the_stated_rules(names, places):
    assert _split_names(names) == places
    shuffled = dict(zip(reversed(names), _split_names(names[::-1]), strict=True))
    assert [shuffled[name] for name in names] == places


def test_repeated_members_reject_their_record_only(tmp_path):
    members = [
        ("0.jpg", image(0)),
        ("0.txt", b"0"),
        ("1.jpg", image(1)),
        ("1.txt", b"1"),
        ("1.jpg", image(2)),
        ("2.jpg", image(3)),
    ]
    rows, rejected = read(tar(tmp_path / "a.tar", [*members, ("3.jpg", image(0)), ("3.JPG", image(1))]))
    assert sorted(rows) == ["a/0", "a/2"]
    assert dict(rejected) == {
        "a/1": "repeated member: '1.jpg'",
        "a/3": "repeated member: '3.jpg' and '3.JPG'",
    }
    assert set(rows["a/0"]) == {"id", "image", "text"}


def test_keys_of_several_tars_are_different_ids(tmp_path):
    for number in range(3):
        tar(tmp_path / f"{number:05d}.tar", [(f"{k}.txt", b"%d %d" % (number, k)) for k in range(2)])
    rows, _ = read(tmp_path)
    assert len(rows) == 6
    assert len({row["text"] for row in rows.values()}) == 6
    assert read(Files(tmp_path, ids="shard")) == read(tmp_path)


def test_empty_tars(tmp_path):
    tar(tmp_path / "0.tar", [])
    tar(tmp_path / "1.tar", [("0.jpg", image()), ("0.txt", b"x")])
    assert len(read(tmp_path)[0]) == 1
    first, second = open_pool(Files(tmp_path))
    assert first.schema() == second.schema()
    assert (first.num_rows, second.num_rows) == (0, 1)
    (tmp_path / "2.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r"2\.tar is not a readable tar"):
        Files(tmp_path).shards()
    (tmp_path / "2.tar").write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(InputError, match=r"2\.tar is not a readable tar"):
        Files(tmp_path).shards()


def test_fields_of_json_are_columns_with_types_of_all_tars(tmp_path):
    tar(
        tmp_path / "0.tar",
        [("a.json", b'{"url": null, "text": "from json", "n": 1, "id": 5}'), ("a.txt", b"from txt")],
    )
    tar(
        tmp_path / "1.tar",
        [
            ("b.json", b'{"url": "http://x", "n": 0.5}'),
            ("b.txt", b"b"),
            ("c.json", b"broken"),
            ("c.txt", b"c"),
        ],
    )
    tar(tmp_path / "2.tar", [("d.json", b"[1]"), ("d.cls", b" 7\n"), ("e.json", b'{"url": "\\ud800"}')])
    rows, rejected = read(tmp_path)
    assert rows["0/a"].pop("json.text") == "from json"
    assert rows["0/a"].pop("json.id") == 5
    assert rows["0/a"] == {"id": "0/a", "text": "from txt", "label": None, "url": None, "n": 1.0}
    assert rows["1/b"]["url"] == "http://x"
    reasons = dict(rejected)
    assert reasons["1/c"].startswith("invalid JSON")
    assert "c.json" in reasons["1/c"]
    assert reasons["2/d"].startswith("not a JSON object")
    assert reasons["2/e"].startswith("invalid UTF-8")
    assert sorted(read(tmp_path, ["text"])[0]) == ["0/a", "1/b", "1/c", "2/d", "2/e"]
    (first, *_) = open_pool(Files(tmp_path, columns={"id": "json.id"}))
    assert [piece.table["id"].to_pylist() for piece in first.pieces(["text"])] == [["5"]]


def test_what_is_no_member_is_counted(tmp_path):
    members = [
        ("0.jpg", image()),
        ("._0.jpg", b"x"),
        ("__MACOSX/0.jpg", b"x"),
        (".DS_Store", b"x"),
        ("README", b"x"),
    ]
    path = tar(tmp_path / "a.tar", members)
    with tarfile.open(path, "a") as out:
        link = tarfile.TarInfo("1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        out.addfile(folder)
    rows, rejected = read(path)
    assert list(rows) == ["a/0"]
    assert dict(rejected) == {
        "a/README": "member without a suffix: 'README'",
        "a/1": "not a plain file: member '1.jpg' is a link",
    }
    assert Files(path).notes() == ["a.tar: 3 hidden members or folders left out"]


def test_names_and_captions_that_are_not_utf8(tmp_path):
    members = [("a.txt", b"r\xe9sum\xe9"), ("b.txt", "é".encode()), ("\udce9.txt", b"x")]
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as out:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    rows, rejected = read(path)
    assert list(rows) == ["a/b"]
    assert sorted(reason.split(":")[0] for _, reason in rejected) == ["invalid UTF-8", "invalid UTF-8"]


@pytest.mark.parametrize("keep", [0.31, 0.56, 0.81, 0.97])
def test_a_cut_tar_keeps_what_is_whole_and_counts_the_rest(tmp_path, keep):
    whole = tar(tmp_path / "whole.tar", [(f"{n}.bin", bytes([n]) * 3000) for n in range(20)])
    size = 20 * 3584
    path = tmp_path / "a.tar"
    path.write_bytes(whole.read_bytes()[: int(size * keep)])
    rows, rejected = read(path)
    assert 0 < len(rows) < 20
    assert all(row["bin"] == bytes([int(name[2:])]) * 3000 for name, row in rows.items())
    assert any("damaged tar" in reason or "truncated" in reason for _, reason in rejected)


def test_a_tar_cut_between_members_is_told(tmp_path):
    content = tar(tmp_path / "whole.tar", [(f"{n}.bin", bytes([n + 1]) * 1024) for n in range(5)]).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(content[: 3 * 1536])
    assert len(read(path)[0]) == 3
    assert Files(path).notes() == ["a.tar: has no end mark, so it may have been cut"]
    assert Files(tmp_path / "whole.tar").notes() == []


def test_damage_in_the_middle_is_not_an_end(tmp_path):
    path = tar(tmp_path / "a.tar", [(f"{n}.bin", bytes([n]) * 100) for n in range(9)])
    content = bytearray(path.read_bytes())
    content[4 * 1024 : 4 * 1024 + 512] = b"\x7f" * 512
    path.write_bytes(bytes(content))
    rows, rejected = read(path)
    assert sorted(rows) == [f"a/{n}" for n in range(4)]
    assert rejected == [("a:end", "damaged tar: no header at byte 4096")]


def test_tars_put_one_behind_the_other_are_read_to_the_end(tmp_path):
    one = tar(tmp_path / "x" / "1.tar", [("0.txt", b"0")]).read_bytes()
    two = tar(tmp_path / "x" / "2.tar", [("1.txt", b"1")]).read_bytes()
    (tmp_path / "a.tar").write_bytes(one + two)
    assert sorted(read(tmp_path / "a.tar")[0]) == ["a/0", "a/1"]


@pytest.mark.parametrize("suffix", ["tar.gz", "tgz", "tar.zst"])
def test_compressed_tars(tmp_path, suffix):
    content = tar(
        tmp_path / "x.tar", [(f"{n}.bin", bytes(n) + str(n * 7919).encode() * 99) for n in range(30)]
    ).read_bytes()
    packed = zstandard.ZstdCompressor().compress(content) if suffix == "tar.zst" else gzip.compress(content)
    (tmp_path / f"a.{suffix}").write_bytes(packed)
    assert len(read(tmp_path / f"a.{suffix}")[0]) == 30
    (tmp_path / f"a.{suffix}").write_bytes(packed[: len(packed) * 2 // 3])
    if suffix == "tar.zst":  # one block of this frame: nothing of it can be unpacked
        with pytest.raises(InputError, match="damaged zstd file"):
            read(tmp_path / f"a.{suffix}")
        return
    rows, rejected = read(tmp_path / f"a.{suffix}")
    assert 0 < len(rows) < 30
    assert "damaged gzip file" in rejected[-1][1]


def test_two_pictures_in_a_record(tmp_path):
    path = tar(tmp_path / "a.tar", [("0.jpg", b"j"), ("0.png", b"p"), ("1.png", b"q")])
    rows, _ = read(path)
    assert rows["a/0"]["image"]["bytes"] == b"j"
    assert rows["a/0"]["png"] == b"p"
    assert rows["a/1"]["image"]["bytes"] == b"q"


def test_media_are_not_read_unless_asked_for(tmp_path, monkeypatch):
    path = tar(tmp_path / "a.tar", [("0.jpg", image()), ("0.txt", b"x")])
    shards = pickle.loads(pickle.dumps(open_pool(Files(path))))
    read_names = []
    from sensorium.data import webdataset

    def spy(handle, member):
        read_names.append(member.name)
        handle.seek(member.offset)
        return handle.read(member.size)

    monkeypatch.setattr(webdataset, "_read", spy)
    assert read(shards, ["text"])[0]["a/0"]["text"] == "x"
    assert read_names == ["0.txt"]


@given(st.permutations([f"{key}.{suffix}" for key in ("a", "b", "c.d") for suffix in ("jpg", "txt", "json")]))
def test_the_order_of_members_does_not_matter(tmp_path_factory, names):
    def content(name):
        return json.dumps({"n": name}).encode() if name.endswith("json") else name.encode()

    path = tar(tmp_path_factory.mktemp("order") / "a.tar", [(name, content(name)) for name in names])
    rows, rejected = read(path)
    assert not rejected
    assert sorted(rows) == ["a/a", "a/b", "a/c.d"]
    for name, row in rows.items():
        key = name[2:]
        assert (row["image"]["bytes"], row["text"], row["n"]) == (
            f"{key}.jpg".encode(),
            f"{key}.txt",
            f"{key}.json",
        )


def test_names_with_dots_for_folders(tmp_path):
    members = [("./a.txt", b"a"), ("././b.txt", b"b"), ("d/./c.txt", b"c"), ("../x.txt", b"x"), ("d/../y.txt", b"y")]
    found, rejected = read(tar(tmp_path / "t.tar", members))
    assert {name: row["text"] for name, row in found.items()} == {"t/a": "a", "t/b": "b", "t/d/c": "c"}
    assert rejected == [
        ("t/../x", "name leaves the tar: member '../x.txt'"),
        ("t/d/../y", "name leaves the tar: member 'd/../y.txt'"),
    ]


def test_a_negative_size_is_damage(tmp_path):
    header = bytearray(tarfile.TarInfo("b.txt").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"-0000001000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tar(tmp_path / "t.tar", [("a.txt", b"a")])
    path.write_bytes(path.read_bytes()[:1024] + bytes(header) + bytes(10240))
    found, rejected = read(path)
    assert list(found) == ["t/a"]
    assert rejected == [("t:end", "damaged tar: 'b.txt' has -512 bytes near byte 513")]


def test_a_field_id_is_no_second_id(tmp_path):
    found, _ = read(tar(tmp_path / "t.tar", [("a.txt", b"x"), ("a.id", b"zz")]))
    assert found == {"t/a": {"id": "t/a", "text": "x", "member.id": b"zz"}}


def test_reasons_are_few_however_many_members_are_bad(tmp_path):
    members = [(f"{row}.json", content) for row, content in enumerate([b"[1]", b"7", b"{", b'{"text": "x"}'])]
    _, rejected = read(tar(tmp_path / "t.tar", members))
    assert [reason.partition(":")[0] for _, reason in rejected] == ["not a JSON object"] * 2 + ["invalid JSON"]
