"""The link to the node pack in a ComfyUI's custom_nodes/."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import SetupError
from ..steps import Step


def plan_link(comfyui: Path, pack: Path) -> Step:
    link = comfyui / "custom_nodes" / "videogen"
    return Step("link", "node pack", lambda: link_pack(link, pack), lambda: is_linked(link, pack))


def is_linked(link: Path, pack: Path) -> bool:
    return link.exists() and os.path.samefile(link, pack)


def link_pack(link: Path, pack: Path) -> None:
    """Link the node pack into a custom_nodes/ folder. A link that leads nowhere is replaced, nothing else."""
    if os.path.lexists(link) and not link.exists():
        (os.unlink if link.is_symlink() else os.rmdir)(link)  # a junction is removed like a folder
    if os.path.lexists(link):
        what = f"a link to {link.resolve()}" if link.is_symlink() else "a folder" if link.is_dir() else "a file"
        hint = "Move it away. Another copy of the pack would give every node twice."
        raise SetupError(f"{link} is in the way: {what}, where a link to {pack} belongs.", hint)
    try:
        if sys.platform == "win32":
            import _winapi

            _winapi.CreateJunction(str(pack), str(link))  # a symlink would need an administrator
        else:
            link.symlink_to(pack, target_is_directory=True)
    except OSError as error:
        hint = "Check that you may write there, and that the file system of that disk has links."
        raise SetupError(f"Cannot link {link} to {pack}: {error.strerror}.", hint) from error
