import gzip
import io

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.data.packing import DamagedError, packing, unpacked, without_packing


def pack(content, how):
    return gzip.compress(content) if how == "gz" else zstandard.ZstdCompressor().compress(content)


def test_suffixes():
    assert [packing(name) for name in ("a.gz", "a.TGZ", "a.zst", "a.zstd", "a.jsonl")] == [
        "gz",
        "gz",
        "zst",
        "zst",
        None,
    ]
    assert [without_packing(name) for name in ("a.jsonl.gz", "a.tgz", "a.b")] == ["a.jsonl", "a.tgz", "a.b"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=4), st.sampled_from(["gz", "zst"]))
def test_all_members_of_a_stream(contents, how):
    packed = b"".join(pack(content, how) for content in contents)
    assert b"".join(unpacked(io.BytesIO(packed), how)) == b"".join(contents)


@pytest.mark.parametrize("how", ["gz", "zst"])
def test_a_cut_or_broken_stream_is_noticed(how):
    content = b"".join(str(number * number % 9973).encode() for number in range(200_000))
    packed = pack(content, how)
    for broken in (packed[:-3], packed[: len(packed) // 2], pack(b"x", how) + b"garbage"):
        blocks = []
        with pytest.raises(DamagedError, match="damaged"):
            blocks.extend(unpacked(io.BytesIO(broken), how))
        assert content.startswith(b"".join(blocks)) or blocks == [b"x"]


def test_plain_content_comes_in_blocks():
    blocks = list(unpacked(io.BytesIO(bytes(3 << 20)), None))
    assert len(blocks) == 3
    assert b"".join(blocks) == bytes(3 << 20)
