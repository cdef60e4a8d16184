"""Files and bodies that come from a server and go there, over a network that breaks off."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.answers import SavedFile
from runner.comfyui.bounds import http, limits
from runner.comfyui.bounds.limits import MAX_HEADING, MAX_RATIO, SMALL
from runner.comfyui.client import ComfyClient
from tests.runner.comfyui.server_doubles import error_of
from tests.support.disks import fill, mount_small_disk
from tests.support.servers.fake_server import STATS, Answer, FakeServer, Raw, Request
from tests.support.servers.hostile_server import LARGE

FILE = SavedFile("segment_01.mp4", "videogen/tiny", "output")
GRAPH = {"6": {"class_type": "CLIPTextEncode", "inputs": {}}}

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_breaks_off_in_its_body_is_asked_for_again(
    server: FakeServer, client: ComfyClient, chunked: bool
) -> None:
    whole = b'{"queue_running": [], "queue_pending": [[0, "p1", {}, {}, []]]}'
    if chunked:
        broken = Answer(body=b"40\r\n" + whole[:20], headers={"Transfer-Encoding": "chunked", "Connection": "close"})
    else:
        broken = Answer(body=whole[:20], announce=len(whole), headers={"Connection": "close"})
    answers = [broken, Answer(body=whole)]
    server.routes["GET /queue"] = lambda request: answers.pop(0)
    assert client.queue().ids == {"p1"}
    server.routes["GET /queue"] = broken
    with pytest.raises(VideoGenError) as caught:
        client.queue()
    assert caught.value.code == "server-unreachable"


@pytest.mark.parametrize("size", [3_900_000, 4_100_000])
def test_a_packed_body_counts_unpacked(server: FakeServer, client: ComfyClient, size: int) -> None:
    """Within the ratio, and of few bytes on the line, so that nothing but its size is wrong."""
    text = b"".join(hashlib.sha256(bytes(number)).hexdigest()[:8].encode() + b" " * 500 for number in range(1_000))
    body = json.dumps({"system": {"comfyui_version": "0.3.75", "note": (text * 9).decode()[:size]}}).encode()
    packed = gzip.compress(body)
    assert len(packed) * MAX_RATIO > len(body)
    server.routes["GET /system_stats"] = Answer(200, packed, {"Content-Encoding": "gzip"})
    if size < SMALL.bytes:
        assert len(client.system_stats()["system"]["note"]) == size
    else:
        assert "answers with more than 4,000,000 bytes" in error_of(client.system_stats).message


def test_a_packed_body_is_no_more_than_some_times_as_large_unpacked(server: FakeServer, client: ComfyClient) -> None:
    """Within its limit, and yet nothing that a ComfyUI says."""
    packed = gzip.compress(b'{"system": {"comfyui_version": "0.3.75"}' + b" " * 3_500_000 + b"}")
    assert len(packed) * MAX_RATIO < 3_500_000
    server.routes["GET /system_stats"] = Answer(200, packed, {"Content-Encoding": "gzip"})
    assert "more than 200 times as large unpacked" in error_of(client.system_stats).message


def test_headers_have_a_limit_of_their_own(server: FakeServer, client: ComfyClient) -> None:
    """Python's own is 100 headers of an answer; of answers in front of it (HTTP 100) there may be any number."""
    body = json.dumps(STATS).encode()
    good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    for count in (5_000, 15_000):
        server.routes["GET /system_stats"] = Raw(
            lambda out, count=count: out.write(b"HTTP/1.1 100 Continue\r\n\r\n" * count + good)
        )
        if count * 25 < MAX_HEADING:
            assert client.system_stats() == STATS
        else:
            assert f"sends more than {MAX_HEADING:,} bytes of headers" in error_of(client.system_stats).message


def test_a_submission_whose_answer_breaks_off_is_not_sent_twice(server: FakeServer, client: ComfyClient) -> None:
    """The prompt may be there: it is looked for under its id."""
    server.routes["POST /prompt"] = Answer(body=b'{"prompt', announce=100, headers={"Connection": "close"})
    with pytest.raises(VideoGenError) as caught:
        client.submit({}, "p1", "me", None)
    assert caught.value.code == "server-unreachable"
    assert len(server.asked("POST /prompt")) == 1


def test_a_file_is_streamed_to_disk(server: FakeServer, client: ComfyClient, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    server.routes["GET /view"] = data
    assert client.download(FILE, tmp_path / "x.mp4") == len(data)
    assert (tmp_path / "x.mp4").read_bytes() == data
    assert server.asked("GET /view")[0].query == {
        name: getattr(FILE, name) for name in ("filename", "subfolder", "type")
    }


def test_a_download_that_breaks_is_taken_up_where_it_broke(
    server: FakeServer, client: ComfyClient, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 8000

    def break_off_in_the_middle(request: Request) -> Answer:
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        stop = min(start + 800_000, len(data))
        status = 206 if start else 200
        return Answer(status, data[start:stop], announce=len(data) - start)

    server.routes["GET /view"] = break_off_in_the_middle
    client.download(FILE, tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == data
    assert len(server.asked("GET /view")) == 3


def test_a_server_that_begins_anew_every_time_gives_the_whole_file_all_the_same(
    server: FakeServer, client: ComfyClient, tmp_path: Path
) -> None:
    answers = [Answer(200, b"first hal", announce=19), Answer(200, b"first half and more")]
    server.routes["GET /view"] = lambda request: answers.pop(0)
    assert client.download(FILE, tmp_path / "x.mp4") == 19
    assert (tmp_path / "x.mp4").read_bytes() == b"first half and more"


def test_a_download_that_always_breaks_is_a_server_that_is_gone(
    server: FakeServer, client: ComfyClient, tmp_path: Path
) -> None:
    server.routes["GET /view"] = Answer(200, b"half", announce=8)
    error = error_of(lambda: client.download(FILE, tmp_path / "x.mp4"))
    assert error.code == "server-unreachable"
    assert 1 < len(server.asked("GET /view")) < 20


def test_a_file_that_the_server_does_not_have_any_more(server: FakeServer, client: ComfyClient, tmp_path: Path) -> None:
    error = error_of(lambda: client.download(FILE, tmp_path / "x.mp4"))
    assert error.code == "output-missing"
    assert "segment_01.mp4" in error.message
    assert len(server.asked("GET /view")) == 1


def test_a_full_disk_is_not_the_server_s_fault(server: FakeServer, client: ComfyClient, tmp_path: Path) -> None:
    server.routes["GET /view"] = b"x" * 300_000
    with mount_small_disk(tmp_path / "disk", 200) as disk:
        fill(disk, leave=100_000)
        error = error_of(lambda: client.download(FILE, disk / "x.mp4"))
    assert error.code == "disk-full"
    assert len(server.asked("GET /view")) == 1


def test_an_input_file_is_read_with_its_subfolder(server: FakeServer, client: ComfyClient) -> None:
    server.routes["GET /view"] = lambda request: b"png" if request.query["filename"] == "man.png" else Answer(404)
    assert client.read_input_file("cast/man.png") == b"png"
    assert client.read_input_file("gone.png") is None
    assert server.requests[0].query == {"filename": "man.png", "subfolder": "cast", "type": "input"}


def test_an_uploaded_image_is_named_as_load_image_finds_it(server: FakeServer, client: ComfyClient) -> None:
    server.routes["POST /upload/image"] = {"name": "last (1).png", "subfolder": "videogen", "type": "input"}
    assert client.upload_image("last.png", b"png") == "videogen/last (1).png"
    assert b'filename="last.png"' in server.requests[0].body
    server.routes["POST /upload/image"] = Answer(500, b"")
    assert error_of(lambda: client.upload_image("last.png", b"png")).code == "server-refused"


def test_a_file_is_uploaded_under_its_own_name_and_spares_what_is_there(
    server: FakeServer, client: ComfyClient
) -> None:
    server.routes["POST /upload/image"] = {"name": "anna-1.png", "subfolder": "videogen/film", "type": "input"}
    client.upload_file("videogen/film/anna-1.png", b"the picture")
    [request] = server.requests
    for part in (b'filename="anna-1.png"', b"the picture", b"videogen/film", b"false"):
        assert part in request.body


def test_a_file_that_broke_off_gives_way(server: FakeServer, client: ComfyClient) -> None:
    def take(request: Request) -> dict[str, str]:
        name = "anna-1.png" if b"true" in request.body else "anna-1 (1).png"
        return {"name": name, "subfolder": "videogen", "type": "input"}

    server.routes["POST /upload/image"] = take
    client.upload_file("videogen/anna-1.png", b"x")
    assert [b"true" in request.body for request in server.requests] == [False, True]


def test_a_file_that_is_too_large_for_the_server_is_named(server: FakeServer, client: ComfyClient) -> None:
    server.routes["POST /upload/image"] = Answer(413, b"")
    error = error_of(lambda: client.upload_file("videogen/anna-1.png", b"x" * 2000))
    assert (error.code, "2,000 bytes, such as anna-1.png" in error.message) == ("server-refused", True)
    assert "--max-upload-size" in error.hint


def test_the_hash_of_an_input_file(server: FakeServer, client: ComfyClient) -> None:
    server.routes["GET /view"] = lambda request: b"png" if request.query["filename"] == "man.png" else Answer(404)
    assert client.hash_input_file("cast/man.png") == hashlib.sha256(b"png").hexdigest()
    assert client.hash_input_file("gone.png") == ""


@pytest.mark.parametrize("tick", [0.9, 1.0, 1.1, 1.3])
def test_time_that_ends_between_two_looks_at_the_clock_ends_the_answer(
    tick: float, server: FakeServer, client: ComfyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.routes["GET /history/p"] = LARGE["dripping history"].answer
    monkeypatch.setattr(limits, "HISTORY", replace(limits.HISTORY, seconds=10.0))
    looks = itertools.count()
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: next(looks) * tick))
    assert error_of(lambda: client.history("p")).code in ("server-refused", "server-unreachable")
