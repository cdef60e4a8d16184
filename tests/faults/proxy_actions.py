"""What a proxy can do to requests and websocket frames."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

from tests.faults.proxy import PATIENCE, Action, Exchange, HangUpError, Response


def hang_up(exchange: Exchange) -> None:
    """The request never reaches the server."""
    raise HangUpError


def lose_answer(exchange: Exchange) -> None:
    """The server does what it is asked, and its answer is lost."""
    exchange.forward()
    raise HangUpError


def say_nothing(exchange: Exchange) -> None:
    """Accepted, and then silence."""
    exchange.proxy.pause(PATIENCE)


def delay(seconds: float) -> Action:
    def act(exchange: Exchange) -> None:
        exchange.proxy.pause(seconds)
        exchange.send(exchange.forward())

    return act


def cut_after(count: int) -> Action:
    """The answer breaks off after `count` bytes of its body."""

    def act(exchange: Exchange) -> None:
        response = exchange.forward()
        response.body = response.body[:count]
        exchange.send(response)

    return act


def answer(status: int, body: bytes = b"") -> Action:
    """Instead of the server."""

    def act(exchange: Exchange) -> None:
        exchange.send(Response(status, [("Connection", "close"), ("Content-Length", str(len(body)))], body))

    return act


def change_body(change: Callable[[bytes], bytes]) -> Action:
    """The server's answer with another body, honestly announced."""

    def act(exchange: Exchange) -> None:
        response = exchange.forward()
        exchange.send(response.with_body(change(response.body)))

    return act


class Scrambler:
    """Does all that can be done to websocket frames: passes on, drops, doubles, swaps, garbles and truncates."""

    def __init__(self, seed: int, share: float = 0.5) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._held: list[bytes] = []

    def __call__(self, frame: bytes) -> list[bytes]:
        if frame.startswith(b"HTTP/") or self._random.random() > self._share:
            return [frame]
        match self._random.choice(("drop", "double", "swap", "garble", "truncate")):
            case "drop":
                return []
            case "double":
                return [frame, frame]
            case "swap":
                held, self._held = self._held, [frame]
                return held
            case "garble":
                # Still a frame; what is in it is no JSON any more.
                return [frame[:4] + bytes(byte ^ 0x15 for byte in frame[4:])]
        return [frame[: len(frame) // 2]]


def has_hung_up(client: socket.socket) -> bool:
    """Whether the runner that sent a request is gone."""
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
