import fsspec
import pyarrow as pa
import pytest

from sensorium.core.errors import UserError
from sensorium.data import blobs
from sensorium.data.blobs import BrokenMediaError, embed, media_bytes, needs_embedding


def test_every_form_of_a_value(tmp_path):
    (tmp_path / "a b.jpg").write_bytes(b"content")
    folder = str(tmp_path)
    assert media_bytes({"bytes": b"x", "path": "../elsewhere"}, folder=folder) == b"x"
    assert media_bytes({"bytes": None, "path": "a b.jpg"}, folder=folder) == b"content"
    assert media_bytes({"path": "a b.jpg"}, folder=folder) == b"content"
    assert media_bytes(b"x") == media_bytes(memoryview(b"x")) == b"x"
    assert media_bytes("a b.jpg", folder=folder) == b"content"
    assert media_bytes(tmp_path / "a b.jpg") == b"content"
    assert media_bytes(str(tmp_path / "a b.jpg"), folder=folder) == b"content"
    assert media_bytes(pa.scalar({"bytes": b"x", "path": None})) == b"x"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        ({"bytes": None, "path": None}, "empty"),
        ("gone.jpg", "file not found"),
        ("", "file not found"),
        ("../x.jpg", "path leaves the pool's folder"),
        ("/etc/passwd", "path leaves the pool's folder"),
        ({"bytes": None, "path": "file:///etc/passwd"}, "path leaves the pool's folder"),
    ],
)
def test_reasons(tmp_path, value, reason):
    with pytest.raises(BrokenMediaError) as caught:
        media_bytes(value, folder=str(tmp_path))
    assert caught.value.reason == str(caught.value) == reason
    assert isinstance(caught.value, UserError)


def test_limits_and_wrong_types(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"12345")
    monkeypatch.setattr(blobs, "MAX_BYTES", 3)
    with pytest.raises(BrokenMediaError, match="too large"):
        media_bytes("a", folder=str(tmp_path))
    with pytest.raises(TypeError):
        media_bytes(5)


def test_remote_folders():
    fs = fsspec.filesystem("memory")
    fs.pipe("/blobs/a.jpg", b"remote")
    try:
        assert media_bytes("a.jpg", folder="memory:///blobs") == b"remote"
        with pytest.raises(BrokenMediaError, match="leaves"):
            media_bytes("memory:///other/a.jpg", folder="memory:///blobs")
    finally:
        fs.rm("/blobs", recursive=True)


def test_embedding_makes_a_table_independent_of_its_folder(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"A")
    column, faults = embed(pa.array(["a.jpg", "b.jpg", None, "../c.jpg"]), folder=str(tmp_path))
    assert column.to_pylist() == [{"bytes": b"A", "path": "a.jpg"}, None, None, None]
    assert faults == {1: "file not found", 3: "path leaves the pool's folder"}
    structs = pa.array([{"bytes": b"B", "path": "x"}, {"bytes": None, "path": "a.jpg"}])
    assert embed(structs, folder=str(tmp_path))[0].to_pylist()[1] == {"bytes": b"A", "path": "a.jpg"}
    assert needs_embedding(structs.type)
    assert needs_embedding(pa.string())
    assert not needs_embedding(pa.binary())
