"""`videogen run --prompt … --output`: the clip that is delivered is the one that was rendered."""

from __future__ import annotations

from pathlib import Path

from runner.commands.single_clip import deliver_clip
from runner.state.run_directory import RunDirectory
from tests.support.journal_events import finish


def test_the_clip_of_this_run_is_delivered_and_not_one_of_another_container(tmp_path: Path) -> None:
    # The bug: the first file of the name segment_01.* was taken, whichever workflow had made it.
    with RunDirectory(tmp_path / "run", "Clip") as directory:
        (directory.segments / "segment_01.mkv").write_bytes(b"of an earlier workflow")
        (directory.segments / "segment_01.webm").write_bytes(b"of this one")
        finish(directory.journal, 1, file="segments/segment_01.webm")
    deliver_clip(tmp_path / "run", tmp_path / "clip.webm")
    assert (tmp_path / "clip.webm").read_bytes() == b"of this one"
    assert list(tmp_path.glob(".*")) == []
