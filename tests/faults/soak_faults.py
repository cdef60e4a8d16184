"""The faults of the soak test: a table of kinds, each with a function that makes one."""

from __future__ import annotations

import copy
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults.harness import kill_server, restart
from tests.faults.proxy import Exchange, Response
from tests.faults.proxy_actions import Scrambler, change_body, cut_after, hang_up, lose_answer
from tests.faults.soak_outputs import lose_a_file

if TYPE_CHECKING:
    from tests.faults.soak import Soak

#: Seconds that a fault that strikes a prompt waits for that at most. The last prompt may have to be refused by the other server
#: first, which takes the 60 s of a request without an answer, and then counts as hung after `STALL` seconds four times: an
#: earlier runner has submitted it, so that this one hears nothing of it.
STRIKE_SECONDS = 180.0
#: The node that the second server may lack.
LACKING_NODE = "FaultServer"
#: What a changed text says besides; always the same, so that a text may also change to what it was once before.
ADDITION = "At dusk, in light rain."
#: With at most so many segments left, all of them are changed: none comes to its end while the text is another.
FEW_LEFT = 6


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        make: makes one, and returns how many that were.
        weight: how often it comes, compared with the others.
        wanted: how often the full soak has to have made it.
        strikes: it needs a prompt to strike.
    """

    make: Callable[[Soak, random.Random], int | None]
    weight: float = 0.0
    wanted: int = 0
    strikes: bool = False


def cut_sockets(soak: Soak, chance: random.Random) -> int:
    cut = 0
    for _ in range(3):
        cut += soak.proxy.cut_sockets()
        time.sleep(chance.uniform(0.2, 0.6))
    return cut


def lose_an_answer(soak: Soak, chance: random.Random) -> None:
    soak.proxy.on(chance.choice(("POST /prompt", "GET /history", "GET /queue")), lose_answer)


def lose_a_request(soak: Soak, chance: random.Random) -> None:
    soak.proxy.on(chance.choice(("POST /prompt", "GET /history", "GET /queue", "GET /view")), hang_up)


def cut_a_download(soak: Soak, chance: random.Random) -> None:
    soak.proxy.on("GET /view", cut_after(chance.randrange(1, 60_000)))


def garble_a_file(soak: Soak, chance: random.Random) -> None:
    soak.proxy.on("GET /view", change_body(_garble))


def _garble(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes(64) + body[middle + 64 :]


def scramble_frames(soak: Soak, chance: random.Random) -> None:
    soak.proxy.frame_filter = Scrambler(chance.randrange(1 << 30), 0.3)


def clean_frames(soak: Soak, chance: random.Random) -> None:
    soak.proxy.frame_filter = None


def refuse(soak: Soak, chance: random.Random) -> None:
    soak.proxy.refuse_connections()
    time.sleep(chance.uniform(0.2, 3.0))
    soak.proxy.listen()


def kill_the_runner(soak: Soak, chance: random.Random) -> None:
    soak.kill_runner()
    soak.start_runner()


def change_the_servers(soak: Soak, chance: random.Random) -> None:
    """The runner is killed and comes back with its servers in another order, or without the second one."""
    soak.kill_runner()
    chance.shuffle(soak.urls)
    soak.start_runner(soak.urls if chance.random() < 0.7 else [soak.proxy.url])


def change_the_prompts(soak: Soak, chance: random.Random) -> None:
    """The runner is killed and goes on with other prompts, or another style, until some of that was rendered; then back again."""
    soak.kill_runner()
    before, original = len(soak.stage.events()), soak.stage.story
    wanted = chance.choice((("segment-submitted", "segment-restored"), ("segment-verified", "segment-restored")))
    soak.stage.story = _with_other_style(original) if chance.random() < 0.3 else _with_other_prompts(soak, chance)
    soak.stage.write()
    soak.start_runner()
    try:
        with soak.letting_through():
            _wait_for_other_keys(soak, before, wanted)
    finally:
        if soak.runner.poll() is None:
            soak.kill_runner()
        else:
            soak.statuses.append(soak.runner.returncode)
        soak.stage.story = original
        soak.stage.write()
    soak.start_runner()


def _with_other_style(story: dict[str, Any]) -> dict[str, Any]:
    style = dict(story.get("style") or {})
    style["suffix"] = f"{style.get('suffix', '')} {ADDITION}".strip()
    return {**story, "style": style}


def _with_other_prompts(soak: Soak, chance: random.Random) -> dict[str, Any]:
    """Finished segments and such that are to come have another prompt."""
    done = sorted(soak.find_done())
    left = [number for number in soak.stage.numbers if number not in done]
    changed = chance.sample(done, min(len(done), chance.randint(1, 3)))
    changed += left if len(left) <= FEW_LEFT else chance.sample(left, chance.randint(1, 3))
    story = copy.deepcopy(soak.stage.story)
    for number in changed:
        story["segments"][number - 1]["prompt"] += f" {ADDITION}"
    return story


def _wait_for_other_keys(soak: Soak, before: int, wanted: tuple[str, ...]) -> None:
    """Wait until one of these events came of a changed text, or all of it is rendered."""
    deadline = time.monotonic() + STRIKE_SECONDS
    while time.monotonic() < deadline:
        new = soak.stage.events()[before:]
        if any(event["event"] in wanted and event["key"] != soak.keys[event["segment"]] for event in new):
            return
        if soak.runner.poll() is not None:
            if soak.runner.returncode == 0:
                return
            soak.statuses.append(soak.runner.returncode)
            soak.start_runner()
        time.sleep(0.1)
    raise AssertionError(f"no changed text was rendered: {soak.describe()}")


def kill_the_server(soak: Soak, chance: random.Random) -> None:
    kill_server(soak.server)
    time.sleep(chance.uniform(0, 2))
    revive(soak)


def revive(soak: Soak) -> None:
    """The first server is a new process, on another port of the machine and the same one of the proxy."""
    (soak.server.folder / "input" / "fault.txt").unlink(missing_ok=True)
    restart(soak.server)
    soak.proxy.server_port = int(soak.server.client.url.rpartition(":")[2])


def lose_the_context(soak: Soak, chance: random.Random) -> bool:
    """Every prompt of the process fails from now on, until it is restarted."""
    return _strike(soak, "dead context", "device failed")


def hang(soak: Soak, chance: random.Random) -> bool:
    """The server answers and renders nothing more, until it is restarted."""
    return _strike(soak, "hang", "stalled")


def _strike(soak: Soak, fault: str, failure: str) -> bool:
    """Whether it struck a prompt before there were none left."""
    before = soak.count_failures(failure)
    path = soak.server.folder / "input" / "fault.txt"
    path.write_text(fault, encoding="utf-8")
    deadline = time.monotonic() + STRIKE_SECONDS
    with soak.striking():
        while soak.count_failures(failure) == before:
            assert time.monotonic() < deadline, f"{fault} struck no prompt: {soak.describe()}"
            if soak.runner.poll() == 0:
                path.unlink(missing_ok=True)
                return False
            if soak.runner.poll() is not None:
                soak.statuses.append(soak.runner.returncode)
                soak.start_runner()
            elif soak.leaves_out_first():
                soak.kill_runner()
                soak.start_runner()
            time.sleep(0.2)
    revive(soak)
    return True


def lack_a_node(soak: Soak, chance: random.Random) -> None:
    """The second server comes back without a node: it does not show it, and refuses whatever needs it."""
    rules = [
        soak.second.on("GET /object_info", change_body(_without_node), times=math.inf),
        soak.second.on("POST /prompt", _refuse_the_graph, times=math.inf),
    ]
    soak.second.refuse_connections()
    time.sleep(chance.uniform(0.2, 1.0))
    soak.second.listen()
    time.sleep(chance.uniform(2.0, 5.0))
    soak.second.remove(*rules)


def _without_node(body: bytes) -> bytes:
    schemas = json.loads(body)
    schemas.pop(LACKING_NODE, None)
    return json.dumps(schemas).encode()


def _refuse_the_graph(exchange: Exchange) -> None:
    error: dict[str, Any] = {"message": f"Cannot execute because node {LACKING_NODE} does not exist."}
    body = json.dumps({"error": error, "node_errors": {}}).encode()
    exchange.send(Response(400, [("Connection", "close"), ("Content-Length", str(len(body)))], body))


#: Everything that can go wrong; a new kind is a line here.
KINDS: dict[str, Kind] = {
    "sockets cut": Kind(cut_sockets, 10.0, wanted=50),
    "answer lost": Kind(lose_an_answer, 2.0),
    "request lost": Kind(lose_a_request, 2.0),
    "download cut": Kind(cut_a_download, 2.0),
    "file garbled": Kind(garble_a_file, 1.0),
    "frames scrambled": Kind(scramble_frames, 2.0),
    "frames clean": Kind(clean_frames, 1.0),
    "refused": Kind(refuse, 1.0),
    "runner killed": Kind(kill_the_runner, 3.0, wanted=10),
    "servers changed at resume": Kind(change_the_servers, 1.0, wanted=3),
    "prompts changed and changed back": Kind(change_the_prompts, 1.0, wanted=3),
    "server killed": Kind(kill_the_server, 1.5, wanted=5),
    "context dead": Kind(lose_the_context, 0.5, wanted=2, strikes=True),
    "server hung": Kind(hang, 0.5, wanted=2, strikes=True),
    "file lost": Kind(lambda soak, chance: lose_a_file(soak.server.folder, chance), 2.0, wanted=3),
    "node lacking": Kind(lack_a_node, 0.7, wanted=2),
}
