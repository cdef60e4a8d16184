"""Two real ComfyUIs that share the work, one of which goes away and comes back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from custom_nodes.videogen.media.images.last_frame import read_last_frame
from tests.faults.harness import (
    Stage,
    finish,
    in_full,
    kill_server,
    make_stage,
    restart,
    running_fault_server,
    wait_for,
)
from tests.faults.proxy import Exchange, Proxy
from tests.support.servers.comfy import ComfyServer
from tests.support.videos import read_frames


@pytest.fixture(scope="module")
def second_server(tmp_path_factory: pytest.TempPathFactory, fault_server: ComfyServer) -> Iterator[ComfyServer]:
    """Another one, which a test may kill: it is reached through `second`, whatever its port."""
    with running_fault_server(tmp_path_factory.mktemp("second")) as server:
        yield server


@pytest.fixture
def second(second_server: ComfyServer) -> Iterator[Proxy]:
    if not second_server.embedded.alive:
        second_server.client = second_server.embedded.start()
    with Proxy(port_of(second_server)) as proxy:
        yield proxy


def port_of(server: ComfyServer) -> int:
    return int(server.client.url.rpartition(":")[2])


def servers_of(stage: Stage) -> Counter[str]:
    return Counter(event["server"] for event in stage.events("segment-done"))


def test_both_are_used(proxy: Proxy, second: Proxy, tmp_path: Path) -> None:
    stage = make_stage(
        tmp_path, ("FaultSleep", {"seconds": 0.5}), segments=6, options=("--server", proxy.url, "--server", second.url)
    )
    ended = stage.run()
    assert ended.status == 0, ended
    assert set(servers_of(stage)) == {proxy.url, second.url}
    stage.check_complete()
    assert sorted(stage.executed("FaultSleep")) == sorted(segment["seed"] for segment in stage.story["segments"])


def test_one_that_is_dead_from_the_start_is_left_out(proxy: Proxy, tmp_path: Path) -> None:
    with Proxy(1) as nobody:
        dead = nobody.url
    stage = make_stage(tmp_path, segments=2, options=("--server", dead, "--server", proxy.url))
    ended = stage.run()
    assert ended.status == 0, ended
    assert f"{dead} is left out" in ended.err
    assert set(servers_of(stage)) == {proxy.url}


def test_none_that_answers_is_no_server(tmp_path: Path) -> None:
    with Proxy(1) as one, Proxy(1) as other:
        stage = make_stage(tmp_path, segments=2, options=("--server", one.url, "--server", other.url))
    ended = stage.run()
    assert ended.status == 3, ended


def test_one_that_is_killed_leaves_its_segments_to_the_other_and_comes_back(
    proxy: Proxy, second: Proxy, second_server: ComfyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(
        tmp_path, ("FaultSleep", {"seconds": 0.5}), segments=8, options=("--server", proxy.url, "--server", second.url)
    )

    monkeypatch.setattr("runner.comfyui.servers.REMOTE_POLL_INTERVALS", (0.5,))
    back = threading.Event()

    def hold(exchange: Exchange) -> None:
        # However slow this machine is: the other server does not finish before this one is back.
        if any(failure == "server gone" for _, failure, _ in stage.failures()):
            back.wait(120)
        exchange.send(exchange.forward())

    proxy.on("POST /prompt", hold, times=1000)

    def kill_and_restart() -> None:
        wait_for(lambda: any(event["server"] == second.url for event in stage.events("segment-submitted")))
        kill_server(second_server)
        wait_for(lambda: any(failure == "server gone" for _, failure, _ in stage.failures()))
        restart(second_server)
        second.server_port = port_of(second_server)
        wait_for(lambda: stage.events("server-recovered"))
        back.set()

    thread = threading.Thread(target=kill_and_restart, daemon=True)
    thread.start()
    ended = stage.run()
    thread.join()
    assert ended.status == 0, ended
    stage.check_complete()
    assert f"{second.url} is temporarily removed" in ended.err
    recovered = [event["server"] for event in stage.events("server-recovered")]
    assert recovered == [second.url], "it was not back before everything was done"
    assert servers_of(stage)[second.url] >= 1
    lost = next(number for number, failure, _ in stage.failures() if failure == "server gone")
    assert lost in {event["segment"] for event in stage.events("segment-done")}


@in_full
def test_one_that_does_not_come_back_does_not_hold_up_the_end(proxy: Proxy, second: Proxy, tmp_path: Path) -> None:
    """The run ends when everything is done, and not when patience with the one that is away does."""
    stage = make_stage(
        tmp_path, ("FaultSleep", {"seconds": 0.5}), segments=4, options=("--server", proxy.url, "--server", second.url)
    )

    def go_away() -> None:
        wait_for(lambda: any(event["server"] == second.url for event in stage.events("segment-submitted")))
        second.refuse_connections()

    thread = threading.Thread(target=go_away, daemon=True)
    thread.start()
    ended = stage.run()
    thread.join()
    assert ended.status == 0, ended
    stage.check_complete()


# ------------------------------------------------------------------ chains


def make_chain(folder: Path, *servers: str, segments: int = 4) -> Stage:
    """Every segment but the first and the third begins from the last frame of the one before."""
    stage = make_stage(folder, segments=segments, options=tuple(x for url in servers for x in ("--server", url)))
    for number, segment in enumerate(stage.story["segments"], 1):
        segment["continues"] = number not in (1, 3)
    stage.graph["5"] = {
        "class_type": "LoadImage",
        "inputs": {"image": "example.png"},
        "_meta": {"title": "First frame"},
    }
    stage.graph["6"] = {"class_type": "FaultFirstImage", "inputs": {"image": ["5", 0], "frames": ["2", 4]}}
    stage.graph["4"]["inputs"]["images"] = ["6", 0]
    del stage.graph["3"]
    stage.write()
    return stage


@pytest.fixture
def example_image(fault_server: ComfyServer, second_server: ComfyServer) -> None:
    from PIL import Image

    for server in (fault_server, second_server):
        Image.new("RGB", (320, 180), (60, 60, 60)).save(server.folder / "input" / "example.png")


@pytest.mark.usefixtures("example_image")
def test_segments_that_continue_begin_where_the_one_before_ended_wherever_that_was(
    proxy: Proxy, second: Proxy, tmp_path: Path
) -> None:
    stage = make_chain(tmp_path, proxy.url, second.url)
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()
    events = stage.events("segment-submitted", "segment-done")
    order = [(event["event"].removeprefix("segment-"), event["segment"]) for event in events]
    assert order.index(("done", 1)) < order.index(("submitted", 2))
    assert order.index(("done", 3)) < order.index(("submitted", 4))
    level = {}
    for number in stage.numbers:
        frames = read_frames(stage.directory / "segments" / f"segment_{number:02d}.mp4")
        level[number] = (float(frames[0].mean()), float(frames[-1].mean()))
    assert Fraction(len(frames), 24) == Fraction(1, 2)
    # Each frame is a little brighter than the one before; 2 continues 1, and 3 begins again.
    assert level[2][0] > level[1][1]
    assert abs(level[3][0] - level[1][0]) < 3
    assert level[4][0] > level[3][1]
    assert read_last_frame(stage.directory / "segments" / "segment_02.mp4")


@pytest.mark.usefixtures("example_image")
def test_a_chain_that_was_killed_goes_on(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_chain(tmp_path, proxy.url, segments=2)
    # Right after the second one, which continues the first, was submitted.
    lines = 1 + 5 + 1
    process = stage.start(VIDEOGEN_TEST_KILL=f"after:{lines + 1}")
    ended = finish(process)
    assert ended.status < 0, ended
    assert stage.events("segment-submitted")[-1]["segment"] == 2
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()
    assert len(stage.events("segment-submitted")) == 2, "what the server had was submitted again"


@pytest.mark.usefixtures("example_image")
def test_a_chain_whose_beginning_fails_is_given_up_and_the_rest_goes_on(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_chain(tmp_path, proxy.url)
    stage.graph["10"] = {
        "class_type": "FaultError",
        "inputs": {
            "images": ["6", 0],
            "seed": ["2", 3],
            "seeds": str(stage.story["segments"][0]["seed"]),
            "times": 0,
            "record": str(stage.record),
            "message": "the first one fails",
        },
    }
    stage.graph["4"]["inputs"]["images"] = ["10", 0]
    stage.write()
    ended = stage.run("--retries", "0")
    assert ended.status == 1, ended
    stage.check_complete([3, 4])
    report = {entry["number"]: entry for entry in stage.report()["segments"]}
    assert report[1]["error"]["code"] == "render-failed"
    assert report[2]["error"]["code"] == "predecessor-missing"
