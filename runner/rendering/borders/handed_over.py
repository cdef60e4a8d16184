"""The pictures that segments hand over, as files of a run: named by their bytes, so that none ever replaces another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.foreign.pictures import open_picture
from custom_nodes.videogen.media.foreign.verdict import decoding
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import has_hash, hash_file

from ...comfyui.answers import SavedFile, read_parts
from ...comfyui.client import ComfyClient
from ...comfyui.outcome import Outcome
from .shared_frames import HANDED_OVER, SHARED

#: Below ``segments/``.
FOLDER = "handed_over"
_SUFFIX = ".png"


def without_handed_over(outcome: Outcome) -> Outcome:
    """An outcome with the files of the segment alone."""
    return replace(outcome, outputs={node: files for node, files in outcome.outputs.items() if node != HANDED_OVER})


def fetch_handed_over(
    client: ComfyClient, outcome: Outcome, folder: Path, stem: str, pixels: int, most: int
) -> tuple[dict[str, Any], ...]:
    """Fetch the pictures that a segment hands over; none where its prompt has kept none.

    Args:
        folder: of the segments' files.
        stem: of the segment's own file.
        pixels: that a picture may have.
        most: bytes that each may have.

    Returns:
        In their order: file (relative to the run directory), bytes, sha256.

    Raises:
        VideoGenError: `media-broken`, `path-invalid`, and those of `ComfyClient.download`.
    """
    files = [file for value in outcome.outputs.get(HANDED_OVER, {}).values() for file in read_parts(value, SavedFile)]
    return tuple(_fetch(client, file, folder, stem, pixels, most) for file in files[-SHARED:] if file.filename)


def _fetch(client: ComfyClient, file: SavedFile, folder: Path, stem: str, pixels: int, most: int) -> dict[str, Any]:
    target = folder / FOLDER
    partial = folder / f".{stem}-handed-over{_SUFFIX}.part"
    try:
        target.mkdir(exist_ok=True)
        size = client.download(file, partial, most)
        with decoding(partial.name, "cannot be read as a picture"), open_picture(partial, pixels) as picture:
            if picture.format != "PNG":
                raise VideoGenError("media-broken", f"{file.filename} is {picture.format}, expected a PNG")
            picture.load()
        sha256 = hash_file(partial)
        named = target / f"{sha256[:32]}{_SUFFIX}"
        partial.replace(named)
    except OSError as error:
        raise explain_os_error(error, target) from None
    return {"file": f"segments/{FOLDER}/{named.name}", "bytes": size, "sha256": sha256}


def read_handed_over(directory: Path, result: Mapping[str, Any]) -> tuple[str, bytes]:
    """The picture with which a segment ends: as it was made, or else, from its file.

    Args:
        directory: of the run.
        result: of the segment.

    Returns:
        A name that another picture does not have, and a PNG.

    Raises:
        VideoGenError: `media-broken`.
    """
    # Where somebody has put another file in the segment's place, that one's frames count.
    kept = () if result.get("adopted") else result.get("handed_over") or ()
    for one in reversed(kept):
        path = directory / str(one["file"])
        try:
            if has_hash(path, one.get("sha256"), one.get("bytes")):
                return path.name, path.read_bytes()
        except OSError:
            continue
    return f"{result['sha256'][:24]}{_SUFFIX}", read_last_frame(directory / result["file"])
