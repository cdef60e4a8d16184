"""Embeddings of images on an EMBEDS socket and in files: what an encoder outputs, before an adapter projects it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...core.errors import VideoGenError
from ...media.backups import keep_previous
from ...media.os_errors import explain_os_error
from ...media.partial_file import partial_path, publish
from ...tensor.ip_adapter.adapter import IPAdapter
from .adapter_files import read_torch_file

#: Ending of the files, as ComfyUI_IPAdapter_plus writes them: a torch file with one tensor. Its nodes read ours.
EMBEDS_ENDING = ".ipadpt"


def check_embeds(value: Any, name: str) -> Tensor:
    """Embeddings of n images, (n, width) or (n, patches + 1, width).

    Raises:
        VideoGenError: `socket-invalid` for anything else, or values that are not numbers.
    """
    if not isinstance(value, Tensor) or value.ndim not in (2, 3) or 0 in value.shape or not value.is_floating_point():
        found = f"has shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"is {type(value).__name__}"
        raise VideoGenError(
            "socket-invalid", f"`{name}` {found}, expected embeddings of pictures, such as Encode Embeds outputs"
        )
    if not torch.isfinite(value).all():
        raise VideoGenError("socket-invalid", f"`{name}` has values that are not numbers (NaN or infinite)")
    return value.detach().to("cpu", torch.float32)


def need_embeds(value: Any, adapter: IPAdapter, name: str) -> Tensor:
    """Embeddings that an adapter can project.

    Raises:
        VideoGenError: `socket-invalid`, and `adapter-mismatch` for those of another encoder or another kind of adapter.
    """
    embeds = check_embeds(value, name)
    info = adapter.info
    dimensions = 2 if info.embed_source == "image_embeds" else 3
    if embeds.ndim != dimensions or embeds.shape[-1] != info.embed_width:
        wanted = "(pictures, {})" if dimensions == 2 else "(pictures, patches + 1, {})"
        raise VideoGenError(
            "adapter-mismatch",
            f"`{name}` has shape {tuple(embeds.shape)}, and {adapter.name} takes {wanted.format(info.embed_width)}: the"
            f" {info.embed_source.replace('_', ' ')} of {info.encoder}",
            "Encode the pictures with Encode Embeds and the same adapter: plus adapters need other embeddings than plain ones.",
        )
    return embeds


def read_embeds(path: Path) -> Tensor:
    """The embeddings in a file.

    Raises:
        VideoGenError: `adapter-unreadable`, for a file that is damaged, contains code, or has something else in it.
    """
    tensors = read_torch_file(path, "the embeddings")
    if list(tensors) != [""]:
        raise VideoGenError(
            "adapter-unreadable",
            f"the embeddings {path.name} hold {len(tensors)} named tensors, expected a single one without a name",
            "It is another kind of file: write one with Save Embeds.",
        )
    try:
        return check_embeds(tensors[""], "it")
    except VideoGenError as error:
        raise VideoGenError(
            "adapter-unreadable",
            f"the embeddings {path.name} cannot be used: {error.message.removeprefix('`it` ')}",
            "Write them again with Save Embeds.",
        ) from None


def write_embeds(path: Path, embeds: Tensor) -> None:
    """Write embeddings; an older file of the name is kept in the folder ``previous/`` next to it.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_path(path)
        try:
            torch.save(embeds.contiguous().clone(), partial)
            keep_previous(path)
            publish(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise explain_os_error(error, path) from None
