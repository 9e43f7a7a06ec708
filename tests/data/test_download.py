"""Downloads against a server on this machine: whole, interrupted, continued, wrong, too long, absent."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data import catalog, download

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()


class _Server(ThreadingHTTPServer):
    """Serves CONTENT; `plan` says how each request fails, in order; afterwards requests succeed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[object] = []
        self.ranges = True
        self.content = CONTENT
        self.asked: list[str | None] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        self.server.paths.append(self.path)
        fault = self.server.plan.pop(0) if self.server.plan else None
        if isinstance(fault, int) and fault >= 400:
            self.send_error(fault)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            shift = 7 if fault == "shifted" else 0
            self.send_header("Content-Range", f"bytes {start + shift}-{len(self.server.content) - 1}/*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 3] if fault == "cut" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server():
    with _Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def _fetch(server, path, **settings):
    waits: list[float] = []
    size = settings.pop("size", len(CONTENT))
    download.fetch(
        f"{server.url}/f", path, sha256=settings.pop("sha256", SHA), size=size, wait=waits.append, **settings
    )
    return waits


def test_a_whole_file_and_nothing_beside_it(server, tmp_path):
    path = tmp_path / "deep" / "f.bin"
    assert _fetch(server, path) == []
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["f.bin"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    _fetch(server, tmp_path / "f")
    _fetch(server, tmp_path / "f")
    assert len(server.asked) == 1


def test_interruptions_are_continued_where_they_ended(server, tmp_path):
    server.plan = ["cut", "cut"]
    waits = _fetch(server, tmp_path / "f")
    third = len(CONTENT) // 3
    assert server.asked == [None, f"bytes={third}-", f"bytes={third + (len(CONTENT) - third) // 3}-"]
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert len(waits) == 2


def test_an_earlier_run_s_part_is_continued(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT[:1000])
    _fetch(server, tmp_path / "f")
    assert server.asked == ["bytes=1000-"]
    assert not (tmp_path / "f.part").exists()


def test_a_finished_part_needs_no_request(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT)
    _fetch(server, tmp_path / "f")
    assert server.asked == []


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    _fetch(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"x" * 1000, CONTENT + b"more", b"y" * len(CONTENT)])
def test_a_part_of_another_file_is_thrown_away(server, tmp_path, part):
    (tmp_path / "f.part").write_bytes(part)
    _fetch(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.asked[-1] is None


def test_another_range_than_asked_for_is_not_believed(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT[:1000])
    server.plan = ["shifted"]
    _fetch(server, tmp_path / "f")
    assert server.asked == ["bytes=1000-", None]


def test_a_wrong_file_is_refused_and_nothing_kept(server, tmp_path):
    with pytest.raises(InputError, match="sha256 differs"):
        _fetch(server, tmp_path / "f", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_no_more_than_the_recorded_size_is_taken(server, tmp_path):
    server.content = CONTENT * 3
    with pytest.raises(InputError, match="sha256 differs"):
        _fetch(server, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again_with_longer_waits(server, tmp_path):
    server.plan = [503, 429, 500]
    assert _fetch(server, tmp_path / "f") == [0.5, 1.0, 2.0]


def test_it_gives_up_in_the_end_and_keeps_the_part(server, tmp_path):
    server.plan = ["cut", *[503] * 9]
    with pytest.raises(InputError, match=r"after 3 tries \(HTTP 503\).*run the same command to continue"):
        _fetch(server, tmp_path / "f", retries=2)
    assert (tmp_path / "f.part").stat().st_size == len(CONTENT) // 3
    server.plan = []
    _fetch(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("code", [403, 404])
def test_a_refusal_is_not_repeated(server, tmp_path, code):
    server.plan = [code] * 5
    with pytest.raises(InputError, match=f"HTTP {code}"):
        _fetch(server, tmp_path / "f")
    assert len(server.asked) == 1


def test_no_server_at_all(tmp_path):
    with pytest.raises(InputError, match="could not be fetched after 1 tries"):
        download.fetch("http://127.0.0.1:9/f", tmp_path / "f", sha256=SHA, size=9, retries=0, wait=lambda _: None)


@pytest.fixture
def small_set(monkeypatch):
    card = catalog.Card(
        name="birds", title="Birds", modality="text", rows=1, licence="CC0", redistribute="yes",
        redistribute_terms="yes", columns={}, sources=(catalog.CardSource(url="https://example.org/birds"),),
        files=(catalog.CardFile(file="a b.bin", bytes=len(CONTENT), sha256=SHA),),
        pool_files=(), pool_columns={},
    )  # fmt: skip
    monkeypatch.setattr(catalog, "_cards", lambda: {"birds": card})


@pytest.mark.usefixtures("small_set")
def test_get_puts_a_set_where_find_looks(server, tmp_path, monkeypatch):
    said = []

    class Said:
        say = staticmethod(said.append)

    paths = download.get("birds", tmp_path, server.url + "/mirror/", progress=Said())
    assert paths == [tmp_path / "birds" / "a b.bin"]
    assert server.paths == ["/mirror/birds/a%20b.bin"]
    assert "sha256 as recorded" in said[0]
    monkeypatch.setenv(catalog.VARIABLE, str(tmp_path))
    assert catalog.folder("birds") == tmp_path / "birds"


@pytest.mark.usefixtures("small_set")
def test_without_a_mirror_get_says_where_the_material_is(tmp_path):
    with pytest.raises(InputError, match=r"no prepared download.*https://example\.org/birds"):
        download.get("birds", tmp_path)


@pytest.mark.usefixtures("small_set")
@pytest.mark.parametrize("url", ["file:///etc", "ftp://host", "host/path"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(SettingError, match="https://"):
        download.get("birds", tmp_path, url)
