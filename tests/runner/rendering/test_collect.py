"""What a prompt has made comes home, and is taken for a segment only when it is whole."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import QUALITIES, Quality
from custom_nodes.videogen.media import ffmpeg
from custom_nodes.videogen.media.probe import hash_file
from runner.comfyui.client import ComfyClient
from runner.comfyui.outcome import Outcome
from runner.rendering.collect import Fetched, VerifiedFile, fetch_outputs, require_all_pictures, verify_output
from runner.rendering.jobs import Job
from tests.support.servers.fake_server import Answer, FakeServer
from tests.support.videos import SIZE, TINY, code_of, draw_code, read_codes, write_segment, write_with_av

PLAN: SegmentPlan = plan_segment(
    parse_story({"fps": 4, "frames": 8, "size": list(SIZE), "segments": [{"prompt": "a tree"}]}), 1
)


@pytest.fixture(autouse=True)
def _without_a_graphics_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "encoder_works", lambda name: name == "libx264")


def image(number: int, kind: str = "PNG", size: tuple[int, int] = SIZE) -> bytes:
    data = io.BytesIO()
    Image.fromarray(draw_code(number, size)).save(data, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return data.getvalue()


def animation(numbers: range, kind: str) -> bytes:
    data = io.BytesIO()
    first, *others = [Image.fromarray(draw_code(number)) for number in numbers]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    first.save(data, kind, save_all=True, append_images=others, duration=250, **options)
    return data.getvalue()


def collect(
    server: FakeServer,
    folder: Path,
    files: dict[str, bytes],
    record: dict[str, Any] | None = None,
    plan: SegmentPlan = PLAN,
    quality: Quality = TINY,
) -> VerifiedFile:
    """Fetch and check the files that a prompt has saved."""
    server.routes["GET /view"] = lambda request: Answer(200, files[request.query["filename"]])
    saved = [{"filename": name, "subfolder": "", "type": "output"} for name in files]
    result: dict[str, Any] = {"images": saved} | ({"videogen": [record]} if record else {})
    outcome = Outcome("success", outputs={"4": result})
    fetched = fetch_outputs(ComfyClient(server.url), outcome, folder, plan.file_stem)
    return verify_output(fetched, plan, quality, folder)


# ------------------------------------------------------------------ videos


def test_our_own_file_is_kept_byte_by_byte(server: FakeServer, tmp_path: Path) -> None:
    source = write_segment(tmp_path / "server", 1, 8)
    verified = collect(server, tmp_path, {"x.mp4": source.read_bytes()}, {"sha256": hash_file(source)})
    assert verified.path.read_bytes() == source.read_bytes()
    assert verified.target == tmp_path / "segment_01.mp4"
    assert (verified.bytes, verified.sha256) == (source.stat().st_size, hash_file(source))
    assert not verified.target.exists(), "it has its name before the journal says so"
    assert verified.path.name.startswith(".")


def test_other_bytes_than_the_server_wrote_are_broken(server: FakeServer, tmp_path: Path) -> None:
    source = write_segment(tmp_path / "server", 1, 8)
    with pytest.raises(VideoGenError, match="other bytes") as caught:
        collect(server, tmp_path, {"x.mp4": source.read_bytes()}, {"sha256": "0" * 64})
    assert caught.value.code == "media-broken"


@pytest.mark.parametrize(("frames", "size"), [(7, SIZE), (8, (160, 90))])
def test_our_own_file_must_be_what_the_story_wants(
    server: FakeServer, tmp_path: Path, frames: int, size: tuple[int, int]
) -> None:
    source = write_segment(tmp_path / "server", 1, frames, size=size)
    with pytest.raises(VideoGenError, match="expected") as caught:
        collect(server, tmp_path, {"x.mp4": source.read_bytes()}, {"sha256": hash_file(source)})
    assert caught.value.code == "media-broken"


def test_our_own_file_may_have_the_quality_that_is_set_in_the_workflow(server: FakeServer, tmp_path: Path) -> None:
    """The saving node's own choice, where it is not the story's."""
    source = write_segment(tmp_path / "server", 1, 48, size=(854, 480), quality=QUALITIES["draft"])
    record = {"sha256": hash_file(source), "quality": "draft"}
    assert collect(server, tmp_path, {"x.mp4": source.read_bytes()}, record).info.fps == 24


def test_somebody_else_s_video_may_be_of_any_kind(server: FakeServer, tmp_path: Path) -> None:
    source = write_with_av(tmp_path / "x.webm", [draw_code(n, (64, 64)) for n in range(5)], codec="libvpx-vp9")
    verified = collect(server, tmp_path, {"x.webm": source.read_bytes()})
    assert (verified.target.name, verified.info.frames, verified.info.codec) == ("segment_01.webm", 5, "vp9")


def test_a_container_that_no_film_is_made_of_becomes_an_mp4(server: FakeServer, tmp_path: Path) -> None:
    source = write_with_av(tmp_path / "x.avi", [draw_code(n) for n in range(4)], codec="mpeg4")
    verified = collect(server, tmp_path, {"x.avi": source.read_bytes()})
    assert verified.target.name == "segment_01.mp4"
    assert read_codes(verified.path) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("name", ["x.mp4", "x.avi", "x.gif", "x.png"])
@pytest.mark.parametrize("content", [b"", b"<html>not what you wanted</html>"])
def test_a_file_that_does_not_decode_is_broken(server: FakeServer, tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(VideoGenError) as caught:
        collect(server, tmp_path, {name: content})
    assert caught.value.code == "media-broken"


def test_pictures_that_decoders_stumble_over_are_broken(server: FakeServer, tmp_path: Path) -> None:
    """Pillow raises SyntaxError for the first, and PyAV IndexError for the second; both stopped the run as internal errors."""
    damaged = image(1)[:33] + b"\0\0\0\x04ID!T1234" + image(1)[33:]
    for name, content in {"x.png": damaged, "x.avi": tone()}.items():
        with pytest.raises(VideoGenError) as caught:
            collect(server, tmp_path, {name: content})
        assert caught.value.code == "media-broken"


@pytest.mark.parametrize(("frames", "said"), [(8, ""), (7, "the server has saved 7 frames, expected 8")])
def test_the_frames_that_the_server_has_recorded_are_counted(
    server: FakeServer, tmp_path: Path, frames: int, said: str
) -> None:
    source = write_segment(tmp_path / "server", 1, 8)
    record = {"sha256": hash_file(source), "frames": frames}
    if not said:
        assert collect(server, tmp_path, {"x.mp4": source.read_bytes()}, record).info.frames == 8
        return
    with pytest.raises(VideoGenError, match=said):
        collect(server, tmp_path, {"x.mp4": source.read_bytes()}, record)


def test_only_the_files_of_the_node_that_is_bound_are_fetched(server: FakeServer, tmp_path: Path) -> None:
    server.routes["GET /view"] = lambda request: image(int(request.query["filename"][0]))
    saved = [[{"filename": f"{number}.png", "type": "output"}] for number in (1, 2)]
    outcome = Outcome("success", outputs={"3": {"images": saved[0]}, "4": {"images": saved[1]}})
    client = ComfyClient(server.url)
    with pytest.raises(VideoGenError, match="nodes 3, 4 of the workflow"):
        fetch_outputs(client, outcome, tmp_path, PLAN.file_stem)
    assert server.asked("GET /view") == []
    fetched = fetch_outputs(client, outcome, tmp_path, PLAN.file_stem, "4")
    assert read_codes(verify_output(fetched, PLAN, TINY, tmp_path).path) == [2] * 8


@pytest.mark.parametrize(
    ("saved_from", "scores", "complete"),
    [
        (["3", 0], {"frames": {"count": 4}}, True),
        (["3", 0], {"frames": {"count": 5}}, False),
        (["5", 0], {"frames": {"count": 5}}, False),  # from behind the continuity node
        (["9", 0], {"frames": {"count": 5}}, True),  # other images
        (["3", 0], {"frames": {"count": "5"}}, True),
        (["3", 0], {}, True),
    ],
)
def test_pictures_are_counted_where_the_prompt_has_counted_them(
    server: FakeServer, tmp_path: Path, saved_from: list[Any], scores: dict[str, Any], complete: bool
) -> None:
    server.routes["GET /view"] = image(1)
    graph: Graph = {
        "4": {"class_type": "SaveImage", "inputs": {"images": saved_from}},
        "5": {"class_type": "VideoGenContinuity", "inputs": {"images": ["3", 0]}},
    }
    saved = [{"filename": f"{number}.png", "type": "output"} for number in range(4)]
    outputs = {"4": {"images": saved}, "5": {"videogen": [{"continuity": {"scores": scores}}]}}
    outcome = Outcome("success", outputs=outputs)
    fetched = fetch_outputs(ComfyClient(server.url), outcome, tmp_path, PLAN.file_stem)
    job = Job(PLAN, graph, "k", None)
    if complete:
        require_all_pictures(fetched, job, outcome)
    else:
        with pytest.raises(VideoGenError, match="has saved 4 pictures of 5 frames") as caught:
            require_all_pictures(fetched, job, outcome)
        assert caught.value.code == "media-broken"


# ------------------------------------------------------------------ images


def test_images_become_a_video_of_the_segment_s_length(server: FakeServer, tmp_path: Path) -> None:
    verified = collect(server, tmp_path, {f"{n:05d}.png": image(n) for n in range(4)})
    assert verified.target.name == "segment_01.mp4"
    assert (verified.info.frames, verified.info.fps) == (8, Fraction(4))
    assert read_codes(verified.path) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_image_is_held(server: FakeServer, tmp_path: Path) -> None:
    verified = collect(server, tmp_path, {"x.png": image(5)})
    assert read_codes(verified.path) == [5] * 8


def test_several_stills_in_webp_are_all_taken(server: FakeServer, tmp_path: Path) -> None:
    """A webp can be an animation, and then one is the whole video; but many are an image each."""
    verified = collect(server, tmp_path, {f"{n}.webp": image(n, "WEBP") for n in range(8)})
    assert read_codes(verified.path) == list(range(8))


@pytest.mark.parametrize(("name", "kind"), [("x.webp", "WEBP"), ("x.gif", "GIF")])
def test_an_animation_becomes_a_video(server: FakeServer, tmp_path: Path, name: str, kind: str) -> None:
    verified = collect(server, tmp_path, {name: animation(range(4), kind)})
    assert read_codes(verified.path) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_transparent_and_gray_images_are_images_too(server: FakeServer, tmp_path: Path) -> None:
    gray = io.BytesIO()
    Image.fromarray(draw_code(9)).convert("L").save(gray, "PNG")
    transparent = io.BytesIO()
    Image.fromarray(draw_code(9)).convert("RGBA").save(transparent, "PNG")
    verified = collect(server, tmp_path, {"1.png": gray.getvalue(), "2.png": transparent.getvalue()})
    assert read_codes(verified.path) == [9] * 8


def test_images_of_16_bits_are_not_clipped(server: FakeServer, tmp_path: Path) -> None:
    deep = io.BytesIO()
    Image.fromarray(np.asarray(Image.fromarray(draw_code(9)).convert("L")).astype(np.uint16) * 257).save(deep, "PNG")
    verified = collect(server, tmp_path, {"1.png": deep.getvalue()})
    assert read_codes(verified.path) == [9] * 8


def test_images_of_different_sizes_are_the_segment_s_fault_and_not_the_run_s(
    server: FakeServer, tmp_path: Path
) -> None:
    with pytest.raises(VideoGenError, match=r"64×36 and 128×72") as caught:
        collect(server, tmp_path, {"1.png": image(1), "2.png": image(2, size=(64, 36))})
    assert caught.value.code == "media-broken"


def test_the_downloads_are_gone_once_the_video_is_made(server: FakeServer, tmp_path: Path) -> None:
    verified = collect(server, tmp_path, {f"{n}.png": image(n) for n in range(3)})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [verified.path]


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.mp4", "/etc/x.mp4", "..\\..\\x.mp4", "a" * 300 + ".mp4", "x.mp4/", "con.mp4\n"]
)
def test_the_server_s_names_are_never_used_as_paths(server: FakeServer, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run" / "segments"
    folder.mkdir(parents=True)
    server.routes["GET /view"] = b"bytes"
    outcome = Outcome("success", outputs={"4": {"images": [{"filename": name, "subfolder": "..", "type": "output"}]}})
    fetched: Fetched = fetch_outputs(ComfyClient(server.url), outcome, folder, "segment_01")
    assert all(path.parent == folder and path.name.startswith(".segment_01-") for path in fetched.paths)
    assert server.asked("GET /view")[0].query["filename"] == name


def test_frames_are_numbered_in_the_order_of_the_outputs(server: FakeServer, tmp_path: Path) -> None:
    names = [f"{code_of(1, n)}.png" for n in range(12)]
    server.routes["GET /view"] = lambda request: request.query["filename"].encode()
    saved = [{"filename": name, "subfolder": "", "type": "output"} for name in names]
    fetched = fetch_outputs(
        ComfyClient(server.url), Outcome("success", outputs={"4": {"images": saved}}), tmp_path, "segment_01"
    )
    assert [path.read_text() for path in fetched.paths] == names
    assert fetched.bytes == sum(map(len, names))
    assert np.array_equal(sorted(fetched.paths), fetched.paths)


def tone(seconds: float = 0.5) -> bytes:
    """A FLAC file, as SaveAudio writes it."""
    data = io.BytesIO()
    with av.open(data, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        samples = (np.sin(np.arange(int(8000 * seconds)) / 5) * 8000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return data.getvalue()


def test_sound_beside_the_images_is_kept_with_the_segment(server: FakeServer, tmp_path: Path) -> None:
    files = {"sound.flac": tone(), **{f"frame_{n}.png": image(n) for n in range(4)}}
    verified = collect(server, tmp_path, files)
    assert verified.info.frames == 2 * TINY.fps
    assert (tmp_path / "segment_01_audio_1.flac").read_bytes() == files["sound.flac"]


def test_sound_that_does_not_decode_is_not_accepted(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(VideoGenError, match="cannot be read as sound"):
        collect(server, tmp_path, {"sound.flac": b"noise", "frame.png": image(1)})


def test_sound_alone_is_no_segment(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(VideoGenError) as caught:
        collect(server, tmp_path, {"sound.flac": tone()})
    assert caught.value.code == "output-missing"
