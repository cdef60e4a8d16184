"""`videogen doctor`: what this machine has, and what is missing for a run."""

from __future__ import annotations

import argparse

from ..comfyui.client import ComfyClient
from ..doctor import examine
from .server_options import add_server_arguments, read_headers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the servers to ask."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.epilog = "Exit status: 0 ready to render, 2 ffmpeg is missing, 3 no usable ComfyUI."
    add_server_arguments(parser, "a running ComfyUI to examine too; may be repeated")


def execute(arguments: argparse.Namespace) -> int:
    """Print what is there; see `examine` for the exit status."""
    return examine([ComfyClient(url, read_headers(arguments)) for url in arguments.server])
