"""Pictures that a segment hands over: fetched as the server has them, kept by their bytes, read for the next one."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.client import ComfyClient
from runner.comfyui.outcome import Outcome
from runner.rendering.borders.handed_over import fetch_handed_over, read_handed_over, without_handed_over
from runner.rendering.borders.shared_frames import HANDED_OVER
from runner.state.file_fields import require_own_files
from tests.support.servers.fake_server import Answer, FakeServer
from tests.support.videos import SIZE, draw_code, write_segment


def picture(number: int = 7, kind: str = "PNG", size: tuple[int, int] = SIZE) -> bytes:
    data = io.BytesIO()
    Image.fromarray(draw_code(number, size)).save(data, kind)
    return data.getvalue()


def outcome(*names: str) -> Outcome:
    files = [{"filename": name, "subfolder": "", "type": "temp"} for name in names]
    clip = {"images": [{"filename": "a.mp4", "subfolder": "", "type": "output"}]}
    return Outcome("success", outputs={HANDED_OVER: {"images": files}, "save": clip})


def fetch(server: FakeServer, folder: Path, data: bytes, *names: str) -> tuple[dict[str, Any], ...]:
    server.routes["GET /view"] = Answer(200, data)
    return fetch_handed_over(ComfyClient(server.url), outcome(*names), folder, "segment_01", 100_000, 1_000_000)


def test_a_picture_is_kept_by_its_bytes(server: FakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    folder.mkdir()
    (kept,) = fetch(server, folder, picture(), "x.png")
    path = tmp_path / kept["file"]
    assert (path.read_bytes(), kept["sha256"]) == (picture(), hashlib.sha256(picture()).hexdigest())
    assert path.parent == folder / "handed_over"
    assert fetch(server, folder, picture(), "y.png") == (kept,)
    assert [one.name for one in folder.iterdir()] == ["handed_over"]
    assert list(without_handed_over(outcome("x.png")).outputs) == ["save"]
    result = {"file": "segments/segment_01.mp4", "sha256": "0" * 64, "handed_over": [kept]}
    assert read_handed_over(tmp_path, result) == (path.name, picture())


def test_of_many_pictures_the_last_one_counts(server: FakeServer, tmp_path: Path) -> None:
    assert len(fetch(server, tmp_path, picture(), *(f"{number}.png" for number in range(1_000)))) == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no picture", "cannot be read as a picture"),
        (picture(kind="JPEG"), "is JPEG, expected a PNG"),
        (picture()[:-40], "cannot be read as a picture"),
        (picture(size=(512, 512)), "is too large"),
        (b"\0" * 1_000_001, "1,000,000"),
    ],
)
def test_what_is_no_picture_is_not_taken(server: FakeServer, tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(VideoGenError, match=said):
        fetch(server, tmp_path, data, "x.png")


@pytest.mark.parametrize("damage", ["gone", "other", "adopted", "none"])
def test_without_the_picture_the_last_frame_of_the_file_is_read(tmp_path: Path, damage: str) -> None:
    (tmp_path / "segments" / "handed_over").mkdir(parents=True)
    path = tmp_path / "segments" / "handed_over" / "a.png"
    path.write_bytes(picture())
    kept = {
        "file": "segments/handed_over/a.png",
        "sha256": hashlib.sha256(picture()).hexdigest(),
        "bytes": len(picture()),
    }
    file = write_segment(tmp_path / "segments", 1, 8)
    result: dict[str, Any] = {"file": f"segments/{file.name}", "sha256": "ab" * 32, "handed_over": [kept]}
    if damage == "gone":
        path.unlink()
    elif damage == "other":
        path.write_bytes(picture(8))
    elif damage == "adopted":
        result["adopted"] = True
    else:
        del result["handed_over"]
    name, data = read_handed_over(tmp_path, result)
    assert name == f"{'ab' * 12}.png"
    assert data != picture()


@pytest.mark.parametrize("field", ["handed_over", "sounds"])
@pytest.mark.parametrize(
    "value",
    [
        7,
        ["a.png"],
        [{"file": "../../a.png"}],
        [{"file": "/etc/passwd"}],
        [{"file": "segments/handed_over/../../a.png"}],
        [{"file": "segments/handed_over/a.png", "sha256": "../a"}],
    ],
)
def test_a_journal_names_no_files_outside_of_its_folder(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        require_own_files({"event": "segment-done", "file": "segments/segment_01.mp4", field: value})
