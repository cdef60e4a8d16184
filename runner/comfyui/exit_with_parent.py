"""Runs a Python script that must not outlive its parent: ``python exit_with_parent.py main.py ARGUMENTS``.

It runs in ComfyUI's Python and imports nothing of the project. The parent holds the other end of standard input and
never writes; when it ends, in whatever way, the operating system closes that end. The parent may have bound the socket for
the script's server already, so that no one else could: then that one is used (see own_listener.py).
"""

import os
import runpy
import sys
import threading
from typing import Any


def exit_with_parent() -> None:
    # Not through sys.stdin: Python aborts when it ends while a thread holds a lock there, and a script that ended with an
    # error of its own would look like one that was killed.
    while os.read(0, 1024):
        pass
    os._exit(1)


def serve_on(descriptor: int) -> None:
    """Have the server that is to listen on this socket's port use the socket, instead of making one."""
    import asyncio
    import socket

    os.set_inheritable(descriptor, False)
    listener = socket.socket(fileno=descriptor)
    own_port = listener.getsockname()[1]
    every_loop: Any = asyncio.base_events.BaseEventLoop
    create_server = every_loop.create_server

    async def create(loop: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if port != own_port:
            return await create_server(loop, protocol_factory, host, port, **options)
        return await create_server(loop, protocol_factory, sock=listener, **options)

    every_loop.create_server = create


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    inherited = os.environ.pop("VIDEOGEN_LISTENER", "")
    if inherited:
        serve_on(int(inherited))
    script = os.path.abspath(sys.argv[1])
    sys.argv = sys.argv[1:]
    # As `python main.py` would have it: the script's folder first, this file's folder not at all.
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")
