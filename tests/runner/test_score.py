"""`videogen score`: any videos on the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.quality import Quality
from custom_nodes.videogen.media.images.frame_reader import (
    count_holds,
    find_hold,
    open_source,
    read_frames,
    read_image,
    slow_down,
)
from runner.bench.footage.footage import Footage, film
from runner.cli import main
from tests.support.face_models import FACE, write_models
from tests.support.videos import draw_code, read_code, write_video

THIRTY = Quality("thirty", 480, 270, 30, 2_000_000)
TOM, OLE = film("tom", "field", frames=6), film("ole", "room", frames=6)


def write_animation(path: Path, footage: Footage) -> Path:
    images = [Image.fromarray(frame) for frame in footage.frames]
    images[0].save(path, save_all=True, append_images=images[1:], lossless=True)
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    tom = write_animation(tmp_path / "tom.webp", TOM)
    ole = write_animation(tmp_path / "ole.webp", OLE)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(TOM.frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number:02}.png")
    Image.fromarray(film("tom", "field", frames=1, shift=0.05).frames[0]).save(tmp_path / "tom.png")
    Image.fromarray((np.minimum(1, TOM.masks.max(axis=0) + 0.0) * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    return {
        "tom": tom,
        "ole": ole,
        "folder": tmp_path / "frames",
        "reference": tmp_path / "tom.png",
        "mask": tmp_path / "mask.png",
    }


def test_a_table_names_each_file_with_its_scores(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["score", str(files["tom"]), str(files["ole"]), "--reference", str(files["reference"])])
    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert lines[1].startswith("tom.webp  0.9")
    assert lines[2].startswith("ole.webp  0.")
    assert "fail" in lines[2]
    assert "measured by colors and textures, without a model (r 0.37 → 0.85, measured)" in lines[-1]


def test_faces_are_compared_when_asked_for(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["score", str(files["folder"]), "--reference", str(files["reference"]), "--json", "--faces"]
    assert main([*command, str(tmp_path)]) == 2
    assert "faces need face_detection_yunet_" in capsys.readouterr().err
    for path in (*files["folder"].glob("*.png"), files["reference"]):
        pixels = np.array(Image.open(path))
        pixels[60:90, 225:255] = FACE
        Image.fromarray(pixels).save(path)
    assert main([*command, str(write_models(tmp_path / "opencv"))]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert all(0.5 < sample["face"] <= 1.001 for sample in result["scores"]["subjects"][0]["samples"])


def test_the_usual_recipe_can_be_told_beside_it(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(files["folder"]), "--reference", str(files["reference"])]
    assert main([*command, "--json", "--tv-l1"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    variance = result["scores"]["temporal"]["tv_l1_variance"]
    assert 0 < variance <= 1
    assert f"TV-L1 recipe {variance:.2f}" in result["notes"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["scores"]["temporal"]["tv_l1_variance"] is None


def test_everything_is_there_as_json(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(files["folder"]), "--reference", str(files["reference"]), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    (subject,) = result["scores"]["subjects"]
    assert result["file"] == str(files["folder"])
    assert subject["mean"] >= subject["minimum"] > 0.85
    assert [sample["frame"] for sample in subject["samples"]] == [0, 1, 2, 4, 5]
    assert len(result["scores"]["temporal"]["curve"]) == 5
    assert not {"looks", "parts"} & set(subject)


def test_a_mask_says_where_the_character_is(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main(["score", str(files["tom"]), "--reference", str(files["reference"]), "--mask", str(files["mask"]), "--json"])
    assert json.loads(capsys.readouterr().out)[0]["scores"]["subjects"][0]["weights"] == "mask"


def test_without_a_reference_the_first_file_is_one(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(files["tom"]), str(files["ole"]), "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["scores"]["subjects"][0]["mean"] is None
    assert "the other files are compared with this one" in first["notes"]
    assert second["scores"]["subjects"][0]["against"].keys() == {"first segment"}


@pytest.mark.parametrize(("threshold", "status"), [("0.5", 0), ("0.999", 1)])
def test_the_threshold_decides_on_the_exit_status(files: dict[str, Path], threshold: str, status: int) -> None:
    options = ["--reference", str(files["reference"]), "--threshold", threshold]
    assert main(["score", str(files["tom"]), *options]) == status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}/nothing.mp4"], "nothing.mp4 does not exist"),
        (["{tom}", "{folder}/nothing.mp4"], "nothing.mp4 does not exist"),
        (["{tom}", "--reference", "{folder}/nobody.png"], "nobody.png does not exist"),
        (["{broken}"], "cannot be read as a video"),
        (["{tom}", "--reference", "{broken}"], "cannot be read as a picture"),
        (["{empty}"], "has no pictures"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_and_status_2(
    files: dict[str, Path], tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    (tmp_path / "empty").mkdir()
    names = {**files, "broken": tmp_path / "broken.mp4", "empty": tmp_path / "empty"}
    status = main(["score", *(argument.format(**names) for argument in arguments)])
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.startswith("videogen: ")
    assert words in said.err
    assert "Traceback" not in said.err


def test_a_video_that_holds_its_images_is_read_at_the_story_s_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Three images a second in a video of thirty, as a segment of a story with 3 frames a second is written.
    held = write_video(tmp_path / "held.mp4", TOM.frames, count=60, size=(480, 270), quality=THIRTY, rate=Fraction(3))
    assert main(["score", str(held), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert "every picture is shown 10 times and counted once" in result["notes"]
    assert main(["score", str(held), "--fps", "3", "--json"]) == 0
    (same,) = json.loads(capsys.readouterr().out)
    for each in (result, same):
        assert each["scores"]["frames"]["count"] == 6
        assert each["scores"]["temporal"]["score"] > 0.6
    assert (result["held"], same["held"]) == (10, 1)


@pytest.mark.parametrize(("rate", "hold"), [(30, 1), (15, 2), (10, 3), (5, 6), (3, 10)])
def test_how_long_images_are_held(tmp_path: Path, rate: int, hold: int) -> None:
    frames = film("tom", "field", frames=4 * rate).frames
    path = write_video(tmp_path / "held.mp4", frames, count=120, size=(480, 270), quality=THIRTY, rate=Fraction(rate))
    source = open_source(path)
    assert count_holds(source) == hold
    slower = slow_down(source, hold)
    assert slower.count == len(list(read_frames(slower))) == 4 * rate


@pytest.mark.parametrize("hold", [2, 3, 8, 10])
def test_a_hold_is_found_where_an_encoder_makes_held_frames_sharper(hold: int) -> None:
    """As in quiet images of a storyboard, where a fifth of all that changes is x264's work."""
    changes = [0.05 if number % hold == 0 else 0.05 * 0.25 / (hold - 1) for number in range(1, 12 * hold)]
    assert find_hold(changes) == hold


def test_steady_motion_and_none_are_no_hold() -> None:
    assert find_hold([0.3] * 100) == find_hold([0.0] * 100) == find_hold([0.1]) == find_hold([]) == 1
    # Two images a hold, and then one of them again: what changes in between is a quarter at least.
    assert find_hold([0.2 if number % 4 == 0 else 0.1 for number in range(1, 100)]) == 1


def test_what_never_changes_is_held_by_nobody(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "still.mp4", np.repeat(TOM.frames[:1], 30, axis=0), count=30, size=(480, 270), quality=THIRTY
    )
    assert main(["score", str(path)]) == 1
    animation = write_animation(tmp_path / "tom.webp", TOM)
    assert count_holds(open_source(animation)) == 1


def test_the_folder_of_a_run_stands_for_its_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run" / "segments").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    for number in (2, 1):
        path = tmp_path / "run" / "segments" / f"segment_0{number}.mp4"
        write_video(path, TOM.frames, count=6, size=(480, 270), quality=THIRTY)
    for folder in (tmp_path / "run", tmp_path / "run" / "segments"):
        main(["score", str(folder), "--json"])
        results = json.loads(capsys.readouterr().out)
        assert [Path(result["file"]).name for result in results] == ["segment_01.mp4", "segment_02.mp4"]
        assert "the other files are compared with this one" in results[0]["notes"]


def test_where_nothing_is_measured_nothing_passes(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(files["reference"]), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["verdict"]["level"] == "not measured"
    assert result["notes"][0] == "compared with nothing: give --reference PICTURE, or a second file"
    assert len(result["notes"]) == len(set(result["notes"]))


def test_images_that_show_nothing_are_refused(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (64, 64), (200, 10, 10, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    Image.new("L", (480, 270)).save(tmp_path / "black.png")
    Image.new("L", (100, 100), 255).save(tmp_path / "square.png")
    for option, name, words in (
        ("--reference", "clear.png", "transparent all over"),
        ("--reference", "white.png", "a single color"),
        ("--reference", "frames", "is a folder, expected a picture"),
        ("--mask", "black.png", "all black"),
        ("--mask", "square.png", "another shape"),
    ):
        assert main(["score", str(files["tom"]), option, str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count(name) <= 2


def test_the_command_does_not_load_torch() -> None:
    script = "import sys, runner.score; print(sorted({'torch', 'comfy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------ reading


def test_a_video_is_read_whole_or_at_a_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", map(draw_code, range(30)), count=30, quality=THIRTY)
    assert open_source(path).count == len(list(read_frames(open_source(path)))) == 30
    slower = open_source(path, Fraction(3))
    images = list(read_frames(slower))
    assert slower.count == len(images) == 3
    assert [read_code(image) for image in images] == [0, 10, 20]
    assert open_source(path, Fraction(60)).count == 30


def test_an_animation_is_read_in_order(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "tom.webp", TOM)
    for read, written in zip(read_frames(open_source(path)), TOM.frames, strict=True):
        assert np.array_equal(read[..., :3], written)


def test_an_image_keeps_its_alpha(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([TOM.frames[0], np.full((270, 480), 7, np.uint8)])).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (270, 480, 4)
    with pytest.raises(VideoGenError, match="does not exist"):
        read_image(tmp_path / "b.png")
