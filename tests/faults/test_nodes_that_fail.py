"""Nodes that raise, run out of memory, hang, and take the server with them, in a real ComfyUI."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from custom_nodes.videogen.media.probe import probe_video
from tests.faults.harness import Stage, find_comfyuis, in_full, make_stage, seed_of, wait_for
from tests.support.servers.comfy import ComfyServer


def on(server: ComfyServer) -> tuple[str, str]:
    return ("--server", server.url)


def set_seeds(stage: Stage, *numbers: int) -> None:
    """Let the fault node act for these segments only."""
    stage.graph["10"]["inputs"]["seeds"] = ",".join(str(seed_of(stage, number)) for number in numbers)
    stage.write()


# ------------------------------------------------------------------ errors


def test_a_node_error_is_answered_with_the_next_seed(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, ("FaultError", {}), options=on(fault_server))
    set_seeds(stage, 2)
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures() == [(2, "node error", "again with the next seed")]
    stage.check_complete()
    report = stage.report()["segments"]
    # The number that was rendered, not the one that the story has.
    assert [entry["seed"] for entry in report] == [seed_of(stage, 1), seed_of(stage, 2) + 1, seed_of(stage, 3)]


def test_a_segment_that_always_fails_is_given_up_and_the_others_go_on(
    fault_server: ComfyServer, tmp_path: Path
) -> None:
    stage = make_stage(tmp_path, ("FaultError", {"message": "this never works"}), options=on(fault_server))
    seed = seed_of(stage, 2)
    stage.graph["10"]["inputs"]["seeds"] = ",".join(str(seed + offset) for offset in range(10) if offset != 1)
    stage.graph["10"]["inputs"]["seeds"] += f",{seed + 1}"
    # The third segment's seed is the second's plus one: it must not fail.
    stage.story["segments"][2]["seed"] = seed + 50
    stage.write()
    ended = stage.run("--retries", "1")
    assert ended.status == 1, ended
    assert "this never works" in ended.err
    assert [failure for _, failure, _ in stage.failures()] == ["node error"] * 2
    stage.check_complete([1, 3])
    film = probe_video(stage.directory / "film.mp4")
    assert film.frames == 3 * 12  # half a second each, one of them a slate
    assert stage.report()["film"]["missing"] == [2]

    # Again, without the fault: only that one, under an id of its own (the server remembers the failed ones).
    stage.graph["10"]["inputs"]["seeds"] = "-1"
    stage.write()
    assert stage.run().status == 0
    stage.check_complete()


def test_a_segment_that_was_given_up_is_tried_anew_by_the_same_command(
    fault_server: ComfyServer, tmp_path: Path
) -> None:
    """The server still has the failed prompts in its history: they must not be taken for the new ones."""
    stage = make_stage(tmp_path, ("FaultError", {"times": 2}), segments=2, options=on(fault_server))
    ended = stage.run("--retries", "0")
    assert ended.status == 1, ended
    assert stage.run("--retries", "0").status == 0
    assert len(stage.events("segment-submitted")) == 4
    stage.check_complete()


def test_no_film_is_made_of_less_than_everything_when_that_is_asked_for(
    fault_server: ComfyServer, tmp_path: Path
) -> None:
    stage = make_stage(tmp_path, ("FaultError", {}), segments=2, options=on(fault_server))
    set_seeds(stage, 1)
    ended = stage.run("--retries", "0", "--strict")
    assert ended.status == 1, ended
    assert not (stage.directory / "film.mp4").exists()


# ------------------------------------------------------------------ memory


def test_out_of_memory_is_first_answered_by_freeing_it(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, ("FaultOutOfMemory", {"times": 1}), segments=2, options=on(fault_server))
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures() == [(1, "out of memory", "again with the server's memory freed")]
    stage.check_complete()
    assert not any(entry["degraded"] for entry in stage.report()["segments"])


def test_out_of_memory_goes_down_the_ladder_and_the_film_keeps_its_size(
    fault_server: ComfyServer, tmp_path: Path
) -> None:
    stage = make_stage(
        tmp_path, ("FaultOutOfMemory", {"limit": 856 * 480}), segments=2, size=(1920, 1080), options=on(fault_server)
    )
    set_seeds(stage, 1)
    ended = stage.run()
    assert ended.status == 0, ended
    assert [remedy for _, _, remedy in stage.failures()] == [
        "again with the server's memory freed",
        "one step down in resolution",
        "one step down in resolution",
    ]
    stage.check_complete()
    first, second = stage.report()["segments"]
    assert (first["degraded"], first["rendered_size"]) == (True, [856, 480])
    assert (second["degraded"], second["rendered_size"]) == (False, [1920, 1080])
    film = probe_video(stage.directory / "film.mp4")
    assert (film.width, film.height) == (854, 480)  # draft
    assert film.frames == 2 * 12


# ------------------------------------------------------------------ people


def test_somebody_who_interrupts_a_prompt_stops_the_run_and_can_go_on(
    fault_server: ComfyServer, tmp_path: Path
) -> None:
    stage = make_stage(tmp_path, ("FaultSleep", {"seconds": 60.0, "times": 1}), segments=2, options=on(fault_server))

    def interrupt() -> None:
        wait_for(lambda: stage.executed("FaultSleep"))
        fault_server.client.cancel(stage.events("segment-submitted")[0]["prompt_id"])

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    ended = stage.run()
    thread.join()
    assert ended.status == 1, ended
    assert "was interrupted on the server by another client" in ended.err
    assert stage.failures() == [(1, "interrupted", "the run stops")]
    assert not stage.events("segment-done")
    # The server still knows the interrupted prompt; that is not asked again.
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()


def test_a_prompt_that_somebody_takes_out_of_the_queue_is_submitted_again(
    fault_server: ComfyServer, tmp_path: Path
) -> None:
    other = make_stage(tmp_path / "other", ("FaultSleep", {"seconds": 60.0, "progress": False}), segments=1)
    other.graph["1"]["inputs"]["text"] = (other.folder / "story.json").read_text()
    other.graph["2"]["inputs"]["index"] = 1
    before = fault_server.submit(other.graph)
    stage = make_stage(tmp_path / "ours", segments=1, options=on(fault_server))

    def delete() -> None:
        submitted = wait_for(lambda: stage.events("segment-submitted"))[0]["prompt_id"]
        wait_for(lambda: submitted in fault_server.client.queue().pending)
        fault_server.client.cancel(submitted)
        wait_for(lambda: len(stage.events("segment-submitted")) == 2)
        fault_server.client.cancel(before)

    thread = threading.Thread(target=delete, daemon=True)
    thread.start()
    ended = stage.run()
    thread.join()
    assert ended.status == 0, ended
    assert stage.failures() == [(1, "lost", "again")]
    stage.check_complete()


# ------------------------------------------------------------------ a server of our own that fails


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded ComfyUI has the nodes that fail too."""
    from tests.faults.harness import fault_arguments
    from tests.faults.wrapped_runner import find_other_installation

    arguments = fault_arguments(tmp_path / "comfyui")
    monkeypatch.setattr("runner.run.server_connections.find_installation", lambda: find_other_installation(arguments))


@pytest.mark.usefixtures("embedded")
def test_a_server_whose_worker_is_dead_is_found_out_and_started_again(tmp_path: Path) -> None:
    """A node that calls sys.exit: the server goes on answering, and never renders again."""
    stage = make_stage(tmp_path / "run", ("FaultExit", {"times": 1}), segments=2)
    ended = stage.run("--stall", "8")
    assert ended.status == 0, ended
    assert stage.failures()[0][1:] == ("stalled", "back into the queue, and the server is looked after")
    stage.check_complete()
    assert not find_comfyuis(stage.directory)


@in_full
@pytest.mark.usefixtures("embedded")
def test_a_server_that_ends_in_a_prompt_is_started_again(tmp_path: Path) -> None:
    stage = make_stage(tmp_path / "run", ("FaultExit", {"what": "server", "times": 1}), segments=2)
    ended = stage.run()
    assert ended.status == 0, ended
    assert stage.failures()[0][1] == "server gone"
    stage.check_complete()
    assert not find_comfyuis(stage.directory)


@in_full
@pytest.mark.usefixtures("embedded")
def test_a_server_that_ends_again_and_again_ends_the_run_with_its_last_words(tmp_path: Path) -> None:
    stage = make_stage(tmp_path / "run", ("FaultExit", {"what": "server"}), segments=2)
    ended = stage.run()
    assert ended.status == 3, ended
    assert "FaultExit ends the server" in ended.err
    assert "within 5 minutes" in ended.err
    assert not find_comfyuis(stage.directory)
    stage.check_nothing_twice()
