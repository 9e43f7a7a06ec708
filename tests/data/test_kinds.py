import pytest
from tests.data.pool_makers import jsonl, parquet, tar

from sensorium.data.kinds import by_content, by_suffix, stem
from sensorium.data.locations import locate


@pytest.mark.parametrize(
    ("name", "kind", "bare"),
    [
        ("a.parquet", "parquet", "a"),
        ("A.PQ", "parquet", "A"),
        ("d/a.b.jsonl.zst", "jsonl", "d/a.b"),
        ("a.json", "jsonl", "a"),
        ("a.tar.gz", "webdataset", "a"),
        ("a.tgz", "webdataset", "a"),
        ("a.parquet.gz", None, "a.parquet.gz"),
        ("x.JPeG", "image", "x"),
        ("x.WAV", "audio", "x"),
        ("x.mkv", "video", "x"),
        ("x.arrow", "arrow", "x"),
        ("x.txt", None, "x.txt"),
        ("parquet", None, "parquet"),
        (".jsonl", "jsonl", ".jsonl"),
    ],
)
def test_suffixes(name, kind, bare):
    assert by_suffix(name) == kind
    assert stem(name) == bare


def test_content(tmp_path):
    files = {
        "parquet": parquet(tmp_path / "a", [{"id": 1}]),
        "webdataset": tar(tmp_path / "b", [("x.txt", b"x")]),
        "jsonl": jsonl(tmp_path / "c", [{"id": 1}]),
    }
    for kind, path in files.items():
        assert by_content(locate(str(path)).files[0]) == kind
    (tmp_path / "d").write_bytes(b"hello")
    assert by_content(locate(str(tmp_path / "d")).files[0]) is None
